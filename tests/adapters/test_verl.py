"""verl: reward function, rows and agent loop; what needs verl itself is skipped where it is absent."""

from __future__ import annotations

import asyncio
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import forge_gym
from forge_gym.adapters.verl import compute_score, rows, write_parquet
from forge_gym.core.episode import Episode, Protocol
from forge_gym.core.reference import CertificateError
from forge_gym.core.rewards import REWARDS

NAMES = forge_gym.problems()
ALONE = [name for name, scheme in REWARDS.items() if not isinstance(scheme, str)]
KEYS = ["score", "quality", "skill", "ratio", "credit", "feasible", "malformed", "optimal"]
ROOT = Path(__file__).parents[2]


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


def raise_alarms(monkeypatch: pytest.MonkeyPatch, problem: Any) -> None:
    verify = type(problem).verify
    monkeypatch.setattr(type(problem), "verify", lambda *given: replace_alarm(verify(*given)))


def replace_alarm(verdict: Any) -> Any:
    return type(verdict)(verdict.status, objective=verdict.objective, beats_bound=True)


# ---------------------------------------------------------------------- reward


@pytest.mark.parametrize("name", NAMES)
def test_the_score_is_the_reward_of_the_verdict(name: str) -> None:
    problem = forge_gym.problem(name)
    spec, instance, texts = answers(problem)
    for scheme in ALONE:
        for text in texts:
            verdict = problem.verify(instance, text)
            found = compute_score(f"forge_gym/{name}", text, spec, {"index": 0}, reward=scheme)
            assert found["score"] == forge_gym.reward(scheme)(verdict)
            assert list(found) == KEYS and all(type(value) is float for value in found.values())
            assert all(math.isfinite(value) for value in found.values())
            assert (found["quality"], found["ratio"], found["credit"]) == (
                verdict.quality,
                verdict.ratio,
                verdict.credit,
            )
            assert found["skill"] == max(-1.0, verdict.skill)
            assert (found["feasible"], found["optimal"]) == (verdict.feasible, verdict.optimal)


SPEC = forge_gym.problem("TSP", n=6).spec(seed=3)
WORST = compute_score("forge_gym/TSP", "", SPEC)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=())) | st.none() | st.binary() | st.integers())
def test_no_reply_raises(reply: Any) -> None:
    assert compute_score("forge_gym/TSP", reply, SPEC) == WORST


@pytest.mark.parametrize(
    "reply",
    [
        "\ud800<answer>[0, 1, 2]</answer>\udfff",
        "<answer>" * 1_250_000,
        "<answer>" + "9" * 10_000_000 + "</answer>",
        "<answer>" + "[" * 10_000_000 + "</answer>",
        "\x00" * 10_000_000,
    ],
    ids=["surrogates", "tags", "digits", "brackets", "zeros"],
)
def test_nor_does_a_huge_one(reply: str) -> None:
    found = compute_score("forge_gym/TSP", reply, SPEC)
    assert list(found) == KEYS and found["score"] < 0


def test_what_is_wrong_in_a_configuration_raises() -> None:
    with pytest.raises(ValueError, match=r"a spec must be a JSON object"):
        compute_score("forge_gym/TSP", "?", "42")
    with pytest.raises(ValueError, match=r"a spec must be a string, got \{\}"):
        compute_score("forge_gym/TSP", "?", {})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"did you mean 'tiered'\?"):
        compute_score("forge_gym/TSP", "?", SPEC, reward="tired")
    with pytest.raises(ValueError, match=r"reward must pay a single answer, got 'pairwise'"):
        compute_score("forge_gym/TSP", "?", SPEC, reward="pairwise")
    with pytest.raises(ValueError, match=r"no argument 'scheme'"):
        compute_score("forge_gym/TSP", "?", SPEC, scheme="linear")
    compute_score("forge_gym/TSP", "?", SPEC, reward_router_address="host:1", reward_model_tokenizer=None)


