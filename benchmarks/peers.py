"""Race the peers: the same work by a peer and by us, by turns in one process.

    python benchmarks/peers.py [--np-engine PATH] [--rlve PATH] [--repeats 7] [--json FILE] [--only TEXT]

PATH is a checkout of the peer's repository; reasoning-gym and GEM are imported where they are installed. A
peer that is absent is left out, with a word. Nothing of a peer is stored here.

Every answer is checked before it is timed: both sides find it feasible and of the same objective. Mistakes are
timed too; where the peer accepts one, the row says so. Our verdicts also carry credit, skill and reasons, and
nothing of an answer is remembered from the call before. References and answers are there before timing starts.

GEN is an instance from a seed; of NP-Engine's minimum cut it includes the searches that its generator makes.
GEN+PROMPT adds the question's text. SCORE is a reply of 500 or 8,000 characters to parsed answer, feasibility,
objective and quality, of reasoning-gym, which looks for no answer in a text, the bare answer; GROUP-64 is the same
of 64 different bare answers to one instance. EP1 and EPV-64 are a whole episode, from reset to verdict, alone and
among 64. COLD is an import in a fresh interpreter.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import np_engine
from answers import AnyProblem, certified, different, ours, theirs, thought
from timing import Race, Row, imports, judged

import forge_gym
from forge_gym.core.instance import Instance

SCORE_FLOORS = {"NP-Engine": 5.0, "RLVE": 1.5}
"""Floors of the geometric mean of a peer's SCORE ratios."""
COLD_FLOOR = 3.0


def reasoning_gym() -> Iterator[Race]:
    """Race reasoning-gym's graph colouring."""
    import reasoning_gym as peer

    for n, p, colours, rendered, scored in ((10, 0.1, 3, 2.0, 2.0), (40, 0.5, 12, 2.5, 12.0)):
        problem: AnyProblem = forge_gym.problem("GraphColoring", n=n, p=p)
        sizes = {"num_colors": colours, "edge_probability": p, "min_num_vertices": n, "max_num_vertices": n}
        data = peer.create_dataset("graph_color", size=10**9, seed=1, **sizes)
        row, seeds = ("GraphColoring", n, "reasoning-gym"), itertools.count()

        def we(problem: AnyProblem = problem, seeds: Iterator[int] = seeds) -> None:
            problem.prompt(problem.instance(next(seeds)))

        def they(data: Any = data, seeds: Iterator[int] = seeds) -> None:
            data[next(seeds)]

        yield Race("GEN+PROMPT", *row, we, they, rendered)
        texts, answers = [], []
        for entry in (data[i] for i in range(16)):
            graph, colouring = entry["metadata"]["puzzle"], entry["metadata"]["possible_answer"]
            edges = tuple(sorted((min(edge), max(edge)) for edge in graph["edges"]))
            instance = problem.instance_type(n, edges)  # type: ignore[call-arg]
            text = problem.format(instance, tuple(colouring[v] - 1 for v in range(n)))
            answers.append((json.dumps(colouring), entry))
            texts.append((instance, text))
            certified(problem, instance)
            assert problem.verify(instance, text).objective == len(set(colouring.values())) <= colours
            assert data.score_answer(*answers[-1]) == 1.0
        yield Race("SCORE", *row, ours(problem, texts), theirs(data.score_answer, answers), scored, len(texts))


_SEEDS, _KEPT = range(64), 16


def referenced(problem: AnyProblem) -> dict[tuple[int, int], str]:
    """Make ``_KEPT`` instances of each seed come round with references; return greedy answers by seed and index."""
    draw, references, texts = problem.instance, {}, {}
    for key in itertools.product(_SEEDS, range(_KEPT)):
        instance = draw(*key)
        references[key] = certified(problem, instance)
        texts[key] = problem.format(instance, problem.heuristic(instance))
        assert problem.verify(instance, texts[key]).feasible

    def again(seed: int, index: int = 0, split: str = "train") -> Instance:
        instance: Instance = draw(seed, index % _KEPT, split)
        reference = references[seed, index % _KEPT]
        problem.keep_reference(instance, reference)
        reference._judged.clear()
        return instance

    object.__setattr__(problem, "instance", again)
    return texts


