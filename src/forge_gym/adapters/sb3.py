"""Stable-Baselines3: measure a policy on held-out instances while it trains, as every other agent is measured."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from stable_baselines3.common.callbacks import BaseCallback

from ..agents.sb3 import SB3Agent
from ..core.checks import check_int
from ..core.instance import Instance
from ..core.problem import Problem
from ..evaluation.evaluate import evaluate

CURVE = ("success", "quality", "skill", "optimal")


class HeldOut(BaseCallback):
    """Evaluate the policy before, during and after training; keep the curve in a file of JSON lines.

    Parameters
    ----------
    problem, instances
        What the policy is asked; see `forge_gym.evaluation.evaluate.held_out`.
    every
        Steps of the environment between two evaluations; they take place between rollouts.
    path
        The file, one JSON object a line: ``step``, ``seconds`` of training so far, and for each metric its mean
        with the ends of a 95 % bootstrap interval. Written anew.
    tell
        Called with each line as a dictionary, for a progress display.
    """

    def __init__(
        self,
        problem: Problem[Any, Any],
        instances: Sequence[Instance],
        *,
        every: int,
        path: str | Path,
        tell: Callable[[dict[str, Any]], object] = lambda entry: None,
    ) -> None:
        super().__init__()
        check_int("every", every, 1)
        self.problem, self.instances, self.every, self.path = problem, instances, every, Path(path)
        self.tell = tell
        self.curve: list[dict[str, Any]] = []
        self._next, self._training_s, self._since = 0, 0.0, 0.0

    def _on_training_start(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text("")
        self._since = time.perf_counter()

    def _on_rollout_start(self) -> None:
        if self.num_timesteps >= self._next:
            self._measure()
            self._next += self.every

    def _on_training_end(self) -> None:
        self._measure()

    def _on_step(self) -> bool:
        return True

    def _measure(self) -> None:
        self._training_s += time.perf_counter() - self._since
        result = evaluate(SB3Agent(self.model), self.problem, self.instances)
        entry: dict[str, Any] = {"step": self.num_timesteps, "seconds": round(self._training_s, 2)}
        entry |= {metric: [round(number, 4) for number in result.estimate(metric)] for metric in CURVE}
        self.curve.append(entry)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        for metric in CURVE:
            self.logger.record(f"heldout/{metric}", entry[metric][0])
        self.tell(entry)
        self._since = time.perf_counter()


def draw_curve(curve: Sequence[dict[str, Any]], path: str | Path, lines: dict[str, float], title: str) -> None:
    """Draw held-out skill over the steps with its interval, and a level line for each agent in ``lines``."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    ax = figure.add_subplot(title=title, xlabel="steps of the environment", ylabel="skill on held-out instances")
    steps = [entry["step"] for entry in curve]
    mean, low, high = zip(*[entry["skill"] for entry in curve], strict=True)
    ax.fill_between(steps, low, high, color="tab:blue", alpha=0.2)
    ax.plot(steps, mean, "o-", color="tab:blue", markersize=3, label="policy, likeliest actions")
    for (name, skill), style in zip(lines.items(), ("-", "--", ":", "-."), strict=False):
        ax.axhline(skill, color="black", linestyle=style, linewidth=1, label=name)
    ax.legend()
    ax.grid(alpha=0.3)
    figure.savefig(path)
