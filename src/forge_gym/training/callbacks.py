"""Callbacks of transformers' trainers: resuming with what was learned, held-out scores, warnings, a quiet bar."""

from __future__ import annotations

import logging
import sys
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, TrainerCallback
from transformers.trainer_callback import ExportableState

from ..agents.causal_lm import TransformersAgent
from ..core.checks import check_int
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.verdict import METRICS
from ..evaluation.evaluate import evaluate
from .runs import finish, last_checkpoint

log = logging.getLogger(__name__)


def train(
    trainer: Any,
    reward: Any,
    problem: Problem[Any, Any],
    watched: Sequence[Instance],
    max_new_tokens: int,
    turns: int = 1,
) -> None:
    """Train from the newest checkpoint on, with all callbacks; leave model, log and note in the trainer's folder.

    Parameters
    ----------
    trainer
        A ``GRPOTrainer``.
    reward
        Its `forge_gym.adapters.trl.RewardFunction`.
    problem, watched, max_new_tokens, turns
        As of `HeldOut` and `forge_gym.training.runs.finish`.
    """
    state, args = SaveState(reward), trainer.args
    state.on_init_end(args, trainer.state, trainer.control)
    plain(trainer)
    held_out = HeldOut(trainer, problem, watched, max_new_tokens=max_new_tokens, turns=turns)
    for callback in (state, Watch(), held_out):
        trainer.add_callback(callback)
    # Resuming a stream from the end would be a step too many.
    last = last_checkpoint(Path(args.output_dir), before=args.max_steps if args.max_steps > 0 else None)
    trainer.train(resume_from_checkpoint=None if last is None else str(last))
    trainer.save_model()
    trainer.save_state()
    finish(Path(args.output_dir), problem, max_new_tokens)


class SaveState(TrainerCallback, ExportableState):
    """Keep what a `forge_gym.adapters.trl.RewardFunction` has learned in every checkpoint, with the rows of its stream.

    Give it to the trainer (``callbacks=[SaveState(reward)]``) in every run. Then ``trainer.train`` restores all of it
    from whatever checkpoint it resumes, or stops with a ``ValueError``.

    Parameters
    ----------
    reward
        The reward function.
    """

    def __init__(self, reward: Any) -> None:
        self.reward = reward

    def state(self) -> dict[str, Any]:
        """Return what the trainer writes into a checkpoint."""
        return {"args": {}, "attributes": {"learned": self.reward.state_dict()}}

    def on_init_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if getattr(args, "restore_callback_states_from_checkpoint", False):  # would make a callback without a reward
            raise ValueError(
                "restore_callback_states_from_checkpoint must be False with SaveState, which restores itself"
            )
        if self.reward.stream is not None:
            args.ignore_data_skip = True  # the stream itself knows where it is

    def on_train_begin(self, args: Any, state: Any, control: Any, train_dataloader: Any = None, **_: Any) -> None:
        if self.reward.stream is not None:
            if state.global_step and not args.ignore_data_skip:
                raise ValueError("ignore_data_skip must be True where a stream is resumed, which knows where it is")
            if state.global_step >= state.max_steps:
                done = f"the {state.global_step} steps of the checkpoint"
                raise ValueError(f"max_steps must be more than {done} to go on with a stream, got {state.max_steps}")
            # Opening the data must draw nothing from the random numbers of training: a run opens it again when it is
            # resumed, without data to skip.
            loader = getattr(train_dataloader, "base_dataloader", train_dataloader)
            loader.generator = torch.Generator()
        self.reward.restore(state, type(self).__name__)


