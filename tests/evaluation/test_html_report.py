"""The report: right numbers, one file without network, hostile replies, phones, dark mode, no script."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

import forge_gym
from forge_gym.agents import CONTROLS, make_agent
from forge_gym.agents.agent import Reply, Task
from forge_gym.cli import main
from forge_gym.core.foreign import visible
from forge_gym.core.verdict import METRICS
from forge_gym.evaluation.evaluate import evaluate_rows
from forge_gym.evaluation.html_report import clip, html_report, write_report
from forge_gym.evaluation.runs import Run, env_questions, read_run, record, suite_questions
from forge_gym.evaluation.statistics import Evaluation, bootstrap

SCRIPT = "document.title = 'owned'"
HOSTILE = f'</pre></details><script>{SCRIPT}</script><img src=x onerror="{SCRIPT}">\'"`&amp;{{{{ 191 * 191 * 191 }}}}'


@dataclass
class Scripted:
    """Answers each task by a function of the task and of its number."""

    name: str
    text: Callable[[Task, int], str]
    asked: int = 0

    def answer(self, tasks: Sequence[Task]) -> list[str]:
        return [reply.text for reply in self.replies(tasks)]

    def replies(self, tasks: Sequence[Task]) -> list[Reply]:
        self.asked += len(tasks)
        numbers = range(self.asked - len(tasks), self.asked)
        texts = [self.text(task, number) for task, number in zip(tasks, numbers, strict=True)]
        return [Reply(text, "stop", 100, 20, 0.25) for text in texts]


def mixed(task: Task, number: int) -> str:
    """All classes of answers in turn."""
    problem, instance = task.problem, task.instance
    wrong = next(null for null in problem.null_answers(instance) if problem.violations(instance, null))
    solutions = (
        wrong,
        problem.trivial(instance),
        problem.heuristic(instance),
        problem.reference(instance).solution,
    )
    chosen = number * 7 % 5
    return "I do not know." if chosen == 4 else problem.format(instance, solutions[chosen])


def greedy(task: Task, number: int) -> str:
    return task.problem.format(task.instance, task.problem.heuristic(task.instance))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Run]:
    """Two runs over a tenth of the benchmark, the second broken off."""
    folder = tmp_path_factory.mktemp("runs")
    questions = suite_questions("forge-bench-v1", limit=1)
    record(Scripted("mixed", mixed), questions, folder / "mixed.jsonl", options={"temperature": 0.7})
    record(Scripted("careful", greedy), questions, folder / "careful.jsonl", batch_size=10)
    lines = (folder / "careful.jsonl").read_text().splitlines(keepends=True)
    (folder / "careful.jsonl").write_text("".join(lines[:-3]))
    return [read_run(folder / "mixed.jsonl"), read_run(folder / "careful.jsonl")]


@pytest.fixture(scope="module")
def page(runs: list[Run], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(runs, path, gallery=2)
    return path


class Visit:
    """A page in a browser, with everything it complained about and asked for."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light", script: bool = True) -> None:
        size = {"width": width, "height": 844}
        self.context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script)
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(path.as_uri())

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    @property
    def loaded(self) -> list[str]:
        """What was asked for, but for images that are part of the page."""
        return [url for url in self.requests if not url.startswith("data:")]

    def column(self, label: str, column: int) -> list[str]:
        """The first line of each cell of a column, in the order of the rows."""
        cells = self.page.locator(f"[aria-label='{label}'] tbody tr > :nth-child({column + 1})")
        return [text.split("\n")[0].strip() for text in cells.all_inner_texts()]


def is_blank(picture: bytes) -> bool:
    from PIL import Image

    colours = Image.open(BytesIO(picture)).convert("RGB").getcolors(maxcolors=1 << 24)
    return colours is None or len(colours) < 20


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")])
def test_every_screen(browser: Any, page: Path, tmp_path: Path, width: int, scheme: str) -> None:
    with Visit(browser, page, width, scheme) as visit:
        visit.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        visit.page.evaluate("document.querySelectorAll('img').forEach((each) => { each.loading = 'eager'; })")
        visit.page.evaluate("Promise.all([...document.images].map((each) => each.decode()))")  # or raises
        assert visit.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        outside = """[...document.querySelectorAll('main svg, main img, main pre, main figure')].filter((each) => {
            const box = each.getBoundingClientRect();
            return !each.closest('.wide') && (box.left < 0 || box.right > innerWidth);
        }).length"""
        assert visit.page.evaluate(outside) == 0
        for section in ("leaderboard", "pairs", "problems", "levels", "verdicts", "gallery"):
            visit.page.locator(f"#{section}").evaluate("(each) => each.scrollIntoView()")
            assert not is_blank(visit.page.screenshot(path=tmp_path / f"{section}.png")), section
        ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (ground == "rgb(255, 255, 255)") == (scheme == "light")
        assert visit.said == []
        assert visit.loaded == [page.as_uri()]


