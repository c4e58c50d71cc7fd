"""A report of runs as one HTML file that needs no network: tables, plots, verdicts, and answers drawn beside optima.

How the page looks stands in ``templates/``; what it shows is found here. Replies of models are hostile
text: the template escapes everything, `visible` spells out what could hide or reorder text, and the
page's content security policy runs its own script alone, by hash, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import unicodedata
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import chain, combinations, islice
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple
from urllib.parse import quote

from .._version import __version__
from ..agents import CONTROLS, make_agent
from ..core.checks import check_int
from ..core.verdict import METRICS
from ..core.verdict_class import (
    ALARM,
    BELOW_GREEDY,
    BEST_KNOWN,
    INFEASIBLE,
    MALFORMED,
    OPTIMAL,
    TIERS,
    VerdictClass,
    infeasible_classes,
    verdict_class,
    verdict_classes,
)
from ..data.rows import replacing
from ..data.suite import Row
from .runs import Run
from .score import SuiteEvaluation, evaluate_suite
from .stats import Estimate, bootstrap
from .transcript import Call

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
    with replacing(out) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


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
    environment.globals["image"] = _image
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


class Player:
    """A run, or a control where there is none, with its verdicts on the rows of the page."""

    def __init__(self, number: int, name: str, evaluation: SuiteEvaluation, run: Run | None = None) -> None:
        self.name, self.evaluation, self.run = name, evaluation, run
        self.key = f"{'s' if run else 'c'}{number}"
        self.style = f"s{number % COLOURS}" if run else f"control {self.key}"
        """The classes of its marks: a colour for runs, a dash for controls."""
        self.marker = (number + number // COLOURS) % COLOURS if run else None
        """The shape of its points; of runs with one colour it differs."""
        episodes = (
            [run.calls[row.id, i] for row in evaluation.rows for i in range(run.samples)] if run else []
        )
        calls = list(chain.from_iterable(episodes))
        self.cost = sum(call.cost for call in calls)
        tokens = sum(call.prompt_tokens + call.completion_tokens for call in calls)
        self.tokens = tokens / max(len(episodes), 1)
        """Mean of an episode, prompts and replies."""
        self.published = evaluation.published()["overall"]
        self.values = {
            metric: [fmean(map(number_of, verdicts)) for verdicts in evaluation.verdicts]
            for metric, number_of in METRICS.items()
        }
        """One number per row for each metric: the mean over its samples."""


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
        Player(i, name if taken[name] == 1 else f"{name} (run {i + 1})", run.evaluation(common), run)
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    for i, name in enumerate(CONTROLS):
        players.append(Player(i, name, evaluate_suite(make_agent(name), common)))
        progress(1)
    return players


class Breakdown:
    """How many verdicts of each class several players have in a group of rows."""

    def __init__(
        self, title: str, players: Sequence[Player], group: Sequence[int], families: Sequence[str] = ()
    ) -> None:
        self.title = title
        tallies = [
            Counter(
                verdict_class(verdict, families) for i in group for verdict in player.evaluation.verdicts[i]
            )
            for player in players
        ]
        order = verdict_classes(families)
        self.kinds = [kind_ for kind_ in order if any(kind_ in counts for counts in tallies)]
        """Those that occur, from the worst on."""
        counts = ([counted[kind_] for kind_ in self.kinds] for counted in tallies)
        self.counts = list(zip(players, counts, strict=True))

    def segments(self, counts: Sequence[int]) -> Iterator[tuple[VerdictClass, int, float, float]]:
        """Yield class, count, and start and width in percent."""
        total, start = sum(counts), 0
        for kind_, count in zip(self.kinds, counts, strict=True):
            if count:
                yield kind_, count, 100 * start / total, 100 * count / total
            start += count


# ------------------------------------------------------------------------------------- answers to look at


class Answer(NamedTuple):
    """An answer of the gallery."""

    player: Player
    row: Row
    call: Call
    turns: int
    """Replies in its episode."""
    kind: VerdictClass

    @property
    def status(self) -> str:
        """What the page's filter knows it by."""
        return "optimal" if self.call.verdict.optimal else self.call.verdict.status

    @property
    def solution(self) -> Any:
        """What the reply states; None where that is no solution."""
        return self.row.problem.verify(self.row.instance, self.call.reply).solution


