"""OR-Tools CP-SAT, set up so that the result is the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import Any

STEPS_PER_LITERAL = 5
"""Steps that callers subtract from their limit for each literal of a model: no deterministic time is counted while a
model is built and presolved."""


@dataclass(frozen=True)
class Solved:
    """What a run of CP-SAT found."""

    feasible: bool
    """Whether there is a solution to read with `value`."""
    infeasible: bool
    """Whether it is proven that there is none."""
    bound: int
    """Proven bound on the objective, rounded to the integer it implies."""
    work: int
    """Deterministic time spent, in millionths."""
    name: str
    """Solver and version."""
    solver: Any

    def value(self, variable: Any) -> int:
        """Return the value of a variable in the solution, 0 or 1 of a boolean one."""
        return int(self.solver.value(variable))


def solve(model: Any, limit: int, *, maximise: bool = False, linearization_level: int | None = None) -> Solved:
    """Solve ``model`` with one worker, a fixed seed and a limit of deterministic time.

    ``model`` is a ``cp_model.CpModel`` with an integer objective, ``maximise`` tells how its bound is rounded, and
    ``limit`` is deterministic time in millionths, never wall clock: a million takes half a second to a second. A
    ``linearization_level`` of 2 gives one worker the strong linear relaxation without which it stalls on routing,
    covering and cutting problems; it slows colouring and clique models. None is CP-SAT's default.
    """
    import ortools
    from ortools.sat.python import cp_model

    solver = cp_model.CpSolver()
    # CP-SAT would install its own handler, and later Ctrl-C would kill the process.
    solver.parameters.catch_sigint_signal = False
    solver.parameters.num_workers = 1
    solver.parameters.random_seed = 1
    solver.parameters.max_deterministic_time = max(limit, 0) / 1e6
    if linearization_level is not None:
        solver.parameters.linearization_level = linearization_level
    status = solver.solve(model)
    feasible = status in (cp_model.OPTIMAL, cp_model.FEASIBLE)
    best, slack = solver.best_objective_bound, 1e-6  # the bound of an integer objective comes as a float
    bound = floor(best + slack) if maximise else ceil(best - slack)
    return Solved(
        feasible,
        status == cp_model.INFEASIBLE,
        bound,
        round(solver.response_proto.deterministic_time * 1e6),
        f"CP-SAT {ortools.__version__}",
        solver,
    )
