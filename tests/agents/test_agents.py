"""Agents: the controls' skills, their determinism, and language models in batches."""

from __future__ import annotations

from pathlib import Path

import pytest

import forge_gym
from forge_gym.agents import CONTROLS, RandomAgent, Task, make_agent

NAMES = forge_gym.problems()


def tasks(name: str, count: int = 10) -> list[Task]:
    problem = forge_gym.problem(name)
    instances = [problem.instance(seed) for seed in range(count)]
    return [
        Task(problem, instance, ({"role": "user", "content": problem.prompt(instance)},))
        for instance in instances
    ]


@pytest.mark.parametrize("name", NAMES)
def test_controls(name: str) -> None:
    asked = tasks(name)
    quality = {}
    for control in CONTROLS:
        verdicts = [
            task.problem.verify(task.instance, reply)
            for task, reply in zip(asked, make_agent(control).answer(asked), strict=True)
        ]
        assert all(verdict.feasible for verdict in verdicts)
        quality[control] = sum(verdict.quality for verdict in verdicts) / len(verdicts)
    assert quality["trivial"] == 0 and quality["exact"] == 1
    assert quality["trivial"] < quality["random"] < quality["greedy"] < quality["exact"]


@pytest.mark.parametrize("name", NAMES)
def test_the_random_agent_depends_on_seed_instance_and_turn_alone(name: str) -> None:
    asked = tasks(name)
    replies = RandomAgent().answer(asked)
    assert RandomAgent().answer(asked[::-1]) == replies[::-1]
    assert RandomAgent(seed=1).answer(asked) != replies
    later = [Task(task.problem, task.instance, task.messages * 3) for task in asked]
    assert RandomAgent().answer(later) != replies


def test_unknown_agents_are_refused() -> None:
    with pytest.raises(ValueError, match="did you mean 'random'"):
        make_agent("randm")


def test_replies_do_not_depend_on_the_batch(tiny_model: Path) -> None:
    asked = [task for name in NAMES for task in tasks(name, 3)]
    alone = make_agent(f"hf:{tiny_model}", batch_size=1, max_new_tokens=12, device="cpu")
    together = make_agent(f"hf:{tiny_model}", batch_size=4, max_new_tokens=12, device="cpu")
    assert alone.name == together.name == "tiny"
    replies = alone.answer(asked)
    assert together.answer(asked) == replies and len(set(replies)) > 1


def test_sampling_is_reproducible_and_leaves_torch_alone(tiny_model: Path) -> None:
    import torch

    asked = tasks("TSP", 4)
    before = torch.random.get_rng_state()
    agent = make_agent(f"hf:{tiny_model}", max_new_tokens=12, temperature=1.0, device="cpu")
    assert agent.answer(asked) == agent.answer(asked)
    assert torch.equal(torch.random.get_rng_state(), before)
    other = make_agent(f"hf:{tiny_model}", max_new_tokens=12, temperature=1.0, seed=1, device="cpu")
    assert other.answer(asked) != agent.answer(asked)


def test_samples_of_one_question_differ_in_one_call_or_many(tiny_model: Path) -> None:
    (task,) = tasks("TSP", 1)
    group = [Task(task.problem, task.instance, task.messages, sample) for sample in range(4)]
    options = {"max_new_tokens": 6, "device": "cpu"}
    agent = make_agent(f"hf:{tiny_model}", temperature=1.0, batch_size=2, **options)
    for calls in ([group], [group[:2], group[2:]], [[task] for task in group]):
        replies = [reply for call in calls for reply in agent.answer(call)]
        assert len(set(replies)) == 4
        assert replies == [reply for call in calls for reply in agent.answer(call)]
    assert len(set(make_agent(f"hf:{tiny_model}", **options).answer(group))) == 1


def test_a_conversation_goes_through_the_chat_template_and_a_bare_prompt_without_one(
    tiny_model: Path,
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from forge_gym.agents.causal_lm import TransformersAgent

    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(tiny_model),
        AutoTokenizer.from_pretrained(tiny_model),
    )
    agent = TransformersAgent(model, tokenizer, name="mine", max_new_tokens=4)
    task = tasks("TSP", 1)[0]
    assert agent._text(task) == f"[user] {task.prompt}\n[assistant] "
    tokenizer.chat_template = None
    assert agent._text(task) == task.prompt
    assert len(agent.answer([task])) == 1 and agent.name == "mine"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"max_new_tokens": 0}, "max_new_tokens"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_bad_options_are_refused(tiny_model: Path, options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_agent(f"hf:{tiny_model}", **options)
