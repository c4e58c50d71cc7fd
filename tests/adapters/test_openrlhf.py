"""OpenRLHF: rows, reward file and agent file; what needs OpenRLHF itself is skipped where it is absent."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import math
import random
import re
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from adapters.replies import ALONE, HUGE, NUMBERS, SCRIPT, asked, raise_alarms
from cases import every_kind
from forge_gym.adapters.openrlhf import row
from forge_gym.adapters.openrlhf.reward import cut_reply, reward_func
from forge_gym.core.episode import Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.data.rows import samples

torch = pytest.importorskip("torch")

LOGS = NUMBERS[1:]
ROOT = Path(__file__).parents[2]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def printed(*arguments: str) -> str:
    command = [sys.executable, "-m", "forge_gym.adapters.openrlhf", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def load(path: Path | str, name: str) -> ModuleType:
    """Load a file as OpenRLHF does."""
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------------- reward


@every_kind
def test_the_reward_is_that_of_the_verdict(name: str) -> None:
    case = asked(name)
    # The prompt holds answers, of which none may count.
    question = f"{case.problem.prompt(case.instance)}\n{case.replies['optimal']}"
    prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    texts = list(case.replies.values())
    for scheme in ALONE:
        queries = [f"{prompt}{text}<|im_end|>" for text in texts]
        judged = reward_func(queries, [prompt] * len(texts), [case.spec] * len(texts), reward=scheme)
        verdicts = [case.problem.verify(case.instance, text) for text in texts]
        assert judged["rewards"].tolist() == [case.paid(text, scheme) for text in texts]
        assert judged["scores"].tolist() == [verdict.quality for verdict in verdicts]
        assert list(judged["extra_logs"]) == LOGS
        for values in judged["extra_logs"].values():
            assert values.shape == (len(texts),) and all(map(math.isfinite, values.tolist()))
        assert judged["extra_logs"]["optimal"].tolist() == [float(verdict.optimal) for verdict in verdicts]


TSP = forge_gym.problem("TSP", n=6)
SPEC, PROMPT = TSP.spec(seed=3), TSP.prompt(TSP.instance(seed=3))


def paid(query: str, prompt: str = PROMPT, spec: str = SPEC) -> float:
    return float(reward_func([query], [prompt], [spec])["rewards"][0])


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_no_reply_raises(reply: str) -> None:
    assert paid(PROMPT + reply) == -1
    assert cut_reply(PROMPT + reply, PROMPT) == reply


@pytest.mark.parametrize("reply", [*HUGE, PROMPT * 100], ids=range(6))
def test_nor_does_an_odd_one(reply: str) -> None:
    assert paid(PROMPT + reply) < 0
    moved = "  ".join(PROMPT.split(" "))  # as a decoder may leave it
    assert paid(moved + reply) == paid(PROMPT + reply)


@settings(max_examples=200, deadline=None)
@given(
    st.text("ab<answer> \n/[0]", max_size=200),
    st.text("ab<answer> \n/[0]", max_size=200),
    st.integers(0, 2**32),
)
def test_the_reply_is_cut_where_the_prompt_ends(prompt: str, reply: str, seed: int) -> None:
    assert cut_reply(prompt + reply, prompt) == reply
    draw = random.Random(seed)
    moved = "".join(character + draw.choice(["", " ", "\n"]) for character in prompt)
    found = cut_reply(moved + reply, prompt)
    assert "".join(found.split()) == "".join(reply.split())


def test_a_prompt_that_lost_its_beginning_pays_nothing_either() -> None:
    case = asked()
    best = case.replies["optimal"]
    prompt = f"<s>[INST] {case.problem.prompt(case.instance)}\nFor example {best} [/INST]"
    for start in range(0, len(prompt) - 60, 7):
        assert cut_reply(prompt[start:] + "no idea", prompt) == "no idea"
        assert paid(prompt[start:] + "no idea", prompt, case.spec) == -1
        assert paid(prompt[start:] + best, prompt, case.spec) == 1


def test_what_is_wrong_in_a_configuration_raises() -> None:
    with pytest.raises(ValueError, match=r"a spec must be a JSON object"):
        reward_func([PROMPT], [PROMPT], ["42"])
    with pytest.raises(ValueError, match=r"a spec must be a string, got None"):
        reward_func([PROMPT], [PROMPT], [None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"a query must begin with its prompt"):
        paid("<unk> <unk> <answer>[0, 1, 2, 3, 4, 5]</answer>")
    with pytest.raises(ValueError, match=r"a query must begin with its prompt"):
        paid("")
    with pytest.raises(ValueError, match=r"did you mean 'tiered'\?"):
        reward_func([PROMPT], [PROMPT], [SPEC], reward="tired")
    with pytest.raises(ValueError, match=r"reward must pay a single answer, got 'pairwise'"):
        reward_func([PROMPT], [PROMPT], [SPEC], reward="pairwise")
    with pytest.raises(ValueError, match=r"no argument 'rewards': did you mean 'reward'\?"):
        reward_func([PROMPT], [PROMPT], [SPEC], rewards="linear")


def test_an_alarm_is_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    case = asked("Knapsack")
    raise_alarms(monkeypatch, case.problem)
    with pytest.raises(CertificateError):
        paid(f"?{case.replies['optimal']}", "?", case.spec)


def test_the_files_load_as_openrlhf_loads_them(tmp_path: Path) -> None:
    path = Path(printed("reward"))
    assert path.suffix == ".py" and load(path, "reward_func").reward_func([PROMPT], [PROMPT], [SPEC])
    assert Path(printed("agent")).parent == path.parent
    with pytest.raises(subprocess.CalledProcessError):
        printed("rewards")


# ---------------------------------------------------------------------- rows


def test_rows_have_the_columns_of_the_options() -> None:
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack")]
    found = [row(each) for each in islice(samples(problems, levels=[0, 1]), 4)]
    assert [each["datasource"] for each in found] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 2
    assert [each["level"] for each in found] == [0, 0, 1, 1]
    for each in found:
        problem, instance = forge_gym.from_spec(each["label"])
        assert each["input"] == problem.prompt(instance) and problem.is_graded(instance)
    assert json.loads(json.dumps(found)) == found


# ---------------------------------------------------------------------- agent, alone


class Tokenizer:
    """Every character is a token, and so is each special text; with a chat template or without."""

    special = ("<|im_start|>", "<|im_end|>")

    def __init__(self, template: str | None = CHATML) -> None:
        self.chat_template = template

    def apply_chat_template(self, messages: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool) -> str:
        assert not tokenize and self.chat_template is not None
        text = "".join(f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages)
        return text + "<|im_start|>assistant\n" * add_generation_prompt

    def __call__(self, text: str, add_special_tokens: bool, return_tensors: str) -> dict[str, Any]:
        pieces = re.split("(" + "|".join(map(re.escape, self.special)) + ")", text)
        ids = [
            token
            for piece in pieces
            for token in ([-self.special.index(piece) - 1] if piece in self.special else map(ord, piece))
        ]
        return {"input_ids": torch.tensor([ids])}

    def decode(self, ids: list[int], skip_special_tokens: bool = False) -> str:
        return "".join(chr(each) if each >= 0 else self.special[-each - 1] for each in map(int, ids))


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The agent file, over stand-ins for OpenRLHF's base classes where it is absent."""
    try:
        import openrlhf.utils.agent  # noqa: F401
    except ModuleNotFoundError:

        class AgentInstanceBase:
            pass

        class MultiTurnAgentExecutor:
            def __init__(self, agent_instance_cls: type) -> None:
                assert issubclass(agent_instance_cls, AgentInstanceBase)

        module = SimpleNamespace(AgentInstanceBase=AgentInstanceBase, MultiTurnAgentExecutor=MultiTurnAgentExecutor)
        for name in ("openrlhf", "openrlhf.utils"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "openrlhf.utils.agent", module)  # type: ignore[arg-type]
    return load(ROOT / "src/forge_gym/adapters/openrlhf/agent.py", "agent_module")


