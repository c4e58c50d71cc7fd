"""The gate: every released problem passes it, weak problems do not, and its parts find what they look for."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import forge_gym
from cases import PROBLEMS, every_problem
from forge_gym import registration
from forge_gym.cli import main
from forge_gym.core import registry
from forge_gym.core.env import TextEnv
from forge_gym.core.registry import problem_class
from forge_gym.verification import attacks, battery, constants, contract, definitions
from forge_gym.verification.battery import run
from forge_gym.verification.case import Case
from forge_gym.verification.definitions import definition_of
from forge_gym.verification.exhaustive import compare, families, sized
from forge_gym.verification.fuzz import fuzz
from forge_gym.verification.gate import NO_DEFINITION, check, find_definition
from forge_gym.wrappers import Construct, Improve

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def toys() -> Iterator[Any]:
    """A module from outside the package; its problems are forgotten afterwards."""
    kept = dict(registry._ENTRY_POINTS), dict(registration._DEFINITIONS)
    sys.path.insert(0, str(HERE))
    import vertex_cover

    for problem in (vertex_cover.VertexCover, *vertex_cover.WEAK, *vertex_cover.COSTLY):
        entry = f"vertex_cover:{problem.__name__}"
        forge_gym.register_problem(entry, definition="vertex_cover:definition")
    yield vertex_cover
    sys.path.remove(str(HERE))
    for table, before in zip((registry._ENTRY_POINTS, registration._DEFINITIONS), kept, strict=True):
        table.clear()
        table.update(before)


# ------------------------------------------------------------------------------ released problems


@every_problem
def test_every_released_problem_passes(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    gate = check(forge_gym.problem(name), instances=100, levels=())
    faults = [f"{part.name}: {fault}" for part in gate.checks for fault in part.faults]
    assert not faults, faults[:5]
    earned = gate.calibration
    assert earned["constant"] <= constants.MAX_REWARD and earned["blind"] < 0 and earned["random"] < 0
    assert earned["greedy"] == 0 < earned["local search"] < earned["exact"] == 1
    with capsys.disabled():
        print("", name, *(part.detail for part in gate.checks), sep="\n  ")


@every_problem
def test_no_answer_that_ignores_the_data_pays_at_low_levels(name: str) -> None:
    found = list(constants.best_constants(forge_gym.problem(name), (0, 2), 40))
    assert {best.level for best in found} == {None, 0, 2}
    assert len(found) >= 2 * len(families(forge_gym.problem(name)))  # the given parameters may be those of a level
    assert not [best.fault for best in found if best.fault]


@pytest.mark.slow
@every_problem
def test_no_answer_that_ignores_the_data_pays_at_any_level(name: str) -> None:
    for best in constants.best_constants(forge_gym.problem(name), range(13), 500):
        assert not best.fault, best.fault
        assert best.reward <= constants.MAX_REWARD and best.quality <= constants.MAX_QUALITY, best


def test_the_best_constant_is_found_and_refused() -> None:
    given, *_ = constants.best_constants(forge_gym.problem("TSP", n=5), (), 40)
    assert given.reward > 0.2 and "got 0." in given.fault and "at n=5, uniform for the answer (" in given.fault
    assert main(["check", "TSP", "--set", "n=5", "--only", "constants", "--levels", "0", "--instances", "40"]) == 1


def test_no_level_without_graded_instances_passes() -> None:
    given, *_ = constants.best_constants(forge_gym.problem("TSP", n=3), (), 5)
    assert given.fault.startswith("parameters of TSP must leave room between trivial, greedy and proven optimum")


@every_problem
def test_a_text_spells_one_answer_whatever_the_instance_and_style(name: str) -> None:
    """So what fixed texts earn in one style is what they earn in all: constants need no search by style."""
    for family in families(forge_gym.problem(name)):
        problem = family.at_level(0)
        assert not list(constants.spelled(problem, *map(problem.instance, range(2))))


def test_a_style_that_sorts_the_elements_is_refused() -> None:
    class Sorted(problem_class("Knapsack")):  # type: ignore[misc]
        def read_compact(self, x: Any, text: str, names: Any) -> Any:
            return tuple([x.by_density[i] for i in super().read_compact(x, text, names)])

        def write_compact(self, x: Any, solution: Any, names: Any) -> str:
            return str(super().write_compact(x, tuple([x.by_density.index(i) for i in solution]), names))

    problem = Sorted(n=14)
    first = problem.instance(0)
    fault, *_ = (fault for seed in range(1, 9) for fault in constants.spelled(problem, first, problem.instance(seed)))
    assert fault.startswith("a text spells the same answer to every instance")


@every_problem
def test_the_scale_holds_in_every_distribution(name: str) -> None:
    tiered = forge_gym.reward()
    for problem in families(forge_gym.problem(name)):
        for _, instance in islice(problem.graded_instances(seed=3), 8):
            anchors = problem.trivial(instance), problem.heuristic(instance)
            solutions = (*anchors, problem.reference(instance).solution)
            assert [tiered(problem.verify_solution(instance, each)) for each in solutions] == [-0.2, 0, 1]


@pytest.mark.slow
@every_problem
def test_a_hundred_thousand_mutated_replies(name: str) -> None:
    found = fuzz(forge_gym.problem(name), definition_of(name), 100_000, seed=1)
    assert not found.faults, found.faults[:5]
    assert found.counts["feasible"] > 5_000 and found.counts["infeasible"] > 5_000


@pytest.mark.slow
@every_problem
def test_every_answer_to_five_elements(name: str) -> None:
    for shaped in families(forge_gym.problem(name)):
        problem = sized(shaped, 5)
        assert problem is not None
        instance = problem.instance(0)
        found = compare(problem, definition_of(name), instance, problem.wild(instance))
        assert not found.faults, found.faults[:5]
        assert found.counts["answers"] > 100_000 or not problem.enumerates_all


# ------------------------------------------------------------------------------------ definitions


def test_definitions_share_no_code_with_the_problems() -> None:
    tree = ast.parse(Path(definitions.__file__).read_text())
    imported = {
        name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in [getattr(node, "module", None) or node.names[0].name]
    }
    assert imported <= {"__future__", "collections.abc", "itertools", "math", "re", "typing"}
    assert not any(getattr(node, "level", 0) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))
    assert all(definition_of(name) is not None for name in PROBLEMS)


BIG = 10**30
HUGE: dict[str, dict[str, Any]] = {
    "Knapsack": {
        "capacity": 2 * BIG + 2,
        "weights": [BIG + k for k in range(4)],
        "values": [BIG + 1, BIG, BIG + 2, 3],
    },
    "SubsetSum": {"target": 2 * BIG + 2, "numbers": [BIG, BIG + 1, BIG + 2, BIG + 3, 1]},
    "TSP": {"matrix": [[abs(i - j) * 10**11 + (i + j) * (i != j) for j in range(5)] for i in range(5)]},
    "BalancedMinCut": {"n": 6, "edges": [[u, v, 10**9 - u * v] for u in range(6) for v in range(u + 1, 6)]},
    "SetCover": {
        "universe": 3,
        "subsets": [[0, 1], [1, 2], [0, 2], [2]],
        "costs": [10**9 - k for k in range(4)],
    },
}


@pytest.mark.parametrize(("name", "data"), HUGE.items())
def test_sums_beyond_64_bits_are_exact(name: str, data: dict[str, Any]) -> None:
    problem = forge_gym.problem(name)
    instance = problem.from_json(json.dumps(data))
    assert not compare(problem, definition_of(name), instance, problem.everything(instance)).faults


def test_a_definition_is_found_or_named_in_an_error() -> None:
    assert find_definition(forge_gym.problem("Knapsack")) is definitions.knapsack
    found = find_definition(forge_gym.problem("TSP"), "forge_gym.verification.definitions:knapsack")
    assert found is definitions.knapsack
    for entry in ("nowhere:f", "forge_gym.verification.definitions:f", "", ":"):
        if entry:
            with pytest.raises(ValueError, match="definition must be module:function, got"):
                find_definition(forge_gym.problem("TSP"), entry)


def test_the_wrong_definition_is_a_disagreement() -> None:
    def shorter(question: dict[str, Any], answer: Any) -> int | None:
        worth = definitions.tsp(question, answer)
        return worth and worth - 1

    problem = forge_gym.problem("TSP", n=4)
    instance = problem.instance(0)
    found = compare(problem, shorter, instance, problem.wild(instance))
    assert len(found.faults) == found.counts["feasible"] + 2  # every tour, the optimum and its witness
    with pytest.raises(ValueError, match="an instance to enumerate must have at most 200000 answers, got more"):
        large = forge_gym.problem("TSP", n=6)
        compare(large, definitions.tsp, large.instance(0), large.wild(large.instance(0)))


# ---------------------------------------------------------------------------------------- battery


def test_the_battery_has_every_row() -> None:
    numbers = [row.number for row in attacks.ROWS] + [probe.number for probe in battery.PROBES]
    assert sorted(numbers) == list(range(1, len(numbers) + 1)) and len(numbers) >= 54
    assert all(part.attack and part.required for part in (*attacks.ROWS, *battery.PROBES))


def test_every_reply_has_an_outcome_that_its_row_states() -> None:
    stated = {row.number: set(row.required) for row in attacks.ROWS}
    seen: dict[int, set[str]] = {number: set() for number in stated}
    for name in PROBLEMS:
        case = Case(forge_gym.problem(name), definition_of(name))
        for row in attacks.ROWS:
            seen[row.number].update(*(reply.wrong.__self__.letters for reply in row.replies(case)))
    assert seen == stated


def test_the_page_on_verification_lists_every_row(root: Path) -> None:
    page = (root / "docs" / "verification.md").read_text()
    for part in (*attacks.ROWS, *battery.PROBES):
        assert f"| {part.number} | {part.attack} | {part.required} |" in page


def test_every_row_has_replies_for_every_kind_of_solution() -> None:
    for name in ("TSP", "Knapsack", "GraphColoring", "HamiltonianCycle", "MeetingScheduling"):
        problem = forge_gym.problem(name)
        case = Case(problem, definition_of(name))
        empty = {row.number for row in attacks.ROWS if not list(row.replies(case))}
        assert empty <= ({29} if problem.widget != "order" else set())  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_slow_or_greedy_verifier_is_found(toys: Any) -> None:
    for problem, words in ((toys.Hoarder, " MB, for the reply"), (toys.Sleeper, "s of CPU, more than 0.05")):
        assert any(words in fault for fault in run(problem(), toys.definition, 0).faults)


# ------------------------------------------------------------------------------------- outsiders


def quick(problem: Any, definition: Any = None, only: Any = ()) -> Any:
    return check(problem, definition, replies=1_000, instances=40, sizes=(0,), levels=(0,), only=only)


def test_a_sound_problem_from_outside_passes(toys: Any) -> None:
    gate = quick(toys.VertexCover())
    assert gate.passed, gate
    assert list(gate.calibration) == [
        "constant",
        "blind",
        "random",
        "greedy",
        "local search",
        "exact",
    ]
    json.dumps(gate.to_dict(), allow_nan=False)


WEAK = {
    "Repeats": ("battery", "agreement", "mutated replies"),
    "Unknown": ("battery", "agreement", "mutated replies"),
    "Bare": ("agreement", "mutated replies"),
    "BareThroughout": ("battery", "agreement", "mutated replies"),
    "Evaluates": ("battery", "mutated replies"),
    "Salvages": ("battery", "mutated replies"),
    "Wraps": ("battery", "agreement", "mutated replies"),
    "Strict": ("battery",),
    "Unproven": ("battery", "agreement", "mutated replies", "calibration"),
    "Leaks": ("battery",),
    "Farmable": ("constants",),
    "WrongExample": ("battery",),
    "Careless": ("battery",),
    "InOrder": ("constants", "calibration"),
}


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("name", WEAK)
def test_a_weak_problem_is_refused(name: str, toys: Any) -> None:
    gate = quick(getattr(toys, name)(), only=WEAK[name])
    assert [part.name for part in gate.checks if not part.passed] == [*WEAK[name]]


BROKEN = {
    "Misfiled": "family must be one of ['graph', 'scheduling', 'partition', 'selection', 'planning'], got 'graphs'",
    "Undeclared": "a violation must be of a family that the class declares, one of ['known', 'once'], got ['covered']",
    "Curt": "a prompt must say how to answer, 'a JSON list of the numbers of the chosen vertices",
    "Floats": "objective must return an int or a Fraction, got the float",
    "Breaks": "neighbour (vertex_cover.py, line ",
    "Generous": "Generous: solve proves a bound of 18, but a solution is worth",
    "Backwards": "Backwards: greedy must not be worse than trivial, got greedy is worth 18, trivial",
    "Endless": "must stop after limit steps of work, and every hook end: solve(..., limit=1) ",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_contract_is_refused_in_one_line(name: str, toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "SECONDS", 8.0 if name == "Endless" else 120.0)  # wall clock, beside other work
    gate = quick(getattr(toys, name)())
    (refused,) = gate.checks  # what builds on the contract waits
    (fault,) = refused.faults
    assert refused.name == "contract" and BROKEN[name] in fault and "\n" not in fault
    assert re.search(r"\(vertex_cover\.py, line \d+\)", fault)


def test_a_missing_hook_is_named(toys: Any) -> None:
    with pytest.raises(ValueError, match="all hooks of its kind, Unfinished lacks generate, greedy, objective"):
        forge_gym.register_problem("vertex_cover:Unfinished")


def test_a_missing_declaration_is_named(toys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(toys.VertexCover, "family")
    (fault,) = contract.contract(toys.VertexCover()).faults
    assert fault.startswith("VertexCover must declare family: class VertexCover (vertex_cover.py, line ")


def test_every_weak_problem_is_tried(toys: Any) -> None:
    assert {problem.__name__ for problem in toys.WEAK} == {*WEAK, *BROKEN}


def test_without_a_definition_no_problem_passes_but_contradictions_are_found(toys: Any) -> None:
    del registration._DEFINITIONS["VertexCover"], registration._DEFINITIONS["Bare"]
    sound, weak = quick(toys.VertexCover()), quick(toys.Bare())
    assert [part.name for part in sound.checks if not part.passed] == ["agreement"]
    assert sound.checks[2].faults == [NO_DEFINITION]
    assert len([part.name for part in weak.checks if not part.passed]) > 1


def test_the_command_line_checks_a_module_in_the_working_folder(tmp_path: Path) -> None:
    shutil.copy(HERE / "vertex_cover.py", tmp_path / "mine.py")

    def gate(*arguments: str) -> subprocess.CompletedProcess[str]:
        few = ["--replies", "300", "--instances", "20", "--levels", "0"]
        command = [sys.executable, "-m", "forge_gym", "check", *arguments, *few]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    sound = gate("mine:VertexCover", "--definition", "mine:definition")
    assert sound.returncode == 0, sound.stdout + sound.stderr
    assert "VertexCover: passed" in sound.stdout and "greedy +0.000" in sound.stdout
    weak = gate("mine:Repeats", "--definition", "mine:definition")
    assert weak.returncode == 1 and "Repeats: REFUSED" in weak.stdout and "row 25" in weak.stdout
    for wrong in ("mine:Nothing", "mine:definition", "nowhere:X"):
        refused = gate(wrong)
        assert refused.returncode == 2 and "must be a name, an id or module:Class" in refused.stderr


def test_the_command_line_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--replies", "200", "--instances", "20", "--levels", "0"]
    assert main(["check", "Knapsack", "TSP", *small, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [gate["problem"] for gate in found["gates"]] == ["Knapsack", "TSP"]
    assert all(gate["passed"] and len(gate["checks"]) == 7 for gate in found["gates"])


def test_sizes_that_do_not_exist_are_left_out() -> None:
    assert sized(forge_gym.problem("TSP"), 2) is None
    found = sized(forge_gym.problem("GraphColoring"), 3)
    assert found is not None and (found.n, found.k) == (3, 2)  # type: ignore[attr-defined]


def test_an_outside_problem_has_the_numeric_views(toys: Any) -> None:
    problem = toys.VertexCover(n=8)
    rng = np.random.default_rng(0)
    for view in (Construct, Improve):
        env = view(TextEnv(problem))
        for seed in range(10):
            env.reset(seed=seed)
            start, total, over = env._paid, 0.0, False
            while not over:
                _, reward, over, _, info = env.step(rng.choice(np.flatnonzero(env.action_masks())))
                total += reward
            assert info["status"] == 2 and total == pytest.approx(info["score"] - start, abs=1e-12)
