"""Hostile problem files: each breaks one thing, and is told in one line with file and line, within a minute."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.cli import main
from forge_gym.core import registry
from forge_gym.verification import contract, gate

HERE = Path(__file__).parent
HEAD = """
import sys, time
from vertex_cover import *
"""
HOOKS: dict[str, tuple[str, str]] = {
    "solve(..., limit=1) with the given parameters ran for more than": (
        "solve(self, x, start, limit)",
        "while True: pass",
    ),
    "at level 30 ran for more than": (
        "solve(self, x, start, limit)",
        "while x.n > 60: time.sleep(1)\n        return super().solve(x, start, limit)",
    ),
    "at level 30 failed: KeyError: 'large'": (
        "solve(self, x, start, limit)",
        "if x.n > 60: raise KeyError('large')\n        return super().solve(x, start, limit)",
    ),
    ", and ended as without a limit: solve (": (
        "solve(self, x, start, limit)",
        "return super().solve(x, start, max(limit, 10**6))",
    ),
    "failed: exit status 0": ("solve(self, x, start, limit)", "import os; os._exit(0)"),
    r"failed: ValueError: \x1b[31mred second: solve (": (
        "solve(self, x, start, limit)",
        "raise ValueError('\\x1b[31mred\\nsecond')",
    ),
    "solve must return a Certificate, got None: solve (": ("solve(self, x, start, limit)", "return None"),
    "a prompt must be a text, got None: prompt (": ("prompt(self, x)", "return None"),
    "failed: exit status 3": ("solve(self, x, start, limit)", "sys.exit(3)"),
    "and every hook end": ("generate(self, rng)", "while True: pass"),
    "neighbour (": (
        "neighbour(self, x, solution, rng)",
        "while True:\n            try:\n                while True: pass\n            except Exception: pass",
    ),
    "raised SystemExit": ("neighbour(self, x, solution, rng)", "sys.exit('no')"),
    "got ['strange']: families of the problem's own stand in `own`: broken (": (
        "broken(self, x, chosen)",
        "for v in super().broken(x, chosen):\n            "
        "yield Violation('strange', 1, 2, 'no') if x.n > 25 and v.amount > 3 else v",
    ),
    "prompt (": ("prompt(self, x)", "return super().prompt(x) if self.style != 'csv' else 1 / 0"),
    "got none of that with answer_format ['line', 'raw'] in style": (
        "prompt(self, x)",
        "text = super().prompt(x)\n        "
        "return text if self.answer_format == 'tags' else text.replace(self.answer(x), 'it')",
    ),
    "instances must grow from level to level": ("at_level(self, level)", "return super().at_level(max(0, 12 - level))"),
    "IndexError: no such level": (
        "at_level(self, level)",
        "if level > 5: raise IndexError('no such level')\n        return super().at_level(level)",
    ),
    "got two instances for one seed": ("generate(self, rng)", "return super().generate(np.random.default_rng())"),
    "has no len()": ("trivial(self, x)", "return None"),
    "an anchor is infeasible": ("trivial(self, x)", "return ()"),
    "random must return a solution, a tuple, got [": ("random(self, x, rng)", "return [*super().random(x, rng)]"),
    "got the int64": ("objective(self, x, solution)", "return np.int64(len(solution))"),
    "RecursionError": ("objective(self, x, solution)", "return self.objective(x, solution)"),
    "<exception str() failed>": ("objective(self, x, solution)", "raise Unprintable"),
}
CLASSES = {
    "own must be a tuple of names, got 'covered'": "own = 'covered'",
    "family must be one of": "family = ['graph']",
    "version must be an integer of at least 0, got '1'": "version = '1'",
    "instance_type must be a subclass of Instance, got 3": "instance_type = 3",
    "sense must be one of ['min', 'max'], got 'minimum': did you mean 'min'?": "sense = 'minimum'",
}
FILES = {
    "SyntaxError: invalid syntax": "def f(:",
    "IndentationError": "x = 1\n  y = 2",
    "No module named 'nowhere_at_all'": "import nowhere_at_all",
    "NameError: name 'undefined' is not defined": "class X(VertexCover):\n    y = undefined",
    "ZeroDivisionError": "1 / 0",
    "SystemExit: 4": "sys.exit(4)",
    "own families of X must not be the kind's": "class X(VertexCover):\n    own = ('known',)",
    "argument: 'q'": "@dataclass(frozen=True, kw_only=True)\nclass X(VertexCover):\n    q: int",
    "X lacks generate, greedy, objective, question, solve, tiny": "class X(GraphSubset[Graph]):\n    family = 'graph'",
    "cannot inherit non-frozen dataclass": "@dataclass\nclass X(VertexCover):\n    q: int = 3",
    "a parameter must not hide": "@dataclass(frozen=True, kw_only=True)\nclass X(VertexCover):\n    solve: int = 3",
    "X cannot be made: TypeError: no": "class X(VertexCover):\n    def check(self):\n        raise TypeError('no')",
    "X cannot be made: AttributeError": "class X(VertexCover):\n    noun = property()",
}


@pytest.fixture(autouse=True)
def outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder with modules of a user; what they register is forgotten afterwards."""
    kept = dict(registry._ENTRY_POINTS), dict(registry._VERSIONS)
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(HERE), *sys.path])
    yield
    for table, before in zip((registry._ENTRY_POINTS, registry._VERSIONS), kept, strict=True):
        table.clear()
        table.update(before)
    for name in [name for name in sys.modules if name.startswith("hostile_")]:
        del sys.modules[name]


