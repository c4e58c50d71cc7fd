"""The battery: the replies of `attacks`, judged three ways at bounded cost, and attacks by policies and on episodes."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean
from typing import Any

import numpy as np
from gymnasium.error import ResetNeeded

from ..core.checks import short_repr
from ..core.env import TextEnv
from ..core.problem import Problem
from ..core.registry import from_spec
from ..core.rewards import REWARDS, Group, group_rewards, reward, tiered
from ..core.seeding import SPLITS
from ..core.verdict import STATUSES, Verdict
from ..kinds import as_kind
from .attacks import ROWS, copies, due
from .case import Case, Findings, Reply, at_most, child, raised, reward_of
from .definitions import Definition

MAX_BYTES = 50 * 10**6
"""Memory that judging a reply may take beyond the reply itself."""
_LATE = 50.0
"""Time after which a batch of replies, or an attack by a policy or on an episode, is given up."""
_HEAVY = 10_000
"""Replies from so many characters on have their memory measured."""


@dataclass(frozen=True)
class Probe:
    """An attack by a policy, or on an episode."""

    number: int
    attack: str
    required: str
    faults: Callable[[Case], Iterator[str]] = field(repr=False)


def _constant(c: Case) -> Iterator[str]:
    constant = c.problem.trivial(c.population[0])
    mean = fmean(reward_of(c.problem, x, constant) for x in c.population)
    if mean > -0.2 + 1e-12:
        yield f"one answer for all earns at most -0.2 on average, got {mean:.3f}"


def _random(c: Case) -> Iterator[str]:
    rng, kind = np.random.default_rng(0), as_kind(c.problem)
    mean = fmean(reward_of(c.problem, x, kind.any_answer(x, rng)) for x in c.population for _ in range(4))
    if mean >= 0:
        yield f"random answers of the right form earn less than greedy ones, which earn 0, got {mean:.3f}"


def _greedy(c: Case) -> Iterator[str]:
    for x in c.population:
        if paid := reward_of(c.problem, x, c.problem.heuristic(x)):
            yield f"the greedy answer earns 0 where it is graded, got {paid} on {short_repr(x)}"


def _oracle(c: Case) -> Iterator[str]:
    for x in c.population:  # graded, so the reference is proven
        paid = reward_of(c.problem, x, c.problem.reference(x).solution)
        if paid != 1:
            yield f"a copy of the reference earns 1, got {paid} on {short_repr(x)}"


def _near_oracle(c: Case) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for x in c.population[:8]:
        best = c.problem.reference(x)
        for _ in range(40):
            neighbour = c.problem.neighbour(x, best.solution, rng)
            value, paid = c.problem.objective(x, neighbour), reward_of(c.problem, x, neighbour)
            if (value == best.value) != (paid == 1):
                yield f"{value} beside an optimum of {best.value} earns {paid}"


def _symmetric(c: Case) -> Iterator[str]:
    for x in c.population[:8]:
        best = c.problem.reference(x).solution
        verdict = c.problem.verify_solution(x, best)
        for copy in copies(c.problem, x, best):
            if c.problem.verify_solution(x, copy).worth != verdict.worth:
                yield f"{copy} and {best} are one solution with two verdicts"


def _relabelled(c: Case) -> Iterator[str]:
    rng = np.random.default_rng(0)
    for x in c.population[:8]:
        order = rng.permutation(x.size).tolist()
        moved = c.problem.relabelled(x, order)
        best = c.problem.reference(x)
        again = c.problem.certificate(x.relabelled(order))
        if best.proven and again.value != best.value:
            yield f"the optimum is {best.value}, under other numbers {again.value}"
        anchors = c.problem.trivial(x), c.problem.heuristic(x)
        for solution in (*anchors, best.solution, c.problem.random(x, rng)):
            here = c.problem.verify_solution(x, solution)
            there = c.problem.verify_solution(moved, c.problem.permute(solution, order))
            if (here.worth, tiered(here)) != (there.worth, tiered(there)):
                yield f"{short_repr(solution)} is worth {here} here, {there} under other numbers"


def _turns(c: Case) -> Iterator[str]:
    good, poor = c.say(c.good), c.say(c.poor)
    trivial = reward_of(c.problem, c.instance, c.problem.trivial(c.instance))
    if trivial == 1:  # a thoughtless answer that is optimal ends the episode at once
        return
    env = TextEnv(c.problem, turns=50)
    env.reset(options={"instance": c.instance})
    paid = [env.step(text)[1] for text in [poor] * 10 + ["?", "", poor] * 10]
    if paid[0] != trivial or any(paid[1:]):
        yield f"an answer pays once, {trivial}, however often it is repeated, got {paid}"
    for keep, kept in (("best", trivial), ("last", -1.0)):
        env = TextEnv(c.problem, turns=5, keep=keep)
        env.reset(options={"instance": c.instance})
        total = sum(env.step(text)[1] for text in ("?", poor, "?", poor, "?"))
        if abs(total - kept) > 1e-12:
            yield f"with keep={keep!r} the return is the kept answer's reward {kept}, got {total}"
        if not _refuses(env, good):
            yield "an episode ends after its last turn, got a step beyond it"


def _refuses(env: TextEnv, action: str) -> bool:
    with suppress(ResetNeeded):
        env.step(action)
        return False
    return True


def _order_of_calls(c: Case) -> Iterator[str]:
    env = TextEnv(c.problem)
    if not _refuses(env, c.say(c.good)):
        yield "a step before reset raises ResetNeeded, got a reward"
    env.reset(options={"instance": c.instance})
    env.step(c.say(c.good))
    if not _refuses(env, c.say(c.good)):
        yield "a step after the end raises ResetNeeded, got a reward"


def _leaks(c: Case) -> Iterator[str]:
    env = TextEnv(c.problem, turns=3)
    prompt, info = env.reset(seed=1_234_567_891)
    instance, reference = env.instance, c.problem.reference(env.instance)
    poor, texts = c.problem.trivial(instance), [prompt]
    for reply in ("?", c.problem.format(instance, poor), c.say("[]")):
        feedback, _, over, _, info = env.step(reply)
        texts.append(feedback)
        if over:
            break
    shown = "\n".join(texts)
    if c.problem.format_answer(instance, reference.solution) in shown:
        yield "the optimal answer is shown"
    if "1234567891" in shown or c.problem.digest(instance)[:12] in shown:
        yield "seed or hash is shown"
    counts = {"seed", "index", "turn", "status", "violations", "optimal"}
    counts |= {"quality", "skill", "ratio", "credit", "score"}
    attained = c.problem.objective(instance, poor) == reference.value
    if not attained and any(reference.value == value for key, value in info.items() if key not in counts):
        yield f"the optimum {reference.value} stands in info {info}"


def _seeds(c: Case) -> Iterator[str]:
    run = child(c.problem, c.spec, "print(problem.digest(instance))")
    if run.stdout.strip() != c.problem.digest(c.instance):
        yield f"a seed names one instance in every process, got another: {run.stderr.strip()[-200:]}"
    seen = [c.problem.digest(c.problem.instance(0, split=split)) for split in SPLITS]
    if len(set(seen)) != len(seen):
        yield "splits share no instance, got one twice"


def _not_text(c: Case) -> Iterator[str]:
    others: list[Any] = [None, b"<answer>[0]</answer>", 3, ["[0]"], {"answer": [0]}, [{"role": "assistant"}]]
    env = TextEnv(c.problem)
    env.reset(options={"instance": c.instance})
    for other in others:
        if c.problem.verify(c.instance, other).status != "malformed":
            yield f"what is no text is malformed, got a verdict on {other!r}"
        try:
            env.step(other)
            yield f"step raises TypeError for what is no text, got a reward for {other!r}"
        except TypeError:
            continue
    if env.step(c.say(c.good))[1] != 1:
        yield "a refused action changes nothing, got another reward after it"


def _collusion(c: Case) -> Iterator[str]:
    for name, text in product(REWARDS, (c.say(c.poor), c.say(c.good), "?")):
        verdicts = [c.problem.verify(c.instance, text) for _ in range(8)]
        paid = group_rewards(reward(name), Group(c.problem, c.instance, [text] * 8, verdicts))
        if len(set(paid)) != 1:
            yield f"{name} pays equal replies the same, so that their advantage is 0, got {paid}"


def _other_instances(c: Case) -> Iterator[str]:
    for other in c.population[:8]:
        solution = c.problem.reference(other).solution
        text = c.problem.format(other, solution)
        outcome = due(c, json.loads(c.problem.format_answer(other, solution)))
        before = c.problem.verify(c.instance, text)
        c.problem.verify(other, text)
        after = c.problem.verify(c.instance, text)
        if before != after:
            yield f"the verdict on an answer stays, got {before} and then {after}"
        if unmet := outcome.unmet(before):
            yield unmet


def _hooks(c: Case) -> Iterator[str]:
    rng = np.random.default_rng(0)
    tiny, solution = as_kind(c.problem).tiny(c.instance)
    if not c.problem.verify(tiny, c.problem.format(tiny, solution)).optimal:
        yield "the worked example is optimal where it stands, got another verdict"
    for x in c.population[:8]:
        if c.problem.from_json(c.problem.to_json(x)) != x:
            yield "an instance survives JSON, got another"
        if c.problem.heuristic(x) != c.problem.heuristic(x):
            yield "hooks are pure, got two heuristic solutions"
        start = c.problem.random(x, rng)
        solutions = {"random": start, "heuristic with second choices": c.problem.heuristic(x, rng, 0.5)}
        for k in range(20):
            solutions[f"neighbour {k}"] = start = c.problem.neighbour(x, start, rng)
            solutions[f"random {k}"] = c.problem.random(x, rng)
        for name, solution in solutions.items():
            for violation in c.problem.violations(x, solution):
                yield f"the solution of {name} is feasible, got: {violation.reason}"
    sizes = [c.problem.at_level(level).instance(0).size for level in range(6)]
    if sizes != sorted(set(sizes)):
        yield f"instances grow from level to level, got sizes {sizes}"


_REPEATED = "the same answer again and again, and turns without end"
PROBES = (
    Probe(33, "one answer for every instance", "at most -0.2 on average", _constant),
    Probe(34, "random answers of the right form", "below 0 on average", _random),
    Probe(35, "a copy of the greedy answer", "exactly 0", _greedy),
    Probe(36, "a copy of the reference", "exactly 1", _oracle),
    Probe(37, "next to the reference", "below the reference unless equal", _near_oracle),
    Probe(38, "other forms of the reference", "the verdict of the reference", _symmetric),
    Probe(39, "other numbers for the elements", "the same reward and optimum", _relabelled),
    Probe(46, _REPEATED, "paid once, the return is the kept answer's reward", _turns),
    Probe(47, "steps out of order", "ResetNeeded, no reward", _order_of_calls),
    Probe(48, "answers read from prompt, feedback or info", "nothing to read", _leaks),
    Probe(49, "guessed seeds", "one instance in all processes, none in two splits", _seeds),
    Probe(51, "actions that are no text", "TypeError, nothing changes", _not_text),
    Probe(52, "a group that agrees on one reply", "equal rewards", _collusion),
    Probe(54, "an answer to another instance", "its literal worth here", _other_instances),
    Probe(58, "hooks that do not keep their contract", "feasible, pure, growing", _hooks),
)
"""The attacks by policies and on episodes."""


def run(problem: Problem[Any, Any], definition: Definition, level: int | None = None) -> Findings:
    """Run the whole battery against ``problem``, at ``level`` or with its own parameters."""
    case = Case(problem if level is None else problem.at_level(level), definition)
    findings = Findings(Counter(policies=len(PROBES)))
    for row in ROWS:
        replies = list(row.replies(case))
        findings.counts["replies"] += len(replies)
        for reply, trained in zip(replies, _batch(case, replies), strict=True):
            findings.faults += (
                f"row {row.number}, {row.attack}: {fault}, for the reply {short_repr(reply.text, 100)}"
                for fault in _judged_thrice(reply, trained, row.seconds)
            )
    for probe in PROBES:
        try:
            with at_most(_LATE):
                faults = list(probe.faults(case))
        except (Exception, SystemExit) as error:
            faults = [raised(error, problem)]
        findings.faults += (f"row {probe.number}, {probe.attack}: {fault}" for fault in faults)
    return findings


def _batch(case: Case, replies: list[Reply]) -> list[Verdict | None]:
    """Judge as a trainer does: a whole group at once, by the problem and the instance that the spec rebuilds."""
    problem, instance = from_spec(case.spec)
    try:
        with at_most(_LATE):
            return [*problem.verify_many(instance, [reply.text for reply in replies])]
    except (Exception, SystemExit):  # told of the reply that raised it
        return [None] * len(replies)


def _judged_thrice(reply: Reply, trained: Verdict | None, seconds: float) -> Iterator[str]:
    case, (verdict, faults) = reply.case, reply.judged(seconds)
    yield from faults
    if verdict is None or verdict.beats_bound:
        return
    if trained != verdict:
        yield f"verify says {short_repr(verdict, 100)}, of a batch {short_repr(trained, 100)}"
    if len(verdict.reason) > 300:
        yield f"a reason has at most 300 characters, got {len(verdict.reason)}"
    env = TextEnv(case.problem)
    env.reset(options={"instance": case.instance})
    _, paid, over, _, info = env.step(reply.text)
    stepped, expected = (paid, STATUSES[info["status"]], over), (tiered(verdict), verdict.status, True)
    if stepped != expected:
        yield f"reward, status and end of the episode are {expected} by verify, {stepped} by env.step"
    if len(reply.text) >= _HEAVY:
        tracemalloc.start()
        case.problem.verify(case.instance, reply.text)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        if peak > MAX_BYTES:
            yield f"judging took {peak / 1e6:.0f} MB"
