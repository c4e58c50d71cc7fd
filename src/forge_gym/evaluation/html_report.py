"""A report of runs as one HTML file that needs no network: tables, plots, verdicts, and answers drawn beside optima.

How the page looks stands in ``templates/``; what it shows is found here. Replies of models are hostile
text: the template escapes everything, `visible` spells out what could hide or reorder text, and the
page's content security policy runs its own script alone, by hash, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import unicodedata
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, islice, pairwise
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from .._version import __version__
from ..agents import CONTROLS, make_agent
from ..core.checks import check_int
from ..core.rewards import TIER_EDGES
from ..core.verdict import Malformed, Verdict
from ..data.suite import Row
from .evaluate import METRICS
from .runs import Run
from .score import SuiteEvaluation, evaluate_suite
from .stats import Estimate, bootstrap
from .transcript import Call

if TYPE_CHECKING:
    from ..core.problem import Problem

T = TypeVar("T")

GALLERY = 10
"""Answers shown of each problem, of the runs in turn."""
SHOWN = 4000
"""Characters of a reply that are shown: half from its beginning, half from its end, where the answer stands."""
NAME = 60
"""Characters of an agent's name that are shown."""
PICTURE = (3.8, 3.8)
"""Inches."""
COLOURS = 6
"""Colours of runs, and shapes of their points; more runs than these share both, but in other pairs."""


def write_report(
    runs: Sequence[Run],
    out: Path,
    *,
    gallery: int = GALLERY,
    progress: Callable[[int], object] = lambda done: None,
) -> None:
    """Write the report of ``runs`` to the file ``out``, whole or not at all; see `html_report`."""
    page = html_report(runs, gallery=gallery, progress=progress)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(out.name + ".tmp")
    temporary.write_text(page, encoding="utf-8", newline="\n")
    os.replace(temporary, out)


