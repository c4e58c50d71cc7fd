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
from forge_gym.adapters.openrlhf import cut_reply, reward_func, row
from forge_gym.core.reference import CertificateError
from forge_gym.core.rewards import REWARDS
from forge_gym.data.rows import samples

torch = pytest.importorskip("torch")

NAMES = forge_gym.problems()
ALONE = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]
LOGS = ["quality", "skill", "ratio", "credit", "feasible", "malformed", "optimal"]
ROOT = Path(__file__).parents[2]
CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def answers(problem: Any, seed: int = 5) -> tuple[str, Any, list[str]]:
    """A spec, its instance, and replies to it from malformed to optimal."""
    index, instance = next(problem.graded_instances(seed))
    solutions = [
        *problem.null_answers(instance),
        problem.random(instance, np.random.default_rng(0)),
        problem.trivial(instance),
        problem.heuristic(instance),
        problem.reference(instance).solution,
    ]
    texts = ["no idea", *(problem.format(instance, found) for found in solutions)]
    return problem.spec(seed, index), instance, texts


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


def raise_alarms(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    def alarm(verdict: Any) -> Any:
        return type(verdict)(verdict.status, objective=verdict.objective, beats_bound=True)

    verify = type(problem).verify
    monkeypatch.setattr(type(problem), "verify", lambda *given: alarm(verify(*given)))


# ---------------------------------------------------------------------- reward


@pytest.mark.parametrize("name", NAMES)
def test_the_reward_is_that_of_the_verdict(name: str) -> None:
    problem = forge_gym.problem(name)
    spec, instance, texts = answers(problem)
    # The prompt holds answers, of which none may count.
    prompt = f"<|im_start|>user\n{problem.prompt(instance)}\n{texts[-1]}<|im_end|>\n<|im_start|>assistant\n"
    count = len(texts)
    for scheme in ALONE:
        queries = [f"{prompt}{text}<|im_end|>" for text in texts]
        found = reward_func(queries, [prompt] * count, [spec] * count, reward=scheme)
        verdicts = [problem.verify(instance, text) for text in texts]
        assert found["rewards"].tolist() == [forge_gym.reward(scheme)(verdict) for verdict in verdicts]
        assert found["scores"].tolist() == [verdict.quality for verdict in verdicts]
        assert all(0 <= score <= 1 for score in found["scores"])
        assert list(found["extra_logs"]) == LOGS
        for values in found["extra_logs"].values():
            assert values.shape == (count,) and all(map(math.isfinite, values.tolist()))
        assert found["extra_logs"]["optimal"].tolist() == [float(verdict.optimal) for verdict in verdicts]


TSP = forge_gym.problem("TSP", n=6)
SPEC, PROMPT = TSP.spec(seed=3), TSP.prompt(TSP.instance(seed=3))


def paid(query: str, prompt: str = PROMPT, spec: str = SPEC) -> float:
    return float(reward_func([query], [prompt], [spec])["rewards"][0])


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())))
def test_no_reply_raises(reply: str) -> None:
    assert paid(PROMPT + reply) == -1
    assert cut_reply(PROMPT + reply, PROMPT) == reply


@pytest.mark.parametrize(
    "reply",
    [
        "\ud800<answer>[0, 1, 2]</answer>\udfff",
        "<answer>" * 1_250_000,
        "<answer>" + "9" * 10_000_000 + "</answer>",
        "\x00" * 10_000_000,
        PROMPT * 100,
    ],
    ids=["surrogates", "tags", "digits", "zeros", "prompts"],
)
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
    spec, instance, texts = answers(TSP)
    question = TSP.prompt(instance)
    prompt = f"<s>[INST] {question}\nFor example {texts[-1]} [/INST]"
    for start in range(0, len(prompt) - 60, 7):
        assert cut_reply(prompt[start:] + texts[0], prompt) == texts[0]
        assert paid(prompt[start:] + texts[0], prompt, spec) == -1
        assert paid(prompt[start:] + texts[-1], prompt, spec) == 1


