"""The site builds without a warning; problems have pages, links lead somewhere, and every block of code works."""

from __future__ import annotations

import doctest
import functools
import http.server
import importlib
import importlib.util
import json
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag

import pytest
from typer.core import TyperCommand

import forge_gym
from forge_gym.cli import main
from forge_gym.core.env import INFO
from forge_gym.kinds import Kind
from forge_gym.kinds.subset import GraphSubset
from test_imports import MAY_KNOW

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
ELSEWHERE = {
    "README.md": "tests/test_readme.py",
    "docs/training.md": "tests/test_readme.py",
    "docs/classic_rl.md": "tests/test_readme.py",
    "docs/data.md": "tests/data/test_generate.py",
    "docs/evaluation.md": "tests/cli/test_eval.py",
    "docs/add_a_problem.md": "tests/test_docs.py",
    "docs/add_a_kind.md": "tests/test_docs.py",
}
"""Pages whose Python other tests run; this file runs that of all others."""
GIVEN = {
    "docs/report.md": """
from forge_gym.agents import make_agent
from forge_gym.evaluation.runs import env_questions, record

record(make_agent("greedy"), env_questions([forge_gym.problem("TSP", n=5)], episodes=2), "runs/small.jsonl")
""",
}
"""What makes the files that a page's Python reads."""
FENCE = re.compile(r'^```(\w+)(?: notest="(.+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
"""A block: language, the reason why no test runs it, text."""


def blocks(page: str, language: str) -> list[str]:
    """Return the blocks of a page that are to work."""
    found = FENCE.findall((ROOT / page).read_text())
    return [text for name, reason, text in found if name == language and not reason]


def run(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program; skip where a library is missing that is not ours."""
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    missing = re.search(r"ModuleNotFoundError: No module named '((?!forge_gym)\w+)", done.stderr)
    if missing:
        pytest.skip(f"needs {missing[1]}: see tests/adapters/contracts.py")
    assert done.returncode == 0, done.stderr
    return done


# ---------------------------------------------------------------------------------------- code on the pages


@pytest.mark.parametrize("page", PAGES)
def test_every_block_says_what_it_is(page: str) -> None:
    text = (ROOT / page).read_text()
    assert len(FENCE.findall(text)) == len(re.findall(r"^```", text, re.MULTILINE)) / 2


@pytest.mark.parametrize("page", [page for page in PAGES if page not in ELSEWHERE and blocks(page, "python")])
def test_python_runs(page: str, tmp_path: Path) -> None:
    run("\n".join(["import forge_gym", GIVEN.get(page, ""), *blocks(page, "python")]), tmp_path)


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_what_is_run_elsewhere_is(page: str, test: str) -> None:
    assert Path(page).name in (ROOT / test).read_text() and blocks(page, "python")


def test_the_guide_makes_a_problem(tmp_path: Path) -> None:
    """The guide's first blocks are a module that passes the gate, has a page, and is an environment."""
    module, program = blocks("docs/add_a_problem.md", "python")
    assert module.count("\n") <= 70
    (tmp_path / "dominating_set.py").write_text(module)
    (tmp_path / "program.py").write_text(program)
    lines = commands("docs/add_a_problem.md")
    gate, *others = [line[1:] for line in lines if line[0] == "forge-gym"]
    assert gate[0] == "check" and len(others) == 2
    cheaper = {"check": ["--replies=200", "--instances=30"], "eval": ["--episodes=5"], "show": []}
    code = f"""
import runpy, sys
sys.path[:0] = [{str(ROOT / "docs")!r}]
from forge_gym.cli import main
for command in {[[*line, *cheaper[line[0]]] for line in (gate, *others)]}:
    assert main(command) == 0, command
runpy.run_path("program.py")
try:
    import problem_pages
except ModuleNotFoundError:
    print("no page")
else:
    page, image = problem_pages.problem_page("DominatingSet")
    assert "GT2" in page and b"<svg" in image and "- **Heuristic:** the vertex that dominates most." in page
    assert "every vertex is dominated, got" in page
    rows = [line for line in page.splitlines() if line.startswith("| 9 |")]
    assert len(rows) == 1 and rows[0].count("|") == 11, rows
"""
    run(code, tmp_path)
    assert (tmp_path / "set.png").is_file()


def test_a_new_kind_needs_no_other_file(tmp_path: Path) -> None:
    """The page's kind and problem pass the gate, and every wrapper and style knows what to do with them."""
    kind, quick, problem, program = blocks("docs/add_a_kind.md", "python")
    (tmp_path / "choice.py").write_text(f"{kind}\n\n\n{quick}\n\n\n{problem}")
    (tmp_path / "program.py").write_text(program)
    (gate,) = [line[1:] for line in commands("docs/add_a_kind.md")]
    code = f"""
import runpy
from gymnasium.utils.env_checker import check_env
from forge_gym.cli import main
assert main({[*gate, "--replies=200", "--instances=30"]}) == 0
runpy.run_path("program.py")
import gymnasium as gym
check_env(gym.make("Forge/Compromise-v0").unwrapped)
"""
    run(code, tmp_path)


def test_the_guide_lists_what_a_kind_writes() -> None:
    page = (ROOT / "docs/add_a_problem.md").read_text().partition("## Add a kind")[2]
    listed = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\|.*\|(.*)\|$", page, re.MULTILINE))))
    own = GraphSubset.__abstractmethods__ | {"trivial"}  # a problem's, though subsets have one to begin with
    optional = {"reader", "read_compact", "write_compact"}
    assert listed == Kind.__abstractmethods__ - own | optional


def test_the_page_on_the_environment_has_every_key_of_info() -> None:
    rows = re.findall(r"^\| (`.*?`) \|.*the (?:episode|last reply|kept reply) \|", page_of("environment"), re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(INFO)


def test_the_page_on_architecture_has_every_package() -> None:
    """And what it may import is what the test of imports allows."""
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page_of("architecture"), re.MULTILINE))
    assert set(rows) == {name for name in MAY_KNOW if not re.match(r"_|shared_texts|$", name)}
    for name, allowed in rows.items():
        assert set(re.findall(r"`(\w+)`", allowed)) == set(MAY_KNOW[name]) & set(rows), name


def page_of(name: str) -> str:
    return (ROOT / "docs" / f"{name}.md").read_text()


def commands(page: str) -> list[list[str]]:
    """Return the commands of a page's blocks, in words, without what is set before them."""
    indented = re.findall(r"^ {4}(\S.*)$", FENCE.sub("", (ROOT / page).read_text()), re.MULTILINE)
    commands = []
    for line in "\n".join([*blocks(page, "bash"), *indented]).replace("\\\n", " ").splitlines():
        for part in re.split(r" (?:&&|\||>) ", line.partition(" # ")[0]):
            words = [word for word in shlex.split(part, comments=True) if word != "..."]
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                del words[0]
            if words:
                commands.append(words)
    return commands


PARSE = """
import argparse, json, runpy, sys
from typer.core import TyperCommand

class Parsed(BaseException):
    pass

def stopping(parse):
    def parsed(*given, **named):
        parse(*given, **named)
        raise Parsed
    return parsed

argparse.ArgumentParser.parse_args = stopping(argparse.ArgumentParser.parse_args)
TyperCommand.invoke = stopping(lambda command, context: None)  # typer has read the options by then
try:
    import tyro
    tyro.cli = stopping(tyro.cli)
except ModuleNotFoundError:
    pass
missing = {}
for script, *arguments in json.loads(sys.argv[1]):
    sys.argv = [script, *arguments]
    sys.path.insert(0, script.rpartition("/")[0])
    try:
        if script.endswith(".py"):
            runpy.run_path(script, run_name="__main__")
        else:
            runpy.run_module(script, run_name="__main__", alter_sys=True)
        raise SystemExit(f"{script} parses nothing")
    except Parsed:
        pass
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("forge_gym"):
            raise
        missing[script] = error.name
    del sys.path[0]
print(json.dumps(missing))
"""
"""Hands every command line to the program that it starts, and ends the program when it has read it."""


def test_commands_are_understood() -> None:
    """Arguments of ours are read by the parsers that would read them; files that are named exist."""
    lines = []
    for page in PAGES:
        for words in commands(page):
            for word in words:
                if re.match(r"(examples|benchmarks|studies|tests|docs)/", word):
                    assert (ROOT / word).exists(), f"{page}: {word}"
            scripts = [word for word in words if re.fullmatch(r"(examples|benchmarks|studies)/\w+\.py", word)]
            program = Path(words[0]).name
            if program == "forge-gym":
                lines.append(["forge_gym", *words[1:]])
            elif program.startswith("python") and words[1:2] == ["-m"] and words[2].startswith("forge_gym"):
                lines.append(words[2:])
            elif scripts:
                lines.append(words[words.index(scripts[0]) :])
    assert len(lines) > 50 and {"forge_gym", "examples/grpo_from_scratch.py", "benchmarks/run.py"} < {
        x[0] for x in lines
    }
    done = subprocess.run([sys.executable, "-c", PARSE, json.dumps(lines)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)  # scripts whose libraries are missing


# -------------------------------------------------------------------------------------------------- the site


class Page(HTMLParser):
    """What a page of the site has: anchors, links, what it loads, code by language."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.pictures: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        if tag == "link" and given.get("rel") != "canonical":
            self.loads.append(given["href"])
        if "src" in given:
            self.loads.append(given["src"])
        if tag == "img":
            self.pictures.append(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built once with warnings as errors."""
    for module in ("mkdocs", "material", "mkdocstrings_handlers.python", "matplotlib"):
        pytest.importorskip(module)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {path.relative_to(site).as_posix(): Page(path) for path in site.rglob("*.html")}


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The modules that write pages, as MkDocs imports them."""
    pytest.importorskip("griffe")
    pytest.importorskip("mkdocs")
    monkeypatch.syspath_prepend(ROOT / "docs")
    yield {name: importlib.import_module(name) for name in ("docstrings", "problem_pages", "reference_pages", "pages")}
    for name in ("docstrings", "problem_pages", "reference_pages", "pages"):
        sys.modules.pop(name, None)


def test_examples_of_the_modules_that_write_pages(modules: dict[str, Any]) -> None:
    found = [doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE) for module in modules.values()]
    assert all(result.failed == 0 for result in found) and sum(result.attempted for result in found) >= 4


def test_docstrings_become_markdown(modules: dict[str, Any]) -> None:
    markdown = modules["docstrings"].markdown
    assert markdown("See `a[i][j] <b>` and ``<answer>``.") == "See `a[i][j] <b>` and ``<answer>``."
    assert markdown("Between <answer> and </answer>, x < y.") == "Between &lt;answer> and &lt;/answer>, x < y."
    example = "Text [1]_.\n\nExamples\n--------\n>>> f('[1]_ <b>')[0][1]\n'<b>'\n\nMore [2]_."
    assert markdown(example) == example.replace("Text [1]_", r"Text \[1\]").replace("More [2]_", r"More \[2\]")
    sources = "References\n----------\n.. [1] A, 1972.\n.. [2] B,\n   1973: ``x``.\n"
    assert markdown(sources, link=True) == "References\n----------\n1. A, 1972.\n2. B, 1973: ``x``."


def test_every_problem_has_a_page_with_a_picture(site: Path, pages: dict[str, Page]) -> None:
    assert forge_gym.problems()
    for name in forge_gym.problems():
        (module,) = {type(forge_gym.problem(name)).__module__.rpartition(".")[2]}
        page = pages[f"problems/{module}.html"]
        (picture,) = page.pictures
        drawn = (site / "problems" / picture).read_text()
        assert drawn.count("<path") > 10 and "</svg>" in drawn
        sections = "definition instance parameters prompt-and-answer constraints methods levels sources"
        assert set(sections.split()) <= page.anchors
        html = (site / "problems" / f"{module}.html").read_text()
        text, problem = unescape(re.sub(r"<[^>]*>", "", html)), forge_gym.problem(name)
        made: dict[str, Any] = {}
        exec(re.findall(r"^import gymnasium.*?^prompt, info = .*?$", text, re.MULTILINE | re.DOTALL)[0], made)
        assert type(made["env"].unwrapped.problem) is type(problem)
        lines = re.findall(r"^forge-gym (.*)$", text, re.MULTILINE)
        assert [line.split()[:2] for line in lines] == [[verb, name] for verb in ("show", "play", "check")]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TyperCommand, "invoke", lambda *_: 0)
            assert not any(main(line.split()) for line in lines)
        assert all(f"<code>{family}</code>" in html for family in problem.constraints)
        assert len(re.findall(r"<td>[0-9]</td>", html)) >= 10  # the levels


def test_every_public_module_has_its_reference(pages: dict[str, Page]) -> None:
    public = [module.name for module in pkgutil.walk_packages(forge_gym.__path__, "forge_gym.")]
    files = [name for name in public if not re.search(r"\.(_|nemo_gym\.forge)", name)]
    assert len(files) > 100
    for module in files:
        path = f"api/{module.partition('.')[2].replace('.', '/')}"
        page = pages.get(f"{path}.html") or pages[f"{path}/index.html"]
        assert module in page.anchors
    assert "forge_gym.core.problem.Problem.verify" in pages["api/core/problem.html"].anchors
    assert "forge_gym.core.env.TextEnv" in pages["api/core/env.html"].anchors


def test_every_link_leads_somewhere(site: Path, pages: dict[str, Page]) -> None:
    broken = []
    for name, page in pages.items():
        if name == "404.html":
            continue
        for link in page.links:
            target, anchor = map(unquote, urldefrag(link))
            if re.match(r"[a-z]+:", target):
                continue
            path = os.path.normpath(os.path.join(os.path.dirname(name), target)) if target else name
            file = site / path
            if not file.is_file() or (anchor and path in pages and anchor not in pages[path].anchors):
                broken.append(f"{name}: {link}")
    assert not broken


def test_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[str, Page]) -> None:
    assert not {load for page in pages.values() for load in page.loads if "//" in load}
    for style in site.rglob("*.css"):
        assert not re.findall(r"url\([\"']?(?:https?:)?//", style.read_text())


def test_pages_of_the_site_leave_out_what_only_programs_read(site: Path) -> None:
    assert not [*site.rglob("*.py"), *site.rglob("*.pyc")]
    assert "notest" not in (site / "adapters" / "skyrl.html").read_text()


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=site)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("width", [1280, 390])
def test_a_browser_shows_the_site(browser: Any, served: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("requestfailed", lambda request: faults.append(request.url))
    page.on("response", lambda response: faults.append(response.url) if response.status >= 400 else None)
    page.on("request", lambda request: None if request.url.startswith(served) else faults.append(request.url))
    for name in ("index", "problems/tsp", "api/core/problem"):
        page.goto(f"{served}/{name}.html")
        page.wait_for_load_state("networkidle")
        assert page.locator("h1").first.is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        loaded = "[...document.images].every(image => image.complete && image.naturalWidth > 0)"
        assert page.evaluate(loaded)
    page.keyboard.press("/")
    page.keyboard.type("knapsack")
    page.locator(".md-search-result__item").first.wait_for()
    page.close()
    assert not faults
