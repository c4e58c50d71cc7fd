"""Streams, what the reward function reports to them, metrics, and the callbacks that keep a run's state."""

from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import forge_gym
from forge_gym.adapters.trl import RewardFunction, Stream, environment_factory, make_dataset
from forge_gym.adapters.trl.reward import KeptReply
from forge_gym.training.curriculum import Curriculum, WindowConfig

pytest.importorskip("datasets")


def stream(**options: Any) -> Stream:
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack")]
    return Stream(Curriculum(problems, rule=WindowConfig(groups=1), **options))


def best(row: dict[str, Any]) -> str:
    problem, instance = forge_gym.from_spec(row["spec"])
    return problem.format(instance, problem.reference(instance).solution)


def answer(reward: RewardFunction, rows: list[dict[str, Any]], texts: list[str], **options: Any) -> list[Any]:
    """Call the reward function as the trainer does: every row repeated, columns as lists."""
    columns = {key: [row[key] for row in rows for _ in range(2)] for key in rows[0]}
    completions = [[{"role": "assistant", "content": text}] for text in texts for _ in range(2)]
    return reward(prompts=columns.pop("prompt"), completions=completions, **columns, **options)


def test_rows_are_those_of_a_dataset_and_rebuild_their_instances() -> None:
    own = stream()
    rows = list(islice(own.rows(), 4))
    fixed = make_dataset(forge_gym.problem("TSP"), 1)
    assert set(rows[0]) == {*fixed.column_names, "draw"}
    for number, row in enumerate(rows):
        problem, instance = forge_gym.from_spec(row["spec"])
        assert row["prompt"] == [{"role": "user", "content": problem.prompt(instance)}]
        assert row["draw"] == number and row["problem"] == row["environment"] == problem.name
    assert own.pending == [0, 1, 2, 3]


def test_prompts_of_a_test_set_are_never_drawn() -> None:
    seen = [row["prompt"][0]["content"] for row in islice(stream().rows(), 12)]
    problems = [forge_gym.problem(name) for name in ("TSP", "Knapsack")]
    without = Stream(Curriculum(problems), exclude=set(seen[:6]))
    assert not {row["prompt"][0]["content"] for row in islice(without.rows(), 12)} & set(seen[:6])
    fixed = make_dataset(problems[0], 8, chat=False)["prompt"]
    assert not set(make_dataset(problems[0], 8, chat=False, exclude=fixed[:3])["prompt"]) & set(fixed[:3])


def test_answers_move_the_window_and_the_rows_after_the_next_batch() -> None:
    """The trainer reads a batch ahead, so a promotion shows in the batch after it."""
    own = stream()
    reward, rows = RewardFunction(stream=own), iter(own.dataset())
    batches = [[next(rows) for _ in range(8)]]
    for _ in range(6):
        batches.append([next(rows) for _ in range(8)])  # read ahead
        logged: dict[str, float] = {}
        answer(reward, batches[-2], [best(row) for row in batches[-2]], log_metric=logged.__setitem__)
        assert own.pending == [row["draw"] for row in batches[-1]]
    tops = own.curriculum.top_levels
    assert all(top >= 2 for top in tops.values()) and logged["forge/TSP/top"] == tops["TSP"]
    assert logged["forge/TSP/promotions"] == tops["TSP"]
    assert max(row["level"] for row in batches[0] + batches[1]) == 0
    assert max(row["level"] for row in batches[2]) == 1


def test_rows_of_an_evaluation_teach_nothing() -> None:
    own = stream()
    reward = RewardFunction(stream=own)
    row = next(own.rows())
    before = own.curriculum.state_dict()
    foreign = {key: value for key, value in row.items() if key != "draw"}
    answer(reward, [foreign], [best(row)])
    answer(reward, [row | {"draw": 77}], [best(row)])
    assert own.curriculum.state_dict() == before and own.pending == [0]
    answer(reward, [row], [best(row)])
    answer(reward, [row], [best(row)])  # the same again, as trainers that iterate over a batch do
    assert own.curriculum.top_levels[row["problem"]] == 1 and own.pending == []