def test_what_is_wrong_in_a_configuration_raises() -> None:
    with pytest.raises(ValueError, match=r"a spec must be a JSON object"):
        reward_func([PROMPT], [PROMPT], ["42"])
    with pytest.raises(ValueError, match=r"a spec must be a string, got None"):
        reward_func([PROMPT], [PROMPT], [None])  # type: ignore[list-item]
    with pytest.raises(ValueError, match=r"a query must begin with its prompt"):
        paid("<unk> <unk> <answer>[0, 1, 2, 3, 4, 5]</answer>")
    with pytest.raises(ValueError, match=r"a query must begin with its prompt"):
        paid("")
    with pytest.raises(ValueError, match=r"must be as many, got 2, 1 and 1"):
        reward_func([PROMPT, PROMPT], [PROMPT], [SPEC])
    with pytest.raises(ValueError, match=r"did you mean 'tiered'\?"):
        reward_func([PROMPT], [PROMPT], [SPEC], reward="tired")
    with pytest.raises(ValueError, match=r"reward must pay a single answer, got 'pairwise'"):
        reward_func([PROMPT], [PROMPT], [SPEC], reward="pairwise")
    with pytest.raises(ValueError, match=r"no argument 'rewards': did you mean 'reward'\?"):
        reward_func([PROMPT], [PROMPT], [SPEC], rewards="linear")
    assert reward_func([], [], [])["rewards"].shape == (0,)


def test_an_alarm_is_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("Knapsack")
    spec, _, texts = answers(problem)
    raise_alarms(monkeypatch, problem)
    with pytest.raises(CertificateError):
        paid(f"?{texts[-1]}", "?", spec)


def test_the_files_load_as_openrlhf_loads_them(tmp_path: Path) -> None:
    path = Path(printed("reward"))
    assert path.suffix == ".py" and load(path, "reward_func").reward_func([PROMPT], [PROMPT], [SPEC])
    assert Path(printed("agent")).parent == path.parent
    with pytest.raises(subprocess.CalledProcessError):
        printed("rewards")


# ---------------------------------------------------------------------- rows


def test_rows_have_the_columns_of_the_options() -> None:
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack")]
    found = [row(sample, i) for i, sample in enumerate(islice(samples(problems, levels=[0, 1]), 4))]
    assert [each["datasource"] for each in found] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 2
    assert [(each["level"], each["index"]) for each in found] == [(0, 0), (0, 1), (1, 2), (1, 3)]
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

    def apply_chat_template(
        self, messages: list[dict[str, str]], tokenize: bool, add_generation_prompt: bool
    ) -> str:
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

        module = SimpleNamespace(
            AgentInstanceBase=AgentInstanceBase, MultiTurnAgentExecutor=MultiTurnAgentExecutor
        )
        for name in ("openrlhf", "openrlhf.utils"):
            monkeypatch.setitem(sys.modules, name, ModuleType(name))
        monkeypatch.setitem(sys.modules, "openrlhf.utils.agent", module)  # type: ignore[arg-type]
    return load(ROOT / "src/forge_gym/adapters/openrlhf/agent.py", "agent_module")


