"""verl: reward function, rows and agent loop; what needs verl itself is skipped where it is absent."""

from __future__ import annotations

import asyncio
import json
import math
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from adapters.replies import ALONE, HUGE, NUMBERS, SCRIPT, asked, raise_alarms
from cases import every_kind
from forge_gym.adapters.verl import compute_score, row
from forge_gym.core.episode import Episode, Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.data.rows import samples, write

ROOT = Path(__file__).parents[2]

# ---------------------------------------------------------------------- reward


@every_kind
def test_the_score_is_the_reward_of_the_verdict(name: str) -> None:
    case = asked(name)
    for scheme in ALONE:
        for text in case.replies.values():
            verdict = case.problem.verify(case.instance, text)
            numbers = compute_score(f"forge_gym/{name}", text, case.spec, {"index": 0}, reward=scheme)
            assert numbers["score"] == case.paid(text, scheme)
            assert list(numbers) == NUMBERS and all(type(value) is float for value in numbers.values())
            assert all(math.isfinite(value) for value in numbers.values())
            assert (numbers["quality"], numbers["feasible"]) == (verdict.quality, verdict.feasible)


SPEC = forge_gym.problem("TSP", n=6).spec(seed=3)
WORST = compute_score("forge_gym/TSP", "", SPEC)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())) | st.none() | st.binary() | st.integers())
def test_no_reply_raises(reply: Any) -> None:
    assert compute_score("forge_gym/TSP", reply, SPEC) == WORST


@pytest.mark.parametrize("reply", HUGE, ids=range(len(HUGE)))
def test_nor_does_a_huge_one(reply: str) -> None:
    numbers = compute_score("forge_gym/TSP", reply, SPEC)
    assert list(numbers) == NUMBERS and numbers["score"] < 0


def test_no_column_stands_in_for_a_reply() -> None:
    case = asked()
    best = case.replies["optimal"]
    columns = dict.fromkeys(["answer", "completion", "response", "solution_str", "score", "certified"], best)
    assert compute_score(best, "no idea", case.spec, columns)["score"] == -1.0


def test_what_is_wrong_in_a_configuration_raises() -> None:
    with pytest.raises(ValueError, match=r"a spec must be a JSON object"):
        compute_score("forge_gym/TSP", "?", "42")
    with pytest.raises(ValueError, match=r"did you mean 'tiered'\?"):
        compute_score("forge_gym/TSP", "?", SPEC, reward="tired")
    with pytest.raises(ValueError, match=r"reward must pay a single answer, got 'pairwise'"):
        compute_score("forge_gym/TSP", "?", SPEC, reward="pairwise")
    with pytest.raises(ValueError, match=r"no argument 'scheme'"):
        compute_score("forge_gym/TSP", "?", SPEC, scheme="linear")
    compute_score("forge_gym/TSP", "?", SPEC, reward_router_address="host:1", reward_model_tokenizer=None)


def test_an_alarm_is_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    case = asked("Knapsack")
    raise_alarms(monkeypatch, case.problem)
    with pytest.raises(CertificateError):
        compute_score("forge_gym/Knapsack", case.replies["optimal"], case.spec)


def test_instances_and_references_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("TSP", n=7)
    solved: list[Any] = []
    solve = type(problem).solve

    def counted(self: Any, instance: Any, start: Any, limit: int) -> Any:
        solved.append(instance)
        return solve(self, instance, start, limit)

    monkeypatch.setattr(type(problem), "solve", counted)
    for answer in ([0, 1, 2, 3, 4, 5, 6], [0, 2, 1, 3, 4, 5, 6]) * 3:
        compute_score("forge_gym/TSP", f"<answer>{answer}</answer>", problem.spec(seed=77))
    assert len(solved) == 1


# ---------------------------------------------------------------------- rows


def rows(size: int) -> list[dict[str, Any]]:
    problems = [forge_gym.problem("TSP"), forge_gym.problem("Knapsack")]
    return [row(each) for each in islice(samples(problems, levels=[1, 2], seed=4), size)]


