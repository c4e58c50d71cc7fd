"""PettingZoo: its own tests on one problem of each kind in both views, and what the two games promise beyond them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import forge_gym
from cases import PROBLEMS, every_kind
from forge_gym.core.env import TextEnv
from forge_gym.core.reference import CertificateError
from forge_gym.core.rewards import tiered
from forge_gym.core.verdict import Verdict
from forge_gym.kinds import Kind, as_kind
from forge_gym.training.group_rewards import Pairwise
from forge_gym.verification.attacks import ROWS
from forge_gym.verification.case import Case
from forge_gym.wrappers import Improve

pettingzoo_test = pytest.importorskip("pettingzoo.test")

from pettingzoo.utils.conversions import (  # noqa: E402 - only where PettingZoo is
    aec_to_parallel,
    parallel_to_aec,
    turn_based_aec_to_parallel,
)

from forge_gym.adapters.pettingzoo import table  # noqa: E402
from forge_gym.adapters.pettingzoo.duel import Duel, parallel_env  # noqa: E402
from forge_gym.adapters.pettingzoo.relay import Relay, deal, env  # noqa: E402


def small(name: str, **parameters: Any) -> Kind[Any, Any]:
    return as_kind(forge_gym.problem(name, level=0, **parameters))


def relay(name: str, **arguments: Any) -> Relay:
    return Relay(small(name), **arguments)


def duel(name: str, **arguments: Any) -> Duel:
    return Duel(small(name), **arguments)


@pytest.fixture(autouse=True)
def _short_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the text spaces sample hundreds of characters, not millions."""
    monkeypatch.setattr(table, "MAX_REPLY", 300)


@pytest.fixture
def presupposing_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the one check of `api_test` that no text can pass: it reads the observation's ``dtype``."""
    module = sys.modules["pettingzoo.test.api_test"]
    monkeypatch.setattr(module, "_test_observation_space_compatibility", lambda *_, **__: None)


# ------------------------------------------------------------------------------- PettingZoo's own tests

quietly = pytest.mark.filterwarnings("ignore::UserWarning")  # its advice: observations should be Box or Discrete
views = pytest.mark.parametrize("view", ["text", "numeric"])
names = every_kind


@quietly
@names
@views
def test_relay_passes_their_tests(name: str, view: str, request: pytest.FixtureRequest) -> None:
    if view == "text":
        request.getfixturevalue("presupposing_arrays")
    for owned in (False, True):
        pettingzoo_test.api_test(relay(name, view=view, owned=owned, rounds=3), num_cycles=20)
    pettingzoo_test.seed_test(lambda: relay(name, view=view), num_cycles=10)
    pettingzoo_test.parallel_api_test(turn_based_aec_to_parallel(relay(name, view=view)), num_cycles=10)
    with pytest.raises(AssertionError, match="is_parallelizable"):
        aec_to_parallel(relay(name, view=view))


@quietly
@names
@views
def test_duel_passes_their_tests(name: str, view: str, request: pytest.FixtureRequest) -> None:
    pettingzoo_test.parallel_api_test(duel(name, view=view, agents=3), num_cycles=100)
    pettingzoo_test.parallel_seed_test(lambda: duel(name, view=view), num_cycles=100)
    if view == "text":
        request.getfixturevalue("presupposing_arrays")
    pettingzoo_test.api_test(parallel_to_aec(duel(name, view=view)), num_cycles=100)
    pettingzoo_test.seed_test(lambda: parallel_to_aec(duel(name, view=view)), num_cycles=20)
    assert isinstance(aec_to_parallel(parallel_to_aec(duel(name, view=view))), Duel)


@quietly
@views
def test_both_are_drawn(view: str) -> None:
    pytest.importorskip("matplotlib")

    pettingzoo_test.render_test(lambda render_mode: relay("TSP", view=view, render_mode=render_mode))
    pettingzoo_test.render_test(lambda render_mode: parallel_to_aec(duel("TSP", view=view, render_mode=render_mode)))
    with pytest.raises(ValueError, match="render_mode must be one of"):
        relay("TSP", render_mode="humn")


# ---------------------------------------------------------------------------------------------- duels


