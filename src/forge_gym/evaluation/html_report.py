"""A report of runs as one HTML file that needs no network: tables, plots, verdicts, and answers drawn beside optima.

How the page looks stands in ``templates/``; what it shows is found here. Replies of models are hostile
text: the template escapes everything, `visible` spells out what could hide or reorder text, and the
page's content security policy runs its own script alone, by hash, and loads nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import combinations, islice
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from .._version import __version__
from ..agents import CONTROLS, make_agent
from ..core.checks import check_int
from ..core.foreign import visible
from ..core.verdict import METRICS
from ..core.verdict_class import VerdictClass, verdict_class, verdict_classes
from ..data.rows import Asked, Row, write
from .evaluate import Conversation, evaluate_rows
from .report import notes
from .runs import Run, common_rows
from .statistics import Difference, Estimate, Evaluation, compare, groups

GALLERY = 6
"""Answers shown of each problem, of the runs in turn."""
SHOWN = 4000
"""Characters of a text that are shown: half from its beginning, half from its end, where the answer stands."""
NAME = 60
"""Characters of an agent's name that are shown."""
PICTURE = (3.8, 3.8)
"""Inches."""
COLOURS = 6
"""Colours of runs, and shapes of their points; more runs than these share both, but in other pairs."""

_OPENING = b'<!doctype html>\n<html lang="en">\n<head>\n<meta name="generator" content="forge-gym report">'
"""How every report begins."""

Progress = Callable[[int], object]


def write_report(
    runs: Sequence[Run], out: Path, *, gallery: int = GALLERY, progress: Progress = lambda done: None
) -> None:
    """Write the report of ``runs`` to the file ``out``, whole or not at all; see `html_report` and `check_report`."""
    check_report(out)
    page = html_report(runs, gallery=gallery, progress=progress)
    write(out, page.removesuffix("\n").split("\n"))


def check_report(out: Path) -> None:
    """Raise ``ValueError`` if there is a file at ``out`` that is no report, which is left as it is."""
    if out.exists():
        with out.open("rb") as file:
            start = file.read(500).strip()
        if not start.startswith(_OPENING):
            raise ValueError(f"{out} exists and is no report of ours, so it is left as it is: give another file")


def html_report(runs: Sequence[Run], *, gallery: int = GALLERY, progress: Progress = lambda done: None) -> str:
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
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clip": clip, "json": _settings}
    environment.globals |= {"image": _image, "notes": notes}
    allowed = {name: _hash(environment.get_template(f"report.{name}").render()) for name in ("css", "js")}
    page = Page(runs, gallery, progress)
    return environment.get_template("report.html.j2").render(page=page, allowed=allowed)


