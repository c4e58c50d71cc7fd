"""Rows for ``GRPOTrainer``: a prompt, and the spec that rebuilds problem, instance and reference anywhere."""

from __future__ import annotations

import sys
from collections.abc import Container, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from ...core.checks import check_choice, check_int, short_repr
from ...core.problem import MAX_UNGRADED, Problem
from ...core.registry import place_of
from ...data.rows import Row, samples
from ...training.curriculum import MOST, Curriculum

if TYPE_CHECKING:
    from datasets import Dataset, IterableDataset


def make_dataset(
    problems: Problem[Any, Any] | Sequence[Problem[Any, Any]],
    size: int,
    *,
    levels: Sequence[int] | None = None,
    seed: int = 0,
    split: str = "train",
    chat: bool = True,
    exclude: Container[str] = frozenset(),
) -> Dataset:
    """Return ``size`` graded instances as a dataset for ``GRPOTrainer`` or an evaluation.

    Parameters
    ----------
    problems, levels, seed, split, exclude
        As of `forge_gym.data.rows.samples`.
    size
        Number of rows; every row is another instance.
    chat
        Whether ``prompt`` is a conversation (instruct models) or plain text (from-scratch models).

    Returns
    -------
    datasets.Dataset
        Columns ``prompt``, ``spec``, ``problem``, ``environment`` (the problem again), ``level`` (-1 for a
        problem's own parameters), ``seed``, ``index`` and ``instance_hash``.

    """
    from datasets import Dataset

    size = check_int("size", size, 1)
    stream = islice(samples(problems, levels=levels, seed=seed, split=split, exclude=exclude), size)
    return Dataset.from_list([row(drawn, chat=chat) for drawn in stream])


def row(drawn: Row, *, chat: bool = True) -> dict[str, Any]:
    """Return the columns of a graded instance; see `make_dataset`."""
    return {
        "prompt": drawn.messages if chat else drawn.prompt,
        "spec": drawn.spec,
        "problem": drawn.problem.name,
        "environment": drawn.problem.name,  # by which the trainer chooses among environment factories
        "level": drawn.level,
        "seed": drawn.source["seed"],
        "index": drawn.source["index"],
        "instance_hash": drawn.hash,
    }


class Stream:
    """Rows that a curriculum draws as the trainer asks for them; the state of training data.

    They are random as they are. Shuffling would draw a buffer of them before the first answer, so it is refused.

    Parameters
    ----------
    curriculum
        Draws problem, level and instance. `RewardFunction` reports the answers back to it.
    chat, exclude
        As of `make_dataset`.

    Notes
    -----
    The trainer reads one batch ahead, so a window that moves shows in the batch after the next. Rows that
    were drawn but not yet answered are part of the state, so that a resumed run sees the same rows. Each process
    of a distributed run draws all rows and takes its part: windows move on the results of all.
    """

    def __init__(self, curriculum: Curriculum, *, chat: bool = True, exclude: Container[str] = frozenset()) -> None:
        self.curriculum, self.chat, self.exclude = curriculum, chat, exclude
        self._drawn = 0
        self._pending: dict[int, tuple[str, int, int]] = {}

    @property
    def pending(self) -> list[int]:
        """Numbers of the rows that were drawn but not yet answered."""
        return list(self._pending)

    def dataset(self) -> IterableDataset:
        """Return the rows of `make_dataset` and their number ``draw``, for a trainer with ``shuffle_dataset=False``."""
        from datasets import IterableDataset

        dataset = IterableDataset.from_generator(self.rows)
        source = dataset._ex_iterable
        source.shuffle_data_sources = _no_shuffling  # asked before any shuffling, of mapped rows too
        source.shard_data_sources = partial(_whole, source)  # or a part of it could be shuffled
        return dataset

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the rows not yet answered, then new ones without end."""
        torch: Any = sys.modules.get("torch")
        if torch is not None and torch.utils.data.get_worker_info() is not None:  # a copy of this process
            _unreadable(0)
        for number, (name, level, index) in list(self._pending.items()):
            yield {**row(self.curriculum.at(name, level, index), chat=self.chat), "draw": number}
        excluded = 0
        while excluded < MAX_UNGRADED:
            drawn = self.curriculum.sample()
            if drawn.prompt in self.exclude:
                excluded += 1
                continue
            excluded = 0
            number, self._drawn = self._drawn, self._drawn + 1
            self._pending[number] = (drawn.problem.name, drawn.level, drawn.source["index"])
            yield {**row(drawn, chat=self.chat), "draw": number}
        raise ValueError(
            f"exclude must leave instances, got {MAX_UNGRADED} in a row that it names: start at a higher level"
        )

    def answered(self, number: int, spec: str) -> tuple[str, int, int] | None:
        """Take row ``number`` from the pending ones; return problem, level and index; None if it is none of them.

        A row of other data may have the same number, but not the same ``spec``.
        """
        if number not in self._pending:
            return None
        (name, level, index), curriculum = self._pending[number], self.curriculum
        if place_of(spec) != curriculum.problems[name].spec(curriculum.seed, index, curriculum.split, level):
            return None
        return self._pending.pop(number)

    def state_dict(self) -> dict[str, Any]:
        """Return the curriculum's state and the rows not yet answered as JSON-ready data."""
        return {
            "curriculum": self.curriculum.state_dict(),
            "drawn": self._drawn,
            "pending": [[number, *row] for number, row in self._pending.items()],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` returned; raise ``ValueError`` if ``state`` is damaged or of other data."""
        try:
            drawn, curriculum = state["drawn"], state["curriculum"]
            drawn = check_int("drawn", drawn, 0, MOST)
            pending: dict[int, tuple[str, int, int]] = {}
            for number, name, level, index in state["pending"]:
                check_choice("problem", name, self.curriculum.problems)
                level = check_int("level", level, 0)
                self.curriculum.problems[name].at_level(level)
                pending[check_int("number", number, 0, drawn - 1)] = name, level, check_int("index", index, 0, MOST)
            if not isinstance(state["pending"], list) or len(pending) < len(state["pending"]):
                raise ValueError(f"rows must be pending once, got {short_repr(state['pending'])}")
        except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise ValueError(f"state of a stream is damaged: {error!r}") from None
        self.curriculum.load_state_dict(curriculum)
        self._drawn, self._pending = drawn, pending

    def __reduce__(self) -> tuple[Any, ...]:
        # Only to compute the dataset's fingerprint; a copy, here or elsewhere, would be blind to the answers.
        return (_unreadable, (id(self),))


def _no_shuffling(_: Any) -> None:
    raise ValueError("a stream must not be shuffled, and has one epoch: set shuffle_dataset=False")


def _whole(source: Any, *_: Any, **__: Any) -> Any:
    return source


def _unreadable(_: int) -> None:
    raise RuntimeError("a stream cannot be copied, only read where training is: set dataloader_num_workers=0")