def play(agent: ModuleType, prompt: str, spec: str, replies: list[Any], **options: Any) -> list[dict[str, Any]]:
    """Play an episode as the library's loop does and return what its steps return."""

    async def run() -> list[dict[str, Any]]:
        engine = SimpleNamespace(end="<|im_end|>")
        instance = agent.ForgeAgent(Tokenizer(), engine, Protocol(**options))
        assert await instance.reset({"observation": prompt, "label": spec}) == {"observation": prompt}
        found: list[dict[str, Any]] = []
        for reply in replies:
            if not found or not found[-1]["done"]:
                states = {"observation_text": prompt, "action_text": reply, "label": spec}
                found.append(await instance.step(states))
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("keep", ["best", "last"])
@every_kind
def test_an_episode_pays_the_kept_reply(agent: ModuleType, name: str, keep: str) -> None:
    case = asked(name)
    kinds = ["trivial", "prose", "greedy", "infeasible"]
    replies = [case.replies[kind] for kind in kinds]
    steps = play(agent, "?", case.spec, replies, turns=4, keep=keep, reward="linear")
    kept = case.replies["infeasible" if keep == "last" else "greedy"]
    assert sum(step["rewards"].item() for step in steps) == pytest.approx(case.paid(kept, "linear"), abs=1e-12)
    assert [step["done"] for step in steps] == [False, False, False, True]
    assert steps[-1]["scores"] == case.problem.verify(case.instance, kept).quality
    for step in steps:
        assert list(step["extra_logs"]) == [*LOGS, "turns"]
        assert step["environment_feedback"] == "" or not step["done"]
    (once,) = play(agent, "?", case.spec, [kept], turns=1)
    assert once["rewards"].item() == case.paid(kept)


