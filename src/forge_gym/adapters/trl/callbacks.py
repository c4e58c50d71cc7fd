"""Callbacks of a training run: whole checkpoints, a log as JSON lines, held-out scores, and warnings."""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from ...agents.causal_lm import TransformersAgent
from ...core.checks import check_int
from ...core.instance import Instance
from ...core.problem import Problem
from ...evaluation.evaluate import METRICS, evaluate
from ...training.reward_function import RewardFunction, gathered

log = logging.getLogger(__name__)

_STATE = "forge_state.json"
_MARK = "complete"


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file or nothing, whenever the process is killed."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


class SaveState(TrainerCallback):
    """Save what the reward function and its curriculum have learned in every checkpoint, and mark it complete.

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

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Write the state beside the trainer's own, last of all the mark."""
        if state.is_world_process_zero:
            folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
            write_atomically(folder / _STATE, json.dumps(self.reward.state_dict()))
            (folder / _MARK).touch()

    def restore(self, trainer: Any, checkpoint: Path) -> None:
        """Go on from the state in ``checkpoint`` when ``trainer`` resumes from it."""
        self.reward.load_state_dict(json.loads((checkpoint / _STATE).read_text()))
        self._resumed = trainer, str(checkpoint)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Restore the random generators once more: without data to skip, opening the data drew from them."""
        if self._resumed is not None:
            trainer, checkpoint = self._resumed
            trainer._load_rng_state(checkpoint)
            self._resumed = None


def last_checkpoint(folder: Path) -> Path | None:
    """Return the newest checkpoint in ``folder`` that was written to the end, None if there is none."""
    found = [path.parent for path in Path(folder).glob(f"checkpoint-*/{_MARK}")]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class JsonLines(TrainerCallback):
    """Append every log entry to a file, one JSON object per line; a resumed run repeats no step.

    Parameters
    ----------
    path
        The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep what was logged up to the step that training goes on from."""
        if state.is_world_process_zero:
            lines = self.path.read_text().splitlines() if self.path.exists() else []
            kept = [line for line in lines if _step(line) <= state.global_step] if state.global_step else []
            write_atomically(self.path, "".join([f"{line}\n" for line in kept]))

    def on_log(
        self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any
    ) -> None:
        """Write a line."""
        if state.is_world_process_zero and logs:
            with self.path.open("a") as file:
                file.write(json.dumps({"step": state.global_step, **logs}) + "\n")


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except ValueError:  # the process died within the line
        return float("inf")


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
    max_new_tokens
        Longest reply.
    batch_size
        Prompts per call of ``generate``.

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
        """Score what training starts from."""
        if state.global_step == 0:
            self.score()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Score when it is time."""
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
        found: dict[str, float] = {}
        for problem, instances in self.suite:
            own = instances[accelerator.process_index :: accelerator.num_processes]
            result = evaluate(agent, problem, own, batch_size=max(1, len(own)))
            for metric in METRICS:
                values = gathered(result.values(metric))
                found[f"heldout/{problem.name}/{metric}"] = sum(values) / len(values)
        names = [problem.name for problem, _ in self.suite]
        means = {
            f"heldout/{metric}": sum([found[f"heldout/{name}/{metric}"] for name in names]) / len(names)
            for metric in METRICS
        }
        return means | found


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
        """Look at a log entry."""
        if not logs or not state.is_world_process_zero:
            return
        if "heldout/quality" in logs:
            rewards = [entry["reward"] for entry in self.recent]
            if rewards:
                self.heldout.append((sum(rewards) / len(rewards), logs["heldout/quality"]))
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
        effective = [entry.get("forge/effective_groups", 1.0) for entry in self.recent]
        self._say(
            max(effective) < 0.3,
            "signal",
            f"for {self.steps} steps less than 30 % of the groups had any signal",
        )
        lengths = [entry.get("completions/mean_length", 0.0) for entry in (first, last)]
        self._say(
            lengths[1] < lengths[0] / 2,
            "length",
            f"completions shrank from {lengths[0]:.0f} to {lengths[1]:.0f} tokens in {self.steps} steps",
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