def test_a_resumed_stream_goes_on_with_the_rows_read_ahead() -> None:
    def run(own: Stream, batches: int, rows: Any = None) -> list[Any]:
        reward, rows, seen = RewardFunction("verpo", stream=own), rows or own.rows(), []
        ahead = [next(rows) for _ in range(4)]
        for _ in range(batches):
            batch, ahead = ahead, [next(rows) for _ in range(4)]
            seen.append(batch)
            answer(reward, batch, [best(row) if row["draw"] % 3 else "?" for row in batch])
        return [seen, reward]

    whole, _ = run(stream(), 6)
    own = stream()
    first, reward = run(own, 3)
    state = json.loads(json.dumps(reward.state_dict()))
    resumed = stream()
    other = RewardFunction("verpo", stream=resumed)
    other.load_state_dict(state)
    assert other.state_dict() == reward.state_dict()
    second, _ = run(resumed, 3)
    assert first + second == whole
    with pytest.raises(ValueError, match="state must have the keys"):
        RewardFunction("verpo").load_state_dict(state)


def test_streams_are_never_copied() -> None:
    import copy
    import pickle

    own = stream()
    with pytest.raises(RuntimeError, match="dataloader_num_workers=0"):
        pickle.loads(pickle.dumps(own.dataset()))._ex_iterable  # noqa: B018
    for copied in (own, own.dataset()):
        with pytest.raises(RuntimeError, match="a stream cannot be copied"):
            copy.deepcopy(copied)


def test_streams_are_not_shuffled_and_not_read_by_workers() -> None:
    """A buffer of shuffled rows is drawn before the first answer, so no window could follow the learner."""
    data = pytest.importorskip("torch.utils.data")
    changes: list[Callable[[Any], Any]] = [
        lambda rows: rows,
        lambda rows: rows.map(lambda row: row | {"more": 1}),
        lambda rows: rows.filter(lambda _: True).select_columns(["prompt", "spec", "draw"]),
        lambda rows: rows.rename_column("level", "difficulty").with_format("torch"),
        lambda rows: rows.shard(1, 0),
    ]
    for change in changes:
        own = stream()
        next(iter(change(own.dataset())))
        assert own.pending == [0]
        for options in ({"seed": 0}, {"buffer_size": 2}):
            with pytest.raises(ValueError, match="set shuffle_dataset=False"):
                next(iter(change(own.dataset()).shuffle(**options)))
        assert own.pending == [0]
    with pytest.raises(RuntimeError, match="dataloader_num_workers=0"):
        next(iter(data.DataLoader(own.dataset(), batch_size=None, num_workers=2)))
    assert own.pending == [0]


@pytest.mark.parametrize(
    "change",
    [
        {"drawn": "2"}, {"drawn": True}, {"drawn": 1}, {"pending": None}, {"pending": [[0, "TSP", 0]]},
        {"pending": [["0", "TSP", 0, 0]]}, {"pending": [[0, "TPS", 0, 0]]}, {"pending": [[0, "TSP", -1, 0]]},
        {"pending": [[0, "TSP", 0, 0.5]]}, {"pending": [[[0], "TSP", 0, 0]]}, {"curriculum": {}},
        {"pending": [[0, "TSP", 9999, 0]]}, {"pending": [[0, "TSP", 0, 0], [0, "TSP", 0, 1]]}, {"pending": 1},
        {"pending": ""}, {"drawn": 2**60}, {"pending": [[0, "TSP", 0, 2**60]]},
    ],
)  # fmt: skip
def test_damaged_states_are_refused_and_change_nothing(change: dict[str, Any]) -> None:
    own = stream()
    list(islice(own.rows(), 2))
    before = own.state_dict()
    with pytest.raises(ValueError, match="state") as caught:
        own.load_state_dict(json.loads(json.dumps(before | change)))
    assert own.state_dict() == before and "\n" not in str(caught.value)
    for damaged in ([], None, {"stream": before, "more": 1}):
        with pytest.raises(ValueError, match="state must have the keys"):
            RewardFunction(stream=own).load_state_dict(damaged)  # type: ignore[arg-type]
    reward = RewardFunction("verpo", stream=own)
    learned = reward.state_dict()
    other = {"rates": {"TSP {}": {"known": 0.5}}}
    with pytest.raises(ValueError, match="state"):
        reward.load_state_dict({name: before | change if name == "stream" else other for name in learned})
    assert reward.state_dict() == learned