def _examples(player: Player, rows: Sequence[Row], shown: Container[str]) -> Iterator[Answer]:
    """Yield an answer of each class of verdicts that occurs, the more telling classes first.

    Of a class, one is taken whose row is ``shown`` anyway, or else the first, which is the easiest.
    """
    assert player.run is not None
    families = rows[0].problem.constraints
    classes: dict[VerdictClass, list[Answer]] = {}
    for row in rows:
        for sample in range(player.run.samples):
            call, turns = player.run.kept_call(row.id, sample), len(player.run.calls[row.id, sample])
            kind_ = verdict_class(call.verdict, families)
            classes.setdefault(kind_, []).append(Answer(player, row, call, turns, kind_))
    broken = [kind_ for kind_ in (INFEASIBLE, *infeasible_classes(families).values()) if kind_ in classes]
    broken.sort(key=lambda kind_: -len(classes[kind_]))  # equals stay in the problem's order: sets have none
    short = [kind_ for kind_ in (BELOW_GREEDY, *TIERS, BEST_KNOWN) if kind_ in classes]
    telling = (ALARM, MALFORMED, *broken[:1], *short[:1], *short[-1:], OPTIMAL, *broken[1:], *short[1:-1])
    for kind_ in dict.fromkeys(telling):
        if kind_ in classes:
            yield next((answer for answer in classes[kind_] if answer.row.id in shown), classes[kind_][0])


def _gallery(players: Sequence[Player], rows: Sequence[Row], count: int) -> list[tuple[Row, list[Answer]]]:
    """Return up to ``count`` answers to one problem's rows, by row, of the runs in turn."""
    chosen: dict[str, list[Answer]] = {}
    waiting = deque(_examples(player, rows, chosen) for player in players)
    while waiting and count:
        examples = waiting.popleft()
        for answer in islice(examples, 1):
            chosen.setdefault(answer.row.id, []).append(answer)
            waiting.append(examples)
            count -= 1
    return [(row, chosen[row.id]) for row in rows if row.id in chosen]


def _image(row: Row, solution: Any) -> str:
    """Return a picture as the URI of an SVG image: unlike one that is part of the page, it can do nothing.

    It is empty where the problem has no picture.
    """
    if row.problem.picture is None:
        return ""
    options = {"format": "svg", "size": PICTURE, "title": ""}
    svg: bytes = row.problem.picture.image(row.problem, row.instance, solution, **options)
    return "data:image/svg+xml," + quote(_lean(svg.decode()), safe=" /:=,;()+-.{}")


_NUMBER = re.compile(r"(?<![\w#.])-?\d+\.\d{2,}(?!\w)")
_HALO = re.compile(
    r"(<path d='([^']+)') style='(fill: [^;']*); (stroke: [^']*)'/>\s*<path d='\2' style='\3'/>"
)
"""A letter drawn twice, the first time with an outline."""


def _lean(svg: str) -> str:
    r"""Return a drawing of matplotlib without what nobody sees, and with its styles as classes.

    Examples
    --------
    >>> _lean('<?xml?>\n<svg>\n <g id="a">\n <path d="M 9.25125 8 \nL 9 10 \n" style="fill: none"/></g></svg>')
    "<svg><style>.a0{fill: none}</style><g><path d='M 9.251 8 L 9 10' class='a0'/></g></svg>"
    """
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg[svg.index("<svg") :], flags=re.DOTALL)
    svg = re.sub(r"\s+", " ", svg).replace('"', "'")
    svg = _HALO.sub(r"\1 style='\3; \4; paint-order: stroke'/>", svg)
    svg = _NUMBER.sub(lambda match: f"{float(match[0]):.4g}", svg)
    svg = re.sub(r" (?=['/>])|(?<=>) (?=<)|(?<=<g) id='[^']*'", "", svg)
    classes = {style: f"a{i}" for i, style in enumerate(dict.fromkeys(re.findall(r" style='([^']*)'", svg)))}
    svg = re.sub(r" style='([^']*)'", lambda match: f" class='{classes[match[1]]}'", svg)
    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    return re.sub(r"(<svg[^>]*>)", rf"\1<style>{rules}</style>", svg, count=1)


