"""`Problem`: what an episode, a verdict and a reference ask of a problem, and what follows from that once for all.

``kinds`` writes the hooks that depend on the form of a solution, and a file in ``envs/`` those of one problem. Nothing
here looks into a solution, and every method is a pure function of its arguments and of the problem's parameters.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Generic, Literal, Self, TypeVar

import numpy as np

from . import store
from .answer import ANSWER_FORMATS, THOUGHTS, ThoughtsLike, extract_answer, wrap_answer
from .checks import check_choice, check_int, plain, short_repr
from .instance import Instance
from .parameters import check_parameters, parameter_types
from .reference import Certificate, CertificateError, Reference, Sense
from .seeding import SPLITS, instance_generator, keyed_generator, split_of, stream_of
from .verdict import Malformed, Number, Verdict, Violation, constraint_credit

I = TypeVar("I", bound=Instance)  # noqa: E741 - I for instance, S for solution, as in the hooks' contracts
S = TypeVar("S", bound=tuple[Any, ...])
T = TypeVar("T")
PRESENTATION = ("answer_format", "style", "names")
"""The parameters that change texts alone: they draw nothing, and no answer is worth more or less for them."""
MAX_UNGRADED = 1000
"""Instances in a row without a graded scale after which a stream gives up; sooner where each of them takes long."""
PATIENCE = 1.9
"""Work on instances in a row without a graded scale after which a stream gives up, as a multiple of `work_limit`: two
references that end just below their limits are enough."""
FEW_BITS = 40
"""Bits of a shape below which a stream has few. Of 2^40 shapes, 100 draws and 3,000 others share one with a probability
of 3 in 10 million."""
_PILOTS = 8
"""Instances that show whether a stream has few shapes."""
_PILOT_SPLITS = 64
"""Draws that show by which key a stream of few shapes can be divided."""
_FREQUENT = 16
"""Of them, those that may have one rough key: more would leave a split to chance."""
_MAX_MISSES = 1000
"""Instances in a row of other splits after which there is none of this one."""
_MIN_OBJECTIVES = 4
"""Different attained objectives that make an instance graded: fewer leave one step between greedy and optimum."""
_SAMPLES = 32
"""Random solutions that are drawn at most to find them."""


@dataclass(frozen=True, kw_only=True)
class Problem(ABC, Generic[I, S]):
    """One NP-hard problem with fixed parameters.

    The fields of this class say how an instance is put to an agent. The fields of a subclass say how instances are
    drawn: they alone, with the seed, decide which instance comes. Their types carry their rules: ``Literal`` lists the
    choices, ``Annotated[int, Range(1, 9)]`` and ``Annotated[float, Between(0.1, 0.9)]`` bound a number.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 0
    """Raised whenever an instance, a prompt, a verdict or a default reward changes for the same seed."""
    family: ClassVar[Literal["graph", "scheduling", "partition", "selection", "planning"]]
    sense: ClassVar[Sense]
    constraints: ClassVar[tuple[str, ...]]
    """The constraint families that `violations` may name."""
    instance_type: ClassVar[type[Instance]]
    work_limit: ClassVar[int] = 20_000_000
    """Limit of `solve`, in the solver's own steps; enough for a proof at the default sizes, and some seconds at any."""
    most: ClassVar[int] = 1000
    """Elements of the largest instances: an answer in names of 40 letters is read, and a reference takes seconds."""
    picture: ClassVar[Any] = None
    """What draws instances and solutions, see `forge_gym.pictures`; None where nobody wrote it."""

    answer_format: str = "tags"
    """``tags``: between <answer> and </answer>; ``line``: a last line ``Answer: ...``; ``raw``: all text."""
    style: str = "prose"
    """How prompts state the data; see `forge_gym.kinds.table.STYLES`."""
    names: int | str | tuple[str, ...] = 0
    """What elements are called: the first one's number; ``words``; or a list of words of 1 to 40 lower-case letters."""

    # ---------------------------------------------------------------- hooks

    @abstractmethod
    def at_level(self, level: int) -> Self:
        """Return this problem at difficulty ``level``: 0, 1, 2, ... monotone in size, up to `most` elements."""

    @abstractmethod
    def generate(self, rng: np.random.Generator) -> I:
        """Draw an instance, every draw from ``rng``; no order of numbers gives a solution away."""

    @abstractmethod
    def prompt(self, instance: I) -> str:
        """Return the question: objective, every constraint, data, answer format, and an example on other data."""

    @abstractmethod
    def parse_answer(self, instance: I, text: str) -> S:
        """Return the solution that the answer ``text`` states, or raise `Malformed`; never repair."""

    @abstractmethod
    def format_answer(self, instance: I, solution: S) -> str:
        """Return the answer that states ``solution``: the inverse of `parse_answer`."""

    @abstractmethod
    def violations(self, instance: I, solution: S) -> tuple[Violation, ...]:
        """Return one `Violation` per violated constraint family; empty means feasible."""

    @abstractmethod
    def objective(self, instance: I, solution: S) -> Number:
        """Return the objective of a feasible ``solution``, exactly; of an unfinished one, of what it has."""

    @abstractmethod
    def trivial(self, instance: I) -> S:
        """Return the thoughtless feasible solution: quality 0."""

    @abstractmethod
    def heuristic(self, instance: I, rng: np.random.Generator | None = None, epsilon: float = 0.0) -> S:
        """Return the textbook greedy solution, or the trivial one where that is better: skill 0.

        With ``rng``, each choice falls with probability ``epsilon`` on the second best candidate instead.
        """

    @abstractmethod
    def solve(self, instance: I, start: S, limit: int) -> Certificate[S]:
        """Search from ``start`` on until a proof or for ``limit`` steps, never seconds; return solution and bound."""

    @abstractmethod
    def random(self, instance: I, rng: np.random.Generator) -> S:
        """Return a random feasible solution."""

    @abstractmethod
    def neighbour(self, instance: I, solution: S, rng: np.random.Generator) -> S:
        """Return a random feasible neighbour of the feasible ``solution``: one move of a local search."""

    @abstractmethod
    def canonical(self, instance: I, solution: S) -> S:
        """Return the one form shared by all spellings of the feasible ``solution``."""

    @abstractmethod
    def permute(self, solution: S, order: Sequence[int]) -> S:
        """Return ``solution`` to ``instance.relabelled(order)``: the same one under the new numbers."""

    @abstractmethod
    def null_answers(self, instance: I) -> list[S]:
        """Return the answers that ignore the instance, such as the empty one and everything."""

    def bound(self, instance: I, partial: S) -> Number | None:
        """Return an objective that no solution beats which goes on from ``partial``; None where none is known."""
        return None

    def quick(self, instance: I, known: Mapping[str, Any]) -> Callable[[I, str], Verdict | None] | None:
        """Return what judges most feasible replies to ``instance`` at once; None where a kind has no such way.

        Of the instance and a reply it returns the verdict that the hooks above lead to, or None: then they judge.
        ``known`` holds the ``reference`` of the instance, which may be another one later.
        """
        return None

    # ---------------------------------------------------------------- parameters

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = cls.__name__
        for parameter, hint in vars(cls).get("__annotations__", {}).items():
            inherited = [base for base in cls.__mro__[1:] if parameter in vars(base)]
            defaults = [base for base in inherited if is_dataclass(base) and parameter in parameter_types(base)]
            if inherited != defaults and "ClassVar" not in str(hint):
                raise TypeError(
                    f"a parameter must not hide an attribute of its base, got {parameter!r} in {cls.__name__}"
                )

    def __post_init__(self) -> None:
        check_choice("answer_format", self.answer_format, ANSWER_FORMATS)
        check_parameters(self)

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that differ from their defaults."""
        return {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if getattr(self, field.name) != field.default or field.default is MISSING
        }

    @cached_property
    def _shaping(self) -> dict[str, Any]:
        """The parameters that decide which instance comes."""
        return {key: value for key, value in self.parameters.items() if key not in PRESENTATION}

    @cached_property
    def _key(self) -> str:
        """What the worth of an answer depends on: class, version, limit of work and parameters."""
        cls = type(self)
        parts = [cls.__module__, cls.__qualname__, self.version, self.work_limit, self._shaping]
        return json.dumps(parts, sort_keys=True)

    # ---------------------------------------------------------------- instances

    @cached_property
    def _stream(self) -> bytes:
        return stream_of(self.name, self.version, self._shaping)

    def instance(self, seed: int = 0, index: int = 0, split: str = "train") -> I:
        """Return the instance that ``(seed, index, split)`` names: the same bytes in any process.

        Parameters
        ----------
        seed, index
            Non-negative integers of any size; ``index`` counts within a seed.
        split
            ``train``, ``validation`` or ``test``. They share no instance; where a stream has few shapes, see
            `FEW_BITS`, none is isomorphic to one of another split either: draws go on to the first of this split.
            Where hardly any shape exists, all instances are for training.

        Raises
        ------
        ValueError
            If an argument is wrong, or the split has no instance since there is hardly any shape.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP")
        >>> tsp.instance(seed=7) == tsp.instance(seed=7), tsp.instance(seed=7) == tsp.instance(seed=8)
        (True, False)
        """
        rng = instance_generator(self._stream, seed, index, split)
        instance = self.generate(rng)
        if has_few_shapes(self):
            find_split, misses = splitter(self), 0
            if split == "train" and find_split is None:
                return instance
            while find_split is None or find_split(instance) != split:
                misses += 1
                if find_split is None or misses >= _patience(instance, _MAX_MISSES):
                    raise ValueError(
                        f"parameters of {self.name} must leave different instances to each split, got none for "
                        f"{split} in {misses} draws from {short_repr(self)}: try a larger size or level"
                    )
                instance = self.generate(rng)
        return instance

    def is_graded(self, instance: I) -> bool:
        """Whether the quality scale of ``instance`` has room: what suites and training streams require.

        Greedy beats trivial, the proven optimum beats greedy, and the anchors and 32 random solutions attain at
        least four different objectives.
        """
        if not self._greedy_helps(instance):
            return False
        reference = self.reference(instance)
        if not (reference.proven and reference.greedy_gap > 0):
            return False
        values = {reference.trivial, reference.greedy, reference.value}
        rng = keyed_generator(self.digest(instance))
        for _ in range(_SAMPLES):
            if len(values) >= _MIN_OBJECTIVES:
                break
            values.add(self.objective(instance, self.random(instance, rng)))
        return len(values) >= _MIN_OBJECTIVES

    def _greedy_helps(self, instance: I) -> bool:
        """Whether greedy beats trivial: the cheap test of a scale, which needs no solver."""
        trivial, greedy = [self.objective(instance, solution) for solution in self.anchors(instance)]
        return self.better(greedy, trivial)

    def graded_instances(
        self, seed: int = 0, split: str = "train", start: int = 0, patience: float = PATIENCE
    ) -> Iterator[tuple[int, I]]:
        """Yield ``(index, instance)`` of every graded instance of the stream ``seed``, from ``start`` on.

        A ``ValueError`` ends it after 1,000 instances in a row that are not, or where these took ``patience`` times
        the limit of work: these parameters leave quality no room, or no room that can be proven. Work is counted in
        steps, the same on every machine, never in seconds.
        """
        index, misses, spent = check_int("start", start, 0), 0, 0.0
        while misses < MAX_UNGRADED and spent < patience:
            instance = self.instance(seed, index, split)
            if self.is_graded(instance):
                misses, spent = 0, 0.0
                yield index, instance
            else:
                misses += 1
                spent += (instance.size / self.most) ** 2  # to draw it and to find its anchors
                if self._greedy_helps(instance):
                    spent += self.reference(instance).work / self.work_limit
            index += 1
        raise ValueError(
            f"parameters of {self.name} must leave room between trivial, greedy and proven optimum, "
            f"got {misses} instances in a row without it from {self!r}: try "
            + ("a larger size or level" if misses == MAX_UNGRADED else "a smaller size or level, which takes less work")
        )

    def relabelled(self, instance: I, order: Sequence[int]) -> I:
        """Return ``instance`` with element ``i`` under the number ``order[i]``, ``order`` a permutation.

        Its scale is copied: heuristics break ties by number, and other numbers must not change a reward.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP", n=5)
        >>> here, order = tsp.instance(seed=1), (3, 1, 4, 0, 2)
        >>> there, tour = tsp.relabelled(here, order), tsp.random(here, np.random.default_rng(0))
        >>> one, other = tsp.verify_solution(here, tour), tsp.verify_solution(there, tsp.permute(tour, order))
        >>> one.worth == other.worth
        True
        """
        order = plain(order)
        if sorted(order) != list(range(instance.size)):
            raise ValueError(f"order must be a permutation of 0 to {instance.size - 1}, got {short_repr(order)}")
        relabelled, reference = instance.relabelled(order), self.reference(instance)
        self.keep_reference(relabelled, replace(reference, solution=self.permute(reference.solution, order)))
        null_violations = self.null_violations(instance)
        self._derived(relabelled, "null_violations", lambda _: null_violations)
        return relabelled

    # ---------------------------------------------------------------- replies

    def format(self, instance: I, solution: S) -> str:
        """Return the reply that states ``solution`` in this problem's answer format.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP", n=4)
        >>> tsp.format(tsp.instance(), (0, 2, 1, 3))
        '<answer>[0, 2, 1, 3]</answer>'
        """
        return wrap_answer(self.format_answer(instance, plain(solution)), self.answer_format)

    def parse_reply(self, instance: I, reply: str, thoughts: ThoughtsLike = THOUGHTS) -> S:
        """Return the solution that the whole ``reply`` states, or raise `Malformed`."""
        return self.parse_answer(instance, extract_answer(reply, self.answer_format, thoughts))

    def verify(self, instance: I, text: object, thoughts: ThoughtsLike = THOUGHTS) -> Verdict:
        """Judge ``text``, the whole reply of a model. Never raises, whatever it is; what is no text is malformed.

        The first feasible answer to an instance waits for its reference, which is solved once. ``thoughts`` says how
        those of the model end, such as ``"[/THINK]"``; nothing in them is read. See `forge_gym.core.episode.Protocol`.

        Examples
        --------
        >>> import forge_gym
        >>> knapsack = forge_gym.problem("Knapsack")
        >>> knapsack.verify(knapsack.instance(seed=1), "I take <answer>[]</answer>.").quality
        0.0
        """
        quick = instance.memo.get(self._quick)
        if quick is None and self.has_reference(instance):
            quick = instance.memo[self._quick] = self.quick(instance, instance.memo[self._key])
        if quick is not None and thoughts is THOUGHTS and type(text) is str:
            accepted: Verdict | None = quick(instance, text)
            if accepted is not None:
                return accepted
        return self.verify_plainly(instance, text, thoughts)

    def verify_plainly(self, instance: I, text: object, thoughts: ThoughtsLike = THOUGHTS) -> Verdict:
        """Judge ``text`` as `verify` does, but never in the `quick` way: so that the two can be compared."""
        if not isinstance(text, str):
            return Verdict("malformed", f"an answer is text, got {short_repr(text)}")
        try:
            solution = self.parse_answer(instance, extract_answer(text, self.answer_format, thoughts))
        except Malformed as error:
            return Verdict("malformed", str(error))
        return self._judged(instance, solution)

    @cached_property
    def _quick(self) -> str:
        """Under which name an instance keeps what `quick` returns: it depends on how answers are written, too."""
        return f"{self._key} quick {[getattr(self, parameter) for parameter in PRESENTATION]}"

    def verify_many(self, instance: I, texts: Sequence[str], thoughts: ThoughtsLike = THOUGHTS) -> list[Verdict]:
        """Judge several replies to one instance as `verify` does; equal ones once, if they are not accepted at once."""
        if set(map(type, texts)) != {str}:
            return [self.verify(instance, text, thoughts) for text in texts]
        judge, quick = self.verify, instance.memo.get(self._quick)
        accepted: list[Any] = [None] * len(texts)
        if quick is not None and thoughts is THOUGHTS:
            judge, accepted = self.verify_plainly, [quick(instance, text) for text in texts]
            if all(accepted):  # redundant: it only saves time
                return accepted
        left = dict.fromkeys([text for text, verdict in zip(texts, accepted, strict=True) if verdict is None])
        judged = {text: judge(instance, text, thoughts) for text in left}
        return [verdict or judged[text] for text, verdict in zip(texts, accepted, strict=True)]

    def verify_solution(self, instance: I, solution: S) -> Verdict:
        """Judge a solution, feasible or not: a tuple, or a list or an array."""
        return self._judged(instance, plain(solution))

    def _judged(self, instance: I, solution: S) -> Verdict:
        violations = self.violations(instance, solution)
        if not violations:
            return self.reference(instance).verdict(self.objective(instance, solution), solution)
        null_credit = self._derived(instance, "null_credit", self._null_credit)
        credit = constraint_credit(self._lost(violations), null_credit)
        return Verdict("infeasible", violations[0].reason, violations, credit, solution=solution)

    def feasible(self, instance: I, solution: S) -> bool:
        """Whether ``solution`` satisfies every constraint."""
        return not self.violations(instance, plain(solution))

    def better(self, value: Number, than: Number) -> bool:
        """Whether the objective ``value`` is better than another."""
        return value > than if self.sense == "max" else value < than

    def _lost(self, violations: Iterable[Violation]) -> float:
        """Return the share of the constraint families that is not satisfied, each family weighing the same."""
        return sum([1.0 - violation.satisfied for violation in violations]) / len(self.constraints)

    def null_violations(self, instance: I) -> list[tuple[Violation, ...]]:
        """Return what the infeasible ones among `null_answers` violate; computed once, then remembered."""
        return self._derived(
            instance,
            "null_violations",
            lambda it: [broken for null in self.null_answers(it) if (broken := self.violations(it, null))],
        )

    def _null_credit(self, instance: I) -> float:
        """Return the largest credit of an answer that ignores the instance: nobody is paid for meeting no more."""
        credits = [constraint_credit(self._lost(broken)) for broken in self.null_violations(instance)]
        return max(credits, default=0.0)

    def _derived(self, instance: I, what: str, derive: Callable[[I], T]) -> T:
        """Return what ``derive`` makes of the instance, computed once for this problem: others may differ in it."""
        memo = instance.memo.get(self._key)
        if memo is None:
            memo = instance.memo.setdefault(self._key, {})
        if what not in memo:
            memo[what] = derive(instance)
        value: T = memo[what]
        return value

    # ---------------------------------------------------------------- anchors

    def best(self, instance: I, solutions: Iterable[S]) -> S:
        """Return the first of the feasible ``solutions`` with the best objective."""
        pick: Callable[..., S] = max if self.sense == "max" else min
        return pick(solutions, key=lambda solution: self.objective(instance, solution))

    def baseline(self, instance: I) -> S:
        """Return the trivial solution; found once, then remembered."""
        return self._derived(instance, "baseline", self.trivial)

    def anchors(self, instance: I) -> tuple[S, S]:
        """Return the trivial and the greedy solution; found once, then remembered."""
        return self._derived(instance, "anchors", lambda it: (self.baseline(it), self.heuristic(it)))

    def certificate(self, instance: I, limit: int | None = None) -> Certificate[S]:
        """Solve ``instance`` from the heuristic's solution on; see `solve`."""
        _, greedy = self.anchors(instance)
        return self.solve(instance, greedy, self.work_limit if limit is None else check_int("limit", limit, 0))

    def reference(self, instance: I) -> Reference[S]:
        """Return the anchors and the certified best of ``instance``; solved once, then remembered.

        References that take long to solve are kept in a file, see `forge_gym.core.store`.
        """
        known = instance.memo.get(self._key)  # this way, since every verdict asks
        if known is not None and "reference" in known:
            reference: Reference[S] = known["reference"]
            return reference
        return self._derived(instance, "reference", self._certified)

    def has_reference(self, instance: I) -> bool:
        """Whether the reference of ``instance`` is known already."""
        return "reference" in instance.memo.get(self._key, {})

    def keep_reference(self, instance: I, reference: Reference[S]) -> None:
        """Take ``reference``, made by `certify`, for that of ``instance`` from now on."""
        instance.memo.setdefault(self._key, {})["reference"] = reference

    def _certified(self, instance: I) -> Reference[S]:
        def key() -> tuple[str, int, str]:
            data = f"{self._key} {instance.to_json()}"
            return self.name, self.version, hashlib.sha256(data.encode()).hexdigest()

        return store.recalled(
            key,
            solve=lambda: self.certificate(instance),
            certify=lambda certificate: self.certify(instance, certificate),
        )

    def certify(self, instance: I, certificate: Certificate[S]) -> Reference[S]:
        """Return the reference that ``certificate`` and the anchors make, after checking every witness.

        Raises
        ------
        CertificateError
            If the witness fails the verifier, has another value, or a heuristic beats the bound.
        """
        trivial, greedy = self.anchors(instance)
        for solution in (trivial, greedy, certificate.solution):
            if violations := self.violations(instance, solution):
                raise CertificateError(f"{self.name}: an anchor is infeasible: {violations[0].reason}")
        value = self.objective(instance, certificate.solution)
        if value != certificate.value:
            raise CertificateError(f"{self.name}: the witness is worth {value}, not {certificate.value}")
        best = self.best(instance, (certificate.solution, greedy))  # greedy, where the limit was spent too soon
        reference = Reference(
            best,
            self.objective(instance, best),
            certificate.bound,
            certificate.solver,
            certificate.work,
            self.sense,
            trivial=self.objective(instance, trivial),
            greedy=self.objective(instance, greedy),
        )
        if reference.beaten_by(reference.value):
            found = f"solve proves a bound of {reference.bound}, but a solution is worth {reference.value}"
            raise CertificateError(f"{self.name}: {found} (sense: {self.sense})")
        if reference.baseline_gain < 0:
            anchors = f"greedy is worth {reference.greedy}, trivial {reference.trivial}"
            raise CertificateError(f"{self.name}: greedy must not be worse than trivial, got {anchors}")
        return reference

    def accept(self, instance: I, certificate: Certificate[Any], anchors: tuple[S, S] | None = None) -> None:
        """Take ``certificate``, which others state, for that of ``instance`` from now on, after checking it.

        Nothing is solved: the witness is judged, and the bound must not be beaten. The anchors are found again, or
        taken from those who state them as solutions: then these are judged as the witness is.

        Raises
        ------
        ValueError
            If one of them is not as stated.
        """
        known = instance.memo.setdefault(self._key, {})
        before = dict(known)
        if anchors is not None:
            known.update(baseline=anchors[0], anchors=anchors)
        try:
            reference = self.certify(instance, certificate)
        except (CertificateError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
            known.clear()  # what is refused leaves no trace
            known.update(before)
            # Not as for our own certificates: what others state is no bug of ours.
            raise ValueError(f"the certificate fails: {error}") from error
        if isinstance(certificate, Reference):
            found, stated = [(anchors.trivial, anchors.greedy) for anchors in (reference, certificate)]
            if found != stated:
                raise ValueError(f"trivial and greedy are {found[0]} and {found[1]}, not {stated[0]} and {stated[1]}")
        self.keep_reference(instance, reference)

    # ---------------------------------------------------------------- specs

    def spec(
        self,
        seed: int = 0,
        index: int = 0,
        split: str = "train",
        level: int | None = None,
        certificate: Certificate[S] | None = None,
        anchors: tuple[S, S] | None = None,
    ) -> str:
        """Return a JSON string that rebuilds problem and instance anywhere; see `forge_gym.from_spec`.

        With a ``certificate``, a proven one, nobody needs to solve the instance again; with its `anchors` beside it,
        nor to find these again.

        Examples
        --------
        >>> import forge_gym
        >>> forge_gym.problem("TSP").spec(seed=7, level=3)
        '{"problem": "TSP", "version": 0, "parameters": {"n": 13}, "split": "train", "seed": 7, "index": 0}'
        """
        problem = self if level is None else self.at_level(level)
        drawn = {
            "split": check_choice("split", split, SPLITS),
            "seed": check_int("seed", seed, 0),
            "index": check_int("index", index, 0),
        }
        spec = {"problem": self.name, "version": self.version, "parameters": problem.parameters, **drawn}
        if certificate is not None:
            spec["certificate"] = certificate.stated if anchors is None else {**certificate.stated, "anchors": anchors}
        return json.dumps(spec)

    def to_json(self, instance: I) -> str:
        """Return ``instance`` as canonical JSON: equal instances give equal text."""
        return instance.to_json()

    def from_json(self, text: str) -> I:
        """Return the instance that ``text``, written by `to_json`, holds; a ``ValueError`` where it is none."""
        instance: I = self.instance_type.from_json(text)  # type: ignore[assignment] # the I of the subclass
        return instance

    def digest(self, instance: I) -> str:
        """Return the SHA-256 of problem, version and data, in hexadecimal: the instance's identity."""
        text = f"{self.name} {self.version} {instance.to_json()}"
        return hashlib.sha256(text.encode()).hexdigest()


@lru_cache(maxsize=1024)
def has_few_shapes(problem: Problem[Any, Any]) -> bool:
    """Whether instances of the problem are likely to come again under other numbers."""
    for index in range(_PILOTS):
        instance: Instance = problem.generate(instance_generator(problem._stream, 0, index, "train"))
        bits = instance.shape_bits()
        if bits < FEW_BITS or bits > 4 * FEW_BITS:
            return bits < FEW_BITS
    return False


@lru_cache(maxsize=1024)
def splitter(problem: Problem[Any, Any]) -> Callable[[Any], str] | None:
    """Return what finds the split of an instance in a stream of few shapes; None where all are for training.

    By the rough key where no value of it is frequent; else by the exact one, where some draws belong to each split.
    """
    rng = instance_generator(problem._stream, 0, 0, "train")
    drawn: list[Instance] = [problem.generate(rng) for _ in range(_PILOT_SPLITS)]
    if max(Counter(instance.rough_key() for instance in drawn).values()) <= _FREQUENT:
        return _rough_split
    found: set[str] = set()
    for draws, instance in enumerate(drawn):
        found.add(_exact_split(instance))
        if len(found) == len(SPLITS) or draws >= _patience(instance, _PILOT_SPLITS):
            break
    return _exact_split if len(found) == len(SPLITS) else None


def _rough_split(instance: Instance) -> str:
    return _split_of(instance.rough_key())


_split_of = lru_cache(maxsize=4096)(split_of)


def _exact_split(instance: Instance) -> str:
    return split_of(instance.isomorphism_key())


def _patience(instance: Instance, draws: int) -> int:
    """Return how many of ``draws`` are worth their time: keys of large instances take long."""
    return 1 + draws // (1 + instance.size**2 // 2000)
