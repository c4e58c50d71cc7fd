"""Let agents take turns at one solution, and show what is lost where each of them owns a part of it.

With no arguments, on one CPU core, in less than a minute: on held-out instances, teams improve greedy's solution move
by move, all with the same number of moves. In an owned relay an agent moves only what belongs to it: places of a
tour, vertices of a graph. Movers are greedy (the best move or pass, ties at random) or random. A team that owns
everything together stands beside one agent that does. Then one relay in text, by scripted agents.

    python examples/pettingzoo_relay.py
    python examples/pettingzoo_relay.py --problem Knapsack SetCover --agents 2

Nothing is learned here. The environments are PettingZoo's, so its learners take them as they are.
Needs ``pip install ".[multiagent]"`` in a clone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import tyro
from rich.console import Console
from rich.progress import track
from rich.table import Table

import forge_gym
from forge_gym.adapters.pettingzoo import Relay
from forge_gym.agents import make_agent
from forge_gym.agents.agent import Task
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.verdict import Verdict
from forge_gym.evaluation.statistics import bootstrap, wilson

console = Console() if Console().is_terminal else Console(width=110)

Mover = Callable[[Relay, list[int], np.random.Generator], int]


@dataclass
class Args:
    """Settings of a comparison."""

    problem: tuple[str, ...] = ("TSP", "MaxIndependentSet", "GraphColoring")
    """Problems, one table each; see `forge-gym list`."""
    parameters: str = '{"level": 4}'
    """Their level, or their parameters, as JSON. At level 4 greedy leaves room and two dozen moves go far."""
    agents: int = 4
    """Agents of a team."""
    rounds: int = 6
    """Turns of each of them; one agent alone has as many as the team."""
    start: str = "greedy"
    """The solution to begin with: greedy or trivial."""
    episodes: int = 100
    """Held-out instances."""
    seed: int = 0
    """Of the movers' draws."""
    script: tuple[str, ...] = ("random", "greedy", "local-search", "exact")
    """Agents of the relay in text, in the order of their turns; it is played on the first problem."""


def greedy(relay: Relay, allowed: list[int], rng: np.random.Generator) -> int:
    """Return the allowed action whose outcome is best; passing is one of them."""
    sign = 1 if relay.problem.sense == "max" else -1
    worths = [sign * relay.problem.objective(relay.instance, relay.outcomes[move]) for move in allowed]
    best = max(worths)
    return int(rng.choice([move for move, worth in zip(allowed, worths, strict=True) if worth == best]))


def thoughtless(relay: Relay, allowed: list[int], rng: np.random.Generator) -> int:
    """Return any allowed action."""
    return int(rng.choice(allowed))


def play(relay: Relay, instance: Instance, mover: Mover, rng: np.random.Generator) -> Verdict:
    """Play one relay and return the verdict on its best solution."""
    relay.reset(options={"instance": instance})
    for _ in relay.agent_iter():
        observation, _, termination, _, _ = relay.last()
        allowed = [int(move) for move in observation["action_mask"].nonzero()[0]]
        relay.step(None if termination else mover(relay, allowed, rng))
    return relay.problem.verify_solution(instance, relay.best)


def compare(args: Args, problem: Problem[Any, Any]) -> Table:
    """Return the table of all teams on the same instances."""
    instances = [x for _, x in islice(problem.graded_instances(0, "test"), args.episodes)]
    moves = args.agents * args.rounds
    teams: dict[str, tuple[int, bool, Mover]] = {
        f"{args.agents} owners, random": (args.agents, True, thoughtless),
        f"{args.agents} owners, greedy": (args.agents, True, greedy),
        f"{args.agents} free, random": (args.agents, False, thoughtless),
        f"{args.agents} free, greedy": (args.agents, False, greedy),
        "1 agent, random": (1, True, thoughtless),
        "1 agent, greedy": (1, True, greedy),
    }
    begins = problem.heuristic if args.start == "greedy" else problem.trivial
    verdicts = {f"start ({args.start})": [problem.verify_solution(x, begins(x)) for x in instances]}
    for team, (agents, owned, mover) in track(teams.items(), problem.name, console=console, transient=True):
        relay = Relay(
            problem, agents=agents, rounds=moves // agents, view="numeric", owned=owned, start=args.start
        )
        draws = np.random.SeedSequence(args.seed).spawn(len(instances))
        verdicts[team] = [
            play(relay, x, mover, np.random.default_rng(draw))
            for x, draw in zip(instances, draws, strict=True)
        ]
    verdicts["optimum"] = [problem.verify_solution(x, problem.reference(x).solution) for x in instances]
    title = (
        f"{problem.name} of size {instances[0].size}: {moves} moves on {len(instances)} held-out instances"
    )
    table = Table("team", "quality", "skill", "optimal", title=title)
    for team, found in verdicts.items():
        quality = bootstrap([verdict.quality for verdict in found])
        skill = bootstrap([verdict.skill for verdict in found])
        optimal = wilson(sum(verdict.optimal for verdict in found), len(found))
        cells = [f"{x.mean:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in (quality, skill, optimal)]
        table.add_row(team, *cells)
    return table


def talk(args: Args, problem: Problem[Any, Any]) -> Table:
    """Return what scripted agents do in a relay of texts, from the trivial solution."""
    relay = Relay(problem, agents=len(args.script), rounds=1, start="trivial")
    _, instance = next(problem.graded_instances(0, "test"))
    relay.reset(options={"instance": instance})
    table = Table("agent", "objective", "reward", "then read by the next", title=f"{problem.name} in text")
    table.add_row("start (trivial)", str(problem.objective(instance, relay.solution)), "", "")
    for name in args.script:
        if any(relay.terminations.values()):
            break
        prompt, *_ = relay.last()
        task = Task(problem, instance, ({"role": "user", "content": prompt},))
        (reply,) = make_agent(name).answer([task])
        relay.step(reply)
        said = relay.observe(relay.agent_selection).split("\n")[-2]
        objective = problem.objective(instance, relay.solution)
        table.add_row(name, str(objective), f"{relay.rewards[relay.agent_selection]:+.2f}", said)
    return table


def main(args: Args) -> None:
    """Print a table for each problem, and one relay in text."""
    started = time.monotonic()
    problems = [forge_gym.problem(name, **json.loads(args.parameters)) for name in args.problem]
    for problem in problems:
        console.print(compare(args, problem))
    console.print(
        "skill: 0 is greedy, 1 the proven optimum. Where all own everything, a team of one mind is one agent."
    )
    console.print(talk(args, problems[0]))
    console.print(f"took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(tyro.cli(Args))