def test_the_numbers(browser: Any, runs: list[Run], page: Path) -> None:
    common = [row for row in runs[0].rows if row.id in {row.id for row in runs[1].answered}]
    assert len(common) == 97
    expected: dict[str, Evaluation] = {run.agent: run.evaluation(common) for run in runs}
    expected |= {name: evaluate_rows(make_agent(name), common) for name in CONTROLS}
    with Visit(browser, page) as visit:
        names = visit.column("Leaderboard", 0)
        assert sorted(names) == sorted(expected)
        for column, metric in enumerate(METRICS, 1):
            means = [f"{expected[name].estimate(metric).mean:.3f}" for name in names]
            assert visit.column("Leaderboard", column) == means
        sr = [f"{100 * expected[name].published()['overall']['SR']:.1f}" for name in names]
        assert visit.column("Leaderboard", 6) == sr
        assert dict(zip(names, visit.column("Leaderboard", 8), strict=True))["mixed"] == "120"
        assert dict(zip(names, visit.column("Leaderboard", 9), strict=True))["mixed"] == f"{97 * 0.25:.2f}"
        low, high = expected["mixed"].estimate("quality")[1:]
        row = visit.page.locator("[aria-label='Leaderboard'] tbody tr", has=visit.page.get_by_text("mixed", exact=True))
        assert f"{low:.3f} to {high:.3f}" in row.inner_text()

        tsp = [i for i, row in enumerate(common) if row.problem.name == "TSP"]
        problems = visit.column("quality by problem", 0)
        shown = visit.column("quality by problem", 1)[problems.index(f"TSP ({len(tsp)})")]
        assert shown == f"{expected['mixed'].estimate('quality', tsp).mean:.3f}"

        qualities = [[verdicts[0].quality for verdicts in expected[run.agent].verdicts] for run in runs]
        gains = [a - b for a, b in zip(*qualities, strict=True)]
        assert visit.column("Pairs of runs", 1) == [f"{bootstrap(gains).mean:+.3f}"]
        assert visit.column("Pairs of runs", 2) == [str(sum(gain > 0 for gain in gains))]

        counts = visit.page.locator("[aria-label='Counts of verdicts, all problems'] tbody tr")
        table = {
            cells[0].split(" ", 1)[1]: int(cells[1])
            for cells in (row.locator("> *").all_text_contents() for row in counts.all())
        }
        said = [verdicts[0].status for verdicts in expected["mixed"].verdicts]
        assert table["malformed"] == said.count("malformed")
        assert table["infeasible"] == said.count("infeasible")
        assert table["proven optimum"] == sum(verdicts[0].optimal for verdicts in expected["mixed"].verdicts)
        assert sum(table.values()) == 97

        text = visit.page.inner_text("body")
        assert "careful: 3 of 100 episodes have no answer and are not scored." in text
        assert "97 instances that every run has answered, of 100 asked" in text
        assert "mixed: " not in text
        assert runs[0].header["started"] in text and "temperature" in text


def test_tables_sort_and_the_gallery_filters(browser: Any, page: Path) -> None:
    with Visit(browser, page) as visit:
        board = visit.page.get_by_role("region", name="Leaderboard")
        for name, column in (("success", 1), ("skill", 3), ("QR", 7)):
            button = board.get_by_role("button", name=name, exact=True)
            for sign in (-1, 1):
                button.click()
                numbers = [float(text) for text in visit.column("Leaderboard", column)]
                assert numbers == sorted(numbers, key=lambda number: sign * number)
                head = board.locator("thead th").nth(column)
                assert head.get_attribute("aria-sort") == ("descending" if sign < 0 else "ascending")
        board.get_by_role("button", name="agent").click()
        names = visit.column("Leaderboard", 0)
        assert names == sorted(names)
        board.get_by_role("button", name="cost").click()
        assert visit.column("Leaderboard", 9)[2:] == ["–"] * len(CONTROLS)  # what is unknown comes last
        board.get_by_role("button", name="cost").click()
        assert visit.column("Leaderboard", 9)[2:] == ["–"] * len(CONTROLS)

        answers = visit.page.locator(".answer")
        told = visit.page.locator("#filter output")
        everything = answers.count()
        assert told.inner_text() == f"{everything} of {everything} answers"
        visit.page.select_option("select[name=run]", label="mixed")
        visit.page.select_option("select[name=status]", "malformed")
        shown = visit.page.locator(".answer:visible")
        assert 0 < shown.count() < everything
        assert told.inner_text() == f"{shown.count()} of {everything} answers"
        for figure in shown.all():
            assert "mixed" in figure.inner_text() and "malformed" in figure.inner_text()
        visit.page.select_option("select[name=problem]", "TSP")
        assert {figure.get_attribute("data-problem") for figure in shown.all()} <= {"TSP"}
        assert visit.page.locator(".problem:visible").count() <= 1
        assert visit.said == []