def play(
    agent: ModuleType, prompt: str, spec: str, replies: list[Any], **options: Any
) -> list[dict[str, Any]]:
    """Play an episode as the library's loop does and return what its steps return."""

    async def run() -> list[dict[str, Any]]:
        engine = SimpleNamespace(end="<|im_end|>")
        instance = agent.ForgeAgent(options.pop("tokenizer", Tokenizer()), engine, **options)
        assert await instance.reset({"observation": prompt, "label": spec}) == {"observation": prompt}
        found: list[dict[str, Any]] = []
        for reply in replies:
            if not found or not found[-1]["done"]:
                states = {
                    "observation_text": prompt,
                    "action_text": reply,
                    "label": spec,
                    "sampling_params": 7,
                }
                found.append(await instance.step(states))
        return found

    return asyncio.run(run())


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_an_episode_pays_the_kept_reply(agent: ModuleType, name: str, keep: str) -> None:
    problem = forge_gym.problem(name)
    spec, instance, texts = answers(problem)
    replies = [texts[-3], texts[0], texts[-2], texts[1]]
    found = play(agent, "?", spec, replies, turns=4, keep=keep, reward="linear")
    alone = [forge_gym.reward("linear")(problem.verify(instance, reply)) for reply in replies[: len(found)]]
    expected = alone[-1] if keep == "last" else max(alone)
    assert sum(step["rewards"].item() for step in found) == pytest.approx(expected, abs=1e-12)
    assert [step["done"] for step in found] == [False] * (len(found) - 1) + [True]
    kept = replies[alone.index(expected)]
    assert found[-1]["scores"] == problem.verify(instance, kept).quality
    for step in found:
        assert list(step["extra_logs"]) == [*LOGS, "turns"] and step["sampling_params"] == 7
        assert step["environment_feedback"] == "" or not step["done"]
    (once,) = play(agent, "?", spec, [texts[-2]], turns=1)
    assert once["rewards"].item() == forge_gym.reward("tiered")(problem.verify(instance, texts[-2]))


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
def test_feedback_follows_the_form_of_the_prompt(
    agent: ModuleType, prompt: str, opening: str, closing: str
) -> None:
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
        play(agent, PROMPT, SPEC, [answers(TSP)[2][-1]])


def test_the_page_runs(agent: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/adapters/openrlhf.md").read_text(), re.DOTALL)
    assert blocks
    for block in blocks:
        # A file of one's own imports the agent by name.
        monkeypatch.setitem(sys.modules, "forge_gym.adapters.openrlhf.agent", agent)
        exec(compile(block, "openrlhf.md", "exec"), {})


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
    module = pytest.importorskip("openrlhf.datasets.prompts_dataset")
    options = SimpleNamespace(input_key="input", label_key="label", apply_chat_template=chat)
    strategy = SimpleNamespace(args=SimpleNamespace(data=options), is_rank_0=lambda: False)
    found = [row(sample, i) for i, sample in enumerate(islice(samples(forge_gym.problem("TSP", n=6)), 3))]
    return module.PromptDataset(found, tokenizer, strategy, input_template=template), found


@pytest.mark.parametrize(("chat", "template"), [(True, None), (False, None), (False, "Q: {}\nA: ")])
def test_openrlhf_reads_the_rows_and_asks_the_reward_file(chat: bool, template: str | None) -> None:
    library = pytest.importorskip("openrlhf.utils.agent")
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
    pytest.importorskip("openrlhf.utils.agent")
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
    for response, best, script, (prompt, _) in zip(
        asyncio.run(run(scripts)), expected, scripts, prompts, strict=True
    ):
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
    library = pytest.importorskip("openrlhf.utils.agent")
    module = load(printed("agent"), "agent_module")
    spec, instance, texts = answers(TSP)
    prompt = TSP.prompt(instance)
    engine = Scripted([texts[-2], "?" * 10_000])
    params = SimpleNamespace(max_tokens=None, logprobs=None)
    executor = module.executor(turns=5)()
    assert isinstance(executor, library.AgentExecutorBase)
    room = len(prompt) + 400
    response = asyncio.run(executor.execute(prompt, spec, params, room, Tokenizer(), engine))
    assert response["truncated"] and len(response["action_ranges"]) == 2
    assert response["reward"] == pytest.approx(forge_gym.reward("tiered")(TSP.verify(instance, texts[-2])))


def test_a_real_tokenizer_is_cut_and_asked_alike() -> None:
    library = pytest.importorskip("openrlhf.utils.agent")
    pytest.importorskip("transformers")
    from forge_gym.training.scratch import chat_tokenizer

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