def test_a_stream_whose_instances_are_all_excluded_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("forge_gym.adapters.trl.dataset.MAX_UNGRADED", 5)

    class Everything:
        def __contains__(self, prompt: object) -> bool:
            return True

    own = Stream(Curriculum(forge_gym.problem("TSP")), exclude=Everything())
    with pytest.raises(ValueError, match="exclude must leave instances, got 5 in a row that it names"):
        next(own.rows())


def test_rows_of_other_data_with_the_number_of_a_drawn_row_teach_nothing() -> None:
    own, other = stream(), stream(seed=1)
    row, foreign = next(own.rows()), next(other.rows())
    reward, before = RewardFunction(stream=own), own.state_dict()
    answer(reward, [foreign], [best(foreign)])  # an evaluation on a stream of its own
    for forged in ("0", None, 0.0, [0], math.nan):
        answer(reward, [row | {"draw": forged}], [best(row)])
    assert own.state_dict() == before
    answer(reward, [row], [best(row)])
    assert own.pending == []


def test_kept_answers_take_the_place_of_completions() -> None:
    row = next(stream().rows())
    reward, columns = RewardFunction(), {"spec": [row["spec"]] * 2}
    kept = [KeptReply(best(row)), KeptReply("?")]
    assert reward(completions=["?", "?"], kept_reply=kept, **columns) == [1, -1]
    raw = forge_gym.problem("TSP", n=6, answer_format="raw")
    index, instance = next(raw.graded_instances(seed=5))
    environment, spec = environment_factory("TSP")(), raw.spec(5, index)
    environment.reset(spec=spec)
    environment.submit(raw.format(instance, raw.reference(instance).solution))
    assert reward(completions=["?"], environments=[environment], spec=[spec]) == [1]


def test_metrics_say_what_happened() -> None:
    tsp = forge_gym.problem("TSP", n=7)
    index, instance = next(tsp.graded_instances(seed=5))
    spec = tsp.spec(5, index)
    optimum = tsp.format(instance, tsp.reference(instance).solution)
    greedy, trivial = (tsp.format(instance, found) for found in (tsp.heuristic(instance), tsp.trivial(instance)))
    bare = str(list(tsp.heuristic(instance)))
    logged: dict[str, float] = {}
    RewardFunction()(
        completions=[optimum, greedy, trivial, f"I think {bare}", "<answer>[0, 0]</answer>", "?", "?", "?"],
        completion_ids=[[1] * 10] * 8,
        spec=[spec] * 4 + [tsp.spec(6)] * 4,
        log_metric=logged.__setitem__,
    )
    assert logged["forge/malformed"] == 0.5 and logged["forge/infeasible"] == 0.125
    assert logged["forge/salvageable"] == 0.25 and logged["forge/trivial"] == pytest.approx(2 / 3)
    assert logged["forge/violated/visited"] == logged["forge/violated/once"] == 0.25
    assert logged["forge/effective_groups"] == 1 and logged["forge/useful_groups"] == 1
    assert logged["forge/zero_pass"] == 0.5 and logged["forge/all_pass"] == 0
    assert logged["forge/distinct"] == 1.5 and logged["forge/tokens_per_effective_group"] == 40
    assert logged["forge/verify_ms_p99"] > 0 and logged["forge/verify_seconds"] > 0


def state(step: int, **options: Any) -> SimpleNamespace:
    return SimpleNamespace(global_step=step, is_world_process_zero=True, max_steps=9, **options)


