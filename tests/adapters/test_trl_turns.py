"""Several turns in TRL: the tool face and the dialogue in free text, alone and inside a real trainer."""

from __future__ import annotations

import inspect
import json
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import MethodType, SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.adapters.trl import RewardFunction, make_dataset
from forge_gym.adapters.trl.rollout import Rollout
from forge_gym.adapters.trl.tools import (
    SOLVERS,
    ToolEnvironment,
    environment_factories,
    environment_factory,
)

# How a reply in ChatML is read back, tool calls included.
RESPONSE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open": "<tool_call>",
            "close_pattern": r"</tool_call>\s*",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"<\|im_end\|>\s*", "content": "text"},
    },
}
NAMES = forge_gym.problems()
OVER = "The episode is over: this changes nothing."


def raw(name: str, **parameters: Any) -> Any:
    return forge_gym.problem(name, answer_format="raw", **parameters)


def answers(problem: Any, seed: int = 5) -> tuple[str, list[str]]:
    """A spec, and replies to it from malformed to optimal."""
    index, instance = next(problem.graded_instances(seed))
    solutions = [
        problem.random(instance, np.random.default_rng(0)),
        problem.trivial(instance),
        problem.heuristic(instance),
        problem.reference(instance).solution,
    ]
    solutions.sort(key=lambda found: problem.objective(instance, found), reverse=problem.sense == "min")
    return problem.spec(seed, index), ["no idea", *(problem.format(instance, found) for found in solutions)]


def break_verifier(monkeypatch: pytest.MonkeyPatch, problem: Any, spec: str) -> None:
    verify, broken = type(problem).verify, forge_gym.from_spec(spec)[1]

    def verify_or_fail(self: Any, instance: Any, text: str, *more: Any) -> Any:
        if instance is broken:
            raise ZeroDivisionError("a bug of ours")
        return verify(self, instance, text, *more)

    monkeypatch.setattr(type(problem), "verify", verify_or_fail)


# ---------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("options", "tools"),
    [
        ({}, {"submit"}),
        ({"reward": "linear"}, {"submit", "get_reward"}),
        ({"solve": True}, {"submit", "solve"}),
        ({"reward": "linear", "solve": True}, {"submit", "solve", "get_reward"}),
    ],
)
def test_the_trainer_finds_these_functions(options: dict[str, Any], tools: set[str]) -> None:
    cls = environment_factory("TSP", **options)
    functions = {name for name, _ in inspect.getmembers(cls, inspect.isfunction) if name[0] != "_"}
    methods = {name for name, _ in inspect.getmembers(cls(), inspect.ismethod) if name[0] != "_"}
    assert functions == methods == tools | {"reset"}
    assert hasattr(cls, "get_reward") is ("reward" in options)


def test_tools_have_schemas() -> None:
    utils = pytest.importorskip("transformers.utils")
    environment: Any = environment_factory("TSP", solve=True)()
    for tool, arguments in (
        (environment.submit, ["answer"]),
        (environment.solve, ["method"]),
    ):
        schema = utils.get_json_schema(tool)["function"]
        assert list(schema["parameters"]["properties"]) == arguments and "problem" in schema["description"]
    assert schema["parameters"]["properties"]["method"]["enum"] == list(SOLVERS)


def test_equal_arguments_give_one_class() -> None:
    cls = environment_factory("TSP")
    assert cls is environment_factory("TSP", turns=3, keep="best", reward=None, solve=False)
    assert cls.__name__ == "TSPEnvironment"
    others = [
        environment_factory("Knapsack"),
        environment_factory("TSP", turns=2),
        environment_factory("TSP", keep="last"),
        environment_factory("TSP", reward="tiered"),
        environment_factory("TSP", solve=True),
    ]
    assert len({cls, *others}) == 6
    problems = [raw("TSP"), "Knapsack"]
    assert environment_factories(problems) == {"TSP": cls, "Knapsack": environment_factory("Knapsack")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"problem": "TPS"}, "did you mean 'TSP'"),
        ({"problem": ["TSP"]}, "is not registered"),
        ({"turns": 0}, "turns must be an integer of at least 1"),
        ({"turns": 2.0}, "turns must be an integer"),
        ({"keep": "bets"}, "did you mean 'best'"),
        ({"reward": "tired"}, "did you mean 'tiered'"),
        ({"reward": ""}, "reward must be one of"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
    ],
)
def test_a_wrong_factory_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        environment_factory(**({"problem": "TSP"} | arguments))


def test_a_wrong_row_is_refused() -> None:
    environment = environment_factory("TSP")()
    for row, words in (
        ({"prompt": "?"}, r"a row must have the column 'spec', got \['prompt'\]"),
        (
            {"spec": raw("Knapsack").spec()},
            "spec must be of TSP, .*, got Knapsack: give the trainer",
        ),
        ({"spec": forge_gym.problem("TSP").spec()}, r"answer_format must be 'raw' .*, got 'tags': build"),
        ({"spec": "{}"}, "a spec must be a JSON object"),
    ):
        with pytest.raises(ValueError, match=words):
            environment.reset(**row)
    assert environment.answer == "" and environment.submissions == 0


