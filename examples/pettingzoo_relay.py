"""Let agents take turns at one solution, and show what is lost where each of them owns a part of it.

    python examples/pettingzoo_relay.py                                  # less than a minute on one core
    python examples/pettingzoo_relay.py --problem Knapsack SetCover --agents 2

On held-out instances, teams improve greedy's solution move by move, all with the same number of moves. In an owned
relay an agent moves only what belongs to it: places of a tour, vertices of a graph. Movers are greedy (the best move
or pass, ties at random) or random. A team that owns everything together stands beside one agent that does. Then
scripted agents play one relay in text. Nothing is learned here: PettingZoo's learners take the environments as they
are. Needs ``pip install "forge-gym[multiagent]"``.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from rich.progress import track
from rich.table import Table
from typer import Option

import forge_gym
from forge_gym.agents import make_agent
from forge_gym.agents.agent import Task
from forge_gym.cli import run
from forge_gym.cli.options import extra
from forge_gym.cli.terminal import console
from forge_gym.core.checks import check_choice
from forge_gym.core.instance import Instance
from forge_gym.core.problem import Problem
from forge_gym.core.verdict import Verdict
from forge_gym.evaluation.statistics import bootstrap, wilson

if TYPE_CHECKING:
    from forge_gym.adapters.pettingzoo import Relay

Mover = Callable[["Relay", list[int], np.random.Generator], int]
SCRIPT = ("random", "greedy", "local-search", "exact")
"""Agents of the relay in text, in the order of their turns."""


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


def compare(problem: Problem[Any, Any], agents: int, rounds: int, start: str, episodes: int, seed: int) -> Table:
    """Return the table of all teams on the same instances."""
    from forge_gym.adapters.pettingzoo import Relay

    instances = [x for _, x in islice(problem.graded_instances(0, "test"), episodes)]
    moves = agents * rounds
    teams: dict[str, tuple[int, bool, Mover]] = {
        f"{agents} owners, random": (agents, True, thoughtless),
        f"{agents} owners, greedy": (agents, True, greedy),
        f"{agents} free, random": (agents, False, thoughtless),
        f"{agents} free, greedy": (agents, False, greedy),
        "1 agent, random": (1, True, thoughtless),
        "1 agent, greedy": (1, True, greedy),
    }
    begins = problem.heuristic if start == "greedy" else problem.trivial
    verdicts = {f"start ({start})": [problem.verify_solution(x, begins(x)) for x in instances]}
    for team, (size, owned, mover) in track(teams.items(), problem.name, console=console(), transient=True):
        relay = Relay(problem, agents=size, rounds=moves // size, view="numeric", owned=owned, start=start)
        draws = np.random.SeedSequence(seed).spawn(len(instances))
        verdicts[team] = [
            play(relay, x, mover, np.random.default_rng(draw)) for x, draw in zip(instances, draws, strict=True)
        ]
    verdicts["optimum"] = [problem.verify_solution(x, problem.reference(x).solution) for x in instances]
    title = f"{problem.name} of size {instances[0].size}: {moves} moves on {episodes} held-out instances"
    table = Table("team", "quality", "skill", "optimal", title=title)
    for team, found in verdicts.items():
        quality = bootstrap([verdict.quality for verdict in found])
        skill = bootstrap([verdict.skill for verdict in found])
        optimal = wilson(sum(verdict.optimal for verdict in found), len(found))
        table.add_row(team, *(f"{x.mean:.2f} [{x.low:.2f}, {x.high:.2f}]" for x in (quality, skill, optimal)))
    return table


def talk(problem: Problem[Any, Any]) -> Table:
    """Return what scripted agents do in a relay of texts, from the trivial solution."""
    from forge_gym.adapters.pettingzoo import Relay

    relay = Relay(problem, agents=len(SCRIPT), rounds=1, start="trivial")
    _, instance = next(problem.graded_instances(0, "test"))
    relay.reset(options={"instance": instance})
    table = Table("agent", "objective", "reward", "then read by the next", title=f"{problem.name} in text")
    table.add_row("start (trivial)", str(problem.objective(instance, relay.solution)), "", "")
    for name in SCRIPT:
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


def main(
    problem: Annotated[list[str] | None, Option(help="one table each; TSP and two on graphs by default")] = None,
    level: Annotated[int, Option(min=0, help="at 4, greedy leaves room and two dozen moves go far")] = 4,
    agents: Annotated[int, Option(min=1, help="agents of a team")] = 4,
    rounds: Annotated[int, Option(min=1, help="turns of each; one agent alone has as many as the team")] = 6,
    start: Annotated[str, Option(help="the solution to begin with: greedy or trivial")] = "greedy",
    episodes: Annotated[int, Option(min=1, help="held-out instances")] = 100,
    seed: Annotated[int, Option(min=0, help="of the movers' draws")] = 0,
) -> None:
    """Print a table for each problem, and one relay in text on the first."""
    check_choice("--start", start, ("greedy", "trivial"))
    names = problem or ["TSP", "MaxIndependentSet", "GraphColoring"]
    problems = [forge_gym.problem(name, level=level) for name in names]
    with extra("multiagent"):
        for each in problems:
            console().print(compare(each, agents, rounds, start, episodes, seed))
        print("skill: 0 is greedy, 1 the proven optimum. Where all own everything, a team is like one agent.")
        console().print(talk(problems[0]))
    print("next: examples/ppo.py trains one agent; docs/classic_rl.md has both games of several")


if __name__ == "__main__":
    run(main)