@pytest.mark.parametrize(
    ("prompt", "opening", "closing"),
    [
        (PROMPT, "\n\n", "\n\n"),
        (f"User: {PROMPT}\nAssistant: ", "\n\nUser: ", "\nAssistant: "),
        ("another question", "\n\n", "\n\n"),
        (
            f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n",
            "\n<|im_start|>user\n",
            "<|im_end|>\n<|im_start|>assistant\n",
        ),
    ],
    ids=["plain", "template", "foreign", "chat"],
)
def test_feedback_follows_the_form_of_the_prompt(agent: ModuleType, prompt: str, opening: str, closing: str) -> None:
    (step,) = play(agent, prompt, SPEC, ["?"], turns=2)
    said = step["environment_feedback"]
    assert said.startswith(opening + "Your answer cannot be read")
    assert said.endswith("Answer in the same format." + closing)


@pytest.mark.parametrize("reply", ["\ud800", "<answer>" * 1_250_000, None, b"?", 3])
def test_no_reply_stops_an_episode(agent: ModuleType, reply: Any) -> None:
    found = play(agent, PROMPT, SPEC, [reply, "?"], turns=2)
    assert [step["rewards"].item() for step in found] == [-1, 0]


def test_what_is_wrong_in_an_agent_raises(agent: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="turns must be an integer of at least 1"):
        agent.executor(turns=0)
    with pytest.raises(ValueError, match=r"did you mean 'best'\?"):
        agent.executor(keep="bset")
    with pytest.raises(ValueError, match="reward must pay a single answer"):
        agent.executor(reward="pairwise")
    with pytest.raises(ValueError, match="a spec must be"):
        play(agent, PROMPT, "", ["?"])
    raise_alarms(monkeypatch, TSP)
    with pytest.raises(CertificateError):
        play(agent, "?", asked().spec, [asked().replies["optimal"]])


# ---------------------------------------------------------------------- inside OpenRLHF


