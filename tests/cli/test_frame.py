"""The command line as a whole: every option of every command, typos, and what the system can do wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Context
from typer.main import get_command

from forge_gym.cli import COMMANDS, app, main
from forge_gym.cli.options import extra, spread
from forge_gym.cli.terminal import resumable


def leaves(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each command with the words that call it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from leaves(inner, (*words, name))
    if not hasattr(command, "commands"):
        yield words, command


ALL = dict(leaves(get_command(app())))
OPTIONS = [(words, param) for words, command in ALL.items() for param in command.params if param.opts[0] != "--help"]
NUMBERS = [
    (words, param.opts[0]) for words, param in OPTIONS if param.type_descriptor.annotation in (int, float, list[int])
]


def fails(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the one line of a command that must fail."""
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("forge-gym: ")
    return err.removeprefix("forge-gym: ").rstrip()


def test_every_command_and_option_has_a_help_text() -> None:
    assert {words[0] for words in ALL} == set(COMMANDS)
    for command in ALL.values():
        assert command.help and command.help.rstrip().endswith(".")
    for words, param in OPTIONS:
        assert param.help, (words, param.opts)


def test_help_shows_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", "--help"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    for default in ("episodes per environment [default: 100]", "[default: 32]", "[default: test]"):
        assert default.rpartition("[")[2] in text
    assert main([]) == 0 and "Commands:" in capsys.readouterr().out


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_a_misspelt_option_of_any_command(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    told = fails([*words, "--jsom"], capsys)
    assert told.startswith(f"forge-gym {' '.join(words)} has no option --jsom: ")
    if "--json" in [name for param in ALL[words].params for name in param.opts]:
        assert told.endswith("did you mean '--json'?")


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (["lst"], "Did you mean 'list'?"),
        (["show", "TPS"], "problem 'TPS' is not registered: did you mean 'TSP'?"),
        (["show", "Forge/TPS-v0"], "did you mean 'TSP'?"),
        (["show", "TSP", "--set", "gird=9"], "TSP has no parameter 'gird': did you mean 'grid'?"),
        (["show", "TSP", "--set", "n"], "--set must be NAME=VALUE, got 'n'"),
        (["show", "TSP", "--split", "tset"], "did you mean 'test'?"),
        (["show", "TSP", "--seed", "abc"], "got 'abc'"),
        (["show", "TSP", "--png", "tour.jpg"], "--png must end in .png or .svg, got 'tour.jpg'"),
        (["show", "TSP", "--png", "/nowhere/tour.png"], "/nowhere/tour.png: No such file or directory"),
        (["show", "TSP", "--file", "nowhere.tsp"], "nowhere.tsp"),
        (["show", "nowhere:TSP"], "No module named 'nowhere'"),
        (["show", "json:JSONDecoder"], "it is no subclass of Problem"),
        (["eval", "--env", "TSP"], "--agent or --model must be given"),
        (["eval", "--agent", "greedy"], "one of --env and --suite must be given, got none"),
        (["eval", "--agent", "gredy", "--env", "TSP"], "did you mean 'greedy'?"),
        (["eval", "--agent", "greedy", "--suite", "forge-bench-v2"], "did you mean 'forge-bench-v1'?"),
        (["eval", "--agent", "greedy", "--suite", "forge-bench-v1", "--by", "level."], "did you mean 'level'?"),
        (["eval", "--agent", "greedy", "--env", "TSP", "--temperature", "hot"], "got 'hot'"),
        (["generate", "--train", "4", "--out", "/proc/here"], "/proc/here"),
        (["generate", "--env", "TSP", "--train", "4"], "Missing option '--out'"),
        (["suite", "biuld"], "Did you mean 'build'?"),
        (["suite"], "Missing command."),
        (["report"], "Missing argument"),
        (["report", "nowhere.jsonl"], "nowhere.jsonl"),
        (["serve", "--port", "80000"], "port"),
        (["check", "nowhere:Thing"], "No module named 'nowhere'"),
        (["preflight", "--agent", "greedy", "--env", "TSP", "--reward", "teired"], "did you mean 'tiered'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_one_line_says_what_is_wrong(words: list[str], wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong in fails(words, capsys)


@pytest.mark.parametrize(("words", "option"), NUMBERS, ids=lambda value: value if isinstance(value, str) else value[0])
def test_no_number_where_one_is_due(words: tuple[str, ...], option: str, capsys: pytest.CaptureFixture[str]) -> None:
    told = fails([*words, option, "many"], capsys)
    assert f"'{option}'" in told and told.endswith("got 'many'")


def test_an_option_takes_several_values() -> None:
    repeatable = {"--levels": "", "--set": "NAME=VALUE"}
    words = ["TSP", "--levels", "0", "-1", "2", "--json", "x", "--set", "n=1", "grid=2", "Knapsack"]
    expected = "TSP --levels 0 --levels -1 --levels 2 --json x --set n=1 --set grid=2 Knapsack"
    assert list(spread(words, repeatable)) == expected.split()


def test_a_problem_of_ones_own_is_never_a_built_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken_name.py").write_text(
        "from forge_gym.envs.knapsack import Knapsack\n\n\nclass TSP(Knapsack):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for words in (["show", "taken_name:TSP"], ["eval", "--agent", "greedy", "--env", "taken_name:TSP"]):
        assert "the name of a problem must be new, got 'TSP'" in fails(words, capsys)


def test_what_is_missing_names_its_extra() -> None:
    with (
        pytest.raises(ValueError, match=r'this needs no_such_library: pip install "forge-gym\[viz\]"'),
        extra("viz"),
    ):
        import no_such_library  # noqa: F401
    with pytest.raises(ImportError, match="nothing"), extra("viz"):  # an error of ours stays one
        from forge_gym.core import nothing  # noqa: F401


def test_interruptions(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    def in_long_work(*_: Any) -> None:
        with resumable():
            interrupted()

    for work, told in (
        (interrupted, "interrupted"),
        (in_long_work, "interrupted; the same command continues the run"),
    ):
        monkeypatch.setattr("typer.core.TyperCommand.invoke", work)
        assert main(["list"]) == 130
        assert capsys.readouterr().err == f"forge-gym: {told}\n"


def test_a_reader_that_has_seen_enough() -> None:
    command = f"{sys.executable} -m forge_gym eval --help | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert done.stdout.startswith("Usage: ") and done.stderr == ""


def test_contexts_are_wide_enough_for_the_page() -> None:
    command = ALL["eval",]
    help_text = command.get_help(Context(command, info_name="eval", terminal_width=80))
    assert max(map(len, help_text.splitlines())) <= 80