def gem() -> Iterator[Race]:
    """Race GEM's episodes of reasoning-gym's graph colouring."""
    import gem as peer

    name, row = "Forge/GraphColoring-v0", ("GraphColoring", 10, "GEM")
    sizes: dict[str, Any] = {"n": 10, "p": 0.1}

    def boxed(entry: dict[str, Any]) -> str:
        return f"\\boxed{{{json.dumps(entry['metadata']['possible_answer'])}}}"

    env, other = gym.make(name, **sizes), peer.make("rg:graph_color")
    texts = referenced(env.unwrapped.problem)  # type: ignore[attr-defined]
    replies = []
    for seed in _SEEDS:
        other.reset(seed=seed)
        replies.append(boxed(other.data))
        assert other.step(replies[-1])[1] == 1.0

    def episodes() -> None:
        for seed in _SEEDS:
            env.reset(seed=seed)
            env.step(texts[seed, 0])

    def their_episodes() -> None:
        for seed in _SEEDS:
            other.reset(seed=seed)
            other.step(replies[seed])

    yield Race("EP1", *row, episodes, their_episodes, 2.3, len(_SEEDS))

    envs: Any = gym.make_vec(name, len(_SEEDS), autoreset_mode="SameStep", **sizes)
    greedy = referenced(envs.envs[0].problem)
    batches = [[greedy[seed, index] for seed in _SEEDS] for index in range(_KEPT)]
    others = peer.make_vec(["rg:graph_color"] * len(_SEEDS))
    pages = [[boxed(one.ds[index]) for one in others.envs] for index in range(_KEPT)]

    def steps() -> None:
        envs.reset(seed=0)
        for batch in batches:
            envs.step(batch)

    def their_steps() -> None:
        for one in others.envs:
            one.ds_iter = iter(one.ds)
        others.reset()
        for page in pages:
            others.step(page)

    envs.reset(seed=0)
    others.reset()
    for batch, page in zip(batches, pages, strict=True):
        assert (envs.step(batch)[4]["final_info"]["status"] == 2).all() and (others.step(page)[1] == 1.0).all()
    yield Race("EPV-64", *row, steps, their_steps, 2.0, len(_SEEDS) * _KEPT)


RLVE: dict[str, tuple[str, Callable[[Any], tuple[Any, ...]]]] = {
    "knapsack": ("Knapsack", lambda p: (p["W_max"], tuple(p["W"]), tuple(p["V"]))),
    "maximum_clique": ("MaxClique", lambda p: (p["N"], tuple(sorted(p["edges"])))),
    "subset_sum": ("ExactSubsetSum", lambda p: (p["target"], tuple(p["A"]))),
}
"""Our problem and the data of an instance, by the peer's module."""


def rlve(root: Path) -> Iterator[Race]:
    """Race RLVE where its problem is one of ours; there a label is part of most generating."""
    sys.path.append(str(root))

    def environment(name: str, size: int) -> Any:
        module, kind = (
            importlib.import_module(f"Gym.environments.{name}"),
            f"{name.replace('_', '')}_environment",
        )
        made = next(value for key, value in vars(module).items() if key.lower() == kind)()
        assert made.generator(0, {"N": size, "edge_density": 0.5})
        return made

    seeds = itertools.count()
    sums, knapsack = environment("subset_sum", 20), environment("knapsack", 100)
    drawn: AnyProblem = forge_gym.problem("ExactSubsetSum", n=20, largest=20)
    packed: AnyProblem = forge_gym.problem("Knapsack", n=100)
    yield Race(
        "GEN, no label", "ExactSubsetSum", 20, "RLVE",
        lambda: drawn.instance(next(seeds)), lambda: sums.generator(next(seeds), {"N": 20}), 10.0,
    )  # fmt: skip
    yield Race(
        "GEN with label", "Knapsack", 100, "RLVE",
        lambda: certified(packed, packed.instance(next(seeds))),
        lambda: knapsack.generator(next(seeds), {"N": 100}), 5.0,
    )  # fmt: skip
    for name, size in (("knapsack", 20), ("knapsack", 100), ("maximum_clique", 20), ("subset_sum", 20)):
        env, (title, data) = environment(name, size), RLVE[name]
        problem: AnyProblem = forge_gym.problem(title)
        instance = problem.instance_type(*data(env.parameter))
        best, texts, replies = certified(problem, instance).value, [], []
        for solution in different(problem, instance, 16):
            texts.append((instance, thought(500) + problem.format(instance, solution)))
            replies.append((env, f"{thought(500)}<answer>{' '.join(map(str, solution))}</answer>"))
            verdict, paid = problem.verify(*texts[-1]), env.verifier(replies[-1][1])["reward"]
            assert verdict.objective is not None
            assert math.isclose(paid, 1.0 if name == "subset_sum" else float(verdict.objective / best) ** 5)
        judge = type(env).verifier
        yield Race("SCORE", title, size, "RLVE", ours(problem, texts), theirs(judge, replies), per=len(texts))