class HeldOut(TrainerCallback):
    """Score the policy on fixed instances while it trains: never adaptive, never trained on.

    Before the first step and at every tenth of the way, ``heldout/<metric>`` is logged, and printed in short, for the
    success rate, quality, skill (floored at -1), the literature's ratio, and the share of optimal answers. Decoding is
    greedy, as in the tables; the trainer's own evaluation samples, and draws from the random numbers of training.

    Parameters
    ----------
    trainer
        Evaluate its model and log through it.
    problem, instances
        Such as ``held_out(problem, 100)``.
    max_new_tokens, batch_size, turns
        As of `TransformersAgent` and `forge_gym.evaluation.evaluate.evaluate`.
    """

    def __init__(
        self,
        trainer: Any,
        problem: Problem[Any, Any],
        instances: Sequence[Instance],
        *,
        max_new_tokens: int,
        batch_size: int = 256,
        turns: int = 1,
    ) -> None:
        self.trainer, self.problem, self.instances, self.turns = trainer, problem, instances, turns
        self.limits: dict[str, Any] = {"max_new_tokens": max_new_tokens, "batch_size": batch_size}

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == 0:
            self.score()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step % max(1, state.max_steps // 10) == 0 or state.global_step == state.max_steps:
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
                agent = TransformersAgent(model, trainer.processing_class, **self.limits)
                result = evaluate(agent, self.problem, self.instances, turns=self.turns)
            scores = {metric: fmean(result.values(metric)) for metric in METRICS}
            trainer.log({f"heldout/{metric}": score for metric, score in scores.items()})
        finally:
            trainer.model.train(was_training)
        if trainer.is_world_process_zero():
            said = ", ".join(f"{metric} {scores[metric]:.3f}" for metric in ("success", "quality", "skill"))
            tqdm.write(f"step {trainer.state.global_step} of {trainer.state.max_steps}, held out: {said}")
            sys.stdout.flush()


class Watch(TrainerCallback):
    """Warn, once each time, when a run goes wrong in a way that a reward curve does not show.

    All completions of a log entry are cut off at ``max_completion_length``. Or for ``steps`` log entries in a row few
    groups have any signal, completions shrink to half, or most feasible answers copy an anchor while no window moves
    up. Or the reward rises while held-out quality does not.
    """

    def __init__(self, steps: int = 50) -> None:
        steps = check_int("steps", steps, 2)
        self.steps = steps
        self.recent: deque[dict[str, float]] = deque(maxlen=steps)
        self.heldout: deque[tuple[float, float]] = deque(maxlen=3)  # (mean reward before, held-out quality)
        self.on: set[str] = set()

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if not logs or not state.is_world_process_zero:
            return
        if "heldout/quality" in logs and self.recent:
            self.heldout.append((fmean(entry["reward"] for entry in self.recent), logs["heldout/quality"]))
            (before, worse), (after, better) = self.heldout[0], self.heldout[-1]
            flat = len(self.heldout) == 3 and after > before + 0.1 and better < worse + 0.005
            quality = f"held-out quality only from {worse:.3f} to {better:.3f}"
            self._warn(flat, "the reward rose", f"from {before:.2f} to {after:.2f}, {quality}")
        if "reward" in logs:
            clipped = logs.get("completions/clipped_ratio", 0.0) >= 1.0
            limit = getattr(args, "max_completion_length", None)
            self._warn(clipped, "every completion was cut off", f"at max_completion_length={limit}: set a higher one")
            self.recent.append(logs)
            if len(self.recent) == self.steps:
                self._look_back()

    def _look_back(self) -> None:
        first, last, steps = self.recent[0], self.recent[-1], f"for {self.steps} steps"
        signal = max([entry.get("forge/effective_groups", 1.0) for entry in self.recent])
        self._warn(signal < 0.3, "less than 30 % of the groups had any signal", steps)
        before, after = (entry.get("completions/mean_length", 0.0) for entry in (first, last))
        self._warn(after < before / 2, "completions shrank", f"from {before:.0f} to {after:.0f} tokens")
        copies = min([entry.get("forge/trivial", 0.0) for entry in self.recent])
        moved = any(last[key] > first.get(key, last[key]) for key in last if key.endswith("/promotions"))
        said = "over 60 % of the feasible answers copied the trivial or the greedy anchor"
        self._warn(copies > 0.6 and not moved, said, steps)

    def _warn(self, wrong: bool, what: str, detail: str) -> None:
        if wrong and what not in self.on:
            log.warning("%s %s", what, detail)
        (self.on.add if wrong else self.on.discard)(what)


class Bar(ProgressCallback):
    """The trainer's progress bar, with loss or reward in place of the dictionaries of its log."""

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        keys = ("loss", "reward", "forge/quality", "forge/effective_groups")
        if self.training_bar is not None:
            self.training_bar.set_postfix({key.split("/")[-1]: f"{logs[key]:.3f}" for key in keys if key in logs})


def plain(trainer: Any) -> None:
    """Leave nothing of the trainer's own output but a bar, and no model card, which would describe another model."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if sys.stderr.isatty():
        trainer.add_callback(Bar)
    trainer.create_model_card = lambda *_, **__: None