def test_an_alarm_is_not_paid(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("Knapsack")
    spec, _, texts = answers(problem)
    raise_alarms(monkeypatch, problem)
    with pytest.raises(CertificateError):
        compute_score("forge_gym/Knapsack", texts[-1], spec)


def test_instances_and_references_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = forge_gym.problem("TSP", n=7)
    spec, _, texts = answers(problem, seed=77)
    solved: list[Any] = []
    solve = type(problem).solve

    def counted(self: Any, instance: Any, start: Any, limit: int) -> Any:
        solved.append(instance)
        return solve(self, instance, start, limit)

    monkeypatch.setattr(type(problem), "solve", counted)
    for _ in range(3):
        for text in texts:
            compute_score("forge_gym/TSP", text, spec)
    assert len(solved) == 1


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("name", NAMES)
def test_an_episode_pays_the_kept_reply(name: str, keep: str) -> None:
    problem = forge_gym.problem(name)
    spec, instance, texts = answers(problem)
    replies = [texts[-3], texts[0], texts[-2], texts[1]]
    episode = Episode.of_spec(spec, Protocol(4, keep))
    for reply in replies:
        if not episode.over:
            episode.say(reply)
    said = replies[: len(episode.scores)]
    alone = [compute_score("", reply, spec) for reply in said]
    assert episode.scores == [found["score"] for found in alone]
    expected = alone[-1] if keep == "last" else max(alone, key=lambda found: found["score"])
    assert episode.numbers() == expected and episode.over


# ---------------------------------------------------------------------- rows


def test_rows_have_what_verl_documents() -> None:
    given = [forge_gym.problem("TSP"), forge_gym.problem("Knapsack")]
    found = rows(given, 8, levels=[1, 2], seed=4, agent_name="forge")
    assert [row["extra_info"]["index"] for row in found] == list(range(8))
    assert [row["data_source"] for row in found] == ["forge_gym/TSP", "forge_gym/Knapsack"] * 4
    assert [row["extra_info"]["level"] for row in found] == [1, 1, 2, 2] * 2
    for row in found:
        problem, instance = forge_gym.from_spec(row["reward_model"]["ground_truth"])
        assert row["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert row["ability"] == problem.family and row["reward_model"]["style"] == "rule"
        assert row["extra_info"]["instance_hash"] == problem.digest(instance)
        assert problem.is_graded(instance) and row["agent_name"] == "forge"
    assert found == rows(given, 8, levels=[1, 2], seed=4, agent_name="forge")


def test_splits_are_disjoint_and_prompts_can_be_kept_out() -> None:
    tsp = forge_gym.problem("TSP")
    hashes = {
        split: {row["extra_info"]["instance_hash"] for row in rows(tsp, 20, split=split)}
        for split in ("train", "validation", "test")
    }
    assert len(set.union(*hashes.values())) == 60
    first, second = rows(tsp, 2)
    kept_out = rows(tsp, 1, exclude={first["prompt"][0]["content"]})[0]
    assert kept_out["prompt"] == second["prompt"] and kept_out["extra_info"]["index"] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 0}, "size must be an integer of at least 1"),
        ({"problems": []}, "problems must hold at least one problem"),
        ({"levels": []}, "levels must hold at least one level"),
        ({"split": "tset"}, "did you mean 'test'"),
        ({"agent_name": ""}, "agent_name must be a name or None"),
    ],
)
def test_wrong_rows_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rows(**({"problems": forge_gym.problem("TSP"), "size": 1} | arguments))


