"""Measure what an episode costs: import, instances, prompts, verdicts, groups, vectors, references, data sets.

    python benchmarks/run.py [--repeats 7] [--only "TSP SCORE"] [--json FILE]

Times are medians over the repeats of process CPU time, so a busy machine changes them little. The peer is Gymnasium;
``peers.py`` has other suites. Every answer's verdict is checked before it is timed, and what is known of an objective
is forgotten before each answer. Goals, floors and shares of a training step are those of ``timing.py``.

GEN is an instance from a seed, GEN+PROMPT also its text, COMPILE what is prepared for its first answer, SCORE
a reply of 500 or 8,000 characters to verdict, also of replies that are wrong in some way, GROUP-64 the same of 64
different replies to one instance, for each. BATCH is a training step's judging, paying and metrics of 64 new rows of
``forge-gym generate`` with 8 different replies each. EP1 is reset and step of the registered environment, EPV-n a step
of n environments, for each, against Gymnasium's sync vector over the same id: replies are malformed, a group's (four
kinds, all to one instance) or feasible ones of its own to an instance of its own. CONSTRUCT is an episode and IMPROVE
a move of the numeric wrappers. LABEL is a proven optimum; ``labels.py`` has all levels, ``growth.py`` all sizes. CHECK
asks the action space for a text. GENERATE writes a data set, the time of one worker beside that of two, in real time.
COLD is the import in a fresh interpreter.
"""

from __future__ import annotations

import gc
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from answers import different, spoilt, thought
from timing import Row, imports, interleaved, judged, program, seconds, wanted

import forge_gym
from forge_gym.adapters.trl import RewardFunction
from forge_gym.core.env import TextEnv
from forge_gym.data.generate import Chunk, generate
from forge_gym.wrappers import Construct, Improve

COLD_S, COLD_MB = 0.2, 45.0
BATCH_MS = 15.0
"""The most that an import and a batch may take."""
EPV_GOAL, EPV_SIZES, CHECK_GOAL, GENERATE_GOAL = 2.0, (8, 64, 512), 50.0, 1.7
INSTANCES, ROLLOUTS, DATA_ROWS = 64, 8, 5_000


def cold(repeats: int) -> Row:
    """Measure ``import forge_gym`` in fresh interpreters, above the start of the interpreter itself."""
    (times,) = imports(["forge_gym"], repeats)
    us, mb = statistics.median(time for time, _ in times), statistics.median(size for _, size in times)
    note = f"{mb:.0f} MB, at most {COLD_S} s and {COLD_MB:.0f} MB"
    ok = us < COLD_S * 1e6 and mb < COLD_MB
    return {"id": "COLD", "problem": "", "size": 0, "ours_us": us, "note": note, "ok": ok}


def rows(name: str, repeats: int, only: str) -> Iterator[Row]:
    """Measure one problem at its default size."""
    problem = forge_gym.problem(name)
    _, instance = next(problem.graded_instances())
    reference = problem.reference(instance)
    best = problem.format(instance, reference.solution)
    distinct = [problem.format(instance, solution) for solution in different(problem, instance, 64)]
    distinct += [f"{distinct[i]} {i}" for i in range(64 - len(distinct))]
    mistakes = spoilt(problem, instance.size, reference.solution)
    wrong = {how: problem.format(instance, mistake) for how, mistake in mistakes.items()}
    env, seeds = gym.make(f"Forge/{name}-v0"), iter(range(10**9))
    fresh = dict(instance.__getstate__())  # type: ignore[call-overload]

    def score(text: str) -> Callable[[], object]:
        def work() -> None:
            problem.verify(instance, text)

        return work

    def group() -> None:
        problem.verify_many(instance, distinct)

    def compiled() -> None:
        instance.__dict__.clear()
        instance.__dict__.update(fresh)
        problem.keep_reference(instance, reference)
        problem.verify(instance, best)

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
        "GEN+PROMPT": (lambda: problem.prompt(problem.instance(next(seeds))), 1),
        "COMPILE and SCORE": (compiled, 1),
        "SCORE 500": (score(thought(500) + best), 1),
        "SCORE 8,000": (score(thought(8000) + best), 1),
        "SCORE prose": (score("I would rather not say."), 1),
        **{f"SCORE {how}": (score(text), 1) for how, text in wrong.items()},
        "GROUP-64": (group, len(distinct)),
        "EP1, reference known": (episode, 1),
        "CONSTRUCT, an episode": (built, 1),
        "IMPROVE, a move": (moved, 1),
        "LABEL": (lambda: problem.solve(instance, problem.heuristic(instance), problem.work_limit), 1),
    }
    for id, (call, per) in work.items():
        if wanted(only, name, id):
            us = statistics.median(interleaved([call], repeats, 0.02)[0]) / per
            yield {"id": id, "problem": name, "size": instance.size, "ours_us": us}


