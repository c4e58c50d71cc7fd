"""Callbacks of a training run: whole checkpoints, a log as JSON lines, held-out scores, and warnings."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from transformers import TrainerCallback, TrainerState
from transformers.trainer_callback import ExportableState

from ..agents.causal_lm import TransformersAgent
from ..core.checks import check_int
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import METRICS
from ..evaluation.evaluate import evaluate
from .reward_function import RewardFunction, gathered

log = logging.getLogger(__name__)


class SaveState(TrainerCallback, ExportableState):
    """Keep what the reward function and its curriculum have learned in the trainer's state, in every checkpoint.

    Parameters
    ----------
    reward
        Of the trainer.

    Notes
    -----
    To resume, find the newest complete checkpoint with `last_checkpoint`, hand it to `restore`, and start the
    trainer with ``resume_from_checkpoint``; with a stream also with ``ignore_data_skip=True``, since the stream
    itself knows where it is.
    """

    def __init__(self, reward: RewardFunction) -> None:
        self.reward = reward
        self._resumed: tuple[Any, str] | None = None

    def state(self) -> dict[str, Any]:
        """Return what the trainer writes into a checkpoint."""
        return {"args": {}, "attributes": {"learned": self.reward.state_dict()}}

    def restore(self, trainer: Any, checkpoint: Path) -> None:
        """Go on from the state in ``checkpoint`` when ``trainer`` resumes from it."""
        saved = TrainerState.load_from_json(str(checkpoint / "trainer_state.json")).stateful_callbacks
        if "SaveState" not in saved:
            raise ValueError(
                f"checkpoint must be of a trainer with SaveState, got {checkpoint}: give another folder"
            )
        self.reward.load_state_dict(saved["SaveState"]["attributes"]["learned"])
        self._resumed = trainer, str(checkpoint)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._resumed is not None:
            # Without data to skip, opening the data drew from the random generators.
            trainer, checkpoint = self._resumed
            trainer._load_rng_state(checkpoint)
            self._resumed = None


class JsonLines(TrainerCallback):
    """Write every log entry to a file, one JSON object per line; a resumed run repeats no step.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            # Of a stopped run the trainer remembers what was logged up to its checkpoint.
            self.path.write_text("")
            self._append(state.log_history)

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.is_world_process_zero:
            self._append(state.log_history[-1:])

    def _append(self, entries: Sequence[dict[str, float]]) -> None:
        with self.path.open("a") as file:
            file.writelines(json.dumps({"step": entry["step"]} | entry) + "\n" for entry in entries)


class HeldOut(TrainerCallback):
    """Score the policy on fixed instances while it trains: greedy decoding, never adaptive, never trained on.

    Logs ``heldout/<metric>`` and ``heldout/<problem>/<metric>`` for the success rate, quality, skill (floored at
    -1), the literature's ratio, and the share of optimal answers; the mean over problems counts each the same.

    Parameters
    ----------
    suite
        Problems with instances, such as ``(problem, held_out(problem, 100))``.
    every
        Steps between evaluations; there is one before the first step, and one after the last.
    max_new_tokens, batch_size
        As of `TransformersAgent`.

    Notes
    -----
    `attach` the trainer before training. With several processes each answers its share.
    """

    def __init__(
        self,
        suite: Sequence[tuple[Problem[Any, Any], Sequence[Instance]]],
        *,
        every: int,
        max_new_tokens: int,
        batch_size: int = 256,
    ) -> None:
        check_int("every", every, 1)
        self.suite, self.every = suite, every
        self.max_new_tokens, self.batch_size = max_new_tokens, batch_size
        self.trainer: Any = None

    def attach(self, trainer: Any) -> None:
        """Evaluate the model of ``trainer`` and log through it."""
        self.trainer = trainer
        trainer.add_callback(self)

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self.score()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % self.every == 0 or state.global_step == state.max_steps:
            due = control.should_log  # a log of our own would take the place of the step's
            self.score()
            control.should_log = due

    def score(self) -> None:
        """Evaluate and log."""
        from trl.models import unwrap_model_for_generation

        trainer = self.trainer
        was_training = trainer.model.training
        trainer.model.eval()  # the trainer keeps the metrics of training and evaluation apart by this
        try:
            with unwrap_model_for_generation(trainer.model_wrapped, trainer.accelerator) as model:
                agent = TransformersAgent(
                    model,
                    trainer.processing_class,
                    batch_size=self.batch_size,
                    max_new_tokens=self.max_new_tokens,
                )
                trainer.log(self._numbers(agent, trainer.accelerator))
        finally:
            trainer.model.train(was_training)

    def _numbers(self, agent: TransformersAgent, accelerator: Any) -> dict[str, float]:
        values: dict[str, list[float]] = {}
        for problem, instances in self.suite:
            own = instances[accelerator.process_index :: accelerator.num_processes]
            result = evaluate(agent, problem, own, batch_size=max(1, len(own)))
            values |= {f"{problem.name}/{metric}": gathered(result.values(metric)) for metric in METRICS}
        scores = {f"heldout/{name}": sum(of) / len(of) for name, of in values.items()}
        means = {
            f"heldout/{metric}": fmean(
                scores[f"heldout/{problem.name}/{metric}"] for problem, _ in self.suite
            )
            for metric in METRICS
        }
        return means | scores


class Watch(TrainerCallback):
    """Warn, once each time, when a run goes wrong in a way that a reward curve does not show.

    Few groups have any signal; completions shrink to half; most feasible answers copy an anchor while no
    window moves up; the reward rises while held-out quality does not.

    Parameters
    ----------
    steps
        Log entries in a row that make a trend.
    """

    def __init__(self, steps: int = 50) -> None:
        check_int("steps", steps, 2)
        self.steps = steps
        self.recent: deque[dict[str, float]] = deque(maxlen=steps)
        self.heldout: list[tuple[float, float]] = []  # (mean reward before, held-out quality)
        self.on: set[str] = set()

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        if not logs or not state.is_world_process_zero:
            return
        if "heldout/quality" in logs:
            if self.recent:
                reward = fmean(entry["reward"] for entry in self.recent)
                self.heldout.append((reward, logs["heldout/quality"]))
            if len(self.heldout) >= 3:
                (before, worse), (after, better) = self.heldout[-3], self.heldout[-1]
                self._say(
                    after > before + 0.1 and better < worse + 0.005,
                    "reward",
                    f"the reward rose from {before:.2f} to {after:.2f}, held-out quality only from {worse:.3f} to "
                    f"{better:.3f}",
                )
        if "reward" not in logs:
            return
        self.recent.append(logs)
        if len(self.recent) < self.steps:
            return
        first, last = self.recent[0], self.recent[-1]
        self._say(
            max([entry.get("forge/effective_groups", 1.0) for entry in self.recent]) < 0.3,
            "signal",
            f"for {self.steps} steps less than 30 % of the groups had any signal",
        )
        before, after = (entry.get("completions/mean_length", 0.0) for entry in (first, last))
        self._say(
            after < before / 2,
            "length",
            f"completions shrank from {before:.0f} to {after:.0f} tokens in {self.steps} steps",
        )
        moved = any(last[key] > first.get(key, last[key]) for key in last if key.endswith("/promotions"))
        self._say(
            min([entry.get("forge/trivial", 0.0) for entry in self.recent]) > 0.6 and not moved,
            "trivial",
            f"for {self.steps} steps over 60 % of the feasible answers copied the trivial or the greedy anchor",
        )

    def _say(self, wrong: bool, what: str, message: str) -> None:
        if wrong and what not in self.on:
            log.warning("%s", message)
        (self.on.add if wrong else self.on.discard)(what)