def test_checkpoints_count_when_they_are_whole(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from transformers import TrainerState

    from forge_gym.training.callbacks import SaveState
    from forge_gym.training.runs import last_checkpoint

    own = stream()
    reward = RewardFunction(stream=own)
    next(own.rows())
    assert last_checkpoint(tmp_path) is None
    for name in (2, 10, 12, 14, "10.bak", "best"):
        (tmp_path / f"checkpoint-{name}").mkdir()
    for step in (2, 10, 12):
        saved = TrainerState(global_step=step, stateful_callbacks=[SaveState(reward)])
        saved.save_to_json(str(tmp_path / f"checkpoint-{step}" / "trainer_state.json"))
    half = tmp_path / "checkpoint-12" / "trainer_state.json"
    half.write_text(half.read_text()[:-20])  # killed while it wrote
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-10"
    assert last_checkpoint(tmp_path, before=10) == tmp_path / "checkpoint-2"


def test_warnings(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers")
    from forge_gym.training.callbacks import Watch

    def entry(**options: float) -> dict[str, float]:
        return {
            "reward": 0.0, "forge/effective_groups": 0.9, "completions/mean_length": 100.0, "forge/trivial": 0.1
        } | options  # fmt: skip

    def said(entries: list[dict[str, float]]) -> list[str]:
        caplog.clear()
        watch = Watch(steps=4)
        with caplog.at_level(logging.WARNING):
            for step, logs in enumerate(entries):
                watch.on_log(SimpleNamespace(max_completion_length=64), state(step), None, logs=logs)
        return [record.message for record in caplog.records]

    assert said([entry()] * 20) == []
    (cut,) = said([entry(**{"completions/clipped_ratio": 1.0})] * 9)
    assert cut == "every completion was cut off at max_completion_length=64: set a higher one"
    assert said([entry(**{"completions/clipped_ratio": 0.97})] * 9) == []
    (signal,) = said([entry(**{"forge/effective_groups": 0.1})] * 9)
    assert "less than 30 % of the groups had any signal" in signal
    (length,) = said([entry(**{"completions/mean_length": 100 - 10 * i}) for i in range(10)])
    assert "completions shrank from" in length
    copies = [entry(**{"forge/trivial": 0.9, "forge/TSP/promotions": 0.0})] * 9
    assert "copied the trivial or the greedy anchor" in said(copies)[0]
    assert said([entry(**{"forge/trivial": 0.9, "forge/TSP/promotions": float(i)}) for i in range(9)]) == []
    flat = [{"heldout/quality": 0.5}]
    rising = [entry(reward=0.1 * i) for i in range(12)]
    (reward,) = said(rising[:4] + flat + rising[4:8] + flat + rising[8:] + flat)
    assert "the reward rose from" in reward
    better = [{"heldout/quality": 0.5 + i / 10} for i in range(3)]
    assert said(rising[:4] + better[:1] + rising[4:8] + better[1:2] + rising[8:] + better[2:]) == []


RANK = """
import json, os, sys
os.environ["FORGE_GYM_STORE"] = "off"
from accelerate import PartialState
import forge_gym
from forge_gym.adapters.trl import RewardFunction, Stream
from forge_gym.training.curriculum import Curriculum, WindowConfig
own = PartialState(cpu=True)
names = ("TSP", "Knapsack")
stream = Stream(Curriculum([forge_gym.problem(name) for name in names], rule=WindowConfig(groups=2)))
reward, rows = RewardFunction(stream=stream), stream.rows()
for _ in range(5):
    batch = [next(rows) for _ in range(6)]
    mine = batch[own.process_index * 3 :][:3]  # every process draws all rows and takes its part
    texts = []
    for row in mine:
        problem, instance = forge_gym.from_spec(row["spec"])
        good = problem.format(instance, problem.reference(instance).solution)
        texts += ["?" if row["draw"] % 4 == 0 else good] * 2
    reward(completions=texts, **{key: [row[key] for row in mine for _ in range(2)] for key in ("spec", "draw")})
state = stream.state_dict()
assert own.num_processes == 2
assert state["curriculum"]["windows"]["TSP"]["top"] > 0
with open(f"{sys.argv[1]}.{own.process_index}", "w") as file:
    json.dump(state, file)
own.wait_for_everyone()
own.destroy_process_group()  # or its threads may outlive the interpreter, and abort it
"""


def test_processes_agree(tmp_path: Path) -> None:
    pytest.importorskip("accelerate")
    script, out = tmp_path / "rank.py", tmp_path / "state"
    script.write_text(RANK)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    launch += [str(script), str(out)]
    done = subprocess.run(launch, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (json.loads((tmp_path / f"state.{rank}").read_text()) for rank in (0, 1))
    assert first == second and first["pending"] == []


def test_numbers_of_rows_may_be_numpys() -> None:
    stream = Stream(Curriculum(forge_gym.problem("TSP")))
    spec = next(stream.rows())["spec"]
    RewardFunction(stream=stream)(completions=["", ""], spec=[spec] * 2, draw=np.array([0, 0]))  # type: ignore[arg-type]
    assert stream.pending == []