def batch(name: str, repeats: int) -> Row:
    """Measure a trainer's reward function on rows that it has never seen."""
    problem, reward, spent = forge_gym.problem(name), RewardFunction(), []
    for seed in range(repeats + 1):  # the first imports what the others have
        lines, start = list[bytes](), 0
        while len(lines) < INSTANCES:
            lines += Chunk(problem, -1, 10**6 + seed, "train", "trl", start, start + INSTANCES).draw().splitlines()
            start += INSTANCES
        specs, texts = [], []
        for line in lines[:INSTANCES]:
            spec = json.loads(line.split(b" ", 2)[2])["spec"]
            posed, instance = problem, problem.instance(10**6 + seed, json.loads(spec)["index"])
            found = [posed.format(instance, each) for each in different(posed, instance, ROLLOUTS)]
            texts += (found * ROLLOUTS)[:ROLLOUTS]
            specs += [spec] * ROLLOUTS
        logged: dict[str, float] = {}
        judging = partial(reward, completions=texts, spec=specs, log_metric=logged.__setitem__)
        gc.collect()  # what drawing left behind is not the batch's
        spent.append(seconds(judging, 1) * 1e6)
        assert logged["forge/quality"] > 0
    us = statistics.median(spent[1:])
    row: Row = {"id": "BATCH, 64 x 8 of new rows", "problem": name, "size": instance.size, "ours_us": us}
    return row | {"note": f"at most {BATCH_MS:g} ms", "ok": us < BATCH_MS * 1000}


def checks(repeats: int) -> Iterator[Row]:
    """Measure whether a text belongs to the action space, ours against Gymnasium's own."""
    space: Any = gym.make("Forge/TSP-v0").action_space
    plain = gym.spaces.Text(10_000, min_length=0, charset=frozenset(map(chr, range(32, 127))) | {"\n"})
    for length in (2000, 8000):
        text = thought(length)
        assert space.contains(text) and plain.contains(text)
        us, them = interleaved([partial(space.contains, text), partial(plain.contains, text)], repeats)
        row: Row = {"id": f"CHECK {length:,}", "problem": "", "size": length, "peer": "Gymnasium"}
        yield row | judged(us, them, CHECK_GOAL)


def vectors(name: str, repeats: int, only: str) -> Iterator[Row]:
    """Measure a step of many environments whose episodes do not end, by the kind of the replies."""
    problem = forge_gym.problem(name)
    instances = [instance for _, instance in islice(problem.graded_instances(), 64)]
    rng = np.random.default_rng(0)

    def texts(instance: Any) -> list[str]:
        """Return four kinds of reply, none of which ends an episode."""
        solutions = [problem.heuristic(instance), problem.trivial(instance), problem.null_answers(instance)[1]]
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
    for count in EPV_SIZES:
        for of, reply in kinds.items():
            if not wanted(only, name, id := f"EPV-{count}, replies {of}"):
                continue
            pair: list[Any] = [gym.make_vec(f"Forge/{name}-v0", count, mode, turns=10**9) for mode in (None, "sync")]
            for envs in pair:
                envs.reset(options={"instance": instances[0]})
                if of == "of its own":
                    for i, env in enumerate(envs.envs):
                        env.reset(options={"instance": instances[i % 64]})
            batches = [[reply(i) for i in range(count)] for _ in range(max(1, 1024 // count))]

            def once(envs: Any, batches: list[list[str]] = batches) -> float:
                return seconds(lambda: [envs.step(actions) for actions in batches], 1) * 1e6

            turns = [[once(envs) / (len(batches) * count) for envs in pair] for _ in range(repeats)]
            us, them = zip(*turns, strict=True)
            row: Row = {"id": id, "problem": name, "size": instances[0].size, "peer": "Gymnasium"}
            yield row | judged(us, them, EPV_GOAL if count == 64 and of != "of its own" else None)


def data_set(name: str, repeats: int) -> Row:
    """Measure how much sooner two workers have written a data set than one."""

    def took(workers: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            generate([forge_gym.problem(name)], Path(folder) / "rows", {"train": DATA_ROWS}, workers=workers)
            return (time.perf_counter() - start) * 1e6 / DATA_ROWS

    two, one = zip(*[(took(2), took(1)) for _ in range(repeats)], strict=True)
    row: Row = {"id": "GENERATE, two workers", "problem": name, "size": 0, "peer": "one worker", "note": "real time"}
    return row | judged(two, one, GENERATE_GOAL)


def measure(given: Any) -> Iterator[Row]:
    """Yield the rows of everything that is asked for."""
    only, repeats = given.only, given.repeats
    if wanted(only, "COLD"):
        yield cold(repeats)
    if wanted(only, "CHECK"):
        yield from checks(repeats)
    for name in forge_gym.problems():
        yield from rows(name, repeats, only)
        if wanted(only, name, "BATCH"):
            yield batch(name, min(repeats, 3))
        yield from vectors(name, repeats, only)
    if wanted(only, "Knapsack GENERATE"):
        yield data_set("Knapsack", min(repeats, 3))


if __name__ == "__main__":
    raise SystemExit(program(__doc__, measure))