def replies(problem: Kind[Any, Any], instance: Any, rng: np.random.Generator) -> list[str]:
    """Return replies of every class: optimal, greedy, random, trivial, infeasible, malformed."""
    solutions = [
        problem.reference(instance).solution,
        problem.heuristic(instance),
        *(problem.random(instance, rng) for _ in range(3)),
        problem.trivial(instance),
        # Some have no compact spelling.
        *(problem.null_answers(instance) if problem.style == "prose" else ()),
    ]
    return [*(problem.format(instance, solution) for solution in solutions), "", "no idea \ud800"]


@names
@pytest.mark.parametrize("agents", [2, 5])
def test_a_duel_is_zero_sum_and_symmetric(name: str, agents: int) -> None:
    problem, rng = small(name), np.random.default_rng(agents)
    game = Duel(problem, agents=agents)
    keys = set(TextEnv(problem).reset()[1])
    for seed in range(4):
        instance = problem.instance(seed)
        pool = replies(problem, instance, rng)
        for _ in range(6):
            said = [pool[i] for i in rng.integers(len(pool), size=agents)]
            order = rng.permutation(agents)
            paid = []
            for replied in (said, [said[i] for i in order]):
                prompts, _ = game.reset(seed=seed)
                assert set(prompts.values()) == {problem.prompt(instance)}
                _, rewards, terminations, truncations, infos = game.step(dict(zip(game.agents, replied, strict=True)))
                assert all(terminations.values()) and not any(truncations.values()) and not game.agents
                assert sum(rewards.values()) == pytest.approx(0, abs=1e-12)
                assert max(map(abs, rewards.values())) <= 1
                paid.append(list(rewards.values()))
            assert paid[1] == [paid[0][i] for i in order]
            assert all(paid[0][i] == paid[0][j] for i in range(agents) for j in range(agents) if said[i] == said[j])
            for i, info in enumerate(infos.values()):
                assert set(info) == keys and info["seed"] == seed
                assert info["score"] == tiered(problem.verify(instance, said[order[i]]))


@names
def test_the_better_answer_wins_a_duel(name: str) -> None:
    problem = small(name)
    index, instance = next(problem.graded_instances(seed=5))
    game = Duel(problem)
    best, worst = (
        problem.format(instance, solution)
        for solution in (problem.reference(instance).solution, problem.trivial(instance))
    )
    for said, expected in (((best, worst), 1), ((worst, best), -1), ((best, best), 0), ((worst, "?"), 1)):
        game.reset(seed=5, options={"index": index})
        _, rewards, _, _, _ = game.step({"agent_0": said[0], "agent_1": said[1]})
        assert rewards == {"agent_0": expected, "agent_1": -expected}


def built(game: Duel, choose: Callable[[str, Any], Any]) -> tuple[dict[str, float], dict[str, Any], int]:
    """Play a numeric duel to its end; return rewards, infos and the number of steps."""
    observations, _ = game.reset(seed=1)
    steps = 0
    while True:
        actions = {agent: choose(agent, observations[agent]["action_mask"]) for agent in game.agents}
        observations, rewards, terminations, _, infos = game.step(actions)
        steps += 1
        if all(terminations.values()):
            return rewards, infos, steps
        assert not any(terminations.values()) and set(rewards.values()) == {0.0}


@names
@pytest.mark.parametrize("agents", [2, 5])
def test_solutions_are_built_in_a_duel(name: str, agents: int) -> None:
    game, rng = duel(name, view="numeric", agents=agents), np.random.default_rng(0)
    wait = game.action_space("agent_0").n - 1  # type: ignore[attr-defined]
    waited = 0

    def choose(agent: str, mask: Any) -> Any:
        nonlocal waited
        waited += mask[wait]
        assert mask.any() and (not mask[wait] or mask.sum() == 1)
        return rng.choice(mask.nonzero()[0])

    rewards, infos, _ = built(game, choose)
    assert {info["status"] for info in infos.values()} == {2}
    assert sum(rewards.values()) == pytest.approx(0, abs=1e-12)
    objectives = {agent: info["objective"] for agent, info in infos.items()}
    sign = 1 if small(name).sense == "max" else -1
    for a in objectives:
        for b in objectives:
            assert (sign * (objectives[a] - objectives[b]) > 0) == (rewards[a] > rewards[b])
    if not small(name).stops:
        assert not waited  # all solutions have one length


