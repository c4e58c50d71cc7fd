"""What language models are told before the question, and what their replies took: transformers and vLLM."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import forge_gym
from forge_gym.agents import Task, make_agent
from forge_gym.agents.agent import Message
from forge_gym.agents.prompting import Prompting, examples
from forge_gym.cli.models import options_of

NAMES = forge_gym.problems()
GEMMA_LIKE = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{{ '[' + m['role'] + '] ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)
SWALLOWING = (
    "{% for m in messages if m['role'] != 'system' %}{{ '[' + m['role'] + '] ' + m['content'] + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}[assistant] {% endif %}"
)


def task(name: str, seed: int = 0, **parameters: Any) -> Task:
    problem = forge_gym.problem(name, **parameters)
    instance = problem.instance(seed)
    return Task(problem, instance, ({"role": "user", "content": problem.prompt(instance)},))


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_solved_instances_of_the_same_kind(name: str) -> None:
    asked = task(name, level=0)
    system, *shown, last = Prompting("Be brief.", 3).messages(asked)
    assert system == {"role": "system", "content": "Be brief."} and last == asked.messages[0]
    prompts = [message["content"] for message in shown[::2]]
    replies = [message["content"] for message in shown[1::2]]
    assert [message["role"] for message in shown] == ["user", "assistant"] * 3
    assert len({*prompts, asked.prompt}) == 4
    for instance, prompt, reply in zip(examples(asked.problem, asked.instance, 3), prompts, replies, strict=True):
        assert prompt == asked.problem.prompt(instance) and instance.size == asked.instance.size
        assert asked.problem.verify(instance, reply).optimal


def test_examples_follow_the_form_of_the_question() -> None:
    forms: list[dict[str, Any]] = [{"style": "compact", "answer_format": "raw"}, {"answer_format": "line"}]
    for options in forms:
        asked = task("TSP", **options)
        _, reply, _ = Prompting(shots=1).messages(asked)
        (shown,) = examples(asked.problem, asked.instance, 1)
        assert asked.problem.verify(shown, reply["content"]).optimal


def test_examples_are_the_same_for_all_but_the_instance_among_them() -> None:
    problem = forge_gym.problem("MaxClique", n=10)
    one, other = problem.instance(0), problem.instance(1)
    first, second, third = examples(problem, one, 3)
    assert examples(problem, other, 3) == [first, second, third]
    assert examples(problem, second, 2) == [first, third]
    turned = problem.relabelled(second, tuple(reversed(range(second.size))))
    assert turned != second and examples(problem, turned, 2) == [first, third]


def test_a_conversation_comes_after_the_examples() -> None:
    asked = task("TSP")
    later = replace(
        asked,
        messages=(
            *asked.messages,
            {"role": "assistant", "content": "?"},
            {"role": "user", "content": "Again."},
        ),
    )
    messages = Prompting(shots=1).messages(later)
    assert messages[2:] == list(later.messages) and messages[:2] == Prompting(shots=1).messages(asked)[:2]


def test_nothing_is_added_by_default() -> None:
    asked = task("TSP")
    assert Prompting().messages(asked) == list(asked.messages)


@pytest.mark.parametrize("shots", [-1, 101, 1.5, "2"])
def test_bad_numbers_of_examples_are_refused(shots: Any) -> None:
    with pytest.raises(ValueError, match="shots must be an integer"):
        Prompting(shots=shots)


def test_a_problem_without_other_instances_says_so() -> None:
    problem = forge_gym.problem("SubsetSum", n=3, largest=4)
    with pytest.raises(ValueError, match=r"must leave room|other than the asked"):
        examples(problem, problem.instance(), 20)


# ---------------------------------------------------------------- transformers


@pytest.fixture
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


TALK: list[Message] = [{"role": "system", "content": " Be brief. "}, {"role": "user", "content": "1 + 1?"}]


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (None, "[system]  Be brief. \n[user] 1 + 1?\n[assistant] "),
        (GEMMA_LIKE, "[user]  Be brief. \n\n1 + 1?\n[assistant] "),
        (SWALLOWING, "[user]  Be brief. \n\n1 + 1?\n[assistant] "),
    ],
)
def test_a_system_message_reaches_every_model(tokenizer: Any, template: str | None, text: str) -> None:
    from forge_gym.agents.causal_lm import render

    tokenizer.chat_template = template or tokenizer.chat_template
    assert render(tokenizer, TALK) == text


def test_other_errors_of_a_template_are_loud(tokenizer: Any) -> None:
    from jinja2 import TemplateError

    from forge_gym.agents.causal_lm import render

    tokenizer.chat_template = "{{ raise_exception('broken') }}"
    for talk in (TALK, TALK[1:]):
        with pytest.raises(TemplateError, match="broken"):
            render(tokenizer, talk)


def test_a_model_without_a_template_reads_it_all_as_one_text(tiny_model: Path, tokenizer: Any) -> None:
    from transformers import AutoModelForCausalLM

    from forge_gym.agents.causal_lm import TransformersAgent

    tokenizer.chat_template = None
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    asked = task("TSP", n=5)
    agent = TransformersAgent(model, tokenizer, system="Be brief.", shots=1)
    question, reply, _ = Prompting(shots=1).messages(asked)
    assert agent.text(asked) == f"Be brief.\n\n{question['content']}\n\n{reply['content']}\n\n{asked.prompt}"


def test_tokens_are_counted_and_ends_told_apart(tiny_model: Path) -> None:
    asked = [task("TSP", seed, n=5 + seed % 3) for seed in range(12)]
    agent: Any = make_agent(
        f"hf:{tiny_model}", max_new_tokens=40, temperature=8.0, top_p=0.999, batch_size=5, device="cpu"
    )
    replies = agent.replies(asked)
    assert [reply.text for reply in replies] == agent.answer(asked)
    assert {reply.finish for reply in replies} == {"stop", "length"}
    for each, reply in zip(asked, replies, strict=True):
        assert reply.prompt_tokens == len(agent.text(each))  # a token is a character here
        ended = reply.finish == "stop"
        assert ended or reply.completion_tokens == 40
        shown = (len(reply.text) + 1) // 2  # characters between blanks, none of them a special token
        assert shown + ended <= reply.completion_tokens <= 40
        assert reply.seconds > 0 and reply.attempts == 1


def test_a_reply_is_counted_up_to_its_end(tiny_model: Path) -> None:
    agent: Any = make_agent(f"hf:{tiny_model}", max_new_tokens=12, device="cpu")
    asked = task("TSP", n=5)
    inputs = agent.tokenizer(agent.text(asked), return_tensors="pt", add_special_tokens=False)
    output = agent.model.generate(
        input_ids=inputs["input_ids"],
        attention_mask=inputs["attention_mask"],
        max_new_tokens=12,
        do_sample=False,
    )
    tokens = output[0, inputs["input_ids"].shape[1] :].tolist()
    agent.model.generation_config.eos_token_id = [1, tokens[5]]  # some models have several ends
    (reply,) = agent.replies([asked])
    assert (reply.finish, reply.completion_tokens) == ("stop", tokens.index(tokens[5]) + 1)


@pytest.mark.parametrize("top_p", [0.0, 1.5])
def test_bad_sampling_is_refused(tiny_model: Path, top_p: float) -> None:
    with pytest.raises(ValueError, match="top_p must be above 0"):
        make_agent(f"hf:{tiny_model}", top_p=top_p)
    with pytest.raises(ValueError, match="did you mean 'max_new_tokens'"):
        make_agent(f"hf:{tiny_model}", max_new_token=3)


# ---------------------------------------------------------------- vLLM


@dataclass
class StandInParams:
    temperature: float
    top_p: float
    max_tokens: int
    seed: int


@dataclass
class Completion:
    text: str
    token_ids: Sequence[int]
    finish_reason: str | None


@dataclass
class Request:
    prompt_token_ids: Sequence[int]
    outputs: list[Completion]


class StandInLLM:
    """Not vLLM, which needs a GPU: what `VLLMAgent` uses of ``vllm.LLM``, as its documentation has it.

    It checks what it is given, and says how long a text it was asked and with which seed.
    """

    tokenizer: Any

    def __init__(self, model: str, dtype: str = "auto", max_model_len: int | None = None) -> None:
        assert Path(model).is_dir() and dtype == "auto" and max_model_len == 512

    def get_tokenizer(self) -> Any:
        return self.tokenizer

    def generate(
        self,
        prompts: list[dict[str, list[int]]],
        sampling_params: list[StandInParams],
        use_tqdm: bool = True,
    ) -> list[Request]:
        assert not use_tqdm
        return [
            Request(
                prompt["prompt_token_ids"],
                [Completion(f"{len(prompt['prompt_token_ids'])} {p.seed}", range(p.max_tokens), "length")],
            )
            for prompt, p in zip(prompts, sampling_params, strict=True)
        ]


@dataclass
class StandInArgs:
    model: str
    tensor_parallel_size: int = 1
    max_model_len: int | None = None


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tokenizer: Any) -> Any:
    module = ModuleType("vllm")
    vars(module).update(LLM=StandInLLM, SamplingParams=StandInParams, EngineArgs=StandInArgs)
    StandInLLM.tokenizer = tokenizer
    monkeypatch.setitem(sys.modules, "vllm", module)
    return tokenizer


@pytest.mark.parametrize("template", [None, GEMMA_LIKE, ""])
def test_vllm_is_asked_as_its_documentation_says(stand_in: Any, tiny_model: Path, template: str | None) -> None:
    stand_in.chat_template = (template or None) if template is not None else stand_in.chat_template
    options: dict[str, Any] = {"system": "Be brief.", "shots": 1, "max_new_tokens": 7, "temperature": 0.5}
    agent: Any = make_agent(f"vllm:{tiny_model}", engine={"max_model_len": 512}, **options)
    group = [replace(task("TSP", n=5), sample=sample) for sample in range(3)]
    replies = agent.replies(group)
    assert agent.name == "tiny" and agent.replies([]) == []
    assert [reply.text for reply in replies] == agent.answer(group)
    assert len({reply.text for reply in replies}) == 3  # seeds follow from the sample number
    for reply in replies:
        length, seed = map(int, reply.text.split())
        assert length == len(agent.text(group[0])) > len(group[0].prompt) * 1.5
        assert (reply.prompt_tokens, reply.completion_tokens, reply.finish) == (length, 7, "length")
        assert 0 <= seed < 2**31


def test_the_command_line_hands_engine_options_on() -> None:
    values = {"engine": ["tensor_parallel_size=2", "quantization=fp8"], "max_new_tokens": 9}
    engine = {"tensor_parallel_size": 2, "quantization": "fp8"}
    assert options_of("vllm:m", values) == {"max_new_tokens": 9, "engine": engine}
    assert options_of("vllm:m", values | {"engine": None}) == {"max_new_tokens": 9}


def test_bad_options_of_vllm_are_refused(stand_in: Any, tiny_model: Path) -> None:
    with pytest.raises(ValueError, match="engine has no argument 'tensor_paralel': did you mean 'tensor_p"):
        make_agent(f"vllm:{tiny_model}", engine={"tensor_paralel": 2})
    with pytest.raises(ValueError, match="did you mean 'max_new_tokens'"):
        make_agent(f"vllm:{tiny_model}", max_tokens=1)