def html_report(
    runs: Sequence[Run],
    *,
    gallery: int = GALLERY,
    progress: Callable[[int], object] = lambda done: None,
) -> str:
    """Return the report of ``runs`` as one HTML page; the same runs give the same page.

    Every score is over the rows that all runs have answered, the controls' scores too.

    Parameters
    ----------
    runs
        At least one; more than one must share rows.
    gallery
        Answers shown of each problem, of the runs in turn.
    progress
        Called with 1 after each control, and each instance that was drawn.

    Raises
    ------
    ValueError
        If there is no run, or no row that all runs have answered.
    """
    from jinja2 import Environment, PackageLoader

    check_int("gallery", gallery, 0)
    environment = Environment(
        loader=PackageLoader("forge_gym.evaluation"),
        autoescape=True,
        finalize=visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clip": clip, "json": _settings}
    allowed = {name: _hash(environment.get_template(f"report.{name}").render()) for name in ("css", "js")}
    page = Page(runs, gallery, progress)
    return environment.get_template("report.html.j2").render(page=page, allowed=allowed)


def _hash(text: str) -> str:
    """Return the source expression by which a content security policy allows this script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ------------------------------------------------------------------------------------- text from outside


def visible(value: Any) -> Any:
    r"""Return text with every character spelt out that shows nothing or moves others; what is no text stays itself.

    Examples
    --------
    >>> visible("a\x1b[31mb\u202ec\ud800\n")
    'a␛[31mb⟨U+202E⟩c⟨U+D800⟩\n'
    """
    if type(value) is not str or value.isprintable():  # Markup is the template's own
        return value
    return "".join(map(_spelt, value))


def _spelt(character: str) -> str:
    if character.isprintable() or character in "\n\t" or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    return chr(0x2400 + code) if code < 0x20 else f"⟨U+{code:04X}⟩"


def clip(text: str, shown: int = SHOWN) -> tuple[str, int, str]:
    """Return the beginning of a text, the number of characters left out after it, and the end.

    Examples
    --------
    >>> clip("abcdefgh", 4), clip("abcd", 4)
    (('ab', 4, 'gh'), ('abcd', 0, ''))
    """
    left_out = len(text) - shown
    return (text[: shown // 2], left_out, text[-(shown // 2) :]) if left_out > 0 else (text, 0, "")


def _settings(value: Any) -> str:
    """Return a value of a header as a reader writes it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


# ------------------------------------------------------------------------------------- who is compared


@dataclass(frozen=True)
class Player:
    """A run or a control, with its verdicts on the rows of the page."""

    key: str
    """Of runs ``s0``, ``s1``, ..., of controls ``c0``, ``c1``, ..."""
    name: str
    evaluation: SuiteEvaluation
    run: Run | None = None
    """None for a control."""

    @property
    def style(self) -> str:
        """The classes of its marks: a colour for runs, a dash for controls."""
        return f"s{int(self.key[1:]) % COLOURS}" if self.run else f"control {self.key}"

    @property
    def marker(self) -> int | None:
        """The shape of its points; of runs with one colour it differs."""
        at = int(self.key[1:])
        return (at + at // COLOURS) % COLOURS if self.run else None

    @cached_property
    def calls(self) -> list[Call]:
        """All calls about the rows of the page."""
        if self.run is None:
            return []
        samples = range(self.run.samples)
        return [
            call
            for row in self.evaluation.rows
            for sample in samples
            for call in self.run.calls[row.id, sample]
        ]

    @property
    def tokens(self) -> float:
        """Mean tokens of an episode, prompts and replies."""
        if self.run is None:
            return 0.0
        spent = sum(call.prompt_tokens + call.completion_tokens for call in self.calls)
        return spent / (len(self.evaluation.rows) * self.run.samples)

    @property
    def cost(self) -> float:
        """Of all calls about the rows of the page."""
        return sum(call.cost for call in self.calls)

    @cached_property
    def published(self) -> dict[str, float]:
        """The published success rate and quality ratio over all rows."""
        return self.evaluation.published()["overall"]

    def values(self, metric: str) -> list[float]:
        """Return one number per row: the mean over its samples."""
        return [fmean(map(METRICS[metric], verdicts)) for verdicts in self.evaluation.verdicts]


def _players(runs: Sequence[Run], progress: Callable[[int], object]) -> list[Player]:
    """Return the runs and the controls on the rows that every run has answered."""
    if not runs:
        raise ValueError("runs must hold at least one run, got none")
    answered = [{(row.id, row.hash): row for row in run.answered} for run in runs]
    common = [row for key, row in answered[0].items() if all(key in rows for rows in answered)]
    if not common:
        counts = ", ".join(f"{run.agent} {len(rows)}" for run, rows in zip(runs, answered, strict=True))
        raise ValueError(f"runs must share rows that all have answered, got none; rows answered: {counts}")
    for row in common:
        row.use()
    names = [run.agent if len(run.agent) <= NAME else run.agent[: NAME - 1] + "…" for run in runs]
    taken = Counter([*CONTROLS, *names])
    players = [
        Player(f"s{i}", name if taken[name] == 1 else f"{name} (run {i + 1})", run.evaluation(common), run)
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    for i, name in enumerate(CONTROLS):
        players.append(Player(f"c{i}", name, evaluate_suite(make_agent(name), common)))
        progress(1)
    return players


# ------------------------------------------------------------------------------------- verdicts by class


@dataclass(frozen=True)
class Kind:
    """A class of verdicts in the breakdown."""

    key: str
    """The style of its segment."""
    code: str
    """What stands in the segment, so that colour is not alone."""
    name: str


_MALFORMED = Kind("malformed", "M", "malformed")
_INFEASIBLE = Kind("broken0", "I", "infeasible")
_FEASIBLE = (
    Kind("below", "<", "feasible, below greedy"),
    *(
        Kind(f"tier{k}", str(k + 1), f"tier {k + 1}: skill {low:g} to {high:g}")
        for k, (low, high) in enumerate(pairwise(TIER_EDGES))
    ),
    Kind("reference", "=", "best known, not proven"),
    Kind("optimal", "★", "proven optimum"),
    Kind("alarm", "!", "better than a certificate: an error of the verifier"),
)


def kind(verdict: Verdict, families: Sequence[str] = ()) -> Kind:
    """Return the class of a verdict; of an infeasible one, that of the family it names first, where given.

    Examples
    --------
    >>> kind(Verdict("malformed")).name, kind(Verdict("feasible", skill=0.6)).name
    ('malformed', 'tier 3: skill 0.5 to 0.75')
    """
    if verdict.status == "malformed":
        return _MALFORMED
    if verdict.status == "infeasible":
        broken = _broken(families)
        named = (violation.family for violation in verdict.violations)
        return next((broken[family] for family in named if family in broken), _INFEASIBLE)
    below, *tiers, reference, optimal, alarm = _FEASIBLE
    if verdict.beats_bound:
        return alarm
    if verdict.optimal:
        return optimal
    if verdict.skill < 0:
        return below
    return reference if verdict.skill >= 1 else tiers[bisect_right(TIER_EDGES, verdict.skill) - 1]


def _broken(families: Sequence[str]) -> dict[str, Kind]:
    """Return one class for each constraint family of a problem."""
    return {
        family: Kind(f"broken{i}", chr(ord("A") + i), f"infeasible: {family}")
        for i, family in enumerate(families)
    }


@dataclass(frozen=True)
class Breakdown:
    """How many verdicts of each class several players have."""

    title: str
    kinds: tuple[Kind, ...]
    """Those that occur, from the worst on."""
    counts: tuple[tuple[Player, tuple[int, ...]], ...]

    def segments(self, counts: Sequence[int]) -> Iterator[tuple[Kind, int, float, float]]:
        """Yield class, count, and start and width in percent."""
        total, start = sum(counts), 0
        for each, count in zip(self.kinds, counts, strict=True):
            if count:
                yield each, count, 100 * start / total, 100 * count / total
            start += count


def _breakdown(
    title: str, players: Sequence[Player], group: Sequence[int], families: Sequence[str] = ()
) -> Breakdown:
    found = [
        Counter(kind(verdict, families) for i in group for verdict in player.evaluation.verdicts[i])
        for player in players
    ]
    order = (_MALFORMED, _INFEASIBLE, *_broken(families).values(), *_FEASIBLE)
    kinds = tuple(each for each in order if any(each in counts for counts in found))
    counts = tuple(
        (player, tuple(counted[each] for each in kinds))
        for player, counted in zip(players, found, strict=True)
    )
    return Breakdown(title, kinds, counts)


# ------------------------------------------------------------------------------------- answers to look at


@dataclass(frozen=True)
class Answer:
    """An answer of the gallery."""

    player: Player
    row: Row
    call: Call
    turns: int
    """Replies in its episode."""
    kind: Kind

    @property
    def status(self) -> str:
        """What the page's filter knows it by."""
        return "optimal" if self.call.verdict.optimal else self.call.verdict.status

    @cached_property
    def solution(self) -> Any:
        """What the reply states; None where that is no solution."""
        try:
            return self.row.problem.parse_reply(self.row.instance, self.call.reply)
        except Malformed:
            return None

    @property
    def is_witness(self) -> bool:
        """Whether it is the very solution that the optimum is drawn with."""
        return bool(self.solution == self.row.certificate.solution)

    @property
    def picture(self) -> str:
        """The URI of its image; empty where the problem has no picture."""
        return _image(self.row.problem, self.row.instance, self.solution)


@dataclass(frozen=True)
class Case:
    """An instance of the gallery, its optimum, and the answers shown beside it."""

    row: Row
    optimum: str
    """The URI of its image; empty where the problem has no picture."""
    answers: tuple[Answer, ...]

    @property
    def size(self) -> int:
        """Number of answers."""
        return len(self.answers)


def _examples(player: Player, rows: Sequence[Row], shown: Container[str]) -> Iterator[Answer]:
    """Yield an answer of each class of verdicts that occurs, the more telling classes first.

    Of a class, one is taken whose row is ``shown`` anyway, or else the first, which is the easiest.
    """
    assert player.run is not None
    families = rows[0].problem.constraints
    classes: dict[Kind, list[Answer]] = {}
    for row in rows:
        for sample in range(player.run.samples):
            call, turns = player.run.kept_call(row.id, sample), len(player.run.calls[row.id, sample])
            found = kind(call.verdict, families)
            classes.setdefault(found, []).append(Answer(player, row, call, turns, found))
    broken = [each for each in (_INFEASIBLE, *_broken(families).values()) if each in classes]
    broken.sort(key=lambda each: -len(classes[each]))  # equals stay in the problem's order: sets have none
    short = [each for each in _FEASIBLE if each in classes and each.key not in ("optimal", "alarm")]
    optimal, alarm = _FEASIBLE[-2:]
    telling = (alarm, _MALFORMED, *broken[:1], *short[:1], *short[-1:], optimal, *broken[1:], *short[1:-1])
    for each in dict.fromkeys(telling):
        if each in classes:
            yield next((answer for answer in classes[each] if answer.row.id in shown), classes[each][0])


def _in_turn(queues: Sequence[Iterator[T]]) -> Iterator[T]:
    """Yield the first item of each queue, then the second of each, ...

    Examples
    --------
    >>> "".join(_in_turn([iter("ad"), iter("b"), iter("cef")]))
    'abcdef'
    """
    waiting = list(queues)
    while waiting:
        for queue in tuple(waiting):
            try:
                yield next(queue)
            except StopIteration:
                waiting.remove(queue)


def _gallery(
    players: Sequence[Player], rows: Sequence[Row], count: int, progress: Callable[[int], object]
) -> tuple[Case, ...]:
    """Return the cases of one problem's rows: up to ``count`` answers, of the runs in turn."""
    chosen: dict[str, list[Answer]] = {}
    examples = _in_turn([_examples(player, rows, chosen) for player in players])
    for answer in islice(examples, count):
        chosen.setdefault(answer.row.id, []).append(answer)
    cases = []
    for row in rows:
        if row.id in chosen:
            image = _image(row.problem, row.instance, row.certificate.solution)
            cases.append(Case(row, image, tuple(chosen[row.id])))
            progress(1)
    return tuple(cases)


def _image(problem: Problem[Any, Any], instance: Any, solution: Any) -> str:
    """Return a picture as the URI of an SVG image: unlike one that is part of the page, it can do nothing.

    It is empty where the problem has no picture.
    """
    if problem.picture is None:
        return ""
    found: bytes = problem.picture.image(problem, instance, solution, format="svg", size=PICTURE, title="")
    return "data:image/svg+xml," + quote(_lean(found.decode()), safe=" /:=,;()+-.{}")


_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{2,}(?!\w)")
_PATH = re.compile(r" d='([MLQCZz\d. -]+)'")
_STYLE = re.compile(r"(?: clip-path='(?P<clip>[^']*)')? style='(?P<style>[^']*)'")
_HALO = re.compile(
    r"(<path d='([^']+)') style='(fill: [^;']*); (stroke: [^']*)'/>\s*<path d='\2' style='\3'/>"
)
"""A letter drawn twice, the first time with an outline."""


def _lean(svg: str) -> str:
    r"""Return a drawing of matplotlib in half the bytes: no metadata, styles as classes, relative coordinates.

    Examples
    --------
    >>> _lean('<?xml?>\n<svg>\n <g id="a">\n <path d="M 9.25 8 \nL 9 10 \n" style="fill: none"/></g></svg>')
    "<svg><style>.a0{fill: none}</style><g><path d='m9.25 8l-.25 2' class='a0'/></g></svg>"
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r"\s+", " ", svg).replace('"', "'").replace("xlink:href", "href").replace("DejaVuSans-", "D")
    svg = _HALO.sub(r"\1 style='\3; \4; paint-order: stroke'/>", svg)
    svg = _PATH.sub(lambda match: f" d='{_relative(match[1])}'", svg)
    svg = _NUMBER.sub(lambda match: f"{float(match[0]):.4g}", svg)
    svg = re.sub(r" (?=['/>])|(?<=>) (?=<)|(?<=<g) id='[^']*'", "", svg)
    classes: dict[str, str] = {}

    def styled(match: re.Match[str]) -> str:
        clip = f"clip-path: {match['clip']}; " if match["clip"] else ""
        return f" class='{classes.setdefault(clip + match['style'], f'a{len(classes)}')}'"

    svg = _STYLE.sub(styled, svg)
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{rules}</style>", svg, count=1)


def _relative(path: str) -> str:
    """Return a path of absolute commands with relative ones, to the hundredth; rounding does not add up."""
    found = []
    x = y = 0
    start = (0, 0)
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        at = [round(100 * float(number)) for number in numbers.split()]
        if not at:
            found.append("z")
            x, y = start
            continue
        steps = [value - (y if i % 2 else x) for i, value in enumerate(at)]
        x, y = at[-2:]
        start = (x, y) if command == "M" else start
        shown = [
            f"{step / 100:g}".replace("0.", ".", 1) if abs(step) < 100 else f"{step / 100:.8g}"
            for step in steps
        ]
        found.append(command.lower() + " ".join(shown).replace(" -", "-"))
    return "".join(found)


# ------------------------------------------------------------------------------------- the page


@dataclass(frozen=True)
class Point:
    """A mean at a level."""

    level: int
    estimate: Estimate


@dataclass(frozen=True)
class Chart:
    """A metric against the level, a line for each player."""

    title: str
    metric: str
    lines: tuple[tuple[Player, tuple[Point, ...]], ...]

    @property
    def levels(self) -> tuple[int, int]:
        """The lowest and the highest level."""
        found = [point.level for _, points in self.lines for point in points]
        return min(found), max(found)


@dataclass(frozen=True)
class Pair:
    """Two runs compared on the same rows."""

    one: Player
    other: Player
    difference: Estimate
    """Of their qualities, row by row."""
    better: int
    """Rows on which the first run is better."""
    worse: int


class Page:
    """What the template shows."""

    metrics = tuple(METRICS)
    plotted = ("quality", "success", "optimal")

    def __init__(self, runs: Sequence[Run], gallery: int, progress: Callable[[int], object]) -> None:
        self.players = _players(runs, progress)
        self.runs = [player for player in self.players if player.run is not None]
        self.rows = self.players[0].evaluation.rows
        self.everything = range(len(self.rows))
        self.count = gallery
        self.version = __version__
        self.by_problem: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            self.by_problem.setdefault(row.problem.name, []).append(i)
        self._values = {
            (player.key, metric): player.values(metric) for player in self.players for metric in METRICS
        }
        self.gallery = {
            problem: _gallery(self.runs, [self.rows[i] for i in group], gallery, progress)
            for problem, group in self.by_problem.items()
        }

    @property
    def title(self) -> str:
        """What was asked."""
        header = self.runs[0].run.header if self.runs[0].run else {}
        suite = header.get("suite")
        return str(suite["name"]) if suite else " + ".join(self.by_problem)

    @property
    def proven(self) -> int:
        """Rows whose optimum is proven."""
        return sum(row.certificate.proven for row in self.rows)

    @property
    def left_out(self) -> int:
        """Rows that some run was asked and that another has not answered."""
        asked = {(row.id, row.hash) for player in self.runs if player.run for row in player.run.rows}
        return len(asked) - len(self.rows)

    @property
    def has_levels(self) -> bool:
        """Whether there is something to plot against."""
        return any(row.level is not None for row in self.rows)

    @property
    def answers(self) -> int:
        """Answers in the gallery."""
        return sum(len(case.answers) for cases in self.gallery.values() for case in cases)

    def estimate(self, player: Player, metric: str, group: Sequence[int] | None = None) -> Estimate:
        """Return a mean over a group of rows, by default all, with its 95 % bootstrap interval."""
        values = self._values[player.key, metric]
        return bootstrap(values if group is None else [values[i] for i in group])

    def ranked(self) -> list[Player]:
        """Return the players by mean quality, the best first."""
        return sorted(self.players, key=lambda player: -fmean(self._values[player.key, "quality"]))

    def charts(self, metric: str) -> Iterator[Chart]:
        """Yield a plot of all problems, where there are several, and one of each; none where rows have no level."""
        problems = {"all problems": self.everything} if len(self.by_problem) > 1 else {}
        for title, group in (problems | self.by_problem).items():
            levels: dict[int, list[int]] = {}
            for i in group:
                level = self.rows[i].level
                if level is not None:
                    levels.setdefault(level, []).append(i)
            if levels:
                lines = [
                    (
                        player,
                        tuple(Point(k, self.estimate(player, metric, levels[k])) for k in sorted(levels)),
                    )
                    for player in self.players
                ]
                yield Chart(title, metric, tuple(lines))

    def breakdowns(self) -> Iterator[Breakdown]:
        """Yield the verdicts over all problems, with the controls', and those of each problem."""
        if len(self.by_problem) > 1:
            yield _breakdown("all problems", self.players, self.everything)
        for problem, group in self.by_problem.items():
            families = self.rows[group[0]].problem.constraints
            yield _breakdown(problem, self.runs, group, families)

    def pairs(self) -> Iterator[Pair]:
        """Yield every two runs."""
        for one, other in combinations(self.runs, 2):
            mine, theirs = (self._values[player.key, "quality"] for player in (one, other))
            gains = [a - b for a, b in zip(mine, theirs, strict=True)]
            yield Pair(
                one, other, bootstrap(gains), sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
            )