@names
def test_what_is_outside_the_mask_loses_a_duel(name: str) -> None:
    game = duel(name, view="numeric")
    wait = game.action_space("agent_0").n - 1  # type: ignore[attr-defined]
    rewards, infos, _ = built(game, lambda agent, mask: wait if agent == "agent_0" else mask.argmax())
    assert rewards == {"agent_0": -1, "agent_1": 1}
    assert (infos["agent_0"]["status"], infos["agent_1"]["status"]) == (0, 2)
    game.reset()
    for action in (wait + 1, -1, 0.5, None, "0"):
        with pytest.raises(ValueError, match="action must be in"):
            game.step({"agent_0": 0, "agent_1": action})


def test_a_duel_of_several_turns() -> None:
    problem = forge_gym.problem("TSP", n=7)
    index, instance = next(problem.graded_instances(seed=2))
    best, greedy, worst = (
        problem.format(instance, x)
        for x in (
            problem.reference(instance).solution,
            problem.heuristic(instance),
            problem.trivial(instance),
        )
    )
    for keep, expected in (("best", 0.0), ("last", 1.0)):
        game = Duel(problem, turns=2, keep=keep)
        game.reset(seed=2, options={"index": index})
        feedback, rewards, terminations, _, _ = game.step({"agent_0": greedy, "agent_1": greedy})
        assert "Revise it: 1 turn left" in feedback["agent_1"]
        assert not any(rewards.values()) and not any(terminations.values())
        _, rewards, terminations, _, infos = game.step({"agent_0": greedy, "agent_1": worst})
        assert rewards == {"agent_0": expected, "agent_1": -expected} and all(terminations.values())
    game = Duel(problem, turns=3)
    game.reset(seed=2, options={"index": index})
    game.step({"agent_0": best, "agent_1": worst})
    _, _, terminations, _, infos = game.step({"agent_0": "ignored: the optimum is found", "agent_1": worst})
    assert infos["agent_0"]["optimal"] and infos["agent_0"]["turn"] == 1 and not any(terminations.values())
    _, rewards, _, _, _ = game.step({"agent_0": "", "agent_1": best})
    assert rewards == {"agent_0": 0, "agent_1": 0}


def test_an_alarm_stops_a_duel(monkeypatch: pytest.MonkeyPatch) -> None:
    game = Duel(forge_gym.problem("TSP", n=5))
    with monkeypatch.context() as patch:
        patch.setattr(type(game.problem), "verify", lambda *_: Verdict("feasible", objective=1, beats_bound=True))
        game.reset(seed=0)
        with pytest.raises(CertificateError, match="beats the certificate"):
            game.step({"agent_0": "", "agent_1": ""})
    monkeypatch.setattr(Pairwise, "group", lambda self, group: [None, 0.0])
    game.reset(seed=0)
    with pytest.raises(CertificateError, match="beats the certificate"):
        game.step({"agent_0": "", "agent_1": ""})


# --------------------------------------------------------------------------------------------- relays


