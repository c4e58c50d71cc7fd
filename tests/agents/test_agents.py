"""Agents: the controls' skills, their determinism, and language models in batches."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import forge_gym
from forge_gym.agents import CONTROLS, RandomAgent, Task, make_agent, trained_on

NAMES = forge_gym.problems()


def tasks(name: str, count: int = 10) -> list[Task]:
    problem = forge_gym.problem(name)
    instances = [problem.instance(seed) for seed in range(count)]
    return [Task(problem, instance, ({"role": "user", "content": problem.prompt(instance)},)) for instance in instances]


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
    assert quality["trivial"] <= quality["random"] < quality["greedy"] < quality["exact"]


@pytest.mark.parametrize("name", NAMES)
def test_the_random_agent_depends_on_seed_instance_and_turn_alone(name: str) -> None:
    asked = tasks(name)
    replies = RandomAgent().answer(asked)
    assert RandomAgent().answer(asked[::-1]) == replies[::-1]
    assert RandomAgent(seed=1).answer(asked) != replies
    later = [Task(task.problem, task.instance, task.messages * 3) for task in asked]
    assert RandomAgent().answer(later) != replies


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("randm", "did you mean 'random'"),
        ("apy:m", "did you mean 'api'"),
        ("api:", "must name a model"),
        ("greedy:x", "No module named 'greedy'"),
        ("?", "valid: "),
        ("mine:Missing", "has no attribute 'Missing'"),
        ("mine:nothing", "neither a class nor a function"),
        ("mine:Nameless", "it has no name"),
        ("mine:Silent", "it has no method answer"),
        ("mine:silence", "too many positional arguments"),
        ("mine:Loud", "missing a required argument: 'volume'"),
    ],
)
def test_names_that_lead_to_no_agent_are_refused(name: str, words: str, mine: None) -> None:
    with pytest.raises(ValueError, match=words) as error:
        make_agent(name)
    assert "\n" not in str(error.value)


def test_options_of_controls_and_functions_are_refused(mine: None) -> None:
    with pytest.raises(ValueError, match="has no option 'seed'"):
        make_agent("greedy", seed=1)
    with pytest.raises(ValueError, match="unexpected keyword argument 'seed'"):
        make_agent("mine:shout", seed=1)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A module with agents of one's own, and one of the name of a built-in."""
    text = """
class Loud:
    name = "loud"
    def __init__(self, volume):
        self.volume = volume
    def answer(self, tasks):
        return ["!" * self.volume for _ in tasks]

class Silent:
    name = "silent"

class Nameless:
    def answer(self, tasks):
        return []

def silence():
    return []

def shout(tasks):
    return [task.prompt.upper() for task in tasks]

nothing = 1
"""
    for name in ("mine", "hf"):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("mine", None)


def test_an_agent_of_ones_own_is_a_class_or_a_function(mine: None) -> None:
    asked = tasks("TSP", 2)
    loud, shout = make_agent("mine:Loud", volume=3), make_agent("mine:shout")
    assert (loud.name, loud.answer(asked)) == ("loud", ["!!!", "!!!"])
    assert (shout.name, shout.answer(asked)) == ("shout", [task.prompt.upper() for task in asked])
    with pytest.raises(ValueError, match="model must be a folder"):  # never a module named like a built-in
        make_agent("hf:Silent")


@pytest.mark.parametrize(
    ("name", "missing", "install"),
    [
        ("api:m", "httpx", '"forge-gym[api]"'),
        ("hf:tiny", "torch", '"forge-gym[train]"'),
        ("sb3:x", "stable_baselines3", '"forge-gym[sb3]"'),
        ("vllm:tiny", "vllm", "vllm, which wants Linux and a GPU; hf:MODEL does without"),
    ],
)
def test_what_is_not_installed_is_named(
    name: str, missing: str, install: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sb3_contrib")
    monkeypatch.setitem(sys.modules, missing, None)
    for module in ("sb3", "openai_compatible"):
        monkeypatch.delitem(sys.modules, f"forge_gym.agents.{module}", raising=False)
    with pytest.raises(ImportError) as error:
        make_agent(name.replace("tiny", str(tiny_model)))
    assert str(error.value) == f"{name[: name.index(':') + 1]} needs {missing}: pip install {install}"


# ---------------------------------------------------------------- models on one's own machine


@pytest.mark.parametrize("kind", ["hf", "vllm"])
def test_a_model_that_is_not_there_is_refused_before_anything_slow(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for slow in ("torch", "vllm"):
        monkeypatch.setitem(sys.modules, slow, None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    (tmp_path / "file").write_text("")
    for model, words in {
        "path/to/model": r"no such folder, and the hub says: .*'repo_name'",
        "org/model": r"no such folder, and the hub says: .*offline",
        str(tmp_path): "the folder has no config.json",
        str(tmp_path / "file"): "Not a directory",
    }.items():
        with pytest.raises(ValueError, match=f"model must be a folder of a model.* got '{model}': .*{words}") as error:
            make_agent(f"{kind}:{model}")
        assert "\n" not in str(error.value)


def test_a_folder_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ValueError, match="model must be a causal language model") as error:
        make_agent(f"hf:{tmp_path}")
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_a_trained_model_knows_on_what(tmp_path: Path) -> None:
    assert trained_on("greedy") is trained_on(f"hf:{tmp_path}") is None
    note = tmp_path / "forge_gym.json"
    settings = {"problem": "TSP", "parameters": {"n": 6}, "max_new_tokens": 64}
    note.write_text(json.dumps(settings))
    assert trained_on(f"hf:{tmp_path}") == trained_on(f"vllm:{tmp_path}") == settings
    assert trained_on(f"api:{tmp_path}") is None
    for text in ("{", "[]", '{"problem": "TSP"}'):
        note.write_text(text)
        with pytest.raises(ValueError, match="must be a JSON object with problem and parameters"):
            trained_on(f"hf:{tmp_path}")


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
    assert agent.text(task) == f"[user] {task.prompt}\n[assistant] "
    tokenizer.chat_template = None
    assert agent.text(task) == task.prompt
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