def test_files_of_several_calls_are_read_together(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    parquet = pytest.importorskip("pyarrow.parquet")
    shards = [
        rows(forge_gym.problem("TSP"), 3, agent_name="forge"),
        rows(forge_gym.problem("GraphColoring"), 2, levels=[1], seed=9, split="test", agent_name="forge"),
    ]
    paths = [write_parquet(tmp_path / "new" / f"{i}.parquet", shard) for i, shard in enumerate(shards)]
    assert parquet.read_schema(paths[0]).equals(parquet.read_schema(paths[1]))
    files = [str(path) for path in paths]
    found = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))["train"]
    assert found.to_list() == shards[0] + shards[1]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["0.parquet", "1.parquet"]


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    found = rows(forge_gym.problem("TSP"), 2)
    path = write_parquet(tmp_path / "train.parquet", found)
    before = path.read_bytes()

    def fail(*given: Any) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr(parquet.ParquetWriter, "write_table", fail)
    with pytest.raises(OSError, match="full"):
        write_parquet(path, found)
    assert path.read_bytes() == before


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    found = rows(forge_gym.problem("TSP"), 2)
    with pytest.raises(ValueError, match=r"path must end in .parquet"):
        write_parquet(tmp_path / "train.json", found)
    with pytest.raises(ValueError, match="rows must hold at least one row"):
        write_parquet(tmp_path / "train.parquet", [])
    for odd in (found[1] | {"agent_name": "forge"}, found[1] | {"extra_info": {"split": "train"}}):
        with pytest.raises(ValueError, match=r"the same columns, .* got row 1"):
            write_parquet(tmp_path / "train.parquet", [found[0], odd])
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------- example and page


