"""Race the peers: the same work by a peer and by us, by turns in one process.

    python benchmarks/peers.py [--np-engine PATH] [--rlve PATH] [--repeats 7] [--only "NP-Engine SCORE"] [--json FILE]

PATH is a checkout of the peer's repository; reasoning-gym, GEM and Jumanji are imported where they are installed. A
peer that is absent is left out, with a word. Nothing of a peer is stored here.

Every answer is checked before it is timed: both sides find it feasible and of the same objective. Mistakes are
timed too; where the peer accepts one, the row says so. Our verdicts also carry credit, skill and reasons, and
nothing of an answer is remembered from the call before. References and answers are there before timing starts. Times
are process CPU time; goals, floors and shares are those of ``timing.py``.

GEN is an instance from a seed; of NP-Engine's minimum cut it includes the searches that its generator makes.
GEN+PROMPT adds the question's text. SCORE is a reply of 500 or 8,000 characters to parsed answer, feasibility,
objective and quality, of reasoning-gym, which looks for no answer in a text, the bare answer; GROUP-64 is the same
of 64 different bare answers to one instance. EP1 and EPV-64 are a whole episode, from reset to verdict, alone and
among 64, on instances from a pool, as GEM has them: drawn before, with their prompts, and new replies to them. STEP is
a step of `Construct` and of Jumanji's compiled environment, resets included: one environment, and for STEP-64 each of
64, which Jumanji steps at once and we one after another. COLD is an import in a fresh interpreter.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import np_engine
from answers import AnyProblem, certified, different, ours, theirs, thought
from timing import Race, Row, Work, held, imports, judged, program, wanted

import forge_gym
from forge_gym.core.instance import Instance

FIVE = ("TSP", "Knapsack", "MaxClique", "MaxIndependentSet", "GraphColoring")
MEANS: dict[tuple[str, str], tuple[float, tuple[str, ...] | None]] = {
    ("NP-Engine", "GEN"): (8.0, FIVE),
    ("NP-Engine", "GEN+PROMPT"): (4.5, FIVE),
    ("NP-Engine", "SCORE"): (6.0, None),
    ("NP-Engine", "GROUP-64"): (6.0, None),
    ("RLVE", "SCORE"): (2.5, None),
}
"""Goals of geometric means of a peer's ratios, of all problems where none are named."""
COLD_GOAL = 3.0


def reasoning_gym() -> Iterator[Race]:
    """Race reasoning-gym's graph colouring."""
    import reasoning_gym as peer

    for n, p, colours, goals in ((10, 0.1, 3, (2.0, 2.0)), (40, 0.5, 12, (2.5, 12.0))):
        problem: AnyProblem = forge_gym.problem("GraphColoring", n=n, p=p)
        sizes = {"num_colors": colours, "edge_probability": p, "min_num_vertices": n, "max_num_vertices": n}
        data = peer.create_dataset("graph_color", size=10**9, seed=1, **sizes)
        row, seeds = ("GraphColoring", n, "reasoning-gym"), itertools.count()

        def we(problem: AnyProblem = problem, seeds: Iterator[int] = seeds) -> None:
            problem.prompt(problem.instance(next(seeds)))

        def they(data: Any = data, seeds: Iterator[int] = seeds) -> None:
            data[next(seeds)]

        yield Race("GEN+PROMPT", *row, we, they, goals[0])
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
        yield Race("SCORE", *row, ours(problem, texts), theirs(data.score_answer, answers), goals[1], len(texts))


_TOGETHER, _BATCHES = 64, 16


class Pool:
    """Instances that are there before an episode begins: ``problem`` draws them in turn, with their references."""

    def __init__(self, problem: AnyProblem, count: int) -> None:
        self.instances = [problem.instance(seed) for seed in range(count)]
        self.references = [certified(problem, instance) for instance in self.instances]
        self.texts = [problem.format(instance, problem.heuristic(instance)) for instance in self.instances]
        self.next = 0
        for instance, text in zip(self.instances, self.texts, strict=True):
            assert problem.verify(instance, text).feasible
        object.__setattr__(problem, "instance", self.draw)

    def draw(self, *place: Any) -> Instance:
        """Return the next instance."""
        at = self.next % len(self.instances)
        self.next += 1
        return self.instances[at]


def gem() -> Iterator[Race]:
    """Race GEM's episodes of reasoning-gym's graph colouring, whose instances are from a list."""
    import gem as peer

    name, row = "Forge/GraphColoring-v0", ("GraphColoring", 10, "GEM")
    sizes: dict[str, Any] = {"n": 10, "p": 0.1}

    def boxed(entry: dict[str, Any]) -> str:
        return f"\\boxed{{{json.dumps(entry['metadata']['possible_answer'])}}}"

    env, other = gym.make(name, **sizes), peer.make("rg:graph_color")
    pool = Pool(env.unwrapped.problem, _TOGETHER)  # type: ignore[attr-defined]
    replies = [boxed(other.ds[index]) for index in range(_TOGETHER)]

    def episodes() -> None:
        for text in pool.texts:
            env.reset()
            assert env.step(text)[4]["status"] == 2

    def their_episodes() -> None:
        other.idx, other.ds_iter = 0, iter(other.ds)  # or it makes a list of others
        for reply in replies:
            other.reset()
            assert other.step(reply)[1] == 1.0

    yield Race("EP1", *row, episodes, their_episodes, 2.3, _TOGETHER)

    envs: Any = gym.make_vec(name, _TOGETHER, autoreset_mode="SameStep", **sizes)
    batch_pool = Pool(envs.envs[0].problem, _TOGETHER * _BATCHES)
    assert all(one.problem is envs.envs[0].problem for one in envs.envs)
    batches = [batch_pool.texts[k * _TOGETHER :][:_TOGETHER] for k in range(_BATCHES)]
    others = peer.make_vec(["rg:graph_color"] * _TOGETHER)
    pages = [[boxed(one.ds[index]) for one in others.envs] for index in range(_BATCHES)]

    def steps() -> None:
        batch_pool.next = 0
        envs.reset()
        for batch in batches:
            assert (envs.step(batch)[4]["final_info"]["status"] == 2).all()

    def their_steps() -> None:
        for one in others.envs:
            one.idx, one.ds_iter = 0, iter(one.ds)
        others.reset()
        for page in pages:
            assert (others.step(page)[1] == 1.0).all()

    yield Race("EPV-64", *row, steps, their_steps, 2.0, _TOGETHER * _BATCHES)


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
        module, kind = importlib.import_module(f"Gym.environments.{name}"), f"{name.replace('_', '')}_environment"
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


