"""``forge-gym list`` and ``forge-gym show``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import forge_gym
from forge_gym.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(arguments) == status
    captured = capsys.readouterr()
    return captured.err if status else captured.out


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    rows = json.loads(run(capsys, "list", "--json"))
    assert tuple(row["problem"] for row in rows) == forge_gym.problems()
    table = run(capsys, "list")
    assert all(row["id"] in table for row in rows)


@pytest.mark.parametrize("name", forge_gym.problems())
def test_show(name: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    png = tmp_path / "x.png"
    out = run(
        capsys,
        "show",
        f"Forge/{name}-v0",
        "--seed",
        "3",
        "--level",
        "2",
        "--solution",
        "--png",
        str(png),
        "--json",
    )
    shown = json.loads(out)
    problem, instance = forge_gym.from_spec(shown["spec"])
    assert shown["prompt"] == problem.prompt(instance) and shown["proven"] and png.stat().st_size > 1000
    text = run(capsys, "show", name, "--seed", "3", "--level", "2", "--reply", shown["solution"])
    assert f"proven optimum {shown['value']}" in text and "quality 1.000" in text
    thought = f"[THINK]?{shown['solution']}"
    marked = run(
        capsys, "show", name, "--seed", "3", "--level", "2", "--thoughts", "[/THINK]", "--reply", f"{thought}[/THINK]?"
    )
    assert "verdict: malformed" in marked
    told = json.loads(run(capsys, "show", name, "--reply", "?", "--json"))["verdict"]
    assert told["status"] == "malformed" and told["objective"] is None


def test_a_problem_without_pictures(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(type(forge_gym.problem("TSP")), "picture", None)
    png = tmp_path / "x.png"
    told = run(capsys, "show", "TSP", "--png", str(png), status=2)
    assert told == "forge-gym: --png needs a problem with a picture, got TSP, which has none\n"
    assert not png.exists() and "visits" in run(capsys, "show", "TSP")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["show", "TPS"], "did you mean 'TSP'"),
        (["show", "Forge/TPS-v0"], "did you mean 'TSP'"),
        (["show", "TSP", "--set", "n=2"], "n must be"),
        (["show", "TSP", "--level", "-1"], "level must be"),
        (["show", "TSP", "--reply", "?", "--thoughts", "final"], "thoughts: start must be"),
        (["show", "TSP", "--split", "tset"], "did you mean 'test'"),
    ],
)
def test_bad_arguments(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert words in run(capsys, *arguments, status=2)