def test_the_example_writes_its_rows(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = os.environ | {
        "PATH": path,
        "FORGE_OUT": str(tmp_path),
        "FORGE_ROWS": "5",
        "FORGE_ROWS_ONLY": "1",
    }
    subprocess.run(["bash", ROOT / "examples/verl_grpo.sh"], check=True, env=environment, cwd=tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"train.parquet", "validation.parquet"}


def test_the_page_runs_without_verl(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/adapters/verl.md").read_text(), re.DOTALL)
    blind = "import sys\nsys.modules['verl'] = None\n"
    assert blocks
    subprocess.run([sys.executable, "-c", blind + "\n".join(blocks)], check=True, cwd=tmp_path)


def test_the_package_says_what_it_has() -> None:
    import forge_gym.adapters.verl as package

    with pytest.raises(AttributeError, match="has no attribute 'Foo'"):
        package.Foo  # noqa: B018


# ---------------------------------------------------------------------- inside verl


def compose(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> Any:
    """The example's configuration as verl reads it."""
    pytest.importorskip("verl.trainer.config")
    hydra = pytest.importorskip("hydra")
    monkeypatch.setenv("FORGE_OUT", str(tmp_path))
    monkeypatch.setenv("FORGE_CONFIGS", str(ROOT / "examples/configs"))
    with hydra.initialize_config_dir(str(ROOT / "examples/configs"), version_base=None):
        return hydra.compose("verl_grpo", list(overrides))


def tokenizer() -> Any:
    from forge_gym.training.scratch import chat_tokenizer

    return chat_tokenizer([forge_gym.problem("TSP").prompt(forge_gym.problem("TSP").instance())] * 3, 512)


def test_verl_reads_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = pytest.importorskip("verl.utils.dataset.rl_dataset")
    config = compose(tmp_path, monkeypatch)
    pytest.importorskip("omegaconf").OmegaConf.set_struct(config, False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
    config.data.max_prompt_length = 4096
    found = rows(forge_gym.problem("TSP"), 4, agent_name="forge")
    path = write_parquet(tmp_path / "train.parquet", found)
    dataset = module.RLHFDataset(str(path), tokenizer(), config.data)
    assert len(dataset) == 4
    for row, item in zip(found, dataset, strict=False):
        assert item["raw_prompt"] == row["prompt"] and item["index"] == row["extra_info"]["index"]
        assert all(
            item[key] == row[key] for key in ("data_source", "reward_model", "extra_info", "agent_name")
        )
    batch = module.collate_fn([dataset[0], dataset[1]])
    assert batch["reward_model"][1] == found[1]["reward_model"]


def test_verl_calls_the_reward_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    verl = pytest.importorskip("verl")
    torch = pytest.importorskip("torch")
    reward = pytest.importorskip("verl.trainer.ppo.reward")
    linear = "reward.custom_reward_function.reward_kwargs.reward=linear"
    config = compose(tmp_path, monkeypatch, linear)
    problem, pieces = forge_gym.problem("TSP"), tokenizer()
    spec, instance, texts = answers(problem)
    (row,) = rows(problem, 1)
    paid = []

    async def run() -> None:
        manager = reward.load_reward_manager(config, pieces)
        for text in texts:
            ids = torch.tensor([pieces(text + "<|im_end|>")["input_ids"]])
            data = verl.DataProto.from_dict(
                tensors={"responses": ids, "attention_mask": torch.ones_like(ids)},
                non_tensors={
                    "data_source": np.array([row["data_source"]], dtype=object),
                    "reward_model": np.array([{"style": "rule", "ground_truth": spec}], dtype=object),
                    "extra_info": np.array([dict(row["extra_info"])], dtype=object),
                },
            )
            paid.append(await manager.run_single(data))

    asyncio.run(run())
    assert [each["reward_score"] for each in paid] == [
        forge_gym.reward("linear")(problem.verify(instance, text)) for text in texts
    ]
    assert all(list(each["reward_extra_info"]) == KEYS for each in paid)


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
    pytest.importorskip("verl.experimental.agent_loop.agent_loop")
    config = compose(tmp_path, monkeypatch)
    config.data.max_prompt_length, config.data.max_response_length = 4096, 2048
    problem = forge_gym.problem("TSP")
    spec, instance, texts = answers(problem)
    row = {
        "raw_prompt": [{"role": "user", "content": problem.prompt(instance)}],
        "reward_model": {"style": "rule", "ground_truth": spec},
        "data_source": "forge_gym/TSP",
        "index": 0,
    }
    return SimpleNamespace(
        config=config, problem=problem, spec=spec, texts=texts, row=row, pieces=tokenizer()
    )


def score(table: Any, text: str) -> float:
    return compute_score("", text, table.spec)["score"]


@pytest.mark.parametrize("model_type", ["qwen3", None])
@pytest.mark.parametrize("chances", [True, False])
def test_a_dialogue(table: Any, chances: bool, model_type: str | None) -> None:
    random, trivial, greedy, _ = table.texts[-4:]
    replies = [trivial, greedy, "no idea"]
    server = Server(table.pieces, replies, chances)
    output = play(table.config, server, table.pieces, table.row, model_type)
    prompt = table.pieces.apply_chat_template(
        table.row["raw_prompt"], add_generation_prompt=True, return_dict=False
    )
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
    episode = Episode.of_spec(table.spec, Protocol(3))
    said = [episode.say(reply) for reply in replies]
    if model_type == "qwen3":
        conversation = list(table.row["raw_prompt"])
        for reply, feedback in zip(replies[:2], said[:2], strict=True):
            conversation += [{"role": "assistant", "content": reply}, {"role": "user", "content": feedback}]
        shown = table.pieces.apply_chat_template(conversation, add_generation_prompt=True, tokenize=False)
        assert table.pieces.decode(server.calls[-1][1]) == shown
    assert said[0] in table.pieces.decode(output.response_ids)
    # The kept reply is paid, and what is logged has the keys of the reward function.
    assert output.reward_score == score(table, greedy) == episode.numbers()["score"]
    assert output.extra_fields["reward_extra_info"] == compute_score("", greedy, table.spec)
    assert output.extra_fields["turn_scores"] == [score(table, reply) for reply in replies]
    assert (output.extra_fields["min_global_steps"], output.extra_fields["max_global_steps"]) == (1, 3)
    assert output.num_turns == 6 and output.metrics.num_preempted == 3
    assert output.metrics.generate_sequences > 0 and output.metrics.compute_score > 0
    assert float(output.as_dict()["rm_scores"].sum()) == pytest.approx(output.reward_score)


def test_it_ends_with_the_optimum(table: Any) -> None:
    server = Server(table.pieces, [table.texts[-1]])
    output = play(table.config, server, table.pieces, table.row)
    assert len(server.calls) == 1 and output.reward_score == 1.0 and output.num_turns == 2
    assert output.response_mask == [1] * len(server.drawn[0])
    assert table.pieces.decode(output.response_ids) == table.texts[-1] + "<|im_end|>"


def test_it_ends_where_feedback_does_not_fit(table: Any) -> None:
    first = len(table.texts[0]) + 1
    play(table.config, full := Server(table.pieces, ["no idea"] * 3), table.pieces, table.row)
    feedback = len(full.calls[1][1]) - len(full.calls[0][1]) - first
    for extra, calls in ((0, 1), (feedback, 1), (feedback + 1, 2)):
        table.config.data.max_response_length = first + extra
        server = Server(table.pieces, ["no idea"] * 3)
        output = play(table.config, server, table.pieces, table.row)
        assert len(server.calls) == calls and len(output.response_ids) <= first + extra
        assert output.response_mask[-1] == 1 and output.reward_score == -1.0


def test_a_reply_that_is_cut_off_is_judged_as_it_stands(table: Any) -> None:
    answer = table.texts[-1]
    for length in (1, len(answer) - 1, len(answer)):
        table.config.data.max_response_length = length
        output = play(table.config, Server(table.pieces, [answer]), table.pieces, table.row)
        assert len(output.response_ids) == length
        assert output.reward_score == score(table, answer[:length])


def test_a_server_that_ignores_the_limit_is_cut(table: Any) -> None:
    class Deaf(Server):
        async def generate(self, request_id: str, *, sampling_params: dict[str, Any], **more: Any) -> Any:
            return await super().generate(request_id, sampling_params={"max_tokens": 10**6}, **more)

    table.config.data.max_response_length = 4
    output = play(table.config, Deaf(table.pieces, ["no idea"]), table.pieces, table.row)
    assert [len(each) for each in (output.response_ids, output.response_mask, output.response_logprobs)] == [
        4
    ] * 3


def test_an_aborted_generation_ends_it(table: Any) -> None:
    class Aborted(Server):
        async def generate(self, request_id: str, *, sampling_params: dict[str, Any], **more: Any) -> Any:
            limit = {"max_tokens": 0} if self.calls else sampling_params
            return await super().generate(request_id, sampling_params=limit, **more)

    server = Aborted(table.pieces, [table.texts[-2], "lost"], chances=False)
    output = play(table.config, server, table.pieces, table.row)
    assert len(server.calls) == 2 and output.reward_score == score(table, table.texts[-2])


def test_an_alarm_drops_the_rollout(table: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    raise_alarms(monkeypatch, table.problem)
    with pytest.raises(CertificateError):
        play(table.config, Server(table.pieces, [table.texts[-1]]), table.pieces, table.row)


def test_the_loop_is_registered_and_checks_its_arguments(table: Any) -> None:
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    from forge_gym.adapters.verl import ForgeAgentLoop

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
    scripts = [["no idea"] * 3, [table.texts[-1]], [table.texts[1], "", table.texts[-2]]]

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
    assert found.meta_info["reward_extra_keys"] == KEYS
    assert sorted(scores) == pytest.approx(
        sorted(max(score(table, text) for text in each) for each in scripts)
    )
    assert found.non_tensor_batch["score"].tolist() == pytest.approx(scores)
    assert sorted(found.non_tensor_batch["__num_turns__"].tolist()) == [2, 6, 6]


def test_the_configuration_is_one_that_verl_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("verl.trainer.ppo.utils")
    from omegaconf import OmegaConf
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    config = compose(tmp_path, monkeypatch)
    OmegaConf.resolve(config)
    validate_config(config, need_reference_policy(config), need_critic(config))
    for part in (config.actor_rollout_ref.rollout, config.actor_rollout_ref.actor, config.algorithm):
        omega_conf_to_dataclass(part)