def test_before_the_first_reset_nothing_happens() -> None:
    environment: Any = environment_factory("TSP", reward="linear", solve=True)()
    for said in (environment.submit("[0]"), environment.solve("exact")):
        assert "no problem yet" in said
    assert environment.solver_calls == 0
    assert (environment.answer, environment.submissions, environment.get_reward()) == ("", 0, None)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_return_is_the_reward_of_the_kept_answer(name: str, keep: str) -> None:
    problem = raw(name)
    spec, texts = answers(problem)
    instance = forge_gym.from_spec(spec)[1]
    environment: Any = environment_factory(name, turns=3, keep=keep, reward="tiered")()
    alone = gym.make(f"Forge/{name}-v0", answer_format="raw")

    def single(text: str) -> float:
        alone.reset(options={"instance": instance})
        return float(alone.step(text)[1])

    several = gym.make(f"Forge/{name}-v0", answer_format="raw", turns=3, keep=keep)
    for tried in ([2, 0, 1], [0, 1, 2], [1, 4, 2], [0, 0, 0], [3, 4, 0]):
        hint = environment.reset(spec=spec, prompt=problem.prompt(instance), level=3)
        assert hint.startswith("\n\n") and "submit" in hint and "3 answers" in hint and f"{keep} one" in hint
        assert (environment.answer, environment.submissions, environment.get_reward()) == ("", 0, -1.0)
        several.reset(options={"instance": instance})
        played: list[str] = []
        for text in (texts[i] for i in tried):
            if 4 in tried and texts[4] in played:  # the optimum ended the episode
                assert environment.submit(text) == OVER
                continue
            played.append(text)
            assert environment.submit(text) == several.step(text)[0]
        kept = max(played, key=single) if keep == "best" else played[-1]
        assert environment.answer == kept and environment.submissions == len(played)
        assert environment.get_reward() == single(kept)
        function = RewardFunction()
        assert function(completions=[environment.answer], spec=[spec]) == [single(kept)]


def test_after_the_end_nothing_changes() -> None:
    spec, texts = answers(raw("TSP"))
    environment: Any = environment_factory("TSP", turns=2, reward="linear")()
    for first, second in ((texts[1], texts[2]), (texts[4], None)):
        environment.reset(spec=spec)
        environment.submit(first)
        if second is not None:
            assert "Revise" not in environment.submit(second)
        before = environment.answer, environment.submissions, environment.get_reward()
        assert environment.submit(texts[0]) == environment.submit(texts[4]) == OVER
        assert before == (environment.answer, environment.submissions, environment.get_reward())
    environment.reset(spec=spec)  # instances are pooled and used again
    assert environment.answer == "" and environment.submissions == 0 and "1 turn left" in environment.submit("")


@pytest.mark.parametrize("scheme", ["binary", "np_engine", "stepped", "verpo", "base_and_bonus"])
def test_silence_pays_what_an_empty_answer_pays(scheme: str) -> None:
    spec, texts = answers(raw("Knapsack"))
    environment: Any = environment_factory("Knapsack", turns=1, reward=scheme)()
    environment.reset(spec=spec)
    (empty,) = RewardFunction(scheme)(completions=[""], spec=[spec])
    assert environment.get_reward() == empty
    for text in texts:
        environment.reset(spec=spec)
        environment.submit(text)
        assert [environment.get_reward()] == RewardFunction(scheme)(completions=[text], spec=[spec])


def test_rollouts_of_a_group_share_the_instance() -> None:
    spec, texts = answers(raw("TSP"))
    cls: Any = environment_factory("TSP")
    one, other = cls(), cls()
    one.reset(spec=spec), other.reset(spec=spec)
    assert one._episode.instance is other._episode.instance
    assert one.submit(texts[2]) == other.submit(texts[2])
    one.submit(texts[3])
    assert (one.submissions, other.submissions) == (2, 1)


class Odd:
    def __str__(self) -> str:
        raise RuntimeError

    __repr__ = __str__


NESTED: list[Any] = []
for _ in range(100_000):
    NESTED = [NESTED]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(JSON, min_size=1, max_size=4), st.sampled_from(NAMES))
def test_no_argument_raises(given_answers: list[Any], name: str) -> None:
    environment: Any = environment_factory(name, reward="tiered")()
    environment.reset(spec=raw(name).spec())
    for answer in given_answers:
        assert isinstance(environment.submit(answer), str) and isinstance(environment.answer, str)
        assert -1 <= environment.get_reward() <= 1


def test_odd_arguments() -> None:
    environment: Any = environment_factory("TSP", turns=20, reward="tiered")()
    environment.reset(spec=raw("TSP", n=5).spec())
    for answer in (
        None,
        10**5000,
        [10**5000],
        NESTED,
        {1, 2},
        object(),
        Odd(),
        float("nan"),
        "\ud800",
        b"[0]",
    ):
        said = environment.submit(answer)
        assert said.startswith("Your answer cannot be read") and said.isascii()
    assert environment.get_reward() == -1 and environment.submissions == 10
    assert "infeasible" in environment.submit([0, 1, 2])  # a list is what the string would have spelt
    assert environment.answer == "[0, 1, 2]"
    environment.submit((0, 1, 2, 3, 4))
    assert environment.answer == "[0, 1, 2, 3, 4]" and environment.get_reward() > -0.4


