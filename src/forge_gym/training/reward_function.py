"""A reward function for ``GRPOTrainer``: verifies every completion, pays by any scheme, logs what matters."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from ..core.checks import check_int, short_repr
from ..core.registry import from_spec
from ..core.rewards import Group, GroupScheme, Scheme, group_rewards
from ..core.rewards import reward as reward_scheme
from .curriculum import Curriculum
from .metrics import SILENT, JudgedGroup, metrics

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


@runtime_checkable
class Stateful(GroupScheme, Protocol):
    """A scheme that remembers; its state belongs beside a training run's checkpoint."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as JSON-ready data."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        ...


class RowSource(Protocol):
    """Where rows come from whose answers teach a curriculum: `forge_gym.adapters.trl.Stream`, which says more."""

    curriculum: Curriculum

    def answered(self, number: int) -> tuple[str, int, int] | None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class RewardFunction:
    """A reward function for ``GRPOTrainer(reward_funcs=...)``; picklable unless it has a stream.

    A row whose verification itself failed gets None, and drops out of its group's baseline. Through the
    trainer's ``log_metric`` it logs what `forge_gym.training.metrics.metrics` lists.

    Parameters
    ----------
    reward
        Name of a reward scheme; see `forge_gym.reward`.
    group_size
        The trainer's ``num_generations``: so many consecutive rows are rollouts of one instance.
        Rows of several instances in one group raise ``ValueError``: their baseline would be
        meaningless. With several processes each one's slice must hold whole groups.
    stream
        Source of the rows, whose curriculum learns from the answers.

    Notes
    -----
    Each group is paid as one, so schemes that compare its answers work. What ``verpo`` and a curriculum have
    learned is lost with the process unless `state_dict` is saved beside the checkpoint;
    `forge_gym.adapters.trl.SaveState` does.
    """

    def __init__(self, reward: str = "tiered", *, group_size: int, stream: RowSource | None = None) -> None:
        check_int("group_size", group_size, 1)
        self.scheme: Scheme = reward_scheme(reward)
        self.group_size, self.stream = group_size, stream
        self.__name__ = f"forge_{reward}"  # TRL logs the reward under this name

    def __call__(
        self,
        *,
        completions: Sequence[Any],
        spec: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        answer: Sequence[str] | None = None,
        environments: Sequence[Any] | None = None,
        draw: Sequence[int] | None = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Return one reward per completion.

        Parameters
        ----------
        completions
            Texts, or conversations whose last assistant message counts.
        spec, draw
            Columns of the dataset.
        completion_ids
            Tokens of the completions.
        answer, environments
            Multi-turn rollouts: the answers kept, or environments that have them as ``answer``. They
            take the place of the completions.
        log_metric
            The trainer's logger.
        """
        size = self.group_size
        for start in range(0, len(spec), size):
            instances = len(set(spec[start : start + size]))
            if instances != 1 or start + size > len(spec):
                raise ValueError(
                    f"group_size must be the trainer's num_generations, with {size} rows of one instance each, got "
                    f"{instances} instances in rows {start} to {start + size - 1} of {len(spec)}"
                )
        if answer is None and environments is not None:
            answer = [environment.answer for environment in environments]
        texts = [completion_text(completion) for completion in (completions if answer is None else answer)]
        if len(texts) != len(spec):
            raise ValueError(
                f"completions must be one per row of spec, got {len(texts)} for {len(spec)} rows"
            )
        lengths = [len(ids) for ids in completion_ids or ()] or [0] * len(texts)
        groups = [
            self._judge(spec[start], texts[start : start + size], sum(lengths[start : start + size]))
            for start in range(0, len(spec), size)
        ]
        if self.stream is not None and draw is not None:
            self._report(groups, draw[::size])
        if log_metric is not None:
            for name, value in (metrics(groups) | self._progress()).items():
                log_metric(name, value)
        return [reward for group in groups for reward in group.rewards]

    def _judge(self, spec: str, texts: Sequence[str], tokens: int) -> JudgedGroup:
        """Verify and pay one group; all None where the verifier fails."""
        started = time.perf_counter()
        problem, instance = from_spec(spec)  # a wrong spec is a configuration error, and raises
        try:
            verdicts = problem.verify_many(instance, texts)
            rewards = group_rewards(self.scheme, Group(problem, instance, texts, verdicts))
        except Exception:  # a fault of the verifier must not end a training run, nor pay or punish anyone
            log.exception("the verifier failed on %s", short_repr(spec, 300))
            verdicts, rewards = [], [None] * len(texts)
        for verdict in verdicts:
            if verdict.beats_bound:
                log.error("%s beats its certificate: %s", verdict.objective, spec)
        seconds = time.perf_counter() - started
        return JudgedGroup(problem, instance, texts, verdicts, rewards, tokens, seconds)

    def _report(self, groups: Sequence[JudgedGroup], draws: Sequence[int]) -> None:
        """Tell the curriculum what became of its rows, in the order in which all processes drew them."""
        assert self.stream is not None
        results = [
            (draw, group.verdicts, group.deviation > SILENT)
            for draw, group in zip(draws, groups, strict=True)
        ]
        for draw, verdicts, signal in sorted(gathered(results), key=lambda result: result[0]):
            row = self.stream.answered(draw)
            if row is not None:  # rows of an evaluation, or seen before, teach nothing
                self.stream.curriculum.update(*row, verdicts, signal=signal)

    def _progress(self) -> dict[str, float]:
        if self.stream is None:
            return {}
        curriculum = self.stream.curriculum
        return {"forge/quarantined": float(len(curriculum.quarantined))} | {
            f"forge/{name}/{key}": float(getattr(window, key))
            for name, window in curriculum.windows.items()
            for key in ("top", "promotions", "demotions")
        }

    def state_dict(self) -> dict[str, Any]:
        """Return what the scheme and the stream have learned as JSON-ready data; empty for most schemes."""
        state = self.scheme.state_dict() if isinstance(self.scheme, Stateful) else {}
        return state | ({} if self.stream is None else {"stream": self.stream.state_dict()})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned; raise ``ValueError`` if that is of another scheme or other data."""
        state = dict(state)
        stream = state.pop("stream", None)
        if (stream is None) != (self.stream is None):
            have = "a stream" if self.stream else "none"
            raise ValueError(f"state must be of a reward function with {have}, got {short_repr(list(state))}")
        if state and not isinstance(self.scheme, Stateful):
            raise ValueError(
                f"state must be empty for {self.__name__}, which has none, got {short_repr(state)}"
            )
        if self.stream is not None:
            self.stream.load_state_dict(stream)
        if isinstance(self.scheme, Stateful):
            self.scheme.load_state_dict(state)


def gathered(results: list[Any]) -> list[Any]:
    """Return the results of all processes; this one's where there is no other."""
    accelerate: Any = sys.modules.get("accelerate")
    return results if accelerate is None else list(accelerate.utils.gather_object(results))
