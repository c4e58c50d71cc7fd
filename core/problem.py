"""`Problem`: the pure hooks of one NP-hard problem, and what follows from them once for all.

A file in ``envs/`` writes the hooks; instances from seeds, the verifier, references, specs and
reply texts come from here. Nothing in a problem is state: every method is a pure function of its
arguments and of the problem's parameters.
"""

from __future__ import annotations

import hashlib
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, TypeVar, cast

import numpy as np

from .answer import ANSWER_FORMATS, extract, wrap
from .checks import check_choice, check_int, check_known, shorten
from .reference import Certificate, CertificateError, Reference, Sense
from .store import active_store, tuples
from .verdict import Malformed, Number, Verdict, Violation

if TYPE_CHECKING:
    from .numeric import Features

SUITE = 1
"""Version of the seeding scheme: raising it changes every instance of every problem."""
SPLITS = ("train", "validation", "test")
"""Disjoint streams of instances: the same seed names different instances in each."""
STYLES = ("prose", "compact")
"""``prose`` explains itself to any language model; ``compact`` is bare tokens for from-scratch models."""

_MAX_CREDIT = 1.0 - 1e-6
_WORTH_STORING_S = 0.02
"""Seconds of solving above which a reference goes to the store; quicker ones are solved again."""
REJECTIONS = 1000
"""Consecutive instances without a graded scale after which a stream gives up."""
_MIN_LEVELS = 4
"""Distinct attainable objectives that make an instance graded."""


def _words(number: int) -> list[int]:
    """Return ``number`` in words of 32 bits, the lowest first.

    Examples
    --------
    >>> _words(0), _words(2**32 + 5)
    ([0], [5, 1])
    """
    words = [number & 0xFFFFFFFF]
    while number := number >> 32:
        words.append(number & 0xFFFFFFFF)
    return words


def _is_text(value: object) -> bool:
    return isinstance(value, str)


T = TypeVar("T")


@dataclass(frozen=True)
class Instance(ABC):
    """The data of one instance: frozen, hashable, made of integers, strings and nested tuples of them."""

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

    def invariant(self) -> Any:
        """Return JSON-ready data that isomorphic instances share; here all data, so only equal ones do."""
        return [getattr(self, field.name) for field in fields(self)]

    def features(self) -> Features | None:
        """Return the data as numbers from 0 to 1, for agents that read arrays; None where nobody declared them."""
        return None

    @classmethod
    def data_fields(cls) -> list[str]:
        """Return the names of the fields that are data; the others only say how texts number the elements."""
        return [field.name for field in fields(cls) if field.compare]

    @cached_property
    def memo(self) -> dict[str, Any]:
        """What has been derived from the data once and is needed again and again."""
        return {}

    def __getstate__(self) -> dict[str, Any]:  # derived data stay behind when an instance travels
        return {field.name: getattr(self, field.name) for field in fields(self)}


def moved(values: Sequence[T], order: Sequence[int]) -> tuple[T, ...]:
    """Return ``values`` with the one at ``i`` moved to ``order[i]``.

    Examples
    --------
    >>> moved("abc", (2, 0, 1))
    ('b', 'c', 'a')
    """
    found = list(values)
    for value, place in zip(values, order, strict=True):
        found[place] = value
    return tuple(found)


I = TypeVar("I", bound=Instance)  # noqa: E741 - I for instance, S for solution, as in the hooks' contracts
S = TypeVar("S")


def size_at_level(start: int, level: int) -> int:
    """Size of the ladder's rung ``level``: ``start`` at level 0, at most 1.3 times the rung before.

    Quadratic growth, so levels are unbounded without overflow; ``start`` is at least 5.

    Examples
    --------
    >>> [size_at_level(5, level) for level in (0, 1, 2, 3, 5, 10, 20)]
    [5, 6, 7, 9, 13, 27, 75]
    """
    check_int("level", level, 0)
    return start + level + level * level // 8


@lru_cache(maxsize=256)
def blind_orders(n: int) -> tuple[tuple[int, ...], ...]:
    """Return six orders of ``range(n)`` that know nothing but ``n``: the first is 0, 1, 2, ...

    Where every order is feasible, one fixed answer beats another on half of all instances. The best of
    six is a trivial anchor that a constant answer rarely passes. The other five sort by the fractional parts of
    the multiples of an irrational number.

    Examples
    --------
    >>> blind_orders(6)[:3]
    ((0, 1, 2, 3, 4, 5), (4, 1, 3, 0, 5, 2), (4, 2, 0, 5, 3, 1))
    """
    return tuple(
        tuple(sorted(range(n), key=lambda i: (i + 1) * step % 10**6))
        for step in (1, 618_033, 414_213, 732_051, 236_067, 645_751)  # golden ratio, roots of 2, 3, 5 and 7
    )