class Scripted:
    """vLLM as the executors see it: replies in turn, their end in the tokens and not in the text."""

    def __init__(self, replies: list[str], end: str = "<|im_end|>") -> None:
        self.replies, self.end, self.asked = list(replies), end, list[list[int]]()

    async def generate(self, prompt_token_ids: list[int], sampling_params: Any, multi_modal_data: Any) -> Any:
        self.asked.append(list(prompt_token_ids))
        reply = self.replies.pop(0)
        tokens = Tokenizer()(reply + self.end, False, "pt")["input_ids"][0].tolist()
        stopped = len(tokens) <= sampling_params.max_tokens
        tokens = tokens[: sampling_params.max_tokens]
        text = reply if stopped else Tokenizer().decode(tokens)
        logprobs = [{token: SimpleNamespace(logprob=-0.5)} for token in tokens]
        return SimpleNamespace(
            outputs=[
                SimpleNamespace(
                    token_ids=tokens,
                    text=text,
                    finish_reason="stop" if stopped else "length",
                    logprobs=logprobs,
                )
            ]
        )


def dataset(tokenizer: Any, chat: bool, template: str | None = None) -> Any:
    module = pytest.importorskip("openrlhf.datasets.prompts_dataset", reason=SCRIPT.format("openrlhf"))
    options = SimpleNamespace(input_key="input", label_key="label", apply_chat_template=chat)
    strategy = SimpleNamespace(args=SimpleNamespace(data=options), is_rank_0=lambda: False)
    found = [row(each) for each in islice(samples(forge_gym.problem("TSP", n=6)), 3)]
    return module.PromptDataset(found, tokenizer, strategy, input_template=template), found


@pytest.mark.parametrize(("chat", "template"), [(True, None), (False, None), (False, "Q: {}\nA: ")])
def test_openrlhf_reads_the_rows_and_asks_the_reward_file(chat: bool, template: str | None) -> None:
    library = pytest.importorskip("openrlhf.utils.agent", reason=SCRIPT.format("openrlhf"))
    tokenizer = Tokenizer()
    data, found = dataset(tokenizer, chat, template)
    executor = library.SingleTurnAgentExecutor([printed("reward")])
    for (source, prompt, label, images), given_row in zip(data, found, strict=False):
        assert (source, label, images) == (given_row["datasource"], given_row["label"], None)
        problem, instance = forge_gym.from_spec(label)
        optimal = problem.format(instance, problem.reference(instance).solution)
        for reply in ("?", optimal, optimal * 2):
            for room in (None, 200):  # the second cuts the prompt's beginning off
                params = SimpleNamespace(max_tokens=room and 100, logprobs=1)
                response = asyncio.run(
                    executor.execute(prompt, label, params, room or 10**5, tokenizer, Scripted([reply]))
                )
                verdict = problem.verify(instance, reply)
                assert response["reward"].item() == forge_gym.reward("tiered")(verdict)
                assert response["scores"].item() == verdict.quality
                assert response["extra_logs"]["optimal"].item() == verdict.optimal