JUMANJI = {"TSP": ("TSP-v1", 20), "Knapsack": ("Knapsack-v1", 50), "GraphColoring": ("GraphColoring-v1", 20)}
"""Its environment and size, by our problem."""
_STEPS = 64


def jumanji() -> Iterator[Race]:
    """Race Jumanji's environments of the same problems and sizes; both take the first action that is allowed."""
    import jax
    import jumanji as peer
    import numpy as np

    from forge_gym.wrappers import Construct

    first = jax.jit(lambda observation: observation.action_mask.argmax(axis=-1))
    keys = jax.random.split(jax.random.PRNGKey(0), _TOGETHER)
    for name, (title, n) in JUMANJI.items():
        other, env = peer.make(title), gym.make(f"Forge/{name}-v0", n=n)
        Pool(env.unwrapped.problem, _TOGETHER)  # type: ignore[attr-defined]
        construct = Construct(env)

        def one(env: Any = construct, steps: int = _STEPS) -> None:
            over = True
            for _ in range(steps):
                if over:
                    shown, over = env.reset()[0], False
                shown, _, over, _, _ = env.step(shown["action_mask"].argmax())

        def theirs(begin: Any, act: Any, key: Any) -> Work:
            begin, act = jax.jit(begin), jax.jit(act)

            def work() -> None:
                state, shown = begin(key)
                for _ in range(_STEPS):
                    if np.all(shown.last()):
                        state, shown = begin(key)
                    state, shown = act(state, first(shown.observation))

            return work

        alone = theirs(other.reset, other.step, keys[0])
        yield Race("STEP", name, n, "Jumanji", one, alone, per=_STEPS)
        every = theirs(jax.vmap(other.reset), jax.vmap(other.step), keys)
        many = partial(one, steps=_STEPS * _TOGETHER)
        yield Race("STEP-64", name, n, "Jumanji", many, every, per=_STEPS * _TOGETHER)


def cold(peer: str, module: str, repeats: int) -> Row:
    """Return the row of an import."""
    sides = list(imports(["forge_gym", module], repeats))
    us, them = ([time for time, _ in side] for side in sides)
    megabytes = " and ".join(f"{statistics.median(size for _, size in side):.0f}" for side in sides)
    row: Row = {"id": "COLD", "problem": "", "size": 0, "peer": peer, "note": f"{megabytes} MB"}
    return row | judged(us, them, COLD_GOAL)


def measure(given: Any) -> Iterator[Row]:
    """Yield the rows of all races against peers that are here."""
    peers: dict[str, tuple[str | None, bool, Callable[[], Iterator[Race]]]] = {
        "NP-Engine": (None, given.np_engine is not None, lambda: np_engine.races(given.np_engine.resolve())),
        "reasoning-gym": ("reasoning_gym", installed("reasoning_gym"), reasoning_gym),
        "GEM": ("gem", installed("gem"), gem),
        "RLVE": (None, given.rlve is not None, lambda: rlve(given.rlve.resolve())),
        "Jumanji": ("jumanji", installed("jumanji"), jumanji),
    }
    for peer, (module, here, races) in peers.items():
        if not here:
            print(f"{peer} is not here, so it is left out", file=sys.stderr)
            continue
        rows = []
        for race in races():
            if wanted(given.only, peer, race.problem, race.id):
                rows.append(race.run(given.repeats))
                yield rows[-1]
        for (whose, id), (goal, problems) in MEANS.items():
            ratios = [
                row["ratio"] for row in rows if row["id"] == id and (problems is None or row["problem"] in problems)
            ]
            if whose == peer and len(ratios) > 1:
                mean = statistics.geometric_mean(ratios)
                row = {"id": f"{id}, mean of {len(ratios)}", "problem": "", "size": 0, "peer": peer, "ratio": mean}
                yield row | held(mean, goal)
        if module and wanted(given.only, peer, "COLD"):
            yield cold(peer, module, given.repeats)


def installed(module: str) -> bool:
    """Whether a module can be imported."""
    return importlib.util.find_spec(module) is not None


def arguments(parser: Any) -> None:
    """Add what only this program takes."""
    parser.add_argument("--np-engine", type=Path, metavar="PATH", help="checkout of NP-Engine")
    parser.add_argument("--rlve", type=Path, metavar="PATH", help="checkout of RLVE")


if __name__ == "__main__":
    raise SystemExit(program(__doc__, measure, arguments))
