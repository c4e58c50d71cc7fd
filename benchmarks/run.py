"""Measure what an episode costs: import, instances, prompts, verdicts, groups, vectors, references.

    python benchmarks/run.py [--peers] [--np-engine PATH] [--rlve PATH] [--repeats 7] [--json FILE]

Times are medians over the repeats of process CPU microseconds, so a busy machine changes them little. What is held
against a peer is measured by turns with it, and its row has the ratio of the peer's time to ours; the peer here is
Gymnasium, with ``--peers`` also other suites, see ``peers.py``. Every answer's verdict is checked before it is timed,
and what is known of an objective is forgotten before each answer.

GEN is an instance from a seed, PROMPT its text, COMPILE what is prepared for its first answer (reference aside), SCORE
a reply of 500 or 8,000 characters to verdict, also of replies that are wrong in one of four ways, GROUP-g the same of g
different replies to one instance, for each. EP1 is reset and step of the registered environment, EPV-n a step of n
environments, for each, against Gymnasium's sync vector over the same id: replies are malformed, a group's (four kinds,
all to one instance) or feasible ones of its own to an instance of its own. CHECK asks the action space for a text.
LABEL is a proven optimum; ``labels.py`` has all levels, ``growth.py`` all sizes. COLD is the import in a fresh
interpreter.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from timing import Row, imports, interleaved, judged, seconds, spread

import forge_gym
from forge_gym.adapters.trl import RewardFunction
from forge_gym.core.env import TextEnv
from forge_gym.core.problem import Problem
from forge_gym.kinds.permutation import Permutation
from forge_gym.kinds.schedule import Schedule
from forge_gym.wrappers import Construct, Improve

COLD_FLOOR_S, COLD_FLOOR_MB = 0.2, 45.0
EPV_FLOOR, EPV_SIZES = 2.0, (8, 64, 512)
CHECK_FLOOR = 50.0
GROUPS = (8, 16, 64)
THOUGHT = "I compare the options. "


def cold(repeats: int) -> Row:
    """Measure ``import forge_gym`` in fresh interpreters, above the start of the interpreter itself."""
    (times,) = imports(["forge_gym"], repeats)
    us, mb = statistics.median(time for time, _ in times), statistics.median(size for _, size in times)
    ok = us <= COLD_FLOOR_S * 1e6 and mb <= COLD_FLOOR_MB
    note = f"{mb:.0f} MB, at most {COLD_FLOOR_S} s and {COLD_FLOOR_MB:.0f} MB"
    return {"id": "COLD", "problem": "", "size": 0, "ours_us": us, "note": note, "ok": ok}


def thoughtful(answer: str, length: int) -> str:
    """Return ``answer`` at the end of a reply of at least ``length`` characters."""
    return THOUGHT * max(0, (length - len(answer)) // len(THOUGHT)) + answer


def mistaken(problem: Problem[Any, Any], best: str) -> dict[str, str]:
    """Return replies that are wrong, by how: in prose, with an element twice, a foreign one, or one missing."""
    numbers = json.loads(best.partition("<answer>")[2].partition("</answer>")[0])
    foreign = [999, 0, 0] if isinstance(problem, Schedule) else 999_999
    found = {
        "prose": "I would rather not say.",
        "duplicate": [*numbers[:-1], numbers[0]],
        "out of range": [*numbers[:-1], foreign],
        "wrong length": numbers[:-1] if isinstance(problem, Permutation) else [],
    }
    return {how: wrong if isinstance(wrong, str) else f"<answer>{wrong}</answer>" for how, wrong in found.items()}


def rows(name: str, repeats: int) -> list[Row]:
    """Measure one problem at its default size."""
    problem = forge_gym.problem(name)
    index, instance = next(problem.graded_instances())
    reference = problem.reference(instance)
    best = problem.format(instance, reference.solution)
    assert problem.verify(instance, thoughtful(best, 8000)).optimal
    rng = np.random.default_rng(0)
    answers = dict.fromkeys(problem.format(instance, problem.random(instance, rng)) for _ in range(256))
    distinct = list(islice((text for text in answers if problem.verify(instance, text).feasible), max(GROUPS)))
    distinct += [f"{distinct[i]} {i}" for i in range(max(GROUPS) - len(distinct))]
    spec = [problem.spec(index=index)] * max(GROUPS)
    reward, logged = RewardFunction(), dict[str, float]()
    env = gym.make(f"Forge/{name}-v0")
    seeds = iter(range(10**9))

    def score(text: str) -> Callable[[], object]:
        def work() -> None:
            reference._judged.clear()
            problem.verify(instance, text)

        return work

    def group(size: int) -> Callable[[], object]:
        def work() -> None:
            reference._judged.clear()
            problem.verify_many(instance, distinct[:size])

        return work

    def compiled() -> None:
        instance.__dict__.clear()
        instance.__dict__.update(fresh)
        problem.keep_reference(instance, reference)
        problem.verify(instance, best)

    fresh = {key: value for key, value in instance.__getstate__().items()}

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

    work: dict[str, tuple[Callable[[], object], int]] = {
        "GEN": (lambda: problem.instance(next(seeds)), 1),
        "PROMPT": (lambda: problem.prompt(instance), 1),
        "COMPILE and SCORE": (compiled, 1),
        "SCORE 500": (score(thoughtful(best, 500)), 1),
        "SCORE 8,000": (score(thoughtful(best, 8000)), 1),
        **{f"SCORE {how}": (score(text), 1) for how, text in mistaken(problem, best).items()},
        **{f"GROUP-{size}": (group(size), size) for size in GROUPS},
        "TRL reward and metrics": (
            lambda: reward(completions=distinct, spec=spec, log_metric=logged.__setitem__),
            len(distinct),
        ),
        "EP1, reference known": (episode, 1),
        "CONSTRUCT, an episode": (built, 1),
        "IMPROVE, a move": (moved, 1),
        "LABEL": (lambda: problem.solve(instance, problem.heuristic(instance), problem.work_limit), 1),
    }
    measured = []
    for key, (call, per) in work.items():
        median, least, iqr = (time / per for time in spread(interleaved([call], repeats, 0.02)[0]))
        row: Row = {"id": key, "problem": name, "size": instance.size, "ours_us": median}
        measured.append(row | {"ours_min": least, "ours_iqr": iqr, "note": ""})
    return measured


def checks(repeats: int) -> list[Row]:
    """Measure whether a text belongs to the action space, ours against Gymnasium's own."""
    space: Any = gym.make("Forge/TSP-v0").action_space
    plain = gym.spaces.Text(10_000, min_length=0, charset=frozenset(map(chr, range(32, 127))) | {"\n"})
    measured = []
    for length in (2000, 8000):
        text = (THOUGHT * length)[:length]
        assert space.contains(text) and plain.contains(text)

        def ours(text: str = text) -> object:
            return space.contains(text)

        def theirs(text: str = text) -> object:
            return plain.contains(text)

        row: Row = {"id": f"CHECK {length:,}", "problem": "", "size": length, "peer": "Gymnasium", "note": ""}
        us, them = interleaved([ours, theirs], repeats)
        measured.append(row | judged(us, them, CHECK_FLOOR))
    return measured


