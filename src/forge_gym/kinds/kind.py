"""`Kind`: how a problem file is written, and what a module of this package owes to everybody else.

A problem writes its question, its table, its constraints, its objective and its greedy rule; its kind what depends on
the form of a solution. Nobody else looks into a solution or asks of what kind a problem is. A new kind is a new file.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import count, islice, takewhile
from typing import Any, ClassVar, Generic, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..core.answer import stated, wrap_answer
from ..core.checks import check_choice, check_int, plain_data, short_repr
from ..core.problem import PRESENTATION, I, Problem, S
from ..core.verdict import Verdict, Violation
from .reading import NAME, naturals
from .rules import Amount, Rule
from .table import STYLES, Data, Names, plural

Choose: TypeAlias = Callable[[Iterable[Any]], Any]
"""Picks one of the candidates of a greedy step, best first; None where there are none. It looks at two at most."""
Reader: TypeAlias = Callable[[list[Any]], tuple[S, Any] | None]
"""Tells what solution a list of integers spells, and what is left of it for `Kind.broken`; see `Kind.reader`."""
_REMEMBERED = 64
_RULES = {
    "tags": "End your reply with {} between <answer> and </answer>, stated once.",
    "line": "End your reply with one line that starts with Answer: followed by {}.",
    "raw": "Reply with {} and nothing else.",
}
"""How to answer, by answer format."""
_JUDGING = ("parse_answer", "read", "clean", "violations")
"""Hooks that `Kind.quick` does not call: what it does instead is right only if these are the kind's own."""
_SYLLABLES = ("ka", "mo", "ri", "ne", "tu", "sa", "vo", "li")