def written(folder: Path, number: int, body: str, head: str = HEAD) -> str:
    name = f"hostile_{number}"
    (folder / f"{name}.py").write_text(f"{head}{body}\n")
    return name


@pytest.mark.parametrize(("said", "hook"), HOOKS.items())
def test_a_hook_that_breaks_the_contract(
    said: str, hook: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contract, "SECONDS", 8.0)
    signature, body = hook
    source = "class Unprintable(Exception):\n    def __str__(self): raise ValueError\n\n\n"
    source += f"class X(VertexCover):\n    def {signature}:\n        {body}"
    module = written(tmp_path, list(HOOKS).index(said), source)
    forge_gym.register_problem(f"{module}:X")
    (fault,) = contract.contract(forge_gym.problem("X")).faults
    assert said in fault and "\n" not in fault
    assert re.search(rf"\({module}\.py, line \d+\)", fault), fault


@pytest.mark.parametrize(("said", "line"), CLASSES.items())
def test_a_class_that_declares_wrongly(said: str, line: str, tmp_path: Path) -> None:
    module = written(tmp_path, 100 + list(CLASSES).index(said), f"class X(VertexCover):\n    {line}")
    forge_gym.register_problem(f"{module}:X")
    (fault,) = contract.contract(forge_gym.problem("X")).faults
    assert said in fault and fault.endswith(f"class X ({module}.py, line 4)")


@pytest.mark.parametrize(("said", "body"), FILES.items())
def test_a_file_that_holds_no_problem(said: str, body: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module = written(tmp_path, 200 + list(FILES).index(said), body)
    assert main(["check", f"{module}:X"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and re.search(rf"\({module}\.py, line \d+\)", line), line


def test_a_missing_declaration_is_refused_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (HERE / "vertex_cover.py").read_text().replace('    family: ClassVar = "graph"\n', "")
    module = written(tmp_path, 300, text, head="")
    assert main(["check", f"{module}:VertexCover"]) == 1
    assert f"contract: VertexCover must declare family: class VertexCover ({module}.py" in capsys.readouterr().out


def test_a_reader_that_hangs_ends_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_gym.verification.battery._LATE", 2.0)
    body = "while len(text) > 50_000: pass\n        return super().read(x, text, names)"
    module = written(tmp_path, 301, f"class X(VertexCover):\n    def read(self, x, text, names):\n        {body}")
    forge_gym.register_problem(f"{module}:X")
    found = gate.check(forge_gym.problem("X"), lambda question, answer: None, sizes=(0,))
    assert [part.name for part in found.checks] == ["contract", "battery"]
    assert found.checks[1].faults == [f"read ({module}.py, line 6) ran for more than 2 s"]
