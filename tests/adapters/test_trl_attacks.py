"""The attacks of the gate, put to the reward function of a trainer: it pays what the verdict is worth."""

from __future__ import annotations

import forge_gym
from cases import every_problem
from forge_gym.adapters.trl import RewardFunction
from forge_gym.core.rewards import REWARDS, tiered
from forge_gym.verification.attacks import ROWS
from forge_gym.verification.case import Case
from forge_gym.verification.definitions import definition_of


@every_problem
def test_a_trainer_pays_hostile_replies_what_they_are_worth(name: str) -> None:
    case = Case(forge_gym.problem(name), definition_of(name))
    for row in ROWS:
        texts = [reply.text for reply in row.replies(case)]
        if not texts:
            continue
        completions = [[{"role": "assistant", "content": text}] for text in texts]
        paid = RewardFunction("tiered")(completions=completions, spec=[case.spec] * len(texts))
        due = [tiered(case.problem.verify(case.instance, text)) for text in texts]
        assert paid == due and None not in paid, row


def test_a_group_that_agrees_on_one_reply_gains_nothing() -> None:
    case = Case(forge_gym.problem("TSP"), definition_of("TSP"))
    for scheme in REWARDS:
        reward = RewardFunction(scheme)
        for text in (case.say(case.poor), case.say(case.good), "?"):
            assert len(set(reward(completions=[text] * 8, spec=[case.spec] * 8))) == 1
