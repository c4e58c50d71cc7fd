"""The published spellings of two answers: every answer to small instances, against the definition."""

from __future__ import annotations

from itertools import combinations, pairwise, product

import pytest

from forge_gym.core.parameters import choices
from forge_gym.data.published import PublishedBisection, PublishedCycle
from forge_gym.envs.balanced_min_cut import BalancedMinCut
from forge_gym.envs.hamiltonian_cycle import HamiltonianCycle, HamiltonianCycleInstance

HOUSE = HamiltonianCycleInstance(5, ((0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (3, 4)))


@pytest.mark.parametrize("distribution", choices(HamiltonianCycle, "distribution"))
def test_every_cycle_on_five_vertices(distribution: str) -> None:
    """A cycle names its first vertex again at the end, and is worth what the problem's own spelling is worth."""
    published, plain = (cls(n=5, distribution=distribution) for cls in (PublishedCycle, HamiltonianCycle))
    instance = plain.instance(2)
    edges = set(instance.edges)
    for length in range(7):
        for answer in product(range(5), repeat=length):
            verdict = published.verify(instance, f"<answer>{list(answer)}</answer>")
            cycle = answer[:-1]
            steps = [(min(a, b), max(a, b)) in edges for a, b in pairwise(answer)]
            closed = length > 1 and answer[0] == answer[-1]
            assert verdict.feasible == (closed and len(set(cycle)) == len(cycle) >= 3 and all(steps))
            if verdict.feasible:
                assert verdict.worth == plain.verify_solution(instance, cycle).worth
            else:
                assert verdict.status == "infeasible" and 0 <= verdict.credit < 1 and verdict.violations


def test_cycles_are_closed_and_counted_from_any_number() -> None:
    published = PublishedCycle(n=5, names=10)
    assert published.format(HOUSE, (0, 1, 3, 2)) == "<answer>[10, 11, 13, 12, 10]</answer>"
    assert published.verify(HOUSE, "<answer>[10, 11, 13, 12, 10]</answer>").objective == 4
    unclosed = published.verify(HOUSE, "<answer>[10, 11, 13, 12]</answer>")
    assert unclosed.reason == "a cycle ends with its first vertex again, got another"
    for text in ("[]", "[10]", "[10, 10]", "[12, 13, 12]", "[999]", "[-1, -1]", "[10, 11, 10]"):
        assert published.verify(HOUSE, f"<answer>{text}</answer>").status == "infeasible"


@pytest.mark.parametrize("n", [4, 5])
def test_every_pair_of_halves(n: int) -> None:
    """Both halves are listed, every vertex once, and their sizes differ by one at most."""
    published, plain = PublishedBisection(n=n), BalancedMinCut(n=n)
    instance = plain.instance(1)
    lists = [chosen for size in range(4) for chosen in product(range(-1, n + 1), repeat=size)]
    whole = [chosen for size in range(n + 1) for chosen in combinations(range(n), size)]
    pairs = [*product(lists[::7], lists[::3]), *product(whole, whole)]
    feasible = 0
    for one, other in pairs:
        verdict = published.verify(instance, f"<answer>{[list(one), list(other)]}</answer>")
        right = sorted(one + other) == list(range(n)) and abs(len(one) - len(other)) <= 1
        assert verdict.feasible == right, (one, other)
        if right:
            feasible += 1
            assert verdict.worth == plain.verify_solution(instance, min(one, other, key=len)).worth
        else:
            assert verdict.status == "infeasible" and 0 <= verdict.credit < 1 and verdict.violations
    assert feasible >= 6 and published.reference(instance).value == plain.reference(instance).value


@pytest.mark.parametrize(
    "body", ["[]", "[0, 1]", "[[0, 1]]", "[[0], [1], [2]]", "[[0], [[1]]]", "[[0.0], [1]]", "none"]
)
def test_other_forms_of_halves_are_malformed(body: str) -> None:
    published = PublishedBisection(n=4)
    assert published.verify(published.instance(), f"<answer>{body}</answer>").status == "malformed"


def test_halves_have_numbers_for_names() -> None:
    with pytest.raises(ValueError, match="names must be a number for answers of two lists, got 'words'"):
        PublishedBisection(names="words")
