"""Measure how far references are proven: the largest level of each problem and distribution within 10 s.

    python benchmarks/levels.py [--problems TSP Knapsack] [--write]

A level holds if all of three instances of the training stream are proven with the problem's own limit of work, each in
10 s of CPU time on one core. Every fifth level is looked at until one fails, then those between. ``--write`` puts the
result into envs/data/proven_levels.json, which `forge-gym list` and the problems' pages show; problems that are not
named keep theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # one core

import forge_gym
from forge_gym.core.parameters import choices
from forge_gym.core.registry import problem_class

SECONDS, INSTANCES, STEP = 10.0, 3, 5
FILE = Path(forge_gym.envs.__file__).with_name("data") / "proven_levels.json"


def holds(name: str, level: int, drawn: dict[str, Any]) -> bool:
    """Return whether all instances of a level are proven in time."""
    problem = forge_gym.problem(name, level=level, **drawn)
    for k in range(INSTANCES):
        try:
            instance = problem.instance(0, k)
        except ValueError:  # it is drawn no larger
            return False
        start = time.process_time()
        proven = problem.certificate(instance).proven
        if not proven or time.process_time() - start > SECONDS:
            return False
    return True


def largest(holds: Callable[[int], bool], last: int) -> int:
    """Return the largest level up to which those looked at hold, -1 if not even level 0 does.

    Examples
    --------
    >>> largest(lambda level: level < 13, 80), largest(lambda level: True, 80), largest(lambda level: False, 80)
    (12, 80, -1)
    """
    proven = -1
    for level in (*range(0, last, STEP), last):
        if not holds(level):
            while proven + 1 < level and holds(proven + 1):
                proven += 1
            break
        proven = level
    return proven


def last_level(name: str) -> int:
    """Return the last level of a problem's ladder."""
    cls, level = problem_class(name), 0
    while True:
        try:
            cls().at_level(level + 1)
        except ValueError:
            return level
        level += 1


def main() -> None:
    """Print the levels, and write them if asked."""
    import ortools.linear_solver.pywraplp
    import ortools.sat.python.cp_model  # noqa: F401 - only to be there before timing starts

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", default=forge_gym.problems(), help="all by default")
    parser.add_argument("--write", action="store_true", help=f"into {FILE.name}")
    arguments = parser.parse_args()
    for name in arguments.problems:
        levels = {}
        for distribution in choices(problem_class(name), "distribution") or ("",):
            drawn: dict[str, Any] = {"distribution": distribution} if distribution else {}
            levels[distribution] = largest(lambda level, d=drawn: holds(name, level, d), last_level(name))  # noqa: B023
            print(f"{name:20} {distribution:12} {levels[distribution]:3}", flush=True)
        if arguments.write:  # after each problem, since all take an hour
            known = json.loads(FILE.read_text()) if FILE.exists() else {}
            FILE.write_text(json.dumps(dict(sorted({**known, name: levels}.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