@dataclass(frozen=True, kw_only=True)
class Problem(ABC, Generic[I, S]):
    """One NP-hard problem with fixed parameters.

    The fields of this class say how an instance is put to an agent; the fields of a subclass say
    how instances are drawn, and they alone (with the seed) decide which instance comes.
    """

    name: ClassVar[str]
    version: ClassVar[int]
    """Raised whenever an instance, a prompt, a verdict or a default reward changes for the same seed."""
    family: ClassVar[Literal["graph", "scheduling", "partition", "selection", "planning"]]
    sense: ClassVar[Sense]
    kind: ClassVar[Literal["permutation", "subset", "assignment", "sequence", "schedule"]]
    """What a solution is: all elements in order, some of them, a label for each, some of them in order,
    or rows (element, resource, time). Decides the null answers and every view that is not text."""
    constraints: ClassVar[tuple[str, ...]]
    """The constraint families that `violations` may name."""
    open_constraints: ClassVar[tuple[str, ...]] = ()
    """Those of them that an unfinished solution may break, because adding to it mends them."""
    instance_type: ClassVar[type[Instance]]
    work_limit: ClassVar[int]
    """Default limit of `solve`, in the solver's own steps; enough for a proof at the default sizes."""

    answer_format: str = "tags"
    """``tags``: between <answer> and </answer>; ``line``: a last line ``Answer: ...``; ``raw``: all text."""
    style: str = "prose"
    """``prose`` or ``compact``; see `STYLES`."""

    def __post_init__(self) -> None:
        check_choice("answer_format", self.answer_format, ANSWER_FORMATS)
        check_choice("style", self.style, STYLES)
        self.check()

    # ---------------------------------------------------------------- hooks, in a problem file's order

    @abstractmethod
    def check(self) -> None:
        """Raise ``ValueError`` unless the parameters make sense."""

    @abstractmethod
    def at_level(self, level: int) -> Self:
        """Return this problem at difficulty ``level`` (0, 1, 2, ... without end), monotone in size."""

    @abstractmethod
    def generate(self, rng: np.random.Generator) -> I:
        """Draw an instance, every draw from ``rng``; no order of ids gives a solution away."""

    @abstractmethod
    def describe(self, instance: I) -> str:
        """Return the data of ``instance`` as text, sparse and compact."""

    @abstractmethod
    def prompt(self, instance: I) -> str:
        """Return the question: objective, every constraint, answer format, an example on another instance."""

    @abstractmethod
    def example(self, instance: I) -> tuple[I, S]:
        """Return a tiny instance with an optimal solution whose answer is not valid for ``instance``."""

    @abstractmethod
    def parse(self, instance: I, text: str) -> S:
        """Return the solution that the answer ``text`` spells, or raise `Malformed`; never repair."""

    @abstractmethod
    def write(self, instance: I, solution: S) -> str:
        """Return the answer text that spells ``solution``: the inverse of `parse`."""

    @abstractmethod
    def violations(self, instance: I, solution: S) -> tuple[Violation, ...]:
        """Return one `Violation` per violated constraint family; empty means feasible."""

    @abstractmethod
    def objective(self, instance: I, solution: S) -> Number:
        """Return the objective of a feasible ``solution``, exactly."""

    @abstractmethod
    def trivial(self, instance: I) -> S:
        """Return the thoughtless feasible solution: quality 0."""

    @abstractmethod
    def heuristic(self, instance: I, rng: np.random.Generator | None = None, slip: float = 0.0) -> S:
        """Return a classic greedy solution, never worse than `trivial`: skill 0.

        With ``rng``, each choice falls with probability ``slip`` on the second best candidate
        instead: demonstrations that still explore.
        """

    @abstractmethod
    def random(self, instance: I, rng: np.random.Generator) -> S:
        """Return a random feasible solution."""

    @abstractmethod
    def neighbour(self, instance: I, solution: S, rng: np.random.Generator) -> S:
        """Return a random feasible neighbour of the feasible ``solution``: one move of a local search."""

    @abstractmethod
    def solve(self, instance: I, limit: int) -> Certificate[S]:
        """Solve to proven optimality, or return the incumbent and bound after ``limit`` steps of work."""

    @abstractmethod
    def canonical(self, instance: I, solution: S) -> S:
        """Return the one form shared by all spellings of the feasible ``solution``."""

    @abstractmethod
    def draw(self, instance: I, solution: S | None, ax: Any) -> None:
        """Draw the instance, and ``solution`` if given, on matplotlib axes; never raise.

        The solution is anything that `parse` returns, feasible or not: what breaks a constraint is marked,
        by the colour `forge_gym.core.drawing.WRONG` and by a ring, hatching or dashes too.
        """

    # ---------------------------------------------------------------- what follows, once for all

    def domains(self, instance: I) -> tuple[range, ...]:
        """Return the numbers that may stand in each column of a solution: elements, resources, times.

        A solution that is a plain list has one column, the elements (or the labels) 0 to n - 1.
        """
        return (range(instance.size),)

    def extensions(self, instance: I, partial: S) -> Sequence[Any]:
        """Return what may be added next to the unfinished solution ``partial``, a tuple.

        Elements, the label of the next element, or rows (element, resource, its earliest time), by `kind`. This
        asks the verifier, and lists what breaks none but `open_constraints`. Problems override it to be quicker,
        or to look further ahead: nothing they list leads into a dead end, and every objective remains in reach.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP", n=5)
        >>> tsp.extensions(tsp.instance(), (3, 0))
        [1, 2, 4]
        """
        given: Any = partial

        def fits(addition: Any) -> bool:
            broken = self.violations(instance, (*given, addition))  # type: ignore[arg-type] # of S by kind
            return all(violation.family in self.open_constraints for violation in broken)

        if self.kind == "assignment":
            return [label for label in range(instance.size) if len(given) < instance.size and fits(label)]
        if self.kind != "schedule":
            listed = set(given)
            return [element for element in range(instance.size) if element not in listed and fits(element)]
        _, resources, times = self.domains(instance)
        scheduled = {row[0] for row in given}
        pairs = [(e, r) for e in range(instance.size) if e not in scheduled for r in resources]
        earliest = [next(filter(fits, [(*pair, time) for time in times]), None) for pair in pairs]
        return [row for row in earliest if row is not None]

    def labels(self, instance: I, solution: S, element: int) -> Sequence[int]:
        """Return the labels that ``element`` may have in an assignment, the others keeping theirs; asks the verifier.

        Examples
        --------
        >>> from forge_gym.envs.graph_coloring import GraphColoring, GraphColoringInstance
        >>> path = GraphColoringInstance(4, ((0, 2), (1, 3), (2, 3)))
        >>> GraphColoring(n=4).labels(path, (0, 0, 1, 2), 2)
        [1, 3]
        """
        given: Any = solution
        relabelled: Any = [(*given[:element], label, *given[element + 1 :]) for label in range(instance.size)]
        return [label for label, each in enumerate(relabelled) if not self.violations(instance, each)]

    def nulls(self, instance: I) -> list[Any]:
        """Return the answers that ignore the instance: empty, all the same, everything."""
        n = instance.size
        if self.kind == "schedule":
            return [(), ((0, 0, 0),) * n]
        return [(), (0,) * n, *([tuple(range(n))] if self.kind in ("subset", "sequence") else [])]

    def relabel(self, solution: S, order: Sequence[int]) -> S:
        """Return ``solution`` to ``instance.relabelled(order)``: the same one under the new numbers.

        Examples
        --------
        >>> import forge_gym
        >>> forge_gym.problem("TSP").relabel((0, 1, 2), (2, 0, 1))
        (2, 0, 1)
        """
        given: Any = solution
        if self.kind == "assignment":  # a label for each element in order
            found: Any = moved(given, order)
        elif self.kind == "schedule":
            found = tuple([(order[row[0]], *row[1:]) for row in given])
        else:
            found = tuple([order[x] if isinstance(x, int) else self.relabel(x, order) for x in given])
        return cast(S, found)

    def relabelled(self, instance: I, order: Sequence[int]) -> I:
        """Return ``instance`` with element ``i`` under the number ``order[i]``, and on the same scale.

        The anchors come along, those of infeasible answers too: a heuristic that breaks ties by number may
        find other ones under other numbers, and the worth of an answer must not hang on that.

        Raises
        ------
        ValueError
            If ``order`` is not a permutation of the elements.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP", n=5)
        >>> here, order = tsp.instance(seed=1), (3, 1, 4, 0, 2)
        >>> there, tour = tsp.relabelled(here, order), tsp.random(here, np.random.default_rng(0))
        >>> tsp.judge(here, tour) == tsp.judge(there, tsp.relabel(tour, order))
        True
        """
        if sorted(order) != list(range(instance.size)):
            raise ValueError(f"order must be a permutation of 0 to {instance.size - 1}, got {shorten(order)}")
        found, reference = instance.relabelled(order), self.reference(instance)
        found.memo["reference"] = replace(reference, solution=self.relabel(reference.solution, order))
        found.memo["null_violations"] = self.null_violations(instance)
        return found

    @cached_property
    def _stream(self) -> list[int]:
        """64 bits that tell apart the instance streams of different problems, versions and parameters."""
        shaping = {key: value for key, value in self.parameters.items() if key not in _PRESENTATION}
        text = json.dumps([self.name, self.version, shaping], sort_keys=True)
        digest = hashlib.sha256(text.encode()).digest()
        return [int.from_bytes(digest[:4], "big"), int.from_bytes(digest[4:8], "big")]

    def instance(self, seed: int = 0, index: int = 0, split: str = "train") -> I:
        """Return the instance that ``(seed, index, split)`` names: the same bytes in any process.

        Parameters
        ----------
        seed, index
            Non-negative integers of any size; ``index`` counts within a seed.
        split
            ``train``, ``validation`` or ``test``: disjoint streams.

        Raises
        ------
        ValueError
            If an argument is out of range.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP")
        >>> tsp.instance(seed=7) == tsp.instance(seed=7), tsp.instance(seed=7) == tsp.instance(seed=8)
        (True, False)
        """
        check_int("seed", seed, 0)
        check_int("index", index, 0)
        check_choice("split", split, SPLITS)
        # As SeedSequence([SUITE, *stream, split, seed], spawn_key=(index,)), whose way from integers to words takes
        # as long as many an instance does.
        words = [SUITE, *self._stream, SPLITS.index(split), *_words(seed), *_words(index)]
        sequence = np.random.SeedSequence(np.array(words, dtype=np.uint32))
        return self.generate(np.random.default_rng(sequence))

    def graded(self, instance: I) -> bool:
        """Whether the quality scale of ``instance`` has room: what suites and training streams require.

        Greedy beats trivial, the proven optimum beats greedy, and at least four different
        objectives are attained by the anchors and 32 random solutions.
        """
        sign = 1 if self.sense == "max" else -1
        trivial = self.objective(instance, self.trivial(instance))
        greedy = self.objective(instance, self.heuristic(instance))
        if sign * (greedy - trivial) <= 0:  # the cheap test first: it needs no solver
            return False
        reference = self.reference(instance)
        if not (reference.proven and reference.headroom > 0):
            return False
        values = {trivial, greedy, reference.value}
        rng = np.random.default_rng(np.random.SeedSequence([SUITE, int(self.digest(instance)[:16], 16)]))
        for _ in range(32):
            if len(values) >= _MIN_LEVELS:
                break
            values.add(self.objective(instance, self.random(instance, rng)))
        return len(values) >= _MIN_LEVELS

    def graded_instances(
        self, seed: int = 0, split: str = "train", start: int = 0
    ) -> Iterator[tuple[int, I]]:
        """Yield ``(index, instance)`` of every graded instance of the stream ``seed``, from ``start`` on.

        Raises
        ------
        ValueError
            If 1,000 instances in a row are not graded: these parameters leave no room for quality.
        """
        index = last = start
        while index - last < REJECTIONS:
            instance = self.instance(seed, index, split)
            if self.graded(instance):
                last = index
                yield index, instance
            index += 1
        raise ValueError(
            f"parameters of {self.name} must leave room between trivial, greedy and proven optimum, "
            f"got {REJECTIONS} instances in a row without it from {self!r}: try a larger size or level"
        )

    # ---------------------------------------------------------------- verdicts

    def verify(self, instance: I, text: object) -> Verdict:
        """Judge the reply ``text``. Never raises, whatever the text; what is no text is malformed.

        The first feasible answer to an instance waits for its reference, which is solved once.

        Parameters
        ----------
        instance
            The instance that was asked.
        text
            The whole reply of a model, thoughts included.

        Returns
        -------
        Verdict
            Malformed, infeasible or feasible, with everything a reward may depend on.

        Examples
        --------
        >>> import forge_gym
        >>> knapsack = forge_gym.problem("Knapsack")
        >>> knapsack.verify(knapsack.instance(seed=1), "I take <answer>[]</answer>.").quality
        0.0
        """
        if not isinstance(text, str):
            return Verdict("malformed", f"an answer is text, got {shorten(text)}")
        try:
            solution = self.read(instance, text)
        except Malformed as error:
            return Verdict("malformed", str(error))
        return self.judge(instance, solution)

    def read(self, instance: I, text: str) -> S:
        """Return the solution that the whole reply ``text`` states, or raise `Malformed`."""
        return self.parse(instance, extract(text, self.answer_format))

    def verify_many(self, instance: I, texts: Sequence[str]) -> list[Verdict]:
        """Judge several replies to one instance: equal to `verify` one by one.

        Equal texts, frequent in a group of rollouts, are judged once.
        """
        judged = {text: self.verify(instance, text) for text in dict.fromkeys(filter(_is_text, texts))}
        return [judged[text] if _is_text(text) else self.verify(instance, text) for text in texts]

    def judge(self, instance: I, solution: S) -> Verdict:
        """Judge a typed solution, feasible or not."""
        violations = self.violations(instance, solution)
        if violations:
            null = self._null_credit(instance)
            credit = max(0.0, (self._credit(violations) - null) / (1.0 - null))
            return Verdict("infeasible", violations[0].reason, violations, min(_MAX_CREDIT, credit))
        return self.reference(instance).verdict(self.objective(instance, solution))

    def _credit(self, violations: tuple[Violation, ...]) -> float:
        """Share of the constraint families that is satisfied, each family weighing the same; in [0, 1)."""
        share = 1.0 - sum(1.0 - violation.satisfied for violation in violations) / len(self.constraints)
        return min(_MAX_CREDIT, share)

    def null_violations(self, instance: I) -> list[tuple[Violation, ...]]:
        """Return what the infeasible ones among `nulls` violate; found once, then remembered."""
        if "null_violations" not in instance.memo:
            found = [self.violations(instance, null) for null in self.nulls(instance)]
            instance.memo["null_violations"] = list(filter(None, found))
        violations: list[tuple[Violation, ...]] = instance.memo["null_violations"]
        return violations

    def _null_credit(self, instance: I) -> float:
        """Return the largest credit of an answer that ignores the instance: empty, everything, all the same."""
        if "null_credit" not in instance.memo:
            credits = map(self._credit, self.null_violations(instance))
            instance.memo["null_credit"] = max(credits, default=0.0)
        return float(instance.memo["null_credit"])

    def reference(self, instance: I) -> Reference[S]:
        """Return the anchors and the certified best of ``instance``; solved once, then remembered.

        References that take long to solve are kept in a file, see `forge_gym.core.store`.

        Raises
        ------
        CertificateError
            If the solver's witness fails the verifier, or a heuristic beats its bound.
        """
        found: Reference[S] | None = instance.memo.get("reference")
        if found is None:
            found = instance.memo["reference"] = self._stored(instance)
        return found

    def _stored(self, instance: I) -> Reference[S]:
        """Return the reference from the store, or solve, check, and store what took long enough."""
        store = active_store()
        if store is None:
            return self.certify(instance, self.solve(instance, self.work_limit))
        key = (self.name, self.version, self.digest(instance))
        found = store.get(*key)
        if found is not None:
            return self.certify(instance, found)
        start = time.perf_counter()  # decides what is remembered, never what is returned
        solved = self.solve(instance, self.work_limit)
        spent = time.perf_counter() - start
        reference = self.certify(instance, solved)  # nothing is stored before its witness is accepted
        if spent >= _WORTH_STORING_S:
            store.put(*key, solved)
        return reference

    def certify(self, instance: I, certificate: Certificate[S]) -> Reference[S]:
        """Return the reference that ``certificate`` and the anchors make, after checking every witness.

        Raises
        ------
        CertificateError
            If the witness fails the verifier, has another value, or a heuristic beats the bound.
        """
        trivial, greedy = self.trivial(instance), self.heuristic(instance)
        for solution in (trivial, greedy, certificate.solution):
            violations = self.violations(instance, solution)
            if violations:
                raise CertificateError(f"{self.name}: an anchor is infeasible: {violations[0].reason}")
        reference = Reference(
            certificate.solution,
            self.objective(instance, certificate.solution),
            certificate.bound,
            certificate.solver,
            certificate.work,
            self.sense,
            trivial=self.objective(instance, trivial),
            greedy=self.objective(instance, greedy),
        )
        if reference.value != certificate.value:
            raise CertificateError(
                f"{self.name}: the witness is worth {reference.value}, not {certificate.value}"
            )
        if reference.beaten(reference.value) or reference.beaten(reference.greedy) or reference.gap < 0:
            raise CertificateError(f"{self.name}: anchors are out of order: {reference}")
        if reference.headroom < 0:  # the limit of work was spent before the heuristic was reached
            reference = replace(reference, solution=greedy, value=reference.greedy)
        return reference

    # ---------------------------------------------------------------- texts and specs

    def format(self, instance: I, solution: S) -> str:
        """Return the reply that states ``solution`` in this problem's answer format.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP", n=4)
        >>> tsp.format(tsp.instance(), (0, 2, 1, 3))
        '<answer>[0, 2, 1, 3]</answer>'
        """
        return wrap(self.write(instance, solution), self.answer_format)

    def ask(self, instance: I, what: str) -> str:
        """Return the end of a prompt: how to answer with ``what``, and the worked example.

        The slot is named once in the rule and once in the example, so that a reply which only
        echoes the prompt states two answers and is malformed.
        """
        tiny, solution = self.example(instance)
        rule = {
            "tags": f"End your reply with {what} between <answer> and </answer>, stated once.",
            "line": f"End your reply with one line that starts with Answer: followed by {what}.",
            "raw": f"Reply with {what} and nothing else.",
        }[self.answer_format]
        return (
            f"{rule}\n\nExample, for another instance:\n{self.describe(tiny)}\n{self.format(tiny, solution)}"
        )

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that differ from their defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default or field.default is MISSING
        }

    def spec(self, seed: int = 0, index: int = 0, split: str = "train", level: int | None = None) -> str:
        """Return a JSON string that rebuilds problem and instance anywhere; see `forge_gym.from_spec`.

        Examples
        --------
        >>> import forge_gym
        >>> forge_gym.problem("TSP").spec(seed=7, level=3)
        '{"problem": "TSP", "version": 0, "parameters": {"n": 9}, "split": "train", "seed": 7, "index": 0}'
        """
        problem = self if level is None else self.at_level(level)
        check_int("seed", seed, 0)
        check_int("index", index, 0)
        check_choice("split", split, SPLITS)
        return json.dumps(
            {
                "problem": self.name,
                "version": self.version,
                "parameters": problem.parameters,
                "split": split,
                "seed": seed,
                "index": index,
            }
        )

    def to_json(self, instance: I) -> str:
        """Return ``instance`` as canonical JSON: equal instances give equal text."""
        data = {name: getattr(instance, name) for name in instance.data_fields()}
        return json.dumps({name: value for name, value in data.items() if value is not False})

    def from_json(self, text: str) -> I:
        """Return the instance that ``text``, written by `to_json`, holds.

        Raises
        ------
        ValueError
            If the text is not JSON, a field is unknown or missing, or the data make no sense.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"an instance must be JSON, got {shorten(text)}: {error}") from None
        names = self.instance_type.data_fields()
        if not isinstance(data, dict):
            raise ValueError(f"an instance must be a JSON object with {names}, got {shorten(data)}")
        check_known(f"an instance of {self.name}", "field", data, names)
        try:
            instance = self.instance_type(**{key: tuples(value) for key, value in data.items()})
            instance.check()
        except TypeError as error:
            raise ValueError(f"an instance of {self.name} must have the fields {names}: {error}") from None
        return instance  # type: ignore[return-value] # instance_type is the I of the subclass

    def digest(self, instance: I) -> str:
        """Return the SHA-256 of problem, version and data, in hexadecimal: the instance's identity.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP")
        >>> len(tsp.digest(tsp.instance()))
        64
        """
        text = f"{self.name} {self.version} {self.to_json(instance)}"
        return hashlib.sha256(text.encode()).hexdigest()


_PRESENTATION = frozenset(field.name for field in fields(Problem))
