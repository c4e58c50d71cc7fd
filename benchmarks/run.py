"""Measure what an episode costs: import, instances, prompts, verdicts, references.

    python benchmarks/run.py [--json FILE] [--repeats 7]

Every number is the median over repeats of process CPU time, so a busy machine changes it little.
COLD is held against its floor: at most 0.2 s above interpreter start, and 45 MB. EPV-n is a step of n
environments, per environment, by the native vector; its ratio is the time of Gymnasium's sync vector over the
same id and actions, measured by turns. Replies are malformed, a group's (four kinds, all to one instance) or
feasible ones of its own to an instance of its own; 64 environments are held against a ratio of 2 in the first two. In
the last, judging takes most of the time, which is the same for both. The other rows have no floor yet; each is
timed on answers whose verdict is checked first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

import forge_gym
from forge_gym.adapters.trl import RewardFunction
from forge_gym.core.env import TextEnv
from forge_gym.wrappers import Construct, Improve

COLD_FLOOR_S, COLD_FLOOR_MB = 0.2, 45.0
EPV_FLOOR, EPV_SIZES = 2.0, (8, 64, 512)
PROBE = (
    "import resource as r; u = r.getrusage(r.RUSAGE_SELF); print(u.ru_utime + u.ru_stime, u.ru_maxrss / 1024)"
)


def median_us(work: Callable[[], object], repeats: int, least: float = 0.05) -> float:
    """Return the median CPU microseconds of one call; each repeat loops for at least ``least`` seconds."""
    loops, spent = 1, 0.0
    while spent < least:
        start = time.process_time()
        for _ in range(loops):
            work()
        spent = time.process_time() - start
        loops *= 2
    loops //= 2

    def once() -> float:
        start = time.process_time()
        for _ in range(loops):
            work()
        return (time.process_time() - start) / loops * 1e6

    return statistics.median(once() for _ in range(repeats))


def cold(repeats: int) -> dict[str, Any]:
    """Measure ``import forge_gym`` in fresh interpreters, above the start of the interpreter itself."""

    def probe(statement: str) -> tuple[float, float]:
        out = subprocess.run(
            [sys.executable, "-c", f"{statement}; {PROBE}"], check=True, capture_output=True, text=True
        )
        cpu, mb = map(float, out.stdout.split())
        return cpu, mb

    bare = statistics.median(probe("pass")[0] for _ in range(repeats))
    imports = [probe("import forge_gym") for _ in range(repeats)]
    seconds = statistics.median(cpu for cpu, _ in imports) - bare
    megabytes = statistics.median(mb for _, mb in imports)
    ok = seconds <= COLD_FLOOR_S and megabytes <= COLD_FLOOR_MB
    return {
        "id": "COLD",
        "problem": "",
        "us": seconds * 1e6,
        "mb": megabytes,
        "floor": COLD_FLOOR_S * 1e6,
        "ok": ok,
    }


def rows(name: str, repeats: int) -> list[dict[str, Any]]:
    """Measure one problem at its default size."""
    problem = forge_gym.problem(name)
    index, instance = next(problem.graded_instances())
    reference = problem.reference(instance)
    best = problem.format(instance, reference.solution)
    null = problem.format(instance, problem.nulls(instance)[1])  # one element again and again
    texts = [best, problem.format(instance, problem.heuristic(instance)), "no idea", null]
    assert [verdict.status for verdict in problem.verify_many(instance, texts)] == [
        "feasible", "feasible", "malformed", "infeasible",
    ]  # fmt: skip
    long = "I compare the options. " * 350 + best
    assert problem.verify(instance, long).optimal
    distinct = [f"{text} {i}" for i in range(16) for text in texts]
    spec = [problem.spec(index=index)] * 64
    reward, logged = RewardFunction(group_size=16), dict[str, float]()
    env = gym.make(f"Forge/{name}-v0")
    env.unwrapped.problem.reference(instance)  # type: ignore[attr-defined]
    seeds = iter(range(10**9))

    def episode() -> None:
        env.reset(options={"instance": instance})
        env.step(best)

    construct, improve = Construct(TextEnv(problem)), Improve(TextEnv(problem), steps=10**9)

    def built() -> None:
        observation, _ = construct.reset(options={"instance": instance})
        over = False
        while not over:
            observation, _, over, _, _ = construct.step(observation["action_mask"].argmax())

    def moved() -> None:
        if improve.solution == () or not improve.action_masks().any():
            improve.reset(options={"instance": instance})
        improve.step(int(improve.action_masks().argmax()))

    work: dict[str, Callable[[], object]] = {
        "GEN": lambda: problem.instance(next(seeds)),
        "PROMPT": lambda: problem.prompt(instance),
        "SCORE": lambda: problem.verify(instance, best),
        "SCORE 8,000 characters": lambda: problem.verify(instance, long),
        "SCORE malformed": lambda: problem.verify(instance, texts[2]),
        "SCORE infeasible": lambda: problem.verify(instance, texts[3]),
        "GROUP-64, per answer": lambda: problem.verify_many(instance, distinct),
        "TRL reward and metrics, per answer": lambda: reward(
            completions=distinct, spec=spec, log_metric=logged.__setitem__
        ),
        "EP1, reference known": episode,
        "CONSTRUCT, an episode": built,
        "IMPROVE, a move": moved,
        "LABEL": lambda: problem.solve(instance, problem.work_limit),
    }
    return [
        {"id": key, "problem": name, "us": median_us(call, repeats) / (64 if "per answer" in key else 1)}
        for key, call in work.items()
    ]


def vectors(name: str, repeats: int) -> list[dict[str, Any]]:
    """Measure a step of many environments whose episodes do not end, by the kind of the replies."""
    problem = forge_gym.problem(name)
    instances = [instance for _, instance in islice(problem.graded_instances(), 64)]
    rng = np.random.default_rng(0)

    def texts(instance: Any) -> list[str]:
        """Return four kinds of reply, none of which ends an episode."""
        solutions = [problem.heuristic(instance), problem.trivial(instance), problem.nulls(instance)[1]]
        return ["no idea", *(problem.format(instance, solution) for solution in solutions)]

    def distinct(instance: Any) -> str:
        """Return a feasible reply, seldom one that was given before."""
        while problem.judge(instance, solution := problem.random(instance, rng)).optimal:
            continue
        return problem.format(instance, solution)

    group = texts(instances[0])
    kinds: dict[str, Callable[[int], str]] = {
        "malformed": lambda i: group[0],
        "a group's": lambda i: group[i % 4],
        "of its own": lambda i: distinct(instances[i % 64]),
    }
    measured = []
    for count in EPV_SIZES:
        for of, reply in kinds.items():
            pair = [gym.make_vec(f"Forge/{name}-v0", count, mode, turns=10**9) for mode in (None, "sync")]
            for envs in pair:
                envs.reset(options={"instance": instances[0]})
                if of == "of its own":
                    for i, env in enumerate(envs.envs):
                        env.reset(options={"instance": instances[i % 64]})
            batches = [[reply(i) for i in range(count)] for _ in range(max(1, 1024 // count))]

            def once(envs: Any, batches: list[list[str]] = batches) -> float:
                for instance in instances:  # what was said of an objective before is forgotten
                    problem.reference(instance)._verdicts.clear()
                start = time.process_time()
                for actions in batches:
                    envs.step(actions)
                return (time.process_time() - start) / len(batches) / len(batches[0]) * 1e6

            times = [[once(envs) for envs in pair] for _ in range(repeats)]
            row: dict[str, Any] = {
                "id": f"EPV-{count}, replies {of}",
                "problem": name,
                "us": statistics.median(native for native, _ in times),
                "ratio": statistics.median(sync / native for native, sync in times),
            }
            if count == 64 and of != "of its own":
                row |= {"floor": EPV_FLOOR, "ok": row["ratio"] >= EPV_FLOOR}
            measured.append(row)
    return measured


def note(row: dict[str, Any]) -> str:
    """Return what a row says beside its time."""
    held = "" if "ok" not in row else "ok" if row["ok"] else "MISSED"
    if "mb" in row:
        return f"{row['mb']:.0f} MB, floor {row['floor'] / 1e6} s: {held}"
    said = f"{row['ratio']:.2f} times as fast as sync" if "ratio" in row else ""
    return f"{said}, floor {row['floor']}: {held}" if held else said


def main() -> int:
    """Print the table; exit with 1 where a floor does not hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    measured = [cold(arguments.repeats)]
    for name in forge_gym.problems():
        measured += rows(name, arguments.repeats) + vectors(name, arguments.repeats)
    for row in measured:
        print(f"{row['problem']:18} {row['id']:34} {row['us']:12.1f} us  {note(row)}")
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1))
    return int(any(not row.get("ok", True) for row in measured))


if __name__ == "__main__":
    raise SystemExit(main())
