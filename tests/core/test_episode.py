"""`Episode`: what is kept and what is paid, and that it never raises where training must go on."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.core.env import TextEnv
from forge_gym.core.episode import Episode, Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.core.verdict import Verdict

TSP = forge_gym.problem("TSP", n=7)
ANSWERS = ["?", "<answer>[9]</answer>"] + [
    TSP.format(TSP.instance(), solution)
    for solution in (
        TSP.trivial(TSP.instance()),
        TSP.heuristic(TSP.instance()),
        TSP.reference(TSP.instance()).solution,
    )
]


@given(
    replies=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=6),
    keep=st.sampled_from(["best", "last"]),
    reward=st.sampled_from(["tiered", "linear", "stepped", "binary", "np_engine", "ratio_power", "base_and_bonus"]),
)
@settings(max_examples=200, deadline=None)
def test_payments_sum_to_the_kept_replys_own_reward(replies: list[str], keep: str, reward: str) -> None:
    episode = Episode(TSP, TSP.instance(), Protocol(len(replies), keep, reward))
    env = TextEnv(TSP, turns=len(replies), keep=keep, reward=reward)
    env.reset(seed=0)
    total = 0.0
    for reply in replies:
        feedback = episode.step(reply)
        told, paid, over, _, _ = env.step(reply)
        assert (told, paid, over) == (feedback, episode.paid, episode.over)
        total += episode.paid
        if episode.over:
            break
    assert episode.over and len(episode.scores) == episode.turn
    assert episode.kept is not None and total == pytest.approx(episode.kept.score) == episode.reward
    assert episode.kept.score == (max(episode.scores) if keep == "best" else episode.scores[-1])
    assert episode.kept_reply in replies[: episode.turn]


def test_before_any_reply_it_is_worth_what_an_empty_one_is() -> None:
    episode = Episode(TSP, TSP.instance())
    assert episode.kept is None and episode.kept_reply == "" and episode.total == 0.0
    assert episode.reward == episode.numbers()["score"] == -1.0 and episode.numbers()["malformed"] == 1.0


@pytest.mark.parametrize("reply", [None, 3, b"[0]", ["<answer>[0]</answer>"], {"content": "?"}])
def test_say_takes_anything(reply: object) -> None:
    episode = Episode.of_spec(TSP.spec(seed=1), Protocol(turns=2))
    assert "cannot be read" in episode.say(reply) and episode.turn == 1 and episode.fault is None
    episode.say("?")
    assert episode.say("?") == "The episode is over: this changes nothing." and episode.turn == 2


def test_a_fault_of_ours_ends_the_episode_and_has_no_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    episode = Episode(TSP, TSP.instance(), Protocol(turns=3))
    episode.say("?")

    def broken(*_: Any) -> Any:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(TSP), "verify", broken)
    assert "could not be judged, through no fault of yours" in episode.say("<answer>[0]</answer>")
    assert episode.over and episode.reward is None and episode.kept_reply == "<answer>[0]</answer>"
    with pytest.raises(RuntimeError, match="a bug"):
        episode.numbers()


def test_a_beaten_certificate_is_never_paid() -> None:
    episode = Episode(TSP, TSP.instance())
    with pytest.raises(CertificateError, match="beats the certificate"):
        episode.judge("?", Verdict("feasible", objective=1, beats_bound=True))


def test_a_verdict_does_not_depend_on_who_judged_the_instance_before() -> None:
    """Two problems that differ in a parameter judge the same instance object, each as if alone."""
    one, other = (forge_gym.problem("GraphColoring", n=6, k=k) for k in (2, 4))

    class Harder(type(TSP)):  # type: ignore[misc]
        def trivial(self, instance: Any) -> Any:
            return tuple(range(instance.size))

    for first, second, instance in (
        (one, other, one.instance(3)),
        (TSP, Harder(n=7), TSP.instance(3)),
    ):
        texts = [first.format(instance, first.trivial(instance)), "<answer>[0, 0]</answer>", "?"]
        alone = second.verify_many(second.from_json(second.to_json(instance)), texts)
        first.verify_many(instance, texts)
        assert second.verify_many(instance, texts) == alone


def test_an_episode_that_is_over_stays_over() -> None:
    tsp = forge_gym.problem("TSP", n=5)
    episode = Episode(tsp, tsp.instance())
    episode.step("?")
    with pytest.raises(ValueError, match="an episode must be running to take a turn"):
        episode.step("?")
    assert episode.over and episode.turn == 1


@pytest.mark.parametrize("thoughts", ["[/THINK]", {"end": "[/THINK]"}, '{"end": "[/THINK]", "inside": true}'])
def test_how_thoughts_end_is_said_once(thoughts: Any) -> None:
    instance = TSP.instance(seed=1)
    tried, said = (TSP.format(instance, solution) for solution in TSP.anchors(instance))
    reply = f"[THINK]{tried}</think>{tried}[/THINK]{said}"
    due = TSP.verify(instance, said)
    assert TSP.verify(instance, reply, thoughts) == due != TSP.verify(instance, reply)
    assert TSP.verify_many(instance, [reply, "?", reply], thoughts)[0] == due
    assert TSP.parse_reply(instance, reply, thoughts) == due.solution
    episode = Episode.of_spec(TSP.spec(seed=1), Protocol(thoughts=thoughts))
    episode.say(reply)
    assert episode.kept is not None and episode.kept.verdict == due and episode.kept_reply == reply


def test_a_reply_that_begins_in_thoughts_and_is_cut_off_there_is_no_answer() -> None:
    instance = TSP.instance(seed=1)
    cut = f"So a first try would be {TSP.format(instance, TSP.heuristic(instance))}. But let me check whether it"
    assert TSP.verify(instance, cut).status == "feasible"
    assert TSP.verify(instance, cut, {"inside": True}).status == "malformed"
    with pytest.raises(ValueError, match="thoughts must be the end mark"):
        Protocol(thoughts=3)  # type: ignore[arg-type]
