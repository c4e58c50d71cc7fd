"""``forge-gym play``: a human in the agent's place."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

from typer import Option

from ..core.answer import wrap_answer
from ..core.checks import check_int
from ..core.env import TextEnv
from ..core.episode import Episode
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import Malformed
from ..wrappers import HumanRender
from .options import Env, Level, Seed, Set, Split, make_problem

_HELP = """Type an answer as the problem asks for it, without the words around it: [0, 2, 1], or 0 2 1.
hint   show the objective that the greedy heuristic reaches
solve  show the best solution known, and end this instance (also: give up)
next   go to the next instance
help   show this text
quit   leave the game"""


def command(
    env: Env,
    set: Set = None,
    level: Level = None,
    seed: Seed = 0,
    index: Annotated[int, Option(help="number of the first instance in the stream")] = 0,
    split: Split = "test",
    turns: Annotated[int, Option(help="number of answers per instance; the best one counts")] = 5,
    reward: Annotated[str, Option(help="reward scheme")] = "tiered",
    window: Annotated[bool, Option("--window", help="also show a picture in a window")] = False,
) -> None:
    """Solve instances yourself, in the terminal."""
    problem = make_problem(env, set, level)
    check_int("seed", seed, 0)
    shown = "rgb_array" if window else None
    inner = TextEnv(problem, reward=reward, turns=turns, split=split, render_mode=shown)
    table = HumanRender(inner)
    try:
        table.reset(seed=seed, options={"index": index})
        _play(table, inner)
    except KeyboardInterrupt:
        print()
    finally:
        table.close()
    print("Goodbye.")


def _play(env: HumanRender, inner: TextEnv) -> None:
    over = False
    print("\nType an answer, hint, solve, next, help or quit.")
    for line in _lines():
        assert inner.episode is not None
        episode, problem, command = inner.episode, inner.problem, " ".join(line.lower().split())
        instance = episode.instance
        if command in ("quit", "exit", "q"):
            return
        if command == "help":
            print(_HELP)
        elif command == "hint":
            print(f"greedy reaches {problem.objective(instance, problem.anchors(instance)[1])}")
        elif command in ("next", "n"):
            over = False
            print()
            env.reset()
        elif command in ("solve", "give up"):
            over = True
            print(problem.format(instance, problem.reference(instance).solution))
            print(result(episode))
        elif over:
            print("This instance is over. Type next or quit.")
        elif command:
            reply = as_reply(problem, instance, line)
            if isinstance(reply, Malformed):
                print(f"No turn taken: {reply}. Type help for the commands.")
                continue
            env.step(reply)
            over = episode.over
            if over:
                print(result(episode))


def _lines() -> Iterator[str]:
    """Yield what is typed, line by line, up to its end."""
    shown = ""
    if sys.stdin.isatty():
        shown = "> "
        with suppress(ImportError):
            import readline  # noqa: F401 - importing it lets `input` edit lines, and long ones at all
    elif hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(errors="replace")
    try:
        while True:
            yield input(shown)
    except EOFError:
        print(end="\n" if shown else "")


def as_reply(problem: Problem[Any, Any], instance: Instance, line: str) -> str | Malformed:
    """Return the first reading of ``line`` that is an answer, as a reply; or why there is none.

    A whole reply, an answer without the words around it, and integers between blanks or commas are tried in turn.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP", n=3)
    >>> as_reply(tsp, tsp.instance(), "[0, 2, 1]"), as_reply(tsp, tsp.instance(), "0 2,1")
    ('<answer>[0, 2, 1]</answer>', '<answer>[0, 2, 1]</answer>')
    >>> as_reply(tsp, tsp.instance(), "hlep")
    Malformed("an answer is a flat JSON list of integers, got 'hlep'")
    """
    bare = wrap_answer(line.strip(), problem.answer_format)
    candidates = [line, bare]
    if re.fullmatch(r"\s*-?\d[-\d\s,]*", line):
        numbers = ", ".join(re.findall(r"[-\d]+", line))
        candidates.append(wrap_answer(f"[{numbers}]", problem.answer_format))
    reasons = {}
    for candidate in candidates:
        try:
            problem.parse_reply(instance, candidate)
            return candidate
        except Malformed as error:
            reasons[candidate] = error
    return reasons[bare]


def result(episode: Episode) -> str:
    """Return what came of an episode, against greedy and the best known.

    Examples
    --------
    >>> import forge_gym
    >>> tsp = forge_gym.problem("TSP")
    >>> episode = Episode(tsp, tsp.instance(seed=1))
    >>> feedback = episode.step(tsp.format(episode.instance, tsp.heuristic(episode.instance)))
    >>> print(result(episode))
    Your best answer: 317 (quality 0.280, skill 0.000). Greedy: 317. Proven optimum: 281.
    Type next for another instance, or quit.
    """
    reference, kept = episode.problem.reference(episode.instance), episode.kept
    yours = "No feasible answer."
    if kept is not None and kept.verdict.feasible:
        _, best, _ = kept
        yours = f"Your best answer: {best.objective} (quality {best.quality:.3f}, skill {best.skill:.3f})."
    proof = "Proven optimum" if reference.proven else "Best known"
    return f"{yours} Greedy: {reference.greedy}. {proof}: {reference.value}.\nType next for another instance, or quit."
