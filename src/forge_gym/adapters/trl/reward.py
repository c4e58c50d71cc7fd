"""Reward functions for ``GRPOTrainer``: verify every completion, pay by any scheme, log what matters."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby, pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from ...core.answer import THOUGHTS, Thoughts, ThoughtsLike
from ...core.checks import as_int, short_repr
from ...core.registry import from_spec
from ...core.rewards import Group, Scheme, group_rewards
from ...core.rewards import reward as reward_scheme
from ...training.metrics import JudgedGroup, metrics
from .tools import ToolEnvironment

if TYPE_CHECKING:
    from .dataset import Stream

log = logging.getLogger(__name__)


class KeptReply(str):
    """The reply of a dialogue that counts: a type of its own, which no column of a data set can hold."""

    __slots__ = ()


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
            texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
            return "".join(text for text in texts if isinstance(text, str))
    return ""


class RewardFunction:
    """A reward function for ``GRPOTrainer(reward_funcs=...)``; picklable unless it has a stream.

    Consecutive rows of one instance are a group, and paid as one, so schemes that compare answers work. A row
    whose verification itself failed gets None, and drops out of its group's baseline. Through the trainer's
    ``log_metric`` it logs what `forge_gym.training.metrics.metrics` lists, as ``forge/<number>``; where there are
    several problems, also ``forge/<problem>/<number>``.

    Parameters
    ----------
    reward
        Name of a reward scheme; see `forge_gym.reward`.
    stream
        Source of the rows, whose curriculum learns from the answers.
    thoughts
        How the thoughts in completions end, such as ``"[/THINK]"``; ``{"inside": True}`` where the chat template opens
        them, so that one which is cut off is no answer. See `Protocol`.

    Notes
    -----
    What ``verpo`` has learned is in the checkpoints of the trainer, and comes back when a run is resumed: in all
    processes as the first one had it. What a stream's curriculum has learned needs
    `forge_gym.training.callbacks.SaveState`, without which a resumed run stops.
    """

    def __init__(
        self, reward: str = "tiered", *, stream: Stream | None = None, thoughts: ThoughtsLike = THOUGHTS
    ) -> None:
        self.scheme: Scheme = reward_scheme(reward)
        self.thoughts = Thoughts.of(thoughts)
        self.stream = stream
        self.__name__ = reward  # under which the trainer logs it
        self._problems: set[str] = set()
        self._run: Any = None  # the trainer's state
        self._cut_off = False  # whether it was said

    def __call__(
        self,
        /,  # or a column named `self` would be one argument too many
        *,
        completions: Sequence[Any],
        spec: Sequence[str],
        completion_ids: Sequence[Sequence[int]] | None = None,
        kept_reply: Sequence[Any] | None = None,
        environments: Sequence[Any] | None = None,
        draw: Sequence[Any] | None = None,
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Return one reward per completion: a text, or a conversation whose last assistant message counts.

        Of the data set's columns ``spec`` matters, and ``draw`` where there is a stream. What a `Rollout`
        (``kept_reply``) or a tool kept takes the place of the completion.
        """
        if len(completions) != len(spec):
            raise ValueError(f"completions must be one per row, got {len(completions)} for {len(spec)} rows")
        learns = trainer_state is not None and bool(self._parts())
        if learns and trainer_state is not self._run:
            self.restore(trainer_state, self._name)
        none = [None] * len(spec)
        draws = none if self.stream is None or draw is None else [*map(as_int, draw)]
        replies = zip(completions, kept_reply or none, environments or none, strict=True)
        lengths = [len(ids) for ids in completion_ids or ()] or [0] * len(spec)
        rows = [*zip(spec, draws, [_reply(*reply) for reply in replies], lengths, strict=True)]
        if hasattr(self.scheme, "group"):
            _check_whole(rows, self.__name__)
        groups: list[JudgedGroup] = []
        drawn: list[tuple[Any, str]] = []
        first = 0
        for (of_group, number), members in groupby(rows, key=itemgetter(0, 1)):
            texts, tokens = zip(*(member[2:] for member in members), strict=True)
            groups.append(self._judge(of_group, texts, sum(tokens), first))
            drawn.append((number, of_group))
            first += len(texts)
        unread = all(verdict.status == "malformed" for group in groups for verdict in group.verdicts)
        if not self._cut_off and unread and len(lengths) > 1 and {*lengths} == {lengths[0] or None}:
            self._cut_off = True
            log.warning("all completions have %d tokens, and no answer: is max_completion_length too low?", lengths[0])
        if self.stream is not None:
            _report(self.stream, groups, drawn)
        if learns and self.stream is None:
            trainer_state.stateful_callbacks[self._name] = {"args": {}, "attributes": {"learned": self.state_dict()}}
        if log_metric is not None:
            for name, value in (self._metrics(groups) | self._progress()).items():
                log_metric(f"forge/{name}", value)
        return [reward for group in groups for reward in group.rewards]

    def _judge(self, spec: str, texts: Sequence[str], tokens: int, row: int) -> JudgedGroup:
        """Verify and pay one group, which starts at ``row`` of the batch; all None where the verifier fails."""
        started = time.perf_counter()
        try:
            problem, instance = from_spec(spec)
        except (ValueError, TypeError) as error:  # the data set is wrong, so training on it must end
            raise ValueError(f"column 'spec' of row {row} of the batch: {error}") from None
        try:
            verdicts = problem.verify_many(instance, texts, self.thoughts)
            rewards = group_rewards(self.scheme, Group(problem, instance, texts, verdicts))
        except Exception:  # a fault of the verifier must not end a training run, nor pay or punish anyone
            log.exception("the verifier failed on %s", short_repr(spec, 300))
            verdicts, rewards = [], [None] * len(texts)
        for verdict in verdicts:
            if verdict.beats_bound:
                log.error("%s beats its certificate: %s", verdict.objective, spec)
        seconds = time.perf_counter() - started
        return JudgedGroup(problem, instance, texts, verdicts, rewards, tokens, seconds)

    def _metrics(self, groups: Sequence[JudgedGroup]) -> dict[str, float]:
        numbers = metrics(groups)
        self._problems |= {group.problem.name for group in groups}
        for name in sorted(self._problems) if len(self._problems) > 1 else ():
            if own := [group for group in groups if group.problem.name == name]:
                numbers |= {f"{name}/{key}": value for key, value in metrics(own).items()}
        return numbers

    def _progress(self) -> dict[str, float]:
        if self.stream is None:
            return {}
        return {
            f"{name}/{key}": float(getattr(window, key))
            for name, window in self.stream.curriculum.windows.items()
            for key in ("top", "promotions", "demotions")
        }

    def _parts(self) -> dict[str, Any]:
        """Return what learns."""
        parts = {"scheme": self.scheme, "stream": self.stream}
        return {name: part for name, part in parts.items() if hasattr(part, "state_dict")}

    def state_dict(self) -> dict[str, Any]:
        """Return what the scheme and the stream have learned as JSON-ready data; empty for most schemes."""
        return {name: part.state_dict() for name, part in self._parts().items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; raise ``ValueError`` if that is of another scheme or other data.

        A refused state changes nothing.
        """
        parts = self._parts()
        if not isinstance(state, Mapping) or state.keys() != parts.keys():
            raise ValueError(f"state must have the keys {[*parts]} for {self.__name__}, got {short_repr(state)}")
        before = self.state_dict()
        try:
            for name, part in parts.items():
                part.load_state_dict(state[name])
        except ValueError:
            for name, part in parts.items():
                part.load_state_dict(before[name])
            raise

    @property
    def _name(self) -> str:
        """Under which the trainer's checkpoints hold what a scheme has learned."""
        return f"forge_gym reward {self.__name__}"

    def restore(self, state: Any, name: str) -> None:
        """Continue the run of ``state``, the trainer's, from what its checkpoint holds under ``name``.

        A new run continues from nothing. A ``ValueError`` if the checkpoint has no such entry, or one of other data.
        """
        if state.global_step:
            try:
                learned = state.stateful_callbacks[name]["attributes"]["learned"]
            except (KeyError, TypeError):
                missing = f"the checkpoint of step {state.global_step} does not hold what {self.__name__} has learned"
                need = "" if self.stream is None else ": give the trainer the callback SaveState in every run"
                raise ValueError(missing + need) from None
            self.load_state_dict(learned)
        self._run = state


def _reply(completion: Any, kept: Any, environment: Any) -> str:
    if isinstance(kept, KeptReply):
        return kept
    if isinstance(environment, ToolEnvironment):
        return environment.answer
    return completion_text(completion)


def _gather(items: list[Any]) -> list[Any]:
    """Return the items of all processes, in their order."""
    accelerate: Any = sys.modules.get("accelerate")
    return items if accelerate is None else list(accelerate.utils.gather_object(items))


def _check_whole(rows: Sequence[tuple[Any, ...]], scheme: str) -> None:
    """Raise ``ValueError`` if a group goes on in another process: answers there could not be compared."""
    edges = _gather([(rows[0][:2], rows[-1][:2])]) if rows else _gather([])
    if any(last == first for (_, last), (first, _) in pairwise(edges)):
        raise ValueError(
            f"{scheme} compares the answers of a group, so a group must be in one process: make "
            "per_device_train_batch_size times steps_per_generation a multiple of num_generations"
        )


def _report(stream: Stream, groups: Sequence[JudgedGroup], drawn: Sequence[tuple[Any, str]]) -> None:
    """Tell the curriculum what became of its rows, in the order in which all processes drew them."""
    own = [(*row, group.verdicts) for row, group in zip(drawn, groups, strict=True) if row[0] is not None]
    # A group may be spread over processes.
    for (draw, spec), parts in groupby(sorted(_gather(own), key=itemgetter(0, 1)), key=itemgetter(0, 1)):
        row = stream.answered(draw, spec)
        if row is not None:  # rows of an evaluation, or seen before, teach nothing
            stream.curriculum.update(*row[:2], [verdict for *_, verdicts in parts for verdict in verdicts])