def test_faults_pay_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    problem = raw("TSP", n=6)
    spec, texts = answers(problem, seed=11)
    environment: Any = environment_factory("TSP", reward="tiered")()
    environment.reset(spec=spec)
    environment.submit(texts[1])
    with monkeypatch.context() as patched:
        break_verifier(patched, problem, spec)
        assert "could not be judged" in environment.submit(texts[2])
        assert environment.get_reward() is None and environment.submit(texts[1]) == OVER
        assert RewardFunction()(completions=[environment.answer], spec=[spec]) == [None]
    assert environment.answer == texts[2] and "a bug of ours" in caplog.text and "TSP" in caplog.text
    environment.reset(spec=spec)
    environment.submit(texts[1])
    assert environment.get_reward() > -1


def test_alarms_pay_none(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    problem = raw("TSP", n=6)
    spec, texts = answers(problem, seed=12)
    instance = forge_gym.from_spec(spec)[1]
    optimum = problem.reference(instance)
    wrong = type(optimum)(
        optimum.solution,
        optimum.greedy,
        optimum.greedy,
        "wrong",
        0,
        "min",
        trivial=optimum.trivial,
        greedy=optimum.greedy,
    )
    monkeypatch.setitem(instance.memo[problem._key], "reference", wrong)  # a certificate that the optimum beats
    environment: Any = environment_factory("TSP", reward="linear")()
    environment.reset(spec=spec)
    environment.submit(texts[4])
    assert environment.get_reward() is None and environment.answer == texts[4]
    assert "beats the certificate" in caplog.text


@pytest.mark.parametrize("name", NAMES)
def test_solvers_answer_as_the_controls_do(name: str) -> None:
    problem = raw(name)
    spec, _ = answers(problem)
    instance = forge_gym.from_spec(spec)[1]
    environment: Any = environment_factory(name, reward="tiered", solve=True)()
    skills = {}
    for calls, method in enumerate(SOLVERS, 1):
        hint = environment.reset(spec=spec)
        assert method in hint and "Call solve" in hint
        for _ in range(calls):
            answer = environment.solve(method)
        assert environment.solve(method) == answer  # the same whenever asked
        # A solver's answer pays nothing and takes no turn before it is submitted.
        assert (environment.answer, environment.submissions, environment.get_reward()) == ("", 0, -1.0)
        assert environment.solver_calls == calls + 1
        said = environment.submit(answer)
        verdict = problem.verify(instance, answer)
        assert verdict.feasible and environment.answer == answer and environment.submissions == 1
        assert environment.get_reward() == forge_gym.reward("tiered")(verdict)
        assert ("this is optimal" in said) == verdict.optimal
        skills[method] = verdict.skill
        if method == "exact":
            assert verdict.optimal and environment.submit(environment.solve("greedy")) == OVER
    assert skills["greedy"] == 0 <= skills["local search"] <= skills["exact"] == 1
    environment.reset(spec=spec)
    assert environment.solver_calls == 0


def test_solvers_are_there_only_where_asked_for() -> None:
    plain = environment_factory("TSP")()
    assert not hasattr(plain, "solve") and "solve" not in plain.reset(spec=raw("TSP").spec())
    assert plain.solver_calls == 0


def test_an_unknown_method_lists_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    environment: Any = environment_factory("TSP", reward="tiered", solve=True)()
    environment.reset(spec=answers(raw("TSP", n=6))[0])
    odd = (
        None,
        3,
        ["exact"],
        {"method": "exact"},
        NESTED,
        Odd(),
        b"exact",
        "\ud800",
        "x" * 10**7,
        "",
        "Exact",
    )
    for method in odd:
        said = environment.solve(method)
        assert said == "There is no such method. The methods are: greedy, local search, exact."
    assert (environment.solver_calls, environment.submissions, environment.get_reward()) == (0, 0, -1.0)

    def fail(*_: Any) -> Any:
        raise ZeroDivisionError("a bug of ours")

    with monkeypatch.context() as patched:
        patched.setattr(type(raw("TSP")), "heuristic", fail)
        assert "failed, through no fault of yours" in environment.solve("greedy")
    assert "a bug of ours" in caplog.text and environment.solver_calls == 0
    assert "greedy heuristic" in environment.submit(environment.solve("greedy"))


PROBE = """
import pickle, sys
cls, environment = pickle.load(sys.stdin.buffer)
from forge_gym.adapters.trl.tools import environment_factory
assert cls is type(environment) is environment_factory("TSP", turns=2, reward="linear", solve=True)
print(environment.solver_calls, environment.solve("exact"), environment.solver_calls)
print(environment.submit("[]"), environment.submissions, environment.get_reward())
"""


def test_classes_and_instances_travel() -> None:
    cls: Any = environment_factory("TSP", turns=2, reward="linear", solve=True)
    environment = cls()
    assert pickle.loads(pickle.dumps(cls)) is cls and type(pickle.loads(pickle.dumps(environment))) is cls
    environment.reset(spec=raw("TSP", n=5).spec())
    environment.submit("[0, 1, 2]")
    environment.solve("greedy")
    assert pickle.loads(pickle.dumps(ToolEnvironment)) is ToolEnvironment
    there = subprocess.run(
        [sys.executable, "-c", PROBE],
        input=pickle.dumps((cls, environment)),
        capture_output=True,
        check=True,
    )
    solved, said, reward = environment.solve("exact"), environment.submit("[]"), environment.get_reward()
    assert there.stdout.decode().strip() == f"1 {solved} 2\n{said} 2 {reward}"


# ---------------------------------------------------------------------- dialogues in free text

TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# As with the models that think: the last reply carries (empty) thoughts, earlier ones lose theirs.
THINKING = TEMPLATE.replace(
    "{{ m.content }}", "{% if m.role == 'assistant' and loop.last %}<t>\n</t>{% endif %}{{ m.content }}"
)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    """Characters and the marks of a chat, as tokens."""
    pytest.importorskip("transformers")
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    tokens = ["<pad>", "<unk>", "<|im_end|>", *map(chr, range(32, 127)), "\n"]
    words = Tokenizer(models.WordLevel({token: i for i, token in enumerate(tokens)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    words.decoder = decoders.Fuse()
    found = PreTrainedTokenizerFast(
        tokenizer_object=words,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|im_end|>",
        padding_side="left",
        clean_up_tokenization_spaces=False,
        additional_special_tokens=["<|im_start|>"],
    )
    found.add_tokens(["<tool_call>", "</tool_call>"])
    found.chat_template, found.response_template = TEMPLATE, RESPONSE
    return found


Policy = Callable[[str, int], str]
"""From what the model reads and the number of the turn to what it writes, with or without an end mark."""


class Scripted:
    """What `Rollout` uses of a trainer, with a policy in place of a model."""

    use_vllm = False

    def __init__(self, tokenizer: Any, policy: Policy, limit: int = 4096, logprobs: bool = False) -> None:
        self.processing_class, self.policy, self.max_completion_length = tokenizer, policy, limit
        self.chat_template, self.chat_template_kwargs = None, {"enable_thinking": False}
        self.eos_token_ids = [tokenizer.eos_token_id]
        self.logprobs, self.batches, self.context = logprobs, list[int](), 10**6
        self.model = SimpleNamespace(config=self)
        self.starts: list[list[int]] = []
        self.accelerator = SimpleNamespace(num_processes=1, device="cpu")

    def get_text_config(self) -> Any:
        return SimpleNamespace(max_position_embeddings=self.context)

    def _tokenize_prompts(self, prompts: list[Any]) -> tuple[list[list[int]], None, dict[str, Any]]:
        tokenizer = self.processing_class
        self.starts = [
            tokenizer(text=prompt)["input_ids"]
            if isinstance(prompt, str)
            else tokenizer.apply_chat_template(prompt, add_generation_prompt=True, return_dict=False)
            for prompt in prompts
        ]
        return self.starts, None, {}

    def _generate_single_turn(self, contexts: list[list[int]], images: Any, fields: Any, count: int) -> Any:
        assert images is None and fields == {} and count == 1
        self.batches.append(len(contexts))
        pieces = []
        for context in contexts:
            own = max((ids for ids in self.starts if context[: len(ids)] == ids), key=len)
            turn = context[len(own) :].count(self.eos_token_ids[0])
            if self.processing_class.decode(own).startswith("<|im_start|>"):
                turn = (turn + 1) // 2  # the messages of the user end so too
            text = self.policy(self.processing_class.decode(context), turn)
            pieces.append(self.processing_class(text=text, add_special_tokens=False)["input_ids"])
        pieces = [piece[: self.max_completion_length] for piece in pieces]
        drawn = [[-float(token) for token in piece] for piece in pieces]
        return pieces, drawn if self.logprobs else None


def say(*replies: str) -> Policy:
    return lambda _, turn: f"{replies[turn]}<|im_end|>"


def segments(tokenizer: Any, output: dict[str, Any], row: int) -> list[tuple[int, str]]:
    """The completion as (mask, text) runs."""
    found: list[tuple[int, list[int]]] = []
    for token, mask in zip(output["completion_ids"][row], output["env_mask"][row], strict=True):
        if not found or found[-1][0] != mask:
            found.append((mask, []))
        found[-1][1].append(token)
    return [(mask, tokenizer.decode(ids)) for mask, ids in found]


def row(problem: Any, spec: str, chat: bool = True) -> dict[str, Any]:
    prompt = problem.prompt(forge_gym.from_spec(spec)[1])
    return {"prompt": [{"role": "user", "content": prompt}] if chat else prompt, "spec": spec}


@pytest.fixture(scope="module")
def tsp() -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """A row as a chat, the same as text, and replies from malformed to optimal."""
    problem = forge_gym.problem("TSP", n=7)
    spec, texts = answers(problem)
    return row(problem, spec), row(problem, spec, chat=False), texts


TSP = tuple[dict[str, Any], dict[str, Any], list[str]]


def feedback(data: dict[str, Any], *replies: str, turns: int = 3) -> str:
    """What the environment says to the last reply."""
    problem, instance = forge_gym.from_spec(data["spec"])
    env = gym.make(f"Forge/{problem.name}-v0", n=instance.size, turns=turns)
    env.reset(options={"instance": instance})
    said = ""
    for reply in replies:
        said = env.step(reply)[0]
    return said


@pytest.mark.parametrize("logprobs", [False, True])
def test_masks_line_up(tokenizer: Any, tsp: TSP, logprobs: bool) -> None:
    chat, _, texts = tsp
    script = [texts[0], texts[2], texts[1]]
    trainer: Any = Scripted(tokenizer, say(*script), logprobs=logprobs)
    output = Rollout([chat])([chat["prompt"]] * 2, trainer)
    assert trainer.batches == [2, 2, 2] and output["turns_used"] == [3, 3]
    assert output["kept_reply"] == [texts[2]] * 2
    for i in range(2):
        runs = segments(tokenizer, output, i)
        assert [mask for mask, _ in runs] == [1, 0, 1, 0, 1]
        assert [text for mask, text in runs if mask] == [f"{text}<|im_end|>" for text in script]
        assert [text for mask, text in runs if not mask] == [
            f"\n<|im_start|>user\n{feedback(chat, *script[:turn])}<|im_end|>\n<|im_start|>assistant\n"
            for turn in (1, 2)
        ]
        if logprobs:
            tokens = zip(output["completion_ids"][i], output["env_mask"][i], strict=True)
            assert output["logprobs"][i] == [-float(token) if mask else 0 for token, mask in tokens]
        else:
            assert output["logprobs"] is None


@pytest.mark.parametrize("template", [TEMPLATE, THINKING])
def test_a_dialogue_is_what_the_template_makes_of_it(tokenizer: Any, tsp: TSP, template: str) -> None:
    chat, _, texts = tsp
    trainer: Any = Scripted(tokenizer, say(texts[0], texts[1]))
    trainer.chat_template = template
    output = Rollout([chat], turns=2)([chat["prompt"]], trainer)
    dialogue = [
        *chat["prompt"],
        {"role": "assistant", "content": texts[0]},
        {"role": "user", "content": feedback(chat, texts[0], turns=2)},
        {"role": "assistant", "content": texts[1]},
    ]
    ids = output["prompt_ids"][0] + output["completion_ids"][0]
    whole = tokenizer.apply_chat_template(dialogue, tokenize=False)
    assert tokenizer.decode(ids) + "\n" == whole
    assert [*ids, *tokenizer("\n")["input_ids"]] == tokenizer(whole)["input_ids"]


def test_templates_may_end_a_reply_in_other_ways(tokenizer: Any, tsp: TSP) -> None:
    chat, _, texts = tsp
    said = feedback(chat, texts[0], turns=2)
    trainer: Any = Scripted(tokenizer, say(texts[0] + "~", "?"))
    trainer.chat_template = TEMPLATE.replace("<|im_end|>", "~<|im_end|>")  # two marks, both written already
    output = Rollout([chat], turns=2)([chat["prompt"]], trainer)
    assert segments(tokenizer, output, 0)[1] == (
        0,
        f"\n<|im_start|>user\n{said}~<|im_end|>\n<|im_start|>assistant\n",
    )
    trainer.chat_template = TEMPLATE.replace("<|im_end|>", "#")  # unlike the model's: nothing is cut away
    output = Rollout([chat], turns=2)([chat["prompt"]], trainer)
    said = feedback(chat, texts[0] + "~", turns=2)
    assert segments(tokenizer, output, 0)[1] == (
        0,
        f"#\n<|im_start|>user\n{said}#\n<|im_start|>assistant\n",
    )
    trainer.chat_template = "{{ messages[0].content }}"
    with pytest.raises(ValueError, match="chat_template must show what the assistant says"):
        Rollout([chat], turns=2)([chat["prompt"]], trainer)


def test_plain_text_goes_on_in_lines(tokenizer: Any, tsp: TSP) -> None:
    _, plain, texts = tsp
    trainer: Any = Scripted(tokenizer, say(texts[0], texts[3]))
    output = Rollout([plain], turns=2)([plain["prompt"]], trainer)
    said = feedback(plain, texts[0], turns=2)
    assert segments(tokenizer, output, 0) == [
        (1, f"{texts[0]}<|im_end|>"),
        (0, f"\n{said}\n"),
        (1, f"{texts[3]}<|im_end|>"),
    ]
    assert tokenizer.decode(output["prompt_ids"][0]) == plain["prompt"]


@pytest.mark.parametrize("plain", [False, True])
def test_dialogues_end_at_the_optimum(tokenizer: Any, tsp: TSP, plain: bool) -> None:
    data, texts = tsp[1] if plain else tsp[0], tsp[2]
    other = row(forge_gym.problem("Knapsack", n=8), forge_gym.problem("Knapsack", n=8).spec(3), not plain)

    def policy(context: str, turn: int) -> str:
        return f"{texts[4] if 'tour' in context and turn == 1 else '?'}<|im_end|>"

    trainer: Any = Scripted(tokenizer, policy)
    prompts = [data["prompt"], other["prompt"], data["prompt"]]
    output = Rollout([data, other], turns=4)(prompts, trainer)
    assert trainer.batches == [3, 3, 1, 1] and output["turns_used"] == [2, 4, 2]
    assert output["kept_reply"] == [texts[4], "?", texts[4]]
    assert output["prompt_ids"] == trainer.starts
    rewards = RewardFunction()(completions=output["kept_reply"], spec=[data["spec"], other["spec"], data["spec"]])
    assert rewards == [1, -1, 1]


@pytest.mark.parametrize("plain", [False, True])
def test_the_length_is_bounded(tokenizer: Any, tsp: TSP, plain: bool) -> None:
    data, texts = tsp[1] if plain else tsp[0], tsp[2]
    policy = say(texts[0], texts[1], texts[2])
    (whole,) = Rollout([data])([data["prompt"]], Scripted(tokenizer, policy))["completion_ids"]
    lengths = set()
    for limit in (*range(1, len(whole), 7), len(whole), len(whole) + 1):
        trainer: Any = Scripted(tokenizer, policy, limit, logprobs=True)
        output = Rollout([data])([data["prompt"]], trainer)
        (ids,), (mask,), (logprobs,) = output["completion_ids"], output["env_mask"], output["logprobs"]
        assert ids == whole[: len(ids)] and 1 <= len(ids) <= limit and mask[-1] == 1
        assert len(ids) == len(mask) == len(logprobs)
        assert limit < len(whole) or ids == whole
        lengths.add(len(ids))
    assert len(lengths) > 10


def test_feedback_leaves_room_for_one_token(tokenizer: Any, tsp: TSP) -> None:
    chat, _, texts = tsp
    policy = say(texts[0], texts[1])
    runs = segments(tokenizer, Rollout([chat], turns=2)([chat["prompt"]], Scripted(tokenizer, policy)), 0)
    used = sum(len(tokenizer(text)["input_ids"]) for _, text in runs[:2])
    for limit, turns in ((used, 1), (used + 1, 2)):
        output = Rollout([chat], turns=2)([chat["prompt"]], Scripted(tokenizer, policy, limit))
        assert output["turns_used"] == [turns] and len(segments(tokenizer, output, 0)) == 2 * turns - 1
    trainer: Any = Scripted(tokenizer, policy)
    for context, turns in ((used, 1), (used + 1, 2)):  # the model's own ceiling counts the prompt too
        trainer.context = context + len(output["prompt_ids"][0])
        assert Rollout([chat], turns=2)([chat["prompt"]], trainer)["turns_used"] == [turns]


def test_a_reply_that_was_cut_off_is_the_last(tokenizer: Any, tsp: TSP) -> None:
    chat, _, texts = tsp
    trainer: Any = Scripted(tokenizer, lambda _, turn: texts[1] + ("" if turn else "<|im_end|>"))
    output = Rollout([chat], turns=5)([chat["prompt"]], trainer)
    assert output["turns_used"] == [2] and output["kept_reply"] == [texts[1]]
    silent: Any = Scripted(tokenizer, lambda _, turn: "" if turn else "?<|im_end|>")
    output = Rollout([chat], turns=5)([chat["prompt"]], silent)
    assert output["turns_used"] == [2] and output["kept_reply"] == ["?"]


@pytest.mark.parametrize("keep", ["best", "last"])
def test_best_or_last_counts(tokenizer: Any, tsp: TSP, keep: str) -> None:
    chat, _, texts = tsp
    for order in ([3, 1, 0], [0, 3, 2], [0, 0, 1]):
        replies = [f"Let me see. {texts[i]}" for i in order]
        trainer: Any = Scripted(tokenizer, say(*replies))
        output = Rollout([chat], keep=keep)([chat["prompt"]], trainer)
        rewards = RewardFunction()(completions=replies, spec=[chat["spec"]] * 3)
        best = replies[max(range(3), key=lambda i: rewards[i])]  # type: ignore[arg-type, return-value]
        assert output["kept_reply"] == [best if keep == "best" else replies[-1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_problem_is_talked_about(tokenizer: Any, name: str) -> None:
    problem = forge_gym.problem(name)
    spec, texts = answers(problem)
    data = row(problem, spec)
    trainer: Any = Scripted(tokenizer, say(texts[0], texts[1], texts[4]))
    output = Rollout([data])([data["prompt"]], trainer)
    assert output["kept_reply"] == [texts[4]] and 1 <= output["turns_used"][0] <= 3
    assert tokenizer.unk_token_id not in output["completion_ids"][0]


def test_prompts_must_be_known(tokenizer: Any, tsp: TSP) -> None:
    chat, plain, texts = tsp
    trainer: Any = Scripted(tokenizer, say(texts[4]))
    rollout = Rollout([chat])
    with pytest.raises(ValueError, match="prompts must be of rows that Rollout was given"):
        rollout([plain["prompt"]], trainer)
    assert rollout.register(plain) is plain
    assert rollout([plain["prompt"]], trainer)["kept_reply"] == [texts[4]]
    again = [{"content": chat["prompt"][0]["content"], "role": "user"}]
    assert rollout([again], trainer)["turns_used"] == [1]  # the order of keys means nothing
    with pytest.raises(ValueError, match="must have the columns 'prompt' and 'spec', got"):
        rollout.register({"prompt": "?"})
    for arguments, words in (
        ({"turns": 0}, "turns must be"),
        ({"keep": "first"}, "keep must be one of"),
    ):
        with pytest.raises(ValueError, match=words):
            Rollout(**arguments)


def test_rows_of_a_stream_are_registered_as_they_come(tokenizer: Any) -> None:
    datasets = pytest.importorskip("datasets")
    problem = forge_gym.problem("TSP", n=5)
    rollout = Rollout()
    rows = [row(problem, problem.spec(seed)) for seed in range(3)]
    stream = datasets.IterableDataset.from_generator(lambda: iter(rows)).map(rollout.register)
    (first,) = stream.take(1)
    assert rollout([first["prompt"]], Scripted(tokenizer, say("?", "?", "?")))["turns_used"] == [3]
    with pytest.raises(ValueError, match="prompts must be"):
        rollout([rows[2]["prompt"]], Scripted(tokenizer, say("?")))


def test_a_fault_ends_its_own_dialogue_alone(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    problem = forge_gym.problem("TSP", n=6)
    rows = [row(problem, problem.spec(seed)) for seed in (21, 22)]
    break_verifier(monkeypatch, problem, rows[1]["spec"])
    trainer: Any = Scripted(tokenizer, say("one", "two", "three"))
    output = Rollout(rows)([data["prompt"] for data in rows], trainer)
    assert output["turns_used"] == [3, 1] and output["kept_reply"] == ["one", "one"]
    assert "a bug of ours" in caplog.text
    rewards = RewardFunction()(completions=output["kept_reply"], spec=[data["spec"] for data in rows])
    assert rewards == [-1, None]


def test_processes_generate_together(tokenizer: Any, tsp: TSP) -> None:
    """As many calls and prompts in each, for a backend that all share."""
    torch = pytest.importorskip("torch")
    chat, _, texts = tsp
    scripts = [say(texts[4]), say("?", texts[1], texts[0]), say(texts[2], texts[4])]
    barrier, counts = threading.Barrier(3, timeout=60), [0] * 3
    trainers: list[Any] = []
    outputs: list[dict[str, Any]] = [{}] * 3

    def gather(process: int) -> Any:
        def gathered(count: Any) -> Any:
            counts[process] = int(count)
            barrier.wait()
            found = torch.tensor(counts)
            barrier.wait()
            return found

        return gathered

    def process(k: int) -> None:
        outputs[k] = Rollout([chat])([chat["prompt"]] * 2, trainers[k])

    for k, script in enumerate(scripts):
        trainers.append(Scripted(tokenizer, script))
        trainers[k].accelerator = SimpleNamespace(num_processes=3, device="cpu", gather=gather(k))
    threads = [threading.Thread(target=process, args=(k,)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [trainer.batches for trainer in trainers] == [[2, 2, 2]] * 3
    for script, output in zip(scripts, outputs, strict=True):
        assert output == Rollout([chat])([chat["prompt"]] * 2, Scripted(tokenizer, script))


# ---------------------------------------------------------------------- inside a trainer


@pytest.fixture(scope="module")
def model(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a language model of random weights that speaks this file's tokens."""
    pytest.importorskip("torch")
    from transformers import Qwen3Config, Qwen3ForCausalLM, set_seed

    set_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        head_dim=8,
        max_position_embeddings=4096,
        initializer_range=1.0,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    folder = tmp_path_factory.mktemp("models") / "turns"
    Qwen3ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def grpo(model: Path, out: Path, monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> Any:
    trl = pytest.importorskip("trl")
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    config = trl.GRPOConfig(
        output_dir=str(out),
        use_cpu=True,
        bf16=False,
        max_steps=2,
        per_device_train_batch_size=4,
        num_generations=2,
        max_completion_length=1000,
        learning_rate=1e-3,
        logging_steps=1,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
    )
    return trl.GRPOTrainer(model=str(model), args=config, **arguments)


CALLS = [
    '<tool_call>{"name": "submit", "arguments": {"answer": "no idea"}}</tool_call>',
    '<tool_call>{"name": "submit", "arguments": {"answer": ANSWER}}</tool_call>',
    '<tool_call>{"name": "submit", "arguments": {"solution": "[0]"}}</tool_call>',  # no such argument
    "Done.",
]


@pytest.mark.parametrize("scheme", [None, "linear"])
def test_grpo_with_tools(
    model: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str | None
) -> None:
    pytest.importorskip("datasets")
    problems = [raw("TSP", n=5), raw("Knapsack", n=5)]
    data = make_dataset(problems, 4)
    seen: list[Any] = []

    def reward(**given: Any) -> list[float | None]:
        answers = [environment.answer for environment in given["environments"]]
        seen.extend(zip(answers, given["spec"], strict=True))
        return RewardFunction()(**given)

    trainer = grpo(
        model,
        tmp_path,
        monkeypatch,
        train_dataset=data,
        environment_factory=environment_factories(problems, turns=2, reward=scheme),
        reward_funcs=None if scheme else reward,
    )

    def scripted(self: Any, contexts: list[list[int]], *_: Any, **__: Any) -> Any:
        pieces = []
        for i, context in enumerate(contexts):
            text = tokenizer.decode(context)
            assert "call submit with it. You may submit 2 answers" in text.partition("<|im_end|>")[0]
            answer = json.dumps(list(range(i % 3)))  # as text, or as the list itself
            call = CALLS[text.count("<|im_start|>tool")].replace("ANSWER", answer if i % 2 else f'"{answer}"')
            pieces.append(tokenizer(f"{call}<|im_end|>")["input_ids"])
        return pieces, None

    monkeypatch.setattr(trainer, "_generate_single_turn", MethodType(scripted, trainer))
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "tools/call_frequency" in entry]
    assert len(logged) == 2
    for entry in logged:
        assert entry["tools/call_frequency"] == 3
        assert entry["tools/failure_frequency"] == pytest.approx(1 / 3)
        assert entry["grad_norm"] > 0 and entry["frac_reward_zero_std"] == 0
    assert [environment.answer for environment in trainer.environments] == ["[]", "[0]", "[0, 1]", "[]"]
    assert all(environment.submissions == 2 for environment in trainer.environments)
    names = {type(environment).__name__ for environment in trainer.environments}
    assert names <= {"TSPEnvironment", "KnapsackEnvironment"}
    if scheme:
        assert set(trainer.reward_func_names) == {"TSPEnvironment", "KnapsackEnvironment"}
        assert all(np.isfinite(logged[-1][f"rewards/{name}/mean"]) for name in names)
    else:
        assert [answer for answer, _ in seen] == ["[]", "[0]", "[0, 1]", "[]"] * 2
        assert {json.loads(spec)["problem"] for _, spec in seen} == {"TSP", "Knapsack"}


def test_grpo_with_a_solver(model: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The solver's answer reaches the model, and pays once the model submits it."""
    pytest.importorskip("datasets")
    problem = raw("TSP", n=5)
    trainer = grpo(
        model,
        tmp_path,
        monkeypatch,
        train_dataset=make_dataset(problem, 4),
        environment_factory=environment_factory("TSP", reward="tiered", solve=True),
    )

    def scripted(self: Any, contexts: list[list[int]], *_: Any, **__: Any) -> Any:
        pieces = []
        for i, context in enumerate(contexts):
            results = [
                part.partition("<|im_end|>")[0].strip()
                for part in tokenizer.decode(context).split("<|im_start|>tool\n")[1:]
            ]
            calls = [("solve", {"method": ["greedy", "exact"][i % 2]}), ("solve", {"method": "magic"})]
            calls += [("submit", {"answer": results[0]})] if len(results) == 2 else []
            text = "Done."
            if len(results) < 3:
                call = {"name": calls[len(results)][0], "arguments": calls[len(results)][1]}
                text = f"<tool_call>{json.dumps(call)}</tool_call>"
            pieces.append(tokenizer(f"{text}<|im_end|>")["input_ids"])
        return pieces, None

    monkeypatch.setattr(trainer, "_generate_single_turn", MethodType(scripted, trainer))
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "tools/call_frequency" in entry]
    assert [entry["tools/call_frequency"] for entry in logged] == [3, 3]
    assert [entry["tools/failure_frequency"] for entry in logged] == [0, 0]  # a wrong method is no exception
    assert [entry["reward"] for entry in logged] == [0.5, 0.5]  # greedy's 0, the optimum's 1
    assert [environment.solver_calls for environment in trainer.environments] == [1] * 4
    assert [environment.get_reward() for environment in trainer.environments] == [0, 1, 0, 1]


def test_grpo_with_dialogues(model: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    data = make_dataset(forge_gym.problem("TSP", n=5, style="compact"), 4)
    seen: list[dict[str, Any]] = []

    def reward(**given: Any) -> list[float | None]:
        seen.append(given)
        return RewardFunction()(**given)

    trainer = grpo(model, tmp_path, monkeypatch, train_dataset=data, rollout_func=Rollout(data), reward_funcs=reward)
    generate = type(trainer)._generate_single_turn
    calls: list[int] = []

    def brief(self: Any, contexts: list[list[int]], *rest: Any) -> Any:
        """The model's own tokens, up to ten, with an end; every fourth reply is left without one."""
        pieces, logprobs = generate(self, contexts, *rest)
        calls.append(len(contexts))
        end = tokenizer.eos_token_id
        words = [[token for token in piece if token != end] or tokenizer("?")["input_ids"] for piece in pieces]
        return [word + [end] * (i % 4 != 3) for i, word in enumerate(words)], logprobs

    trainer.generation_config.max_new_tokens = 10
    monkeypatch.setattr(trainer, "_generate_single_turn", MethodType(brief, trainer))
    masks: list[Any] = []
    compute = trainer._compute_loss

    def spy(model: Any, inputs: dict[str, Any]) -> Any:
        masks.append((inputs["completion_mask"].clone(), inputs["tool_mask"].clone()))
        return compute(model, inputs)

    monkeypatch.setattr(trainer, "_compute_loss", spy)
    trainer.train()
    assert calls[:3] == [4, 3, 3] and len(seen) == 2
    assert all(batch["turns_used"] == [3, 3, 3, 1] for batch in seen)
    for (completion, tools), entry in zip(masks, trainer.state.log_history[:2], strict=False):
        assert completion.shape == tools.shape and (tools * completion).sum(1).max() <= 3 * 11
        assert ((1 - tools) * completion).sum(1).min() == 0 < ((1 - tools) * completion).sum(1).max()
        assert entry["completions/max_length"] <= 3 * 11