def vectors(name: str, repeats: int) -> list[Row]:
    """Measure a step of many environments whose episodes do not end, by the kind of the replies."""
    problem = forge_gym.problem(name)
    instances = [instance for _, instance in islice(problem.graded_instances(), 64)]
    rng = np.random.default_rng(0)

    def texts(instance: Any) -> list[str]:
        """Return four kinds of reply, none of which ends an episode."""
        solutions = [
            problem.heuristic(instance),
            problem.trivial(instance),
            problem.null_answers(instance)[1],
        ]
        return ["no idea", *(problem.format(instance, solution) for solution in solutions)]

    def distinct(instance: Any) -> str:
        """Return a feasible reply, seldom one that was given before."""
        while problem.verify_solution(instance, solution := problem.random(instance, rng)).optimal:
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
            pair: list[Any] = [gym.make_vec(f"Forge/{name}-v0", count, mode, turns=10**9) for mode in (None, "sync")]
            for envs in pair:
                envs.reset(options={"instance": instances[0]})
                if of == "of its own":
                    for i, env in enumerate(envs.envs):
                        env.reset(options={"instance": instances[i % 64]})
            batches = [[reply(i) for i in range(count)] for _ in range(max(1, 1024 // count))]

            def once(envs: Any, batches: list[list[str]] = batches) -> float:
                for instance in instances:  # what was said of an objective before is forgotten
                    problem.reference(instance)._judged.clear()
                return seconds(lambda: [envs.step(actions) for actions in batches], 1) * 1e6

            turns = [[once(envs) for envs in pair] for _ in range(repeats)]
            floor = EPV_FLOOR if count == 64 and of != "of its own" else None
            row: Row = {"id": f"EPV-{count}, replies {of}", "problem": name, "size": instances[0].size}
            row |= {"peer": "sync vector", "note": ""}
            us, them = zip(*turns, strict=True)
            measured.append(row | judged(us, them, floor, len(batches) * count))
    return measured


def line(row: Row) -> str:
    """Return a row as a line of the table."""
    said = f"{row['problem']:18}{row['size'] or '':>5} {row['id']:30} {row['ours_us']:12.1f} us"
    if "peer" in row:
        floor = f", floor {row['floor']:g}" if row["floor"] else ""
        said += f"  {row['peer']} {row['peer_us']:.1f} us: {row['ratio']:.2f}{floor}"
    return f"{said}  {row['note']}{'' if row.get('ok', True) else '  MISSED'}".rstrip()


def main() -> int:
    """Print the table; exit with 1 where a floor does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", action="store_true", help="race other suites too, where they are installed")
    parser.add_argument("--np-engine", type=Path, help="checkout of NP-Engine")
    parser.add_argument("--rlve", type=Path, help="checkout of RLVE")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    measured = [cold(arguments.repeats), *checks(arguments.repeats)]
    for name in forge_gym.problems():
        measured += rows(name, arguments.repeats) + vectors(name, arguments.repeats)
    for row in measured:
        print(line(row))
    if arguments.peers or arguments.np_engine or arguments.rlve:
        import peers

        raced = peers.measure(arguments.repeats, arguments.np_engine, arguments.rlve)
        for row in raced:
            print(peers.line(row))
        measured += raced
    if arguments.json:
        arguments.json.write_text(json.dumps(measured, indent=1))
    return int(any(not row.get("ok", True) for row in measured))


if __name__ == "__main__":
    raise SystemExit(main())