def test_rows_have_what_verl_documents() -> None:
    drawn = rows(8)
    assert json.loads(json.dumps(drawn)) == drawn
    assert [each["data_source"] for each in drawn] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 4
    assert [each["extra_info"]["level"] for each in drawn] == [1, 1, 2, 2] * 2
    for each in drawn:
        problem, instance = forge_gym.from_spec(each["reward_model"]["ground_truth"])
        assert each["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert each["ability"] == problem.family and each["reward_model"]["style"] == "rule"
        assert each["extra_info"]["instance_hash"] == problem.digest(instance) and problem.is_graded(instance)


def test_the_example_writes_its_rows(tmp_path: Path) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {
        "PATH": path,
        "FORGE_OUT": str(tmp_path),
        "FORGE_ROWS": "5",
        "FORGE_ROWS_ONLY": "1",
    }
    subprocess.run(["bash", ROOT / "examples/verl_grpo.sh"], check=True, env=environment, cwd=tmp_path)
    found = [json.loads(line) for line in (tmp_path / "rows/train.jsonl").read_text().splitlines()]
    assert len(found) == 5 and all(forge_gym.from_spec(each["reward_model"]["ground_truth"]) for each in found)


# ---------------------------------------------------------------------- inside verl


def compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Any:
    """The example's configuration as verl reads it."""
    pytest.importorskip("verl.trainer.config", reason=SCRIPT.format("verl"))
    hydra = pytest.importorskip("hydra")
    monkeypatch.setenv("FORGE_OUT", str(tmp_path))
    monkeypatch.setenv("FORGE_CONFIGS", str(ROOT / "examples/configs"))
    with hydra.initialize_config_dir(str(ROOT / "examples/configs"), version_base=None):
        return hydra.compose("verl_grpo", list(overrides))


def tokenizer() -> Any:
    from chat_tokenizer import chat_tokenizer

    return chat_tokenizer([rows(1)[0]["prompt"][0]["content"]] * 3, 512)


def test_verl_reads_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("verl.utils.dataset.rl_dataset", reason=SCRIPT.format("verl"))
    config = compose(tmp_path, monkeypatch)
    pytest.importorskip("omegaconf").OmegaConf.set_struct(config, False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    config.data.max_prompt_length = 4096
    found = rows(4)
    path = write(tmp_path / "train.jsonl", map(json.dumps, found))
    dataset = module.RLHFDataset(str(path), tokenizer(), config.data)
    assert len(dataset) == 4
    for drawn, item in zip(found, dataset, strict=False):
        assert item["raw_prompt"] == drawn["prompt"] and item["index"] == drawn["extra_info"]["index"]
        assert all(item[key] == drawn[key] for key in ("data_source", "reward_model", "extra_info"))
    batch = module.collate_fn([dataset[0], dataset[1]])
    assert batch["reward_model"][1] == found[1]["reward_model"]


def test_verl_calls_the_reward_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verl = pytest.importorskip("verl", reason=SCRIPT.format("verl"))
    torch = pytest.importorskip("torch")
    reward = pytest.importorskip("verl.trainer.ppo.reward")
    linear = "reward.custom_reward_function.reward_kwargs.reward=linear"
    config = compose(tmp_path, monkeypatch, linear)
    case, pieces, (row,) = asked(), tokenizer(), rows(1)
    texts = [case.replies[kind] for kind in ("prose", "infeasible", "trivial", "greedy", "optimal")]
    paid = []

    async def run() -> None:
        manager = reward.load_reward_manager(config, pieces)
        for text in texts:
            ids = torch.tensor([pieces(text + "<|im_end|>")["input_ids"]])
            data = verl.DataProto.from_dict(
                tensors={"responses": ids, "attention_mask": torch.ones_like(ids)},
                non_tensors={
                    "data_source": np.array([row["data_source"]], dtype=object),
                    "reward_model": np.array([{"style": "rule", "ground_truth": case.spec}], dtype=object),
                    "extra_info": np.array([dict(row["extra_info"])], dtype=object),
                },
            )
            paid.append(await manager.run_single(data))

    asyncio.run(run())
    assert [each["reward_score"] for each in paid] == [case.paid(text, "linear") for text in texts]
    assert all(list(each["reward_extra_info"]) == NUMBERS for each in paid)


class Server:
    """Says scripted replies, letter by letter, so that tokenising them again would give other tokens."""

    def __init__(self, pieces: Any, replies: list[str], chances: bool = True) -> None:
        self.pieces, self.replies, self.chances = pieces, list(replies), chances
        self.calls: list[tuple[str, list[int], dict[str, Any]]] = []
        self.drawn: list[list[int]] = []

    async def generate(
        self, request_id: str, *, prompt_ids: list[int], sampling_params: dict[str, Any], **_: Any
    ) -> Any:
        from verl.workers.rollout.replica import TokenOutput

        self.calls.append((request_id, list(prompt_ids), sampling_params))
        step, reply = len(self.calls), self.replies[len(self.calls) - 1]
        ids = [token for letter in reply for token in self.pieces(letter)["input_ids"]]
        ids = [*ids, self.pieces.eos_token_id][: sampling_params["max_tokens"]]
        self.drawn.append(ids)
        return TokenOutput(
            token_ids=ids,
            log_probs=[-float(step)] * len(ids) if self.chances else None,
            num_preempted=1,
            extra_fields={"min_global_steps": step, "max_global_steps": step},
        )


def build(config: Any, server: Server, pieces: Any, model_type: str | None = "qwen3") -> Any:
    """The loop as a worker of verl builds it, from the example's file of agent loops."""
    import hydra
    from omegaconf import OmegaConf
    from verl.experimental.agent_loop.agent_loop import DictConfigWrap, ToolListWrap
    from verl.utils.dataset.rl_dataset import RLHFDataset

    (entry,) = OmegaConf.load(config.actor_rollout_ref.rollout.agent.agent_loop_config_path)
    return hydra.utils.instantiate(
        config=entry,
        trainer_config=DictConfigWrap(config=config),
        server_manager=server,
        tokenizer=pieces,
        processor=None,
        hf_model_type=model_type,
        dataset_cls=RLHFDataset,
        data_config=DictConfigWrap(config.data),
        tools=ToolListWrap([]),
    )


def play(config: Any, server: Server, pieces: Any, row: Any, model_type: str | None = "qwen3") -> Any:
    async def run() -> Any:
        sampling = {"temperature": 1.0}
        output = await build(config, server, pieces, model_type).run(sampling, np.int64(3), **row)
        assert sampling == {"temperature": 1.0}
        return output

    return asyncio.run(run())


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Everything that an episode of the agent loop needs."""
    pytest.importorskip("verl.experimental.agent_loop.agent_loop", reason=SCRIPT.format("verl"))
    config = compose(tmp_path, monkeypatch)
    config.data.max_prompt_length, config.data.max_response_length = 4096, 2048
    case = asked()
    row = {
        "raw_prompt": [{"role": "user", "content": case.problem.prompt(case.instance)}],
        "reward_model": {"style": "rule", "ground_truth": case.spec},
        "data_source": "forge_gym/TSP",
        "index": 0,
        "answer": case.replies["optimal"],
    }
    return SimpleNamespace(config=config, case=case, row=row, pieces=tokenizer(), **case.replies)


@pytest.mark.parametrize("model_type", ["qwen3", None])
@pytest.mark.parametrize("chances", [True, False])
def test_a_dialogue(table: Any, chances: bool, model_type: str | None) -> None:
    replies = [table.trivial, table.greedy, "no idea"]
    server = Server(table.pieces, replies, chances)
    output = play(table.config, server, table.pieces, table.row, model_type)
    prompt = table.pieces.apply_chat_template(table.row["raw_prompt"], add_generation_prompt=True, return_dict=False)
    assert output.prompt_ids == prompt
    # What was drawn stays as it was, and each call goes on where the one before ended.
    assert len(server.calls) == 3 and len({name for name, _, _ in server.calls}) == 1
    for (_, before, _), drawn, (_, after, _) in zip(
        server.calls[:-1], server.drawn[:-1], server.calls[1:], strict=True
    ):
        assert after[: len(before) + len(drawn)] == before + drawn
    assert prompt + output.response_ids == server.calls[-1][1] + server.drawn[-1]
    limit = table.config.data.max_response_length
    assert [call[2]["max_tokens"] for call in server.calls] == [
        limit - (len(call[1]) - len(prompt)) for call in server.calls
    ]
    # The loss sees the model's tokens and no others.
    mask = output.response_mask
    assert len(mask) == len(output.response_ids)
    assert [t for t, m in zip(output.response_ids, mask, strict=True) if m] == [
        token for drawn in server.drawn for token in drawn
    ]
    if chances:
        assert [p for p, m in zip(output.response_logprobs, mask, strict=True) if m] == [
            -float(turn + 1) for turn, drawn in enumerate(server.drawn) for _ in drawn
        ]
        assert all(p == 0.0 for p, m in zip(output.response_logprobs, mask, strict=True) if not m)
    else:
        assert output.response_logprobs is None
    # The model reads what the chat template shows of the whole conversation.
    episode = Episode.of_spec(table.case.spec, Protocol(3))
    said = [episode.say(reply) for reply in replies]
    if model_type == "qwen3":
        conversation = list(table.row["raw_prompt"])
        for reply, feedback in zip(replies[:2], said[:2], strict=True):
            conversation += [{"role": "assistant", "content": reply}, {"role": "user", "content": feedback}]
        shown = table.pieces.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        assert table.pieces.decode(server.calls[-1][1]) == shown
    assert said[0] in table.pieces.decode(output.response_ids)
    # The kept reply is paid, and what is logged has the keys of the reward function.
    assert output.reward_score == table.case.paid(table.greedy) == episode.numbers()["score"]
    assert output.extra_fields["reward_extra_info"] == compute_score("", table.greedy, table.case.spec)
    assert output.extra_fields["turn_scores"] == [table.case.paid(reply) for reply in replies]
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (1, 3)
    assert output.num_turns == 6 and output.metrics.num_preempted == 3
    assert output.metrics.generate_sequences > 0 and output.metrics.compute_score > 0
    assert float(output.as_dict()["rm_scores"].sum()) == pytest.approx(output.reward_score)


def test_it_ends_with_the_optimum(table: Any) -> None:
    server = Server(table.pieces, [table.optimal])
    output = play(table.config, server, table.pieces, table.row)
    assert len(server.calls) == 1 and output.reward_score == 1.0 and output.num_turns == 2
    assert output.response_mask == [1] * len(server.drawn[0])
    assert table.pieces.decode(output.response_ids) == table.optimal + "<|im_end|>"


def test_it_ends_where_feedback_does_not_fit(table: Any) -> None:
    first = len("no idea") + 1
    play(table.config, full := Server(table.pieces, ["no idea"] * 3), table.pieces, table.row)
    feedback = len(full.calls[1][1]) - len(full.calls[0][1]) - first
    for extra, calls in ((0, 1), (feedback, 1), (feedback + 1, 2)):
        table.config.data.max_response_length = first + extra
        server = Server(table.pieces, ["no idea"] * 3)
        output = play(table.config, server, table.pieces, table.row)
        assert len(server.calls) == calls and len(output.response_ids) <= first + extra
        assert output.response_mask[-1] == 1 and output.reward_score == -1.0


def test_a_reply_that_is_cut_off_is_judged_as_it_stands(table: Any) -> None:
    answer = table.optimal
    for length in (1, len(answer) - 1, len(answer)):
        table.config.data.max_response_length = length
        output = play(table.config, Server(table.pieces, [answer]), table.pieces, table.row)
        assert len(output.response_ids) == length
        assert output.reward_score == table.case.paid(answer[:length])


def test_a_server_that_ignores_the_limit_is_cut(table: Any) -> None:
    class Deaf(Server):
        async def generate(self, request_id: str, *, sampling_params: dict[str, Any], **more: Any) -> Any:
            return await super().generate(request_id, sampling_params={"max_tokens": 10**6}, **more)

    table.config.data.max_response_length = 4
    output = play(table.config, Deaf(table.pieces, ["no idea"]), table.pieces, table.row)
    assert [len(each) for each in (output.response_ids, output.response_mask, output.response_logprobs)] == [4] * 3


def test_an_aborted_generation_ends_it(table: Any) -> None:
    class Aborted(Server):
        async def generate(self, request_id: str, *, sampling_params: dict[str, Any], **more: Any) -> Any:
            limit = {"max_tokens": 0} if self.calls else sampling_params
            return await super().generate(request_id, sampling_params=limit, **more)

    server = Aborted(table.pieces, [table.greedy, "lost"], chances=False)
    output = play(table.config, server, table.pieces, table.row)
    assert len(server.calls) == 2 and output.reward_score == table.case.paid(table.greedy)


def test_an_alarm_drops_the_rollout(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_alarms(monkeypatch, table.case.problem)
    with pytest.raises(CertificateError):
        play(table.config, Server(table.pieces, [table.optimal]), table.pieces, table.row)


def test_a_row_without_a_spec_is_told(table: Any) -> None:
    lost = {name: value for name, value in table.row.items() if name != "reward_model"}
    with pytest.raises(ValueError, match="a spec must be a string, got None"):
        play(table.config, Server(table.pieces, [table.optimal]), table.pieces, lost)


def test_the_loop_is_registered_and_checks_its_arguments(table: Any) -> None:
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    from forge_gym.adapters.verl.agent_loop import ForgeAgentLoop

    target = f"{ForgeAgentLoop.__module__}.{ForgeAgentLoop.__qualname__}"
    assert _agent_loop_registry["forge"] == {"_target_": target}
    for wrong, message in (
        ({"turns": 0}, "turns must be an integer of at least 1"),
        ({"keep": "first"}, "keep must be one of"),
        ({"reward": "pairwise"}, "reward must pay a single answer"),
        ({"turn": 2}, "did you mean 'turns'"),
    ):
        with pytest.raises(ValueError, match=message):
            ForgeAgentLoop(**wrong)


def test_a_worker_collects_trajectories(table: Any) -> None:
    verl = pytest.importorskip("verl")
    module = pytest.importorskip("verl.experimental.agent_loop.agent_loop")
    from verl.utils.rollout_trace import RolloutTraceConfig

    config = table.config
    worker = object.__new__(module.AgentLoopWorker)  # its own constructor loads a model's configuration
    vars(worker).update(
        config=config,
        rollout_config=config.actor_rollout_ref.rollout,
        tokenizer=table.pieces,
        processor=None,
        hf_model_type="qwen3",
        dataset_cls=object,
        tools=[],
        mm_processor_kwargs={},
        reward_loop_worker_handles=None,
        distillation_enabled=False,
    )
    RolloutTraceConfig.init("", "", None)
    config.actor_rollout_ref.rollout.agent.default_agent_loop = "forge"
    scripts = [["no idea"] * 3, [table.optimal], [table.infeasible, "", table.greedy]]

    class Servers:
        """Replies by the conversation, since all of them run at once."""

        def __init__(self) -> None:
            self.servers: dict[str, Server] = {}

        async def generate(self, request_id: str, **more: Any) -> Any:
            if request_id not in self.servers:
                self.servers[request_id] = Server(table.pieces, scripts[len(self.servers)])
            return await self.servers[request_id].generate(request_id, **more)

    worker.llm_client = Servers()

    def column(values: list[Any]) -> Any:
        found = np.empty(len(values), dtype=object)
        found[:] = values
        return found

    batch = verl.DataProto.from_dict(
        non_tensors={key: column([value] * 3) for key, value in table.row.items()},
        meta_info={"validate": False},
    )
    found = asyncio.run(worker.generate_sequences(batch))
    scores = found.batch["rm_scores"].sum(dim=1).tolist()
    assert found.meta_info["reward_extra_keys"] == NUMBERS
    assert sorted(scores) == pytest.approx(sorted(max(table.case.paid(text) for text in each) for each in scripts))
    assert found.non_tensor_batch["score"].tolist() == pytest.approx(scores)
    assert sorted(found.non_tensor_batch["__num_turns__"].tolist()) == [2, 6, 6]


def test_the_configuration_is_one_that_verl_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("verl.trainer.ppo.utils", reason=SCRIPT.format("verl"))
    from omegaconf import OmegaConf
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    config = compose(tmp_path, monkeypatch)
    OmegaConf.resolve(config)
    validate_config(config, need_reference_policy(config), need_critic(config))
    for part in (config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor, config.algorithm):
        omega_conf_to_dataclass(part)