@dataclass(frozen=True, kw_only=True)
class Kind(Problem[I, S], Generic[I, S]):
    """A problem whose solutions have a form that a module of this package knows."""

    noun: ClassVar[str]
    """What an element is called, in the singular."""
    solutions: ClassVar[str]
    """What a solution is, in words for people: ``a subset``, ``a permutation``."""
    widget: ClassVar[str] = ""
    """How the explorer lets a person click an answer; see its page."""
    form: ClassVar[tuple[str, ...]] = ()
    """The constraint families of the kind, which `clean` checks."""
    own: ClassVar[tuple[str, ...]] = ()
    """The constraint families of the problem, which `broken` may name."""
    requires: ClassVar[tuple[Rule, ...]] = ()
    """The problem's own constraints, where `forge_gym.kinds.rules` has them; else it writes `broken`."""
    mendable: ClassVar[tuple[str, ...]] = ()
    """Families, of the kind's or of the problem's own, that an unfinished solution may break: adding mends them."""
    smallest: ClassVar[int]
    """Number of elements at level 0: a choice, few to read, and enough that greedy often misses the optimum."""
    doubling: ClassVar[int] = 8
    """Level at which two elements have been added a level: later where sizes that can be proven end soon."""
    scratch: ClassVar[Mapping[str, Any]] = {}
    """Parameters of instances, small and without end, on which a tiny model learns within minutes."""
    least: ClassVar[int] = 3
    """Fewest elements that leave a choice."""
    renumbered: ClassVar[bool] = False
    """Whether a worked example needs other names, lest its answer be one here; otherwise it has another size."""
    stops: ClassVar[bool] = False
    """Whether a solution may be finished while more could be added."""
    in_order: ClassVar[bool] = False
    """Whether what an answer decides are places in an order, and not the part of each element."""
    enumerable: ClassVar[int]
    """Number of elements of the instances all whose solutions are some thousand: those that `everything` yields."""
    enumerates_all: ClassVar[bool] = True
    """Whether `everything` and `wild` hold an optimal solution; False where they are thinned out."""
    formats: ClassVar[tuple[str, ...]] = ()
    """Library formats of instances, see `forge_gym.data.formats`."""
    published: ClassVar[str] = ""
    """Name of the problem's task in the published benchmark, see `forge_gym.data.published`."""

    n: int
    """Number of elements."""

    # ---------------------------------------------------------------- what a problem writes, in a file's order

    def check(self) -> None:
        """Raise ``ValueError`` where parameters contradict each other; types and ranges stand at the fields."""

    @abstractmethod
    def question(self, instance: I) -> str:
        """Return the task in prose, the same in every style: objective, every constraint, and what there is.

        It ends in the middle of a sentence, usually with `counted`; what introduces the data goes on.
        """

    def table(self, instance: I) -> Data:
        """Return all data, once; by default as the instance itself lays them out."""
        data: Data = instance.table()  # type: ignore[attr-defined] # of the classes of instances in this package
        return data

    @abstractmethod
    def tiny(self, instance: I) -> tuple[I, S]:
        """Return a worked example with an optimal solution, whose answer is not valid for ``instance``."""

    def broken(self, instance: I, cleaned: Any) -> Iterator[Violation]:
        """Yield a violation for each family in ``own`` that is broken: by default, as `requires` says.

        ``cleaned`` is what `clean` leaves of the solution; see the docstring of the kind. Of an unfinished one, this
        reports what no continuation mends, and the ``mendable`` families.
        """
        for rule, amount_of in zip(self.requires, self._amounts(instance), strict=True):
            if (amount := amount_of(cleaned)) > 0:
                yield rule.violation(self, instance, cleaned, amount)

    def _amounts(self, instance: I) -> list[Amount]:
        """Return what tells by how much a solution breaks each rule in `requires`; bound to the instance once."""
        return self._derived(instance, "amounts", lambda it: [rule.amount(it) for rule in self.requires])

    @abstractmethod
    def greedy(self, instance: I, choose: Choose) -> Iterable[Any]:
        """Return or yield the parts of the textbook heuristic's solution, for `assemble` to put together.

        ``choose`` takes every decision among ranked candidates: the heuristic the first, demonstrations also others.
        """

    # ---------------------------------------------------------------- what a kind writes: texts and form

    @abstractmethod
    def answer(self, instance: I) -> str:
        """Return what an answer is, as the end of a prompt asks for it."""

    @abstractmethod
    def read(self, instance: I, text: str, names: Names) -> S:
        """Return the solution that an answer spells, or raise `Malformed`; never repair."""

    @abstractmethod
    def write(self, instance: I, solution: S, names: Names) -> str:
        """Return the answer that spells a solution: the inverse of `read`."""

    def read_compact(self, instance: I, text: str, names: Names) -> S:
        """Return the solution that an answer in the compact style spells: by default as in the others."""
        return self.read(instance, text, names)

    def write_compact(self, instance: I, solution: S, names: Names) -> str:
        """Return the answer in the compact style: the inverse of `read_compact`."""
        return self.write(instance, solution, names)

    def reader(self, instance: I) -> Reader[S] | None:
        """Return a quick way to `read` and `clean` answers of the usual spelling and of the right form.

        It gets a list of integers of at least 0, or also of flat lists of these, and returns the solution and what is
        left for `broken`. Of an answer that it does not know for sure it returns None, or raises ``TypeError`` or
        ``ValueError``. None where the kind has no such way: then all answers are read and cleaned.
        """
        return None

    @abstractmethod
    def clean(self, instance: I, solution: S) -> tuple[list[Violation], Any]:
        """Return what breaks the families in ``form``, and what is left of the solution for `broken` to judge."""

    @abstractmethod
    def assemble(self, instance: I, parts: Iterable[Any]) -> S:
        """Return the solution that parts chosen by `greedy` make, in that order; of no parts the unfinished one."""

    def columns_of(self, instance: I) -> dict[str, dict[str, int]]:
        """Return what a person chooses among, by noun and by name: elements, then what an answer gives them."""
        return {self.noun: {name: element for element, name in enumerate(self.names_of(instance).all)}}

    # ---------------------------------------------------------------- building and moving

    @abstractmethod
    def extensions(self, instance: I, partial: S) -> Sequence[Any]:
        """Return the pieces that may come next. None leads into a dead end, and every objective stays in reach."""

    def extend(self, instance: I, partial: S, piece: Any) -> S:
        """Return the unfinished solution with one of its `extensions`: by default, the piece stands at its end."""
        extended: S = (*partial, piece)  # type: ignore[assignment] # the S of the subclass
        return extended

    @abstractmethod
    def moves(self, instance: I, solution: S) -> Iterator[tuple[str, S]]:
        """Yield every move of a local search to another feasible solution: its name, and where it leads."""

    @abstractmethod
    def move_names(self, size: int) -> list[str]:
        """Return the names of all `moves` on instances of up to ``size`` elements, possible or not."""

    def random(self, instance: I, rng: np.random.Generator) -> S:
        """Return a random feasible solution: pieces at random until there are no more."""
        partial = self.assemble(instance, ())
        while pieces := self.extensions(instance, partial):
            partial = self.extend(instance, partial, pieces[int(rng.integers(len(pieces)))])
        return partial

    def neighbour(self, instance: I, solution: S, rng: np.random.Generator) -> S:
        """Return the outcome of a random move; the solution itself where there is none."""
        outcomes = [outcome for _, outcome in self.moves(instance, solution)]
        return outcomes[int(rng.integers(len(outcomes)))] if outcomes else solution

    @abstractmethod
    def changed(self, before: S, after: S) -> set[int]:
        """Return what differs between two solutions: places where they are ``in_order``, elements elsewhere."""

    def greedy_value_at(self, instance: I, missing: float) -> float:
        """Return greedy's objective when this share of the constraints was missing, for shaped rewards."""

        def derive(instance: I) -> tuple[list[float], list[float]]:
            greedy: Any = self.anchors(instance)[1]
            partials = [greedy[:k] for k in range(len(greedy), 0, -1)] or [greedy]
            values = [float(self.objective(instance, partial)) for partial in partials]
            return [self.missing(instance, partial) for partial in partials], values

        return float(np.interp(missing, *self._derived(instance, "greedy_values", derive)))

    def missing(self, instance: I, partial: S) -> float:
        """Return the share of a constraint family that adding has yet to mend, of the family that lacks most."""
        return max([1.0 - violation.satisfied for violation in self.violations(instance, partial)], default=0.0)

    # ---------------------------------------------------------------- everything, for tests

    @abstractmethod
    def everything(self, instance: I) -> Iterator[S]:
        """Yield every solution without foreign or repeated elements, feasible or not: for small instances."""

    @abstractmethod
    def wild(self, instance: I) -> Iterator[S]:
        """Yield every answer of the right form with up to one element too many, foreign and repeated ones included."""

    @abstractmethod
    def any_answer(self, instance: I, rng: np.random.Generator) -> S:
        """Return a random answer of the right form, which may well be infeasible."""

    @abstractmethod
    def patterns(self, instance: I) -> list[S]:
        """Return constant answers of the right form: the elements in several fixed orders, and parts of these."""

    # ---------------------------------------------------------------- arrays

    def axes(self, instance: I) -> tuple[int, ...]:
        """Return how many pieces there are along each axis: by default one axis, of the elements."""
        return (instance.size,)

    def numbered(self, pieces: Sequence[Any], axes: tuple[int, ...]) -> dict[int, Any]:
        """Return pieces by their numbers where there are so many along the `axes`: by default, they are numbers."""
        return dict(zip(pieces, pieces, strict=True))

    @abstractmethod
    def state_width(self, axes: tuple[int, ...]) -> int:
        """Return how many columns `state` has where there are so many pieces along the `axes`."""

    @abstractmethod
    def state(self, instance: I, partial: S) -> NDArray[Any]:
        """Return (n, k) numbers from 0 to 1: the part of each element in an unfinished solution."""

    # ---------------------------------------------------------------- what follows, once for all

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "requires" in vars(cls):
            cls.own = tuple([rule.family for rule in cls.requires])
            mended = [rule.family for rule in cls.requires if rule.mendable]
            cls.mendable = (*(family for family in cls.mendable if family in cls.form), *mended)
        cls.constraints = (*cls.form, *cls.own)
        if twice := set(cls.form).intersection(cls.own):
            raise TypeError(f"own families of {cls.__name__} must not be the kind's, got {sorted(twice)}")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_choice("style", self.style, STYLES)
        n = check_int("n", self.n, self.least, rule=f"fewer {plural(self.noun)} leave no choice")
        check_int("n", n, self.least, self.most, rule="of more, a reference takes too long")
        object.__setattr__(self, "n", n)
        _check_names(self.names, self.style, n)
        self.check()

    def at_level(self, level: int) -> Self:
        return replace(self, n=self.size_at_level(level))

    @classmethod
    def size_at_level(cls, level: int) -> int:
        """Return the number of elements at a difficulty level; a ``ValueError`` beyond the last one.

        Level 0 has `smallest`, each of the others at most 1.3 times as many as the one before, and the last at most
        `most`. Growth is quadratic. `smallest` is at least 5.

        Examples
        --------
        >>> import forge_gym
        >>> tsp = forge_gym.problem("TSP")
        >>> [tsp.size_at_level(level) - tsp.smallest for level in (0, 1, 2, 3, 5, 10, 20)]
        [0, 1, 2, 4, 8, 22, 70]
        """
        sizes = takewhile(cls.most.__ge__, (cls.smallest + k + k * k // cls.doubling for k in count()))
        last = sum(1 for _ in sizes) - 1
        level = check_int("level", level, 0, last, rule=f"{cls.name} has at most {cls.most} {plural(cls.noun)}")
        return cls.smallest + level + level * level // cls.doubling

    def names_of(self, instance: I) -> Names:
        """Return what the elements of ``instance`` are called in texts."""
        return _names(self.names, instance.size, 0)

    def counted(self, instance: I) -> str:
        """Return how many elements there are, and what they are called: ``30 subsets, numbered 0 to 29``."""
        return f"{instance.size} {plural(self.noun)}, {self.names_of(instance)}"

    def prompt(self, instance: I) -> str:
        return self._derived(instance, self._presentation, self._text)

    @cached_property
    def _presentation(self) -> str:
        """The parameters that change the text of an instance, and nothing else of what is remembered of it."""
        return f"prompt {[getattr(self, name) for name in PRESENTATION]}"

    def _text(self, instance: I) -> str:
        # Rule and example both name the slot of the answer, so a reply that echoes the prompt states two: malformed.
        names, data = self.names_of(instance), self.table(instance)
        if self.style == "compact":
            return f"{data.text('compact', names)} >"
        example = self._example(self.tiny(instance), instance.size if self.renumbered else 0)
        rule = _RULES[self.answer_format].format(self.answer(instance))
        return (
            f"{self.question(instance)}{data.introduction(self.style, names)}\n{data.text(self.style, names)}\n\n"
            f"{rule}\n\nExample, for another instance:\n{example}"
        )

    def _example(self, tiny: tuple[I, S], start: int) -> str:
        """Return a worked example as text, its elements named after ``start`` others."""
        text = self._examples.get((tiny, start))
        if text is None:
            names = _names(self.names, tiny[0].size, start)
            write = self.write_compact if self.style == "compact" else self.write
            answer = wrap_answer(write(*tiny, names), self.answer_format)
            text = f"{self.table(tiny[0]).text(self.style, names)}\n{answer}"
            if len(self._examples) >= _REMEMBERED:
                self._examples.clear()
            self._examples[tiny, start] = text
        return text

    @cached_property
    def _examples(self) -> dict[tuple[tuple[I, S], int], str]:
        return {}

    def parse_answer(self, instance: I, text: str) -> S:
        read = self.read_compact if self.style == "compact" else self.read
        return read(instance, text, self.names_of(instance))

    def format_answer(self, instance: I, solution: S) -> str:
        write = self.write_compact if self.style == "compact" else self.write
        return write(instance, plain_data(solution), self.names_of(instance))

    def violations(self, instance: I, solution: S) -> tuple[Violation, ...]:
        of_form, cleaned = self.clean(instance, solution := plain_data(solution))
        return (*of_form, *self.broken(instance, cleaned))

    def quick(self, instance: I, known: Mapping[str, Any]) -> Callable[[I, str], Verdict | None] | None:
        """Return what judges feasible replies of the usual spelling: it asks the same rules, or the same `broken`.

        None where a class has a way of its own to read or to judge, and no `reader` beside it.
        """
        usual = self.answer_format == "tags" and self.style != "compact" and _has_own_reader(type(self))
        read = self.reader(instance) if usual else None
        if read is None:
            return None
        declared, objective, broken = type(self).broken is Kind.broken, self.objective, self.broken
        amounts = self._amounts(instance) if declared else []

        def judge(instance: I, reply: str) -> Verdict | None:
            answer = stated(reply)
            if answer is None or (listed := naturals(answer)) is None:
                return None
            try:
                if (found := read(listed)) is None:
                    return None
            except (TypeError, ValueError):  # lists among numbers, or of different lengths
                return None
            solution, cleaned = found
            for amount in amounts:
                if amount(cleaned) > 0:
                    return None
            if not declared and any(broken(instance, cleaned)):
                return None
            verdict: Verdict = known["reference"].verdict(objective(instance, solution), solution)
            return verdict

        return judge

    def heuristic(self, instance: I, rng: np.random.Generator | None = None, epsilon: float = 0.0) -> S:
        if rng is None and epsilon:
            raise ValueError(f"epsilon must be 0 without a generator, got {epsilon}: give rng too")

        def choose(ranked: Iterable[Any]) -> Any:
            if rng is None:
                return next(iter(ranked), None)
            best = list(islice(ranked, 2))
            second = len(best) == 2 and rng.random() < epsilon
            return best[second] if best else None

        greedy, trivial = self.assemble(instance, self.greedy(instance, choose)), self.baseline(instance)
        worse = self.better(self.objective(instance, trivial), self.objective(instance, greedy))
        return trivial if worse else greedy


@lru_cache(maxsize=1024)
def _has_own_reader(cls: type[Any]) -> bool:
    """Whether answers are read and judged as the kinds of this package do, or no class nearer than the `reader`'s."""
    order = cls.__mro__
    reader, *owners = [next(base for base in order if hook in vars(base)) for hook in ("reader", *_JUDGING)]
    package = f"{__package__}."
    return all(owner.__module__.startswith(package) or order.index(owner) >= order.index(reader) for owner in owners)


def as_kind(problem: Problem[Any, Any]) -> Kind[Any, Any]:
    """Return ``problem``; a ``ValueError`` where its solutions are of no form that this package knows."""
    if not isinstance(problem, Kind):
        raise ValueError(f"problem must be of a kind in forge_gym.kinds, got {type(problem).__name__}")
    return problem


def _check_names(names: Any, style: str, n: int) -> None:
    if style == "compact" and names != 0:
        rule = "names must be 0 with style='compact'"
        raise ValueError(f"{rule}, whose words are few, got {short_repr(names)}: did you mean 0?")
    if isinstance(names, tuple):
        for name in names:
            if not (isinstance(name, str) and NAME.fullmatch(name)):
                raise ValueError(f"names must be words of 1 to 40 lower-case letters, got {short_repr(name)}")
        if len(set(names)) < len(names):
            raise ValueError(f"names must be different words, got {short_repr(names)}")
        if len(names) < n:
            raise ValueError(f"names must be a word for each of {n} elements, got {len(names)}")
    elif isinstance(names, str):
        check_choice("names", names, ["words"])
    else:
        check_int("names", names, 0, 10**12, rule="more digits make answers too long")


@lru_cache(maxsize=1024)
def _names(names: int | str | tuple[str, ...], size: int, start: int) -> Names:
    """Return the names of ``size`` elements that come after ``start`` others."""
    if isinstance(names, int):
        return Names(size, names + start)
    if names == "words":
        return Names(size, words=tuple(map(_word, range(start, start + size))))
    if len(names) < start + size:
        rule = f"{start + size} words, the last {size} for the example" if start else f"{size} words"
        raise ValueError(f"names must be at least {rule}, got {len(names)}")
    return Names(size, words=tuple(names[start : start + size]))


def _word(number: int) -> str:
    """Return a word of at least two syllables for each number: kaka, kamo, ..."""
    return "".join([_SYLLABLES[int(digit)] for digit in format(number, "02o")])