# ------------------------------------------------------------------------------------- the page


class Line(NamedTuple):
    """A player's means at the levels of a chart."""

    player: Player
    points: list[Estimate]


class Chart(NamedTuple):
    """A metric against level."""

    title: str
    levels: list[int]
    lines: list[Line]


class Pair(NamedTuple):
    """Two runs compared."""

    one: Player
    other: Player
    difference: Estimate
    """In quality, row by row."""
    better: int
    worse: int
    """Rows on which the one is better, or worse, than the other."""


class Page:
    """What the template shows."""

    metrics = tuple(METRICS)
    plotted = ("quality", "success", "optimal")

    def __init__(self, runs: Sequence[Run], gallery: int, progress: Callable[[int], object]) -> None:
        self.players = _players(runs, progress)
        self.runs = [player for player in self.players if player.run is not None]
        self.rows = self.players[0].evaluation.rows
        self.everything = range(len(self.rows))
        self.count, self.progress = gallery, progress
        self.version = __version__
        self.by_problem: dict[str, list[int]] = {}
        for i, row in enumerate(self.rows):
            self.by_problem.setdefault(row.problem.name, []).append(i)
        self.gallery = {
            problem: _gallery(self.runs, [self.rows[i] for i in group], gallery)
            for problem, group in self.by_problem.items()
        }
        self.answers = sum(len(answers) for cases in self.gallery.values() for _, answers in cases)
        suite = runs[0].header.get("suite")
        self.title = str(suite["name"]) if suite else " + ".join(self.by_problem)
        self.proven = sum(row.certificate.proven for row in self.rows)
        asked = {(row.id, row.hash) for run in runs for row in run.rows}
        self.left_out = len(asked) - len(self.rows)
        """Rows that some run was asked and that another has not answered."""
        self.has_levels = any(row.level is not None for row in self.rows)

    def estimate(self, player: Player, metric: str, group: Sequence[int] | None = None) -> Estimate:
        """Return a mean over a group of rows, by default all, with its 95 % bootstrap interval."""
        values = player.values[metric]
        return bootstrap(values if group is None else [values[i] for i in group])

    def ranked(self) -> list[Player]:
        """Return the players by mean quality, the best first."""
        return sorted(self.players, key=lambda player: -fmean(player.values["quality"]))

    def charts(self, metric: str) -> Iterator[Chart]:
        """Yield the charts of a metric; none where rows have no level.

        The first plot is of all problems, where there are several, and the others are of one each.
        """
        problems = {"all problems": self.everything} if len(self.by_problem) > 1 else {}
        for title, group in (problems | self.by_problem).items():
            levels: dict[int, list[int]] = {}
            for i in group:
                level = self.rows[i].level
                if level is not None:
                    levels.setdefault(level, []).append(i)
            order = sorted(levels)
            if order:
                lines = [
                    Line(player, [self.estimate(player, metric, levels[k]) for k in order])
                    for player in self.players
                ]
                yield Chart(title, order, lines)

    def breakdowns(self) -> Iterator[Breakdown]:
        """Yield the verdicts over all problems, with the controls', and those of each problem."""
        if len(self.by_problem) > 1:
            yield Breakdown("all problems", self.players, self.everything)
        for problem, group in self.by_problem.items():
            families = self.rows[group[0]].problem.constraints
            yield Breakdown(problem, self.runs, group, families)

    def pairs(self) -> Iterator[Pair]:
        """Yield every two runs."""
        for one, other in combinations(self.runs, 2):
            gains = [a - b for a, b in zip(one.values["quality"], other.values["quality"], strict=True)]
            better, worse = sum(gain > 0 for gain in gains), sum(gain < 0 for gain in gains)
            yield Pair(one, other, bootstrap(gains), better, worse)

    def drawn(self, cases: Sequence[tuple[Row, list[Answer]]]) -> Iterator[tuple[Row, list[Answer], str]]:
        """Yield rows with their answers and the picture of the optimum, and tell of each that was drawn."""
        for row, answers in cases:
            yield row, answers, _image(row, row.certificate.solution)
            self.progress(1)
