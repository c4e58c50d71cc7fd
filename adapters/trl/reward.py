"""A reward function for ``GRPOTrainer``: verifies every completion, pays by any scheme, logs what matters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from statistics import fmean, pstdev
from typing import Any

from ...core.checks import check_int, shorten
from ...core.registry import from_spec
from ...core.rewards import Group, Scheme, Stateful, pay
from ...core.rewards import reward as reward_scheme
from ...core.verdict import STATUSES, Verdict

log = logging.getLogger(__name__)


def completion_text(completion: Any) -> str:
    """Return the text of a completion: a string, or the last assistant message of a conversation.

    Examples
    --------
    >>> completion_text([{"role": "assistant", "content": "<answer>[]</answer>"}])
    '<answer>[]</answer>'
    """
    if isinstance(completion, str):
        return completion
    for message in reversed(completion) if isinstance(completion, (list, tuple)) else ():
        if isinstance(message, dict) and message.get("role") == "assistant":
            content = message.get("content")
            parts = content if isinstance(content, (list, tuple)) else [{"type": "text", "text": content}]
            texts = [
                part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"
            ]
            return "".join(text for text in texts if isinstance(text, str))
    return ""


class RewardFunction:
    """A reward function for ``GRPOTrainer(reward_funcs=...)``; picklable.

    Called with a batch, it returns one reward per row, None where verification itself failed, so
    that the row drops out of its group's baseline. Through the trainer's ``log_metric`` it logs the
    share of each status, mean quality and skill, the shares of optimal and of better-than-greedy
    answers, the share of groups with any signal, and the faults.

    Parameters
    ----------
    scheme
        Name of a reward scheme; see `forge_gym.reward`.
    group_size
        The trainer's ``num_generations``: so many consecutive rows are rollouts of one instance.
        Rows of several instances in one group raise ``ValueError``: their baseline would be
        meaningless. With several processes each one's slice must hold whole groups.

    Notes
    -----
    Each group is paid as one, so schemes that compare its answers work. What ``verpo`` has learned is lost
    with the process unless `state_dict` is saved beside the checkpoint.
    """

    def __init__(self, scheme: str = "tiered", *, group_size: int) -> None:
        check_int("group_size", group_size, 1)
        self.scheme: Scheme = reward_scheme(scheme)
        self.group_size = group_size
        self.__name__ = f"forge_{scheme}"  # TRL logs the reward under this name

    def __call__(
        self,
        *,
        completions: Sequence[Any],
        spec: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Return one reward per completion; ``spec`` is the dataset's column of that name."""
        size = self.group_size
        for start in range(0, len(spec), size):
            instances = len(set(spec[start : start + size]))
            if instances != 1 or start + size > len(spec):
                raise ValueError(
                    f"group_size must be the trainer's num_generations, with {size} rows of one instance each, got "
                    f"{instances} instances in rows {start} to {start + size - 1} of {len(spec)}"
                )
        rows = list(zip(spec, map(completion_text, completions), strict=True))
        verdicts: list[Verdict | None] = []
        rewards: list[float | None] = []
        for start in range(0, len(rows), size):
            judged, paid = self._judge(spec[start], [text for _, text in rows[start : start + size]])
            verdicts.extend(judged)
            rewards.extend(paid)
        if log_metric is not None:
            for name, value in _metrics(verdicts, rewards, size).items():
                log_metric(name, value)
        return rewards

    def _judge(self, spec: str, texts: list[str]) -> tuple[Sequence[Verdict | None], list[float | None]]:
        """Return verdicts and rewards of one group; all None where the verifier fails."""
        problem, instance = from_spec(spec)  # a wrong spec is a configuration error, and raises
        try:
            verdicts = problem.verify_many(instance, texts)
            rewards = pay(self.scheme, Group(problem, instance, texts, verdicts))
        except Exception:  # a fault of the verifier must not end a training run, nor pay or punish anyone
            log.exception("the verifier failed on %s", shorten(spec, 300))
            return [None] * len(texts), [None] * len(texts)
        for verdict in verdicts:
            if verdict.alarm:
                log.error("%s beats its certificate: %s", verdict.objective, spec)
        return verdicts, rewards

    def state_dict(self) -> dict[str, Any]:
        """Return what the scheme has learned as JSON-ready data; empty for most."""
        return self.scheme.state_dict() if isinstance(self.scheme, Stateful) else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned.

        Raises
        ------
        ValueError
            If ``state`` is of another scheme.
        """
        if isinstance(self.scheme, Stateful):
            self.scheme.load_state_dict(state)
        elif state:
            raise ValueError(f"state must be empty for {self.__name__}, which has none, got {shorten(state)}")


def _metrics(
    verdicts: list[Verdict | None], rewards: list[float | None], group_size: int
) -> dict[str, float]:
    judged = [verdict for verdict in verdicts if verdict is not None and not verdict.alarm]
    groups = [
        [reward for reward in rewards[start : start + group_size] if reward is not None]
        for start in range(0, len(rewards), group_size)
    ]
    metrics = {
        "forge/faults": float(sum(verdict is None for verdict in verdicts)),
        "forge/alarms": float(sum(verdict is not None and verdict.alarm for verdict in verdicts)),
        "forge/effective_groups": fmean(float(len(group) > 1 and pstdev(group) > 1e-6) for group in groups),
    }
    if judged:
        for status in STATUSES:
            metrics[f"forge/{status}"] = fmean(float(verdict.status == status) for verdict in judged)
        metrics["forge/quality"] = fmean(verdict.quality for verdict in judged)
        metrics["forge/skill"] = fmean(max(-1.0, verdict.skill) for verdict in judged)
        metrics["forge/optimal"] = fmean(float(verdict.optimal) for verdict in judged)
        metrics["forge/above_greedy"] = fmean(float(verdict.skill > 0) for verdict in judged)
        feasible = [verdict.quality for verdict in judged if verdict.feasible]
        if feasible:
            metrics["forge/quality_of_feasible"] = fmean(feasible)
    return metrics