def play(game: Relay, act: Callable[[str, Any], Any], seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Play a relay; yield after each turn who acted and what the action was."""
    game.reset(seed=seed)
    for agent in game.agent_iter():
        observation, _, termination, _, _ = game.last()
        action = None if termination else act(agent, observation)
        game.step(action)
        if action is not None:
            yield agent, action


def masked(rng: np.random.Generator) -> Callable[[str, Any], Any]:
    return lambda agent, observation: rng.choice(observation["action_mask"].nonzero()[0])


@names
@pytest.mark.parametrize("agents", [2, 5])
@pytest.mark.parametrize("start", ["greedy", "trivial"])
def test_a_relay_of_moves_telescopes(name: str, agents: int, start: str) -> None:
    for owned in (False, True):
        game = relay(name, view="numeric", agents=agents, start=start, owned=owned, rounds=3)
        problem, totals, before = game.problem, dict.fromkeys(game.possible_agents, 0.0), None
        for agent, action in play(game, masked(np.random.default_rng(agents)), seed=agents):
            assert len(set(game.rewards.values())) == 1 and game.infos[agent]["accepted"]
            for each, reward in game.rewards.items():
                assert reward >= 0
                totals[each] += reward
            if before is not None and owned:
                assert problem.changed(before, game.solution) <= game.shares[agent]
            before = game.solution
            assert problem.verify_solution(game.instance, game.solution).feasible
            if action == game.action_space(agent).n - 1:  # type: ignore[attr-defined]
                assert game.rewards[agent] == 0.0
        first = problem.heuristic(game.instance) if start == "greedy" else problem.trivial(game.instance)
        scores = [tiered(problem.verify_solution(game.instance, solution)) for solution in (game.best, first)]
        assert None not in scores
        for total in totals.values():
            assert total == pytest.approx(scores[0] - scores[1])  # type: ignore[operator]


@names
def test_cycling_pays_nothing_and_shows_what_improve_shows(name: str) -> None:
    problem = small(name)
    game = Relay(problem, view="numeric", agents=1, rounds=6)
    alone = Improve(TextEnv(problem), steps=6)
    game.reset(seed=3)
    seen, _ = alone.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(6):
        observation, _, over, _, _ = game.last()
        assert observation["action_mask"][:-1].tolist() == seen["action_mask"].tolist() or over
        for key in set(seen) - {"action_mask"}:
            assert np.array_equal(observation[key], seen[key]), key
        if over or not seen["action_mask"].any():
            break
        move = rng.choice(seen["action_mask"].nonzero()[0])
        seen, reward, ended, _, _ = alone.step(move)
        game.step(move)
        assert game.rewards["agent_0"] == pytest.approx(reward)
        assert ended == game.terminations["agent_0"] or alone.text_env.verdict is None
    assert game.best == alone.best


@names
def test_impossible_moves_change_nothing_and_cost_their_agent(name: str) -> None:
    game = relay(name, view="numeric", agents=2, penalty=0.25, start="trivial")
    game.reset(seed=1)
    observation, *_ = game.last()
    before = game.solution
    game.step((observation["action_mask"] == 0).argmax())
    assert game.solution == before and not game.infos["agent_1"]["accepted"]
    assert game.rewards == {"agent_0": -0.25, "agent_1": 0.0} and game.infos["agent_0"]["turn"] == 1
    assert game.agent_selection == "agent_1"
    for action in (observation["action_mask"].size, -1, 0.5, "0"):
        with pytest.raises(ValueError, match="action must be in"):
            game.step(action)
    assert set(game.infos["agent_0"]) == {*TextEnv(game.problem).reset()[1], "accepted"}


@names
@pytest.mark.parametrize("answer_format", ["tags", "line", "raw"])
@pytest.mark.parametrize("style", ["prose", "compact"])
def test_a_relay_of_answers_telescopes(name: str, answer_format: str, style: str) -> None:
    problem = small(name, answer_format=answer_format, style=style)
    game = Relay(problem, agents=3, rounds=3, start="trivial")
    rng, totals, pool = np.random.default_rng(1), dict.fromkeys(game.possible_agents, 0.0), list[str]()

    def act(agent: str, seen: str) -> str:
        pool[:] = replies(problem, game.instance, rng)
        shared = problem.format_answer(game.instance, game.solution)
        assert seen.startswith(problem.prompt(game.instance)) and f"You are {agent}, one of 3" in seen
        assert f"The shared solution: {shared}" in seen and f"included: {9 - game.infos[agent]['turn']}." in seen
        return pool[rng.integers(1, len(pool))]

    for seed in range(2):
        totals = dict.fromkeys(game.possible_agents, 0.0)
        value: Any = None
        for _ in play(game, act, seed):
            worth = problem.objective(game.instance, game.solution)
            assert value is None or not problem.better(value, worth)
            value = worth
            assert len(set(game.rewards.values())) == 1
            for each, reward in game.rewards.items():
                totals[each] += reward
        scores = [
            tiered(problem.verify_solution(game.instance, x)) for x in (game.best, problem.trivial(game.instance))
        ]
        assert len(set(totals.values())) == 1
        assert totals["agent_0"] == pytest.approx(scores[0] - scores[1])  # type: ignore[operator]


@names
def test_an_answer_is_taken_or_refused_with_a_reason(name: str) -> None:
    problem = small(name)
    index, instance = next(problem.graded_instances(seed=4))
    best, trivial = problem.reference(instance).solution, problem.trivial(instance)
    game = Relay(problem, agents=2, rounds=4)
    game.reset(seed=4, options={"index": index, "options": 1})
    started = game.solution
    for reply, said in (
        ("no idea", "could not be read"),
        (problem.format(instance, problem.null_answers(instance)[1]), "was infeasible"),
        (problem.format(instance, trivial), "which is worse, so the shared solution stays as it was"),
    ):
        game.step(reply)
        assert game.solution == started and said in game.observe(game.agent_selection)
        assert not game.infos["agent_0"]["accepted"] and not any(game.rewards.values())
    game.step(problem.format(instance, problem.heuristic(instance)))
    assert game.infos["agent_0"]["accepted"] and "is now the shared one" in game.observe("agent_0")
    game.step(problem.format(instance, best))
    assert game.infos["agent_1"]["optimal"] and all(game.terminations.values())
    assert (
        game.rewards["agent_0"]
        == game.rewards["agent_1"]
        == pytest.approx(1 - forge_gym.reward()(problem.verify_solution(instance, problem.heuristic(instance))))
    )
    while game.agents:
        game.step(None)


@names
def test_foreign_variables_are_refused(name: str) -> None:
    problem = small(name)
    refused = taken = 0
    for seed in range(6):
        game = Relay(problem, agents=3, owned=True, rounds=2, start="trivial")
        game.reset(seed=seed)
        instance, rng = game.instance, np.random.default_rng(seed)
        mine = game.shares["agent_0"]
        assert game._names(mine) in game.observe("agent_0") and "You own these" in game.observe("agent_0")
        assert set().union(*game.shares.values()) == set(range(instance.size))
        for _ in range(8):
            candidate = problem.random(instance, rng)
            game.reset(options={"instance": instance})
            before = game.solution
            values = problem.objective(instance, before), problem.objective(instance, candidate)
            foreign = problem.changed(before, candidate) - mine
            game.step(problem.format(instance, candidate))
            assert game.infos["agent_1"]["accepted"] == (not foreign and not problem.better(*values))
            if foreign:
                refused += 1
                assert f"changed what agent_0 does not own: {game._names(foreign)}" in game.observe("agent_1")
                assert game.solution == before
        # What a move reaches within one's own share, a text reaches too.
        moves = Relay(problem, agents=3, owned=True, view="numeric", start="trivial")
        moves.reset(options={"instance": instance})
        game.reset(options={"instance": instance})
        if moves.solution == game.solution:
            for move in moves.last()[0]["action_mask"].nonzero()[0]:
                outcome = moves.outcomes[int(move)]
                values = problem.objective(instance, game.solution), problem.objective(instance, outcome)
                if not problem.better(*values):
                    game.step(problem.format(instance, outcome))
                    assert game.infos["agent_1"]["accepted"]
                    taken += 1
                    game.reset(options={"instance": instance})
    assert refused and taken


@names
def test_foreign_moves_are_masked(name: str) -> None:
    problem = small(name)
    free, owned = (Relay(problem, agents=2, view="numeric", owned=own, start="trivial") for own in (False, True))
    tried = 0
    for seed in range(9):
        free.reset(seed=seed)
        owned.reset(seed=seed)
        everything = free.last()[0]["action_mask"]
        masks = {agent: owned.observe(agent)["action_mask"] for agent in owned.agents}
        assert all((mask <= everything).all() and mask[-1] == 1 for mask in masks.values())
        for foreign in (everything > masks["agent_0"]).nonzero()[0][:1]:
            owned.step(foreign)
            assert owned.rewards == {"agent_0": -0.01, "agent_1": 0.0}
            assert owned.solution == free.solution
            tried += 1
    assert tried >= 3


@pytest.mark.parametrize("agents", [1, 2, 3, 5, 50])
def test_shares_are_even_and_the_same_again(agents: int) -> None:
    for name in PROBLEMS:
        problem = small(name)
        shares = deal(problem, problem.instance(3), agents)
        assert shares == deal(problem, problem.instance(3), agents) and len(shares) == agents
        sizes = [len(share) for share in shares]
        assert max(sizes) - min(sizes) <= 1 and sum(sizes) == len(set().union(*shares)) == problem.instance().size


def test_a_share_is_named_as_the_prompt_names_it() -> None:
    game = Relay(forge_gym.problem("Knapsack", n=4, names=20), owned=True)
    game.reset(seed=0)
    owned = ", ".join(str(item + 20) for item in sorted(game.shares["agent_0"]))
    assert f"You own these elements: {owned}." in game.observe("agent_0")


def test_halves_that_are_stated_both_are_compared_as_one() -> None:
    problem = forge_gym.problem("PublishedBisection", n=6)
    game = Relay(problem, owned=True)
    game.reset(seed=0)
    game.step(problem.format(game.instance, game.solution))
    assert game.infos["agent_0"]["accepted"]


# --------------------------------------------------------------------------- what nobody can break


FORMS = (1, 2, 3, 5, 6, 8, 9, 12, 13, *range(15, 23), 25, 27, 30, 42, 50)
"""Rows of the battery whose replies are short, and known by their form alone to be worth nothing."""


@names
def test_nonsense_never_raises(name: str) -> None:
    case = Case(small(name), None)  # type: ignore[arg-type] # attacks on the form need no definition
    rows = [row for row in ROWS if row.number in FORMS]
    attacks = [reply.text for row in rows for reply in row.replies(case)]
    assert len(attacks) > 30
    for game in (relay(name, rounds=len(attacks), owned=True), relay(name, rounds=len(attacks))):
        game.reset(options={"instance": case.instance})
        for text in attacks:
            if not any(game.terminations.values()):
                game.step(text)
    versus = duel(name, turns=2)
    for one, other in zip(attacks, reversed(attacks), strict=True):
        versus.reset(options={"instance": case.instance})
        while versus.agents:
            _, rewards, _, _, _ = versus.step({"agent_0": one, "agent_1": other})
        assert sum(rewards.values()) == 0


@names
@views
def test_the_instances_are_those_of_text_env(name: str, view: str) -> None:
    problem = small(name)
    base = TextEnv(problem, split="validation")
    games = (Duel(problem, view=view, split="validation"), Relay(problem, view=view, split="validation"))
    for asked in ({"seed": 7}, {}, {"options": {"index": 9}}, {}, {"seed": 2}):
        _, info = base.reset(**asked)
        for game in games:
            game.reset(**asked)
            infos = game._infos if isinstance(game, Duel) else game.infos
            boards = game._answers.values() if isinstance(game, Duel) else [game._board]
            assert all(board.instance == base.instance for board in boards)
            assert all((i["seed"], i["index"]) == (info["seed"], info["index"]) for i in infos.values())
    fresh = Relay(problem)
    fresh.reset()
    assert fresh.instance.size == base.instance.size  # type: ignore[union-attr]


def test_made_by_name() -> None:
    assert parallel_env("TSP", level=2, agents=3).problem == forge_gym.problem("TSP", level=2)
    game = env("Knapsack", n=7, rounds=2, view="numeric")
    assert game.problem == forge_gym.problem("Knapsack", n=7) and str(game) == "forge_relay_v0"
    assert str(parallel_env("TSP")) == "forge_duel_v0"
    assert game.metadata["render_modes"] == ["human", "ansi", "rgb_array"]
    for make, wrong, message in (
        (env, {"round": 2}, "Relay of TSP has no argument 'round': did you mean 'rounds'"),
        (env, {"agents": 0}, "agents must be an integer of at least 1, got 0"),
        (env, {"rounds": 0}, "rounds must be an integer of at least 1"),
        (env, {"start": "gredy"}, "start must be one of .* did you mean 'greedy'"),
        (env, {"penalty": 2}, "penalty must be a number from 0.0 to 1.0"),
        (env, {"reward": "pairwise"}, "reward must pay a single answer"),
        (env, {"view": "numbers"}, "view must be one of .* did you mean 'numeric'"),
        (env, {"levl": 2}, "Relay of TSP has no argument 'levl': did you mean 'level'"),
        (parallel_env, {"agents": 1}, "agents must be an integer of at least 2"),
        (parallel_env, {"view": "numeric", "turns": 2}, "turns=1"),
        (parallel_env, {"keep": "first"}, "keep must be one of"),
        (parallel_env, {"split": "tset"}, "did you mean 'test'"),
    ):
        with pytest.raises(ValueError, match=message):
            make("TSP", **wrong)


def test_what_comes_at_the_wrong_time_or_in_the_wrong_type() -> None:
    from gymnasium.error import ResetNeeded

    versus, together = duel("TSP"), relay("TSP")
    assert versus.render() is None and together.render() is None
    with pytest.raises(ResetNeeded):
        versus.step({})
    with pytest.raises(ResetNeeded):
        together.step("")
    versus.reset(seed=0)
    with pytest.raises(ValueError, match=r"got none for \['agent_1'\]"):
        versus.step({"agent_0": ""})
    with pytest.raises(TypeError, match="agent_1's action is the text of a reply"):
        versus.step({"agent_0": "", "agent_1": 0})
    together.reset(seed=0)
    with pytest.raises(TypeError, match="agent_0's action is the text of a reply"):
        together.step(0)