def test_without_script_everything_is_there(browser: Any, page: Path) -> None:
    with Visit(browser, page, 390, script=False) as visit:
        assert visit.page.locator("#filter").is_hidden()
        assert visit.page.locator(".answer").count() > 0
        assert visit.page.get_by_role("button").count() == 0
        folded = visit.page.locator("details.problem").nth(1)
        assert not folded.locator(".answer").first.is_visible()
        folded.locator("> summary").click()
        assert folded.locator(".answer").first.is_visible()
        for place in (".case > details", ".answer details"):  # a prompt, and a reply
            text = folded.locator(place).first
            text.locator("summary").click()
            assert text.locator("pre").inner_text()


REPLIES = (
    HOSTILE + "ANSWER",
    f"<answer>{HOSTILE}</answer>",
    "\x1b[31mred\x1b[0m \x00\x07\r\u202egnitirw tfel ot thgir\u2066 \ufeff\u2028ANSWER",
    "\U000e0041\ud800" + "e" + "\u0301" * 3000 + "ANSWER",
    "W" * 1_000_000 + HOSTILE,
    HOSTILE + "<answer>[0, 0, 1]</answer>",
)
"""What has broken pages before."""


def hostile(reply: str) -> Callable[[Task, int], str]:
    def text(task: Task, number: int) -> str:
        return reply.replace("ANSWER", task.problem.format(task.instance, task.problem.trivial(task.instance)))

    return text


def test_hostile_text_neither_runs_nor_spreads(browser: Any, tmp_path: Path) -> None:
    questions = env_questions([forge_gym.problem("TSP", n=6)], 1)
    name = f"<script>{SCRIPT}</script>\u202e'\"" + "N" * 10_000
    out = tmp_path / "hostile.html"
    for i, reply in enumerate(REPLIES):
        agent = Scripted(name, hostile(reply))
        record(agent, questions, tmp_path / f"{i}.jsonl", options={"system": HOSTILE * 1000})
    write_report([read_run(tmp_path / f"{i}.jsonl") for i in range(len(REPLIES))], out)
    text = out.read_bytes().decode("utf-8")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069\ufeff\u2028\U000e0041]", text)
    assert text.count("<script") == 1 and "6967871" not in text
    assert len(text) < 1_000_000
    for width in (1280, 390):
        with Visit(browser, out, width) as visit:
            visit.page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            replies = visit.page.locator("pre").all_inner_texts()
            assert any(reply.startswith(HOSTILE) for reply in replies)
            assert any("␛[31mred␛[0m ␀␇␍⟨U+202E⟩gnitirw" in reply for reply in replies)
            assert any("characters left out" in reply and reply.endswith(HOSTILE) for reply in replies)
            assert visit.page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
            assert visit.page.evaluate("document.querySelectorAll('pre *:not(mark)').length") == 0
            assert "owned" not in visit.page.title()
            assert visit.loaded == [out.as_uri()] and visit.said == []


def test_the_policy_stops_what_escaping_would_miss(browser: Any, page: Path) -> None:
    """Were a reply ever printed as it is, it could not do a thing."""
    with Visit(browser, page) as visit:
        visit.page.evaluate(
            """async (script) => {
                const inline = document.createElement("script");
                inline.textContent = script;
                document.body.append(inline);
                for (const source of ["data:,", "http://127.0.0.1:9/x.png"]) {
                    const image = new Image();
                    const failed = new Promise((done) => image.addEventListener("error", done));
                    image.setAttribute("onerror", script);
                    image.src = source;
                    await failed;
                }
            }""",
            SCRIPT,
        )
        fetched = visit.page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'sent', () => 'stopped')")
        assert fetched == "stopped"
        assert "owned" not in visit.page.title()
        assert len(visit.said) >= 4 and all("Content Security Policy" in said for said in visit.said), visit.said


def test_turns_samples_and_equal_names(tmp_path: Path) -> None:
    """The best turn of each sample is shown; a run may be called like another, or like a control."""

    def better(task: Task, number: int) -> str:
        solutions = (task.problem.trivial(task.instance), task.problem.reference(task.instance).solution)
        solution = solutions[task.sample == 1 and len(task.messages) > 1]
        return task.problem.format(task.instance, solution)

    questions = env_questions([forge_gym.problem("Knapsack", n=6)], 2)
    runs = [record(Scripted("greedy", better), questions, turns=3, samples=2) for _ in range(2)]
    text = html_report(runs, gallery=4)
    assert "greedy (run 1)" in text and "greedy (run 2)" in text
    assert re.search(r"<summary>Reply 2 of 2, \d+ characters, 20 tokens</summary>", text)
    assert any(f"<summary>Prompt, {len(row.prompt)} characters</summary>" in text for row in questions.rows)
    assert re.search(r"<summary>Reply 1 of 3,", text)
    assert "The same solution as the one drawn as the optimum." in text
    assert 'id="levels"' not in text  # instances drawn for the run have none


