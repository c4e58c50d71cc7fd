"""`Instance`: the data of one instance, as far as verdicts and references ask for them."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import inf
from typing import Any, Self

from .checks import check_known, plain, plain_data, short_repr
from .foreign import load_json
from .seeding import shape_hash


@dataclass(frozen=True)
class Instance(ABC):
    """The data of one instance: frozen and hashable, made of integers and nested tuples of integers."""

    def __post_init__(self) -> None:
        values = vars(self)  # so that a frozen one can be set too
        for name, value in values.items():
            values[name] = plain_data(value)

    @property
    @abstractmethod
    def size(self) -> int:
        """Number of elements that an answer speaks of: cities, items, vertices."""

    @abstractmethod
    def check(self) -> None:
        """Raise ``ValueError`` unless the data make sense; called on data from outside."""

    @abstractmethod
    def relabelled(self, order: Sequence[int]) -> Self:
        """Return the same instance with element ``i`` under the number ``order[i]``, a permutation."""

    @abstractmethod
    def isomorphism_key(self) -> Any:
        """Return JSON-ready data that isomorphic instances always share, and others rarely."""

    def rough_key(self) -> Hashable:
        """Return what isomorphic instances share too, quickly, but more others than of `isomorphism_key`."""
        return shape_hash(self.isomorphism_key())

    def shape_bits(self) -> float:
        """Return the logarithm, to base 2, of about how many instances of this make are not isomorphic.

        Where that is little, splits share no two isomorphic ones; see `forge_gym.core.problem.FEW_BITS`.
        """
        return inf

    def to_json(self) -> str:
        """Return the fields as canonical JSON: equal instances give equal text."""
        return json.dumps({field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the instance that ``text``, written by `to_json`, holds; a ``ValueError`` where it is none."""
        try:
            data = load_json(text)
        except ValueError as error:
            raise ValueError(f"an instance must be JSON, got {short_repr(text)}: {error}") from None
        names = [field.name for field in fields(cls)]
        if not isinstance(data, dict):
            raise ValueError(f"an instance must be a JSON object with {names}, got {short_repr(data)}")
        check_known(cls.__name__, "field", data, names)
        try:
            instance = cls(**{key: plain(value) for key, value in data.items()})
        except TypeError as error:
            raise ValueError(f"{cls.__name__} must have the fields {names}: {error}") from None
        instance.check()
        return instance

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What problems have derived from the data once and need again and again; by problem, then by name."""
        return {}

    def __getstate__(self) -> Mapping[str, Any]:  # derived data stay behind when an instance travels
        return {field.name: getattr(self, field.name) for field in fields(self)}
