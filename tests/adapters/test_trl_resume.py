"""A real trainer that is resumed in the ordinary way: stream and scheme come back by themselves, or the run stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import forge_gym
from forge_gym.adapters.trl import RewardFunction, Stream, make_dataset
from forge_gym.training.curriculum import Curriculum

for _module in ("torch", "trl", "datasets"):
    pytest.importorskip(_module)

TSP = forge_gym.problem("TSP", style="compact", answer_format="raw")


class Spy:
    """Hands everything on, and remembers which rows were answered."""

    __name__ = "spy"

    def __init__(self, reward: RewardFunction) -> None:
        self.reward, self.answers = reward, list[tuple[int, list[int]]]()

    def __call__(self, **given: Any) -> list[float | None]:
        self.answers += zip(given["draw"], given["completion_ids"], strict=True)
        return self.reward(**given)


def trainer(out: Path, reward: Any, data: Any, steps: int, callbacks: tuple[Any, ...] = (), **options: Any) -> Any:
    from trl import GRPOConfig, GRPOTrainer

    from forge_gym.training.scratch import build_model, word_tokenizer

    tokenizer = word_tokenizer([TSP.prompt(TSP.instance(seed)) for seed in range(20)])
    given: dict[str, Any] = {
        "per_device_train_batch_size": 2, "num_generations": 2, "max_completion_length": 8, "max_steps": steps,
        "save_steps": 2, "learning_rate": 1e-3, "report_to": "none", "use_cpu": True, "bf16": False,
        "shuffle_dataset": False,
    }  # fmt: skip
    config = GRPOConfig(str(out), **given | options)
    model = build_model("tiny", tokenizer)
    return GRPOTrainer(model, reward, config, data, processing_class=tokenizer, callbacks=[*callbacks])


def run(out: Path, steps: int, resume: Any, *, save: bool = True, scheme: str = "tiered", **options: Any) -> Any:
    """Train on a stream; return the rows and how they were answered, and what was learned."""
    from forge_gym.training.callbacks import SaveState

    stream = Stream(Curriculum([TSP]), chat=False)
    reward = RewardFunction(scheme, stream=stream)
    spy = Spy(reward)
    own = trainer(out, spy, stream.dataset(), steps, (SaveState(reward),) if save else (), **options)
    own.train(resume_from_checkpoint=resume)
    return spy.answers, reward.state_dict()


def test_a_stream_goes_on_where_the_checkpoint_was(tmp_path: Path) -> None:
    whole, learned = run(tmp_path / "whole", 4, None)
    assert [draw for draw, _ in whole] == [0, 0, 1, 1, 2, 2, 3, 3]
    out = tmp_path / "out"
    assert run(out, 2, None)[0] == whole[:4]
    for resume in (True, str(out / "checkpoint-2")):  # the newest, then an older one
        assert run(out, 4, resume) == (whole[4:], learned)  # random numbers come back too
    with pytest.raises(ValueError, match="max_steps must be more than the 4 steps of the checkpoint"):
        run(out, 4, True)
    with pytest.raises(ValueError, match="give the trainer the callback SaveState"):
        run(out, 6, True, save=False, ignore_data_skip=True)
    with pytest.raises(ValueError, match="state must have the keys"):
        run(out, 6, True, scheme="verpo")
    with pytest.raises(ValueError, match="restore_callback_states_from_checkpoint must be False"):
        run(out, 6, True, restore_callback_states_from_checkpoint=True)
    with pytest.raises(ValueError, match="set shuffle_dataset=False"):
        run(out, 6, None, shuffle_dataset=True)
    file = out / "checkpoint-4" / "trainer_state.json"
    state = json.loads(file.read_text())
    for damaged in (None, [], {"attributes": {"learned": {"stream": {"drawn": "x"}}}}):
        state["stateful_callbacks"]["SaveState"] = damaged
        file.write_text(json.dumps(state))
        with pytest.raises(ValueError, match=r"does not hold what tiered has learned|state of a stream is damaged"):
            run(out, 6, True)


def test_a_scheme_comes_back_without_any_callback(tmp_path: Path) -> None:
    data = make_dataset(TSP, 8, chat=False)
    out, reward = tmp_path, RewardFunction("verpo")
    reward.scheme.rates = {"TSP": {"once": 0.25}}  # type: ignore[union-attr]
    trainer(out, reward, data, 2).train()
    again = RewardFunction("verpo")
    trainer(out, again, data, 4).train(resume_from_checkpoint=True)
    assert again.state_dict()["scheme"]["rates"]["TSP"] == {"once": 0.25}
    trainer(out, RewardFunction(), data, 6).train(resume_from_checkpoint=True)  # has nothing to lose
    for checkpoint in out.glob("checkpoint-*"):
        file = checkpoint / "trainer_state.json"
        state = json.loads(file.read_text())
        state["stateful_callbacks"].pop("forge_gym reward verpo", None)
        file.write_text(json.dumps(state))
    with pytest.raises(ValueError, match="the checkpoint of step 6 does not hold what verpo has learned"):
        trainer(out, RewardFunction("verpo"), data, 8).train(resume_from_checkpoint=True)


def test_a_run_that_was_killed_at_its_end_takes_no_step_too_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from forge_gym.evaluation.evaluate import held_out
    from forge_gym.training import callbacks

    def train() -> tuple[Spy, Any]:
        reward = RewardFunction(stream=Stream(Curriculum([TSP]), chat=False))
        own = trainer(tmp_path, Spy(reward), reward.stream.dataset(), 4)  # type: ignore[union-attr]
        callbacks.train(own, reward, TSP, held_out(TSP, 2), 8)
        return own.reward_funcs[0], own.state

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(callbacks, "finish", kill)
        train()
    assert {path.name for path in tmp_path.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}
    spy, state = train()
    assert [draw for draw, _ in spy.answers] == [2, 2, 3, 3] and state.global_step == 4
    assert not [*tmp_path.glob("checkpoint-*")] and (tmp_path / "forge_gym.json").exists()