def test_a_problem_without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    tsp = forge_gym.problem("TSP", n=6)
    run = record(Scripted("greedy", greedy), env_questions([tsp], 2))
    assert "has no picture" not in html_report([run]) and "<img" in html_report([run])
    monkeypatch.setattr(type(tsp), "picture", None)
    assert "The problem has no picture." in html_report([run]) and "<img" not in html_report([run])


def test_the_same_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """In another process too, where sets have another order; two constraints are broken equally often."""

    def wrong(task: Task, number: int) -> str:
        nulls = [
            null for null in task.problem.null_answers(task.instance) if task.problem.violations(task.instance, null)
        ]
        return task.problem.format(task.instance, nulls[number % len(nulls)])

    run = tmp_path / "run.jsonl"
    record(Scripted("wrong", wrong), env_questions([forge_gym.problem("Knapsack", n=6)], 4), run)
    pages = []
    for seed in ("1", "2", "3"):
        out = tmp_path / f"{seed}.html"
        command = [sys.executable, "-m", "forge_gym", "report", str(run), "--out", str(out), "--gallery", "1"]
        subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONHASHSEED": seed})
        pages.append(out.read_bytes())
    assert pages[0] == pages[1] == pages[2]


def test_what_cannot_be_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def run(seed: int) -> Run:
        return record(Scripted("one", greedy), env_questions([forge_gym.problem("TSP", n=5)], 1, seed))

    with pytest.raises(ValueError, match="runs must hold at least one run, got none"):
        html_report([])
    with pytest.raises(ValueError, match=r"runs must share rows .* rows answered: one 1, one 1"):
        html_report([run(0), run(1)])
    with pytest.raises(ValueError, match="gallery must be an integer of at least 0"):
        html_report([run(0)], gallery=-1)
    assert main(["report", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: No such file" in capsys.readouterr().err


def test_cut_off_replies_and_counts_of_one(tmp_path: Path) -> None:
    class Long:
        name = "long"

        def replies(self, tasks: Sequence[Task]) -> list[Reply]:
            return [Reply("First, let me", "length", 9, 64) for _ in tasks]

    questions = env_questions([forge_gym.problem("TSP", n=6)], 2)
    text = html_report([record(Long(), questions, options={"max_tokens": 64})])  # type: ignore[arg-type]
    assert "2 of 2 replies were cut off at 64 tokens: raise --max-new-tokens." in text
    assert "<summary>Reply, 13 characters, 64 tokens, cut off</summary>" in text
    assert '<span class="count">1 answer</span>' in text and "1 run and 5 controls" in text


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, out = tmp_path / "run.jsonl", tmp_path / "new" / "report.html"
    record(Scripted("mixed", mixed), env_questions([forge_gym.problem("TSP", n=5)], 3), run)
    assert main(["report", str(run), "--out", str(out), "--gallery", "1"]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert out.read_text().count('class="answer"') == 1
    assert list(out.parent.iterdir()) == [out]
    assert main(["report", str(run), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["asked"], told["instances"], told["suite"]) == (3, 3, None)
    (record_,) = told["results"]
    assert record_["agent"] == "mixed" and record_["unanswered"] == 0 and record_["completion_tokens"] == 60
    assert record_["groups"]["TSP"] == record_["groups"]["overall"]
    assert record_["shortfalls"] == {"cut off": 0, "empty": 0, "only thoughts": 0}
    assert main(["report", str(run), "--out", str(tmp_path), "--gallery", "0"]) == 2
    assert "Is a directory" in capsys.readouterr().err
    assert not tmp_path.with_name(f"{tmp_path.name}.tmp").exists()


def test_clip_and_visible_on_the_edge() -> None:
    assert clip("x" * 4001) == ("x" * 2000, 1, "x" * 2000)
    assert clip("x" * 4000) == ("x" * 4000, 0, "")
    plain = "Zürich 東京 🎉\tπ ≤ 4\n\u00a0end"
    assert visible(plain, "\n\t") == plain


@pytest.mark.slow
def test_three_runs_on_the_whole_benchmark_stay_small() -> None:
    questions = suite_questions("forge-bench-v1")
    agents = [Scripted(f"mixed {i}", lambda task, number, i=i: mixed(task, number + i)) for i in range(3)]
    assert len(html_report([record(agent, questions) for agent in agents]).encode()) < 10_000_000