def cold(peer: str, module: str, repeats: int, path: Path | None) -> Row:
    """Return the row of an import."""
    sides = imports(["forge_gym", module], repeats, path)
    us, them = ([time for time, _ in side] for side in sides)
    megabytes = " and ".join(f"{statistics.median(size for _, size in side):.0f}" for side in sides)
    row: Row = {"id": "COLD", "problem": "", "size": 0, "peer": peer, "note": f"{megabytes} MB"}
    return row | judged(us, them, COLD_FLOOR)


def measure(repeats: int = 7, np_root: Path | None = None, rlve_root: Path | None = None, only: str = "") -> list[Row]:
    """Return the rows of all races against peers that are here; with ``only``, of ids that contain it."""
    peers: dict[str, tuple[Path | str | None, str | None, Callable[[], Iterator[Race]]]] = {
        "NP-Engine": (np_root, None, lambda: np_engine.races(Path(np_root or "").resolve())),
        "reasoning-gym": (_installed("reasoning_gym"), "reasoning_gym", reasoning_gym),
        "GEM": (_installed("gem"), "gem", gem),
        "RLVE": (rlve_root, None, lambda: rlve(Path(rlve_root or "").resolve())),
    }
    rows: list[Row] = []
    for peer, (where, module, races) in peers.items():
        if where is None:
            print(f"{peer} is not here, so it is left out", file=sys.stderr)
            continue
        measured = [race.run(repeats) for race in races() if only in race.id]
        scores = [row["ratio"] for row in measured if row["id"] == "SCORE"]
        if scores and peer in SCORE_FLOORS:
            mean, floor = statistics.geometric_mean(scores), SCORE_FLOORS[peer]
            row: Row = {"id": "SCORE, geometric mean", "problem": "", "size": 0, "peer": peer, "note": ""}
            measured.append(row | {"ratio": mean, "floor": floor, "ok": mean >= floor})
        if module and only in "COLD":
            measured.append(cold(peer, module, repeats, where if isinstance(where, Path) else None))
        rows += measured
    return rows


def _installed(module: str) -> str | None:
    return module if importlib.util.find_spec(module) else None


def line(row: Row) -> str:
    """Return a row as a line of the table."""
    times = f"{row['ours_us']:10.1f} {row['peer_us']:10.1f} us" if "ours_us" in row else " " * 24
    floor = "" if row["floor"] is None else f"floor {row['floor']:g}: {'ok' if row['ok'] else 'MISSED'}"
    named = f"{row['peer']:13} {row['problem']:17} {row['size'] or '':>3} {row['id']:25}"
    return f"{named} {times} {row['ratio']:7.2f} x  {floor}  {row['note']}".rstrip()


def main() -> int:
    """Print the table; exit with 1 where a floor does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--np-engine", type=Path, help="checkout of NP-Engine")
    parser.add_argument("--rlve", type=Path, help="checkout of RLVE")
    parser.add_argument("--repeats", type=int, default=7, help="at least 2")
    parser.add_argument("--only", default="", help="only rows whose id contains this")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    arguments = parser.parse_args()
    if arguments.repeats < 2:
        parser.error(f"--repeats must be at least 2 for a spread, got {arguments.repeats}")
    rows = measure(arguments.repeats, arguments.np_engine, arguments.rlve, arguments.only)
    for row in rows:
        print(line(row))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return int(not all(row["ok"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