@pytest.mark.parametrize(("chat", "template"), [(True, None), (False, None), (False, "Q: {}\nA: ")])
def test_openrlhf_plays_the_agent_file(chat: bool, template: str | None) -> None:
    pytest.importorskip("openrlhf.utils.agent", reason=SCRIPT.format("openrlhf"))
    tokenizer = Tokenizer()
    executor = load(printed("agent"), "agent_module").AgentExecutor()
    data, _ = dataset(tokenizer, chat, template)
    prompts = [(prompt, label) for _, prompt, label, _ in (data[i] for i in range(3))]

    async def run(scripts: list[Scripted]) -> list[Any]:
        # As the library does it: all samples at once, with one object of parameters.
        params = SimpleNamespace(max_tokens=None, logprobs=1)
        return await asyncio.gather(
            *(
                executor.execute(prompt, label, params, 10**5, tokenizer, script)
                for (prompt, label), script in zip(prompts, scripts, strict=True)
            )
        )

    expected, scripts = [], []
    for _, label in prompts:
        problem, instance = forge_gym.from_spec(label)
        greedy = problem.format(instance, problem.heuristic(instance))
        replies = ["?", greedy, problem.format(instance, problem.random(instance, np.random.default_rng(1)))]
        verdicts = [problem.verify(instance, reply) for reply in replies]
        expected.append(max(verdicts, key=lambda verdict: verdict.quality))
        scripts.append(Scripted(replies))
    for response, best, script, (prompt, _) in zip(asyncio.run(run(scripts)), expected, scripts, prompts, strict=True):
        assert response["reward"] == pytest.approx(forge_gym.reward("tiered")(best), abs=1e-12)
        assert response["scores"] == best.quality and response["extra_logs"]["turns"] == 3
        tokens, ranges = response["observation_tokens"], response["action_ranges"]
        assert len(ranges) == 3 and ranges[-1][1] == len(tokens) == len(response["rollout_log_probs"])
        text = tokenizer.decode(tokens)
        assert text.startswith(prompt + "?<|im_end|>")
        if chat:  # one well-formed conversation: nothing ends twice
            turns = [each.removesuffix("<|im_end|>\n") for each in text.split("<|im_start|>")[1:]]
            assert [turn.split("\n")[0] for turn in turns] == ["user", "assistant"] * 3
            assert text.count("<|im_end|>") == 6
        assert script.asked[1] == tokens[: ranges[1][0]]


def test_an_episode_that_runs_out_of_room_pays_what_it_has() -> None:
    library = pytest.importorskip("openrlhf.utils.agent", reason=SCRIPT.format("openrlhf"))
    module = load(printed("agent"), "agent_module")
    case = asked()
    prompt = case.problem.prompt(case.instance)
    engine = Scripted([case.replies["greedy"], "?" * 10_000])
    params = SimpleNamespace(max_tokens=None, logprobs=None)
    executor = module.executor(turns=5)()
    assert isinstance(executor, library.AgentExecutorBase)
    room = len(prompt) + 400
    response = asyncio.run(executor.execute(prompt, case.spec, params, room, Tokenizer(), engine))
    assert response["truncated"] and len(response["action_ranges"]) == 2
    assert response["reward"] == pytest.approx(case.paid(case.replies["greedy"]))


def test_a_real_tokenizer_is_cut_and_asked_alike() -> None:
    library = pytest.importorskip("openrlhf.utils.agent", reason=SCRIPT.format("openrlhf"))
    pytest.importorskip("transformers")
    from chat_tokenizer import chat_tokenizer

    tokenizer = chat_tokenizer([PROMPT] * 3, 512)
    data, found = dataset(tokenizer, True)
    _, prompt, label, _ = data[0]
    problem, instance = forge_gym.from_spec(label)
    optimal = problem.format(instance, problem.reference(instance).solution)

    class Encoded(Scripted):
        async def generate(self, *given: Any, **named: Any) -> Any:
            output = await super().generate(*given, **named)
            output.outputs[0].token_ids = tokenizer(output.outputs[0].text + self.end)["input_ids"]
            return output

    params = SimpleNamespace(max_tokens=None, logprobs=None)
    reward = library.SingleTurnAgentExecutor([printed("reward")])
    response = asyncio.run(reward.execute(prompt, label, params, 10**5, tokenizer, Encoded([optimal])))
    assert response["reward"].item() == 1
    agent = load(printed("agent"), "agent_module").AgentExecutor()
    response = asyncio.run(agent.execute(prompt, label, params, 10**5, tokenizer, Encoded(["?", optimal])))
    assert response["reward"] == 1 and response["extra_logs"]["turns"] == 2
    text = tokenizer.decode(response["observation_tokens"])
    assert text.count("<|im_start|>assistant") == 2 and "<|im_end|>\n<|im_end|>" not in text