def _hash(text: str) -> str:
    """Return the source expression by which a content security policy allows this script or style."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


# ------------------------------------------------------------------------------------- text from outside


def _visible(value: Any) -> Any:
    """Return text as it may be shown; what is no text stays itself, and Markup is the template's own."""
    return visible(value, "\n\t") if type(value) is str else value


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

    def __init__(self, number: int, name: str, evaluation: Evaluation, run: Run | None = None) -> None:
        self.name, self.evaluation, self.run = name, evaluation, run
        self.key = f"{'s' if run else 'c'}{number}"
        self.style = f"s{number % COLOURS}" if run else f"control {self.key}"
        """The classes of its marks: a colour for runs, a dash for controls."""
        self.marker = (number + number // COLOURS) % COLOURS if run else None
        """The shape of its points; of runs with one colour it differs."""
        numbers = [number for row in evaluation.rows for number in run.numbers(row)] if run else []
        self.cost = sum(run.took["cost"][number] for number in numbers) if run else 0.0
        counted = [run.took[kind] for kind in ("prompt_tokens", "completion_tokens")] if run else []
        self.tokens = sum(tokens[number] for tokens in counted for number in numbers) / max(len(numbers), 1)
        """Mean of an episode, prompts and replies."""


def _players(runs: Sequence[Run], progress: Progress) -> list[Player]:
    """Return the runs and the controls on the rows that every run has answered."""
    common = common_rows(runs)
    names = [run.agent if len(run.agent) <= NAME else run.agent[: NAME - 1] + "…" for run in runs]
    taken = Counter([*CONTROLS, *names])
    players = [
        Player(i, name if taken[name] == 1 else f"{name} (run {i + 1})", run.evaluation(common), run)
        for i, (run, name) in enumerate(zip(runs, names, strict=True))
    ]
    wanted = {row.id for row in common}
    for i, name in enumerate(CONTROLS):
        rows = (runs[0].rows[at] for at, row in enumerate(runs[0].asked) if row.id in wanted)
        players.append(Player(i, name, evaluate_rows(make_agent(name), rows)))
        progress(1)
    return players


# ------------------------------------------------------------------------------------- verdicts by class


class Breakdown:
    """How many verdicts of each class several players have in a group of rows."""

    def __init__(
        self, title: str, players: Sequence[Player], group: Sequence[int], families: Sequence[str] = ()
    ) -> None:
        self.title = title
        tallies = [
            Counter(verdict_class(verdict, families) for i in group for verdict in player.evaluation.verdicts[i])
            for player in players
        ]
        self.classes = [each for each in verdict_classes(families) if any(each in counts for counts in tallies)]
        """Those that occur, from the worst on."""
        counts = ([counted[each] for each in self.classes] for counted in tallies)
        self.counts = list(zip(players, counts, strict=True))

    def segments(self, counts: Sequence[int]) -> Iterator[tuple[VerdictClass, int, float, float]]:
        """Yield class, count, and start and width in percent."""
        total, start = sum(counts), 0
        for each, count in zip(self.classes, counts, strict=True):
            if count:
                yield each, count, 100 * start / total, 100 * count / total
            start += count


# ------------------------------------------------------------------------------------- answers to look at


class Answer(NamedTuple):
    """An answer of the gallery: the call of an episode that counts."""

    player: Player
    row: Asked
    number: int
    """Of the episode in the run."""
    verdict_class: VerdictClass

    @property
    def episode(self) -> Conversation:
        """What was said."""
        assert self.player.run is not None
        return self.player.run.episodes[self.number]


def _examples(player: Player, rows: Sequence[Asked], shown: Container[str]) -> Iterator[Answer]:
    """Yield an answer of each class of verdicts that occurs, the commonest classes first.

    Of a class, one is taken whose row is ``shown`` anyway, or else the first, which is the easiest.
    """
    run = player.run
    assert run is not None
    families = rows[0].problem.constraints
    classes: dict[VerdictClass, list[Answer]] = {each: [] for each in verdict_classes(families)}
    for row in rows:
        for number in run.numbers(row):
            verdict = run.verdicts[number]
            assert verdict is not None  # every run has answered the rows of the page
            its_class = verdict_class(verdict, families)
            classes[its_class].append(Answer(player, row, number, its_class))
    for answers in sorted(filter(None, classes.values()), key=len, reverse=True):  # equals: the worst first
        yield next((answer for answer in answers if answer.row.id in shown), answers[0])


def _gallery(players: Sequence[Player], rows: Sequence[Asked], count: int) -> list[list[Answer]]:
    """Return up to ``count`` answers to one problem's rows, by row, of the runs in turn."""
    chosen: dict[str, list[Answer]] = {}
    waiting = deque(_examples(player, rows, chosen) for player in players)
    while waiting and count:
        examples = waiting.popleft()
        for answer in islice(examples, 1):
            chosen.setdefault(answer.row.id, []).append(answer)
            waiting.append(examples)
            count -= 1
    return [chosen[row.id] for row in rows if row.id in chosen]


def _image(row: Row, solution: Any) -> str:
    """Return a picture as the URI of an SVG image: unlike one that is part of the page, it can do nothing.

    It is empty where the problem has no picture.
    """
    if row.problem.picture is None:
        return ""
    options = {"format": "svg", "size": PICTURE, "title": ""}
    svg: str = row.problem.picture.image(row.problem, row.instance, solution, **options).decode()
    small = " ".join(svg[svg.index("<svg") :].split()).replace('"', "'")
    return "data:image/svg+xml," + quote(small, safe=" /:=,;()+-.{}'")


# ------------------------------------------------------------------------------------- the page


class Page:
    """What the template shows; see `html_report` for the parameters."""

    metrics = tuple(METRICS)
    plotted = ("quality", "success", "optimal")
    version = __version__

    def __init__(self, runs: Sequence[Run], gallery: int, progress: Progress) -> None:
        self.players = _players(runs, progress)
        self.runs = [player for player in self.players if player.run is not None]
        self.rows = self.players[0].evaluation.rows
        self.count, self.progress = gallery, progress
        self.by_problem = groups(self.rows, "problem")
        self.gallery = {
            problem: _gallery(self.runs, [self.rows[i] for i in group], gallery)
            for problem, group in self.by_problem.items()
        }
        suite = runs[0].header["suite"]
        self.title = str(suite["name"]) if suite else " + ".join(self.by_problem)
        self.proven = sum(row.proven for row in self.rows)
        asked = {(row.id, row.hash) for run in runs for row in run.asked}
        self.left_out = len(asked) - len(self.rows)
        """Rows that some run was asked and that another has not answered."""
        self.has_levels = any(row.level >= 0 for row in self.rows)

    def ranked(self) -> list[Player]:
        """Return the players by mean quality, the best first."""
        return sorted(self.players, key=lambda player: -sum(player.evaluation.values("quality")))

    def charts(self, metric: str) -> Iterator[tuple[str, list[int], list[tuple[Player, list[Estimate]]]]]:
        """Yield title, levels and each player's means at them: of all problems if there are several, and of each."""
        problems = {"all problems": list(range(len(self.rows)))} if len(self.by_problem) > 1 else {}
        for title, group in (problems | self.by_problem).items():
            levels: dict[int, list[int]] = {}
            for i in sorted(group, key=lambda i: self.rows[i].level):
                levels.setdefault(self.rows[i].level, []).append(i)
            levels.pop(-1, None)
            means = [
                (player, [player.evaluation.estimate(metric, level) for level in levels.values()])
                for player in self.players
            ]
            if levels:
                yield title, list(levels), means

    def breakdowns(self) -> Iterator[Breakdown]:
        """Yield the verdicts over all problems, with the controls', and those of each problem."""
        if len(self.by_problem) > 1:
            yield Breakdown("all problems", self.players, range(len(self.rows)))
        for problem, group in self.by_problem.items():
            yield Breakdown(problem, self.runs, group, self.rows[group[0]].problem.constraints)

    def pairs(self) -> Iterator[tuple[Player, Player, dict[str, Difference]]]:
        """Yield every two runs, and what the one has more than the other."""
        for one, other in combinations(self.runs, 2):
            yield one, other, compare(one.evaluation, other.evaluation)

    def drawn(self, cases: Sequence[list[Answer]]) -> Iterator[tuple[Row, list[Answer], str]]:
        """Yield rows with their answers and the picture of the optimum, and tell of each that was drawn."""
        for answers in cases:
            row = answers[0].episode.row
            yield row, answers, _image(row, row.reference.solution)
            self.progress(1)
