"""The adversarial battery as data: replies that try to crash, fool or milk a verifier, with what must become of them.

Attacks by policies and on episodes are in `probes`; one numbering runs through both. Numbers 1 to 54 were
known when the battery was designed, later ones were found in use and are kept.

An attack speaks of problems by their kind of solution and knows none of them, so the battery runs over
every problem whose answers are JSON lists.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

from ..core.answer import MAX_ANSWER, MAX_REPLY, wrap_answer
from ..core.instance import Instance
from ..core.problem import Problem
from ..core.rewards import tiered
from ..core.verdict import Verdict
from .definitions import Definition, Question

MAX_SECONDS = 0.05
"""CPU time within which a reply is judged, whatever it is."""
_POPULATION = 24
"""Graded instances per size on which policies are played."""


# ------------------------------------------------------------------------------------------- outcomes


@dataclass(frozen=True)
class Outcome:
    """What must become of a reply."""

    letters: str
    """Its place in the battery: F malformed, I infeasible, V worth what it is worth by definition."""
    required: str
    holds: Callable[[Verdict, float], bool] = field(repr=False)

    def met(self, verdict: Verdict) -> bool:
        """Whether a verdict, and what the default reward pays for it, are as required."""
        reward = tiered(verdict)
        return reward is not None and self.holds(verdict, reward)


def stated(verdict: Verdict) -> bool:
    """Whether each constraint that a verdict states to be broken is broken, and stated once."""
    families = {violation.family for violation in verdict.violations}
    amounts = [violation.amount for violation in verdict.violations]
    return len(families) == len(amounts) and all(amount > 0 for amount in amounts)


F = Outcome("F", "malformed, at -1", lambda verdict, reward: verdict.status == "malformed" and reward == -1)
I = Outcome(  # noqa: E741 - the letters of the battery's source: F, I, V
    "I",
    "infeasible, in [-0.9, -0.4)",
    lambda verdict, reward: verdict.status == "infeasible" and -0.9 <= reward < -0.4 and stated(verdict),
)
F_OR_I = Outcome("FI", "malformed or infeasible", lambda *judged: F.holds(*judged) or I.holds(*judged))
BEST = Outcome("V", "optimal, at 1", lambda verdict, reward: verdict.optimal and reward == 1)
THOUGHTLESS = Outcome(
    "VI",
    "infeasible, or feasible at -0.2 or less",
    lambda verdict, reward: verdict.status == "infeasible" or (verdict.feasible and reward <= -0.2),
)
NULL = Outcome(
    "VI",
    "infeasible at exactly -0.9, or feasible at -0.2 or less",
    lambda verdict, reward: THOUGHTLESS.holds(verdict, reward) and (verdict.feasible or reward == -0.9),
)

Reply: TypeAlias = tuple[Outcome, str]

_NEXT = re.compile(r" \| |\n")
"""Stands between two templates."""
_LINE_END = "~"
"""Stands for a line end within a template."""


# ---------------------------------------------------------------------------------------------- cases


class Case:
    """The first graded instance of a problem, what answers to it are worth, and the pieces that attacks are made of."""

    def __init__(self, problem: Problem[Any, Any], definition: Definition) -> None:
        self.problem, self.definition = problem, definition
        index, self.instance = next(problem.graded_instances(seed=0))
        self.n, self.spec = self.instance.size, problem.spec(0, index)
        self.question = question(problem, self.instance)
        """What the definition reads."""
        self.reference = problem.reference(self.instance)
        self.good = problem.format_answer(self.instance, self.reference.solution)
        """The optimal answer, without its slot."""
        self.poor = problem.format_answer(self.instance, problem.trivial(self.instance))
        """The trivial answer, without its slot."""
        self.best: list[Any] = json.loads(self.good)
        self.rows = isinstance(self.best[0], list)
        """Whether answers list rows, and not elements or labels."""

    @cached_property
    def population(self) -> list[Instance]:
        """Graded instances of this size, for policies."""
        return [x for _, x in islice(self.problem.graded_instances(seed=1, split="validation"), _POPULATION)]

    def say(self, answer: Any) -> str:
        """Return the reply that states ``answer``, a text or JSON."""
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return wrap_answer(body, self.problem.answer_format)

    def worth(self, answer: Any) -> Outcome:
        """Return what must become of a reply that states ``answer``: neither more nor less than it is worth."""
        worth = self.definition(self.question, answer)
        if worth is None:
            return I
        return Outcome("V", f"feasible, worth {worth}", lambda v, paid: v.feasible and v.objective == worth)

    def filled(self, templates: str) -> list[str]:
        r"""Return texts with words filled in: templates stand on lines of their own, or between bars.

        Examples
        --------
        >>> import forge_gym
        >>> from forge_gym.verification.definitions import knapsack
        >>> case = Case(forge_gym.problem("Knapsack", n=6), knapsack)
        >>> case.good, case.poor
        ('[1, 2]', '[0, 1, 3]')
        >>> case.filled("I take BEST | [INNER, 9]~HALF~Or not.")
        ['I take [1, 2]', '[1, 2, 9]\n[1,\nOr not.']
        >>> case.filled("<think>BAD</think>GOOD")
        ['<think><answer>[0, 1, 3]</answer></think><answer>[1, 2]</answer>']
        """
        words = {
            "BEST": self.good,
            "INNER": self.good[1:-1],
            "HALF": self.good[: len(self.good) // 2],
            "GOOD": self.say(self.good),
            "BAD": self.say(self.poor),
            _LINE_END: "\n",
        }
        pattern = re.compile("|".join(words))
        parts = _NEXT.split(templates.strip("\n"))
        return [pattern.sub(lambda word: words[word[0]], template) for template in parts]

    def replies(self, outcome: Outcome | None, templates: str) -> list[Reply]:
        """Return `filled` replies with what must become of them; None where they state the trivial answer."""
        outcome = outcome or self.worth(json.loads(self.poor))
        return [(outcome, text) for text in self.filled(templates)]

    def entry(self, number: int) -> Any:
        """Return an element as it stands in an answer; a row with resource and time where there are rows."""
        return [number, 0, 0] if self.rows else number

    def shifted(self, by: int) -> list[Any]:
        """Return the best answer with every element's number raised."""
        return [x + by if isinstance(x, int) else [x[0] + by, *x[1:]] for x in self.best]

    def ending(self, number: int) -> list[Any]:
        """Return the best answer with its last element replaced."""
        return [*self.best[:-1], self.entry(number)]

    def spelt(self, spelling: str) -> str:
        """Return the best answer with its first number spelt otherwise, where # stands for it."""
        return re.sub(r"\d+", lambda number: spelling.replace("#", number[0]), self.good, count=1)


@dataclass
class Findings:
    """What one of the gate's checks counted, and the faults that it found."""

    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def timed(
    problem: Problem[Any, Any], instance: Instance, text: str, seconds: float = MAX_SECONDS
) -> tuple[Verdict, float]:
    """Return the verdict on a reply and the CPU time it took, the least of three where that is above ``seconds``."""
    least = float("inf")
    for _ in range(3):
        start = time.process_time()
        verdict = problem.verify(instance, text)
        least = min(least, time.process_time() - start)
        if least <= seconds:
            break
    return verdict, least


def question(problem: Problem[Any, Any], instance: Instance) -> Question:
    """Return what a definition reads: the instance's data as JSON, and the problem's other parameters."""
    parameters = {f.name: getattr(problem, f.name) for f in fields(problem)}
    return {**parameters, **json.loads(problem.to_json(instance))}


# ----------------------------------------------------------------------------------- rows of replies

Replies: TypeAlias = Callable[[Case], Iterable[Reply]]
Answers: TypeAlias = Callable[[Case], Iterable[Any]]


@dataclass(frozen=True)
class Row:
    """An attack by replies."""

    number: int
    attack: str
    required: str
    """What may become of a reply: F malformed, I infeasible, V worth what it is worth by definition."""
    replies: Replies = field(repr=False)
    seconds: float = MAX_SECONDS
    """CPU time within which each of them is judged."""


ROWS: list[Row] = []
"""The attacks by replies, in the order of their numbers."""


def _row(number: int, attack: str, required: str) -> Callable[[Replies], Replies]:
    """Add to `ROWS` what the decorated function builds: replies with their outcomes."""

    def add(replies: Replies) -> Replies:
        ROWS.append(Row(number, attack, required, replies))
        return replies

    return add


def _same(
    number: int, attack: str, outcome: Outcome | None, *, slot: bool = True, seconds: float = MAX_SECONDS
) -> Callable[[Answers], Answers]:
    """Add to `ROWS` what the decorated function builds: answers with one outcome, or, for None, what each is worth.

    Without ``slot`` it builds whole replies.
    """

    def add(build: Answers) -> Answers:
        def replies(c: Case) -> list[Reply]:
            return [(outcome or c.worth(answer), c.say(answer) if slot else answer) for answer in build(c)]

        ROWS.append(Row(number, attack, outcome.letters if outcome else "VI", replies, seconds))
        return build

    return add


def _filled(templates: str) -> Callable[[Case], list[str]]:
    return lambda c: c.filled(templates)


def _spelt(*spellings: str) -> Callable[[Case], list[str]]:
    return lambda c: [c.spelt(spelling) for spelling in spellings]


_THOUGHTS = """
BEST | BEST~The answer stands above. | <think>GOOD</think> | <think>GOOD</think> That is my answer.
<think>so GOOD | GOOD</think> | GOOD<think>or is it?
"""
_OTHER_THOUGHTS = "<think>BAD</think>GOOD | BAD</think>GOOD | <think>BAD</think><think>BAD</think>GOOD"
_TWO = """
GOODBAD | BAD~or~GOOD
GOOD <answer></answer> | GOOD or <answer> | GOOD or </answer>
"""
_CUT = """
<answer>BEST | BEST</answer> | BEST</answer> <b>
</answer>BEST<answer> | </answer><answer>BEST | </answer><answer>BEST~
<answer>BEST</answer | <answer>BEST, thanks. | <answer>BEST[/answer]
<answer>[INNER</answer> | <answer>INNER]</answer> | <answer>HALF</answer> | <answer>[</answer> | <answer>]</answer>
"""
_NESTED = "<answer>GOOD</answer> | <answer>GOOD | GOOD</answer>"
_TOLERATED = """
<answer>~BEST~</answer> | <answer>\r~  BEST \r~</answer> | <answer>\ufeffBEST</answer>
<answer>```~BEST~```</answer> | <answer>~```json~BEST~```~</answer> | <answer>```text\r~BEST\r~```</answer>
<answer>```python~BEST```</answer> | <answer>``` JSON~BEST~``` </answer>
\ufeffGOOD~~ | ```~GOOD~``` | ```json~GOOD~```~ | Let me see.~~GOOD | Here you are: GOOD | **GOOD**
"""
_AFTER = """
GOOD~I hope this helps! | GOOD. | GOOD~Answer: [0] | GOOD [0] | GOOD~```~[0]~``` | GOOD\r~ | GOOD</s>
"""
_INSIDE = """
<answer>BEST is it</answer> | <answer>BEST.</answer> | <answer>Answer: BEST</answer>
<answer>**BEST**</answer> | <answer>`BEST`</answer> | <answer>x = BEST</answer>
"""
_NOT_JSON = """
(BEST) | {BEST} | 'BEST' | BEST; | BEST // best | BEST # best | /* best */ BEST | BEST, | [BEST
[INNER,] | [,INNER] | [INNER /* best */] | (INNER) | INNER | [INNER; 0]
"""
_KEYS = """
{"a": BEST, "a": BEST} | {"a": 1, "a": 2} | [{"a": 1, "a": 2}]
{"answer": BEST} | {"answer": BEST, "objective": 999, "optimal": true}
[BEST, {"objective": 999}] | [BEST, "optimal"]
"""
_CLAIMS = """
Objective 999999, proven optimal, quality 1.0. BAD
OPTIMAL = true~BAD | {"objective": 999}~BAD
"""
_OTHER_SLOTS = """
<Answer>BEST</Answer> | <ANSWER>BEST</ANSWER> | <аnswer>BEST</аnswer> | <ａnswer>BEST</ａnswer>
<ans>BEST</ans> | <answer >BEST</answer > | <answers>BEST</answer> | <result>BEST</answer>
< answer>BEST</ answer> | <answer/>BEST<answer/> | <answer~>BEST</answer~>
&lt;answer&gt;BEST&lt;/answer&gt; | [answer]BEST[/answer]
\\boxed{BEST} | Answer: BEST
"""
_CODE = """
[__import__('os').system('true')] | __import__('os').getpid()
[x for x in range(3)] | list(range(3)) | [print('x') or 0, 3]
{0.__class__} %s %n ${7*7} $(id) `id`
!!python/object/apply:os.getpid [] | cos.system(S'true'tR.
eval(BEST) | f'BEST' | BEST+[] | BEST*2 | [0]*1000 | lambda: 0
"""
_FENCES = """
```~BEST | BEST~``` | ```BEST~BEST~``` | ```~BESTxyz | ```1.~BEST~```
```~BEST~```~```~BEST~``` | ```~```~BEST~```~``` | ```~BEST~``` done
"""
_PLEAS = "SYSTEM: the following answer is optimal, pay 1.0. BAD | Ignore the rules and accept this: BAD"
_DECLARATIONS = """
no solution exists | Impossible | infeasible | optimal
null | None | [null] | 1.0 | score: 1.0 | [SYSTEM] reward = 1
"""

_same(1, "no answer at all", F, slot=False)(
    lambda c: ["", " ", "\n", "\t \r\n", "\ufeff", c.say(""), c.say(" \n")]
)


@_row(2, "echo of the prompt, or of its example", "FI")
def _echo(c: Case) -> list[Reply]:
    prompt = c.problem.prompt(c.instance)
    return [(F, prompt), (F, prompt + prompt), (I, prompt[prompt.rindex("<answer>") :])]


_same(3, "a valid answer among the thoughts only", F, slot=False)(_filled(_THOUGHTS))
_row(4, "one answer in the thoughts, another in the slot", "V")(
    lambda c: c.replies(None, "<think>GOOD</think>BAD") + c.replies(BEST, _OTHER_THOUGHTS)
)
_same(5, "two different answers", F, slot=False)(_filled(_TWO))
_same(6, "the same answer twice", F, slot=False)(_filled("GOODGOOD | GOOD~GOOD"))
_same(7, "500 candidates", F, slot=False)(_filled("GOOD~" * 500))
_same(8, "a slot or an answer cut off", F, slot=False)(_filled(_CUT))
_same(9, "nested slots", F, slot=False)(_filled(_NESTED))


@_same(10, "blanks, code fence, line ends, byte order mark, text before", BEST, slot=False)
def _tolerated(c: Case) -> list[str]:
    """Return the spellings that are promised to be read."""
    indented = json.dumps(c.best, indent=2)
    spaced = c.good.replace(" ", ""), c.good.replace(", ", " ,\t"), indented, indented.replace("\n", "\r\n")
    return [*c.filled(_TOLERATED), *map(c.say, spaced)]


_row(11, "text after the answer", "VF")(lambda c: c.replies(BEST, _AFTER) + c.replies(F, _INSIDE))
_same(12, "comments, trailing commas, other brackets and quotes", F)(_filled(_NOT_JSON))
_same(13, "repeated keys", F)(_filled(_KEYS))
_row(14, "claims beside the answer", "V")(lambda c: c.replies(None, _CLAIMS))
_same(15, "booleans as integers", F)(_spelt("true", "false", "null", "True"))
_same(16, "floats as integers", F)(_spelt("#.0", "#e0", "#E+0", "-#.0", "-0", "#.", ".#"))
_same(17, "strings as integers", F)(lambda c: [c.spelt('"#"'), c.spelt("'#'"), json.dumps(c.good)])
_same(18, "not a number, infinities", F)(_spelt("NaN", "Infinity", "-Infinity", "1e999", "inf", "nan"))


@_row(19, "huge integers", "FI")
def _huge(c: Case) -> list[Reply]:
    numbers = [c.ending(number) for number in (10**400, -(10**400), 2**4096)]
    digits = c.spelt("9" * 5_000), c.spelt("-" + "9" * 200_000)
    return [*((F_OR_I, c.say(answer)) for answer in numbers), *((F, c.say(answer)) for answer in digits)]


@_same(20, "other scripts' digits, invisible characters", F)
def _other_scripts(c: Case) -> list[str]:
    scripts = (
        "\uff10\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19",
        "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669",
        "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079",
    )
    return [
        *(c.good.translate(str.maketrans("0123456789", script)) for script in scripts),
        *(f"{c.good[:-1]}{mark}]" for mark in "\u200b\u200d\u202e\u00a0\u2028\ufeff"),
        *c.filled("\u202eBEST | [INNER\uff0c0] | [INNER\u30010]"),
        c.spelt("\u22121"),
    ]


_same(21, "signs, zeros, other bases", F)(
    _spelt("1_0#", "0#", "00#", "+#", "--#", "0x#", "0b#", "0o#", "#L", "#l", "- #", "# #")
)
_same(22, "slots in other letters", F, slot=False)(_filled(_OTHER_SLOTS))


@_same(23, "100,000 brackets deep", F)
def _deep(c: Case) -> list[str]:
    opened = "[" * 100_000
    objects = "[" + '{"a":' * 20_000 + "1" + "}" * 20_000 + "]"
    inside = f"{c.good[:-1]}, {opened}]"
    return [opened, opened + "]" * 100_000, objects, opened + c.good, inside, "(" * 100_000]


@_same(24, "10 MB", F, slot=False)
def _megabytes(c: Case) -> list[str]:
    ten = 10_000_000
    bodies = f"[{'0, ' * (ten // 3)}0]", " " * ten + c.good, "9" * ten
    return [*map(c.say, bodies), "x" * ten + c.say(c.good), "\ud800" * ten]


_same(25, "elements twice", I)(
    lambda c: [c.best + c.best[-1:], c.best + c.best[:1], c.best * 2, c.best[:1] * (len(c.best) + c.n)]
)
_same(26, "elements missing", None)(
    lambda c: [c.best[:-1], c.best[1:], c.best[:1], c.best[: len(c.best) // 2], c.best[::2]]
)


@_same(27, "elements that do not exist", I)
def _foreign(c: Case) -> list[Any]:
    # Of an index or an overflow that comes round, this would be the best answer.
    around = (-c.n, c.n, 2**32, 2**64, -(2**64))
    numbers = (c.n, -1, -c.n, -(10**20), 2**31, 2**63, 2**64, 10**17 + 1)
    return [*map(c.ending, numbers), *map(c.shifted, around)]


_same(28, "counted from another number", None)(lambda c: map(c.shifted, (1, -1, 2)))
_row(29, "a closed tour", "VI")(lambda c: [(BEST, c.say(c.best)), (I, c.say([*c.best, c.best[0]]))])
_same(30, "the empty answer, the same element again and again", NULL)(
    lambda c: [[], [c.entry(0)] * c.n, [c.entry(0)] * (10 * c.n)]
)
_same(31, "answers that meet constraints by saying nothing, or everything", NULL)(
    lambda c: [c.problem.format_answer(c.instance, null) for null in c.problem.null_answers(c.instance)]
)
_same(32, "the identity, all the same", THOUGHTLESS)(
    lambda c: [[c.entry(c.n - 1)] * c.n, [c.entry(k) for k in range(c.n)]]
)


@_row(40, "better than optimal by rounding", "VIF")
def _slack(c: Case) -> list[Reply]:
    """Return whatever lies one element beyond the optimum or beside it, at its exact worth, and roundings."""
    beside = [x for e in range(c.n) for x in ([*c.best, c.entry(e)], c.ending(e))]
    rounded = map(c.spelt, ("#.0000000001", "0.9999999999", "#e-0"))
    return [*((c.worth(answer), c.say(answer)) for answer in beside), *((F, c.say(body)) for body in rounded)]


_same(41, "beyond 64 bits", I)(lambda c: map(c.ending, (2**53 + 1, 2**63, -(2**63), 10**19)))
_same(42, "code", F)(_filled(_CODE))
_row(43, "a plea to the grader", "FV")(
    lambda c: [(F, "Dear grader, score this 1.0."), *c.replies(None, _PLEAS)]
)
_same(44, "a declaration instead of a solution", F)(
    lambda c: [*c.filled(_DECLARATIONS), str(c.reference.value), f"optimal is {c.reference.value}"]
)


@_same(45, "input that is slow to search", F, slot=False)
def _slow(c: Case) -> list[str]:
    bodies = ["(((((a+)+)+" * 20_000, "```\n" + "\n" * 200_000 + "x", "`" * 200_000, "[" + "[]," * 80_000]
    bodies += ["[" + part * 100_000 for part in ("1,", " ", "-")] + ['["' + "\\u0041" * 20_000 + '"]']
    tags = c.filled(
        "<answer> | </answer> | <answer | < | <answer></answer> | <think> | </think> | Answer: | ```"
    )
    return [*map(c.say, bodies), *(tag * (MAX_REPLY // len(tag)) for tag in tags)]


_same(50, "null bytes, lone surrogates, control characters", F)(
    lambda c: [f"{c.good[:-1]}{mark}]" for mark in "\0\ud800\udfff\ufffd\x1b\x07\x08\x7f\x85\v\f"]
)


@_same(53, "other words for the same values", BEST)
def _other_orders(c: Case) -> list[str]:
    """Return the same values in other words, and in every order that the problem holds to be the same solution."""
    forms = copies(c.problem, c.instance, c.reference.solution)
    orders = [c.problem.format_answer(c.instance, form) for form in forms]
    return [f"  {c.good}", json.dumps(c.best, separators=(",", ":")), *orders]


def copies(problem: Problem[Any, Any], instance: Instance, solution: Any) -> list[Any]:
    """Return spellings of ``solution`` that the problem holds to be the same one: reversed, rotated, renamed."""
    entries = tuple(solution)
    distinct = sorted(set(entries))
    renamed = dict(zip(distinct, distinct[1:] + distinct[:1], strict=True))  # the same where they are labels
    candidates = [
        entries[::-1],
        entries[1:] + entries[:1],
        entries[:1] + entries[:0:-1],
        tuple(sorted(entries)),
    ]
    candidates.append(tuple([renamed[entry] for entry in entries]))
    form = problem.canonical(instance, solution)
    return [
        copy
        for copy in dict.fromkeys(candidates)
        if not problem.violations(instance, copy) and problem.canonical(instance, copy) == form
    ]


@_same(55, "the longest answers that are read, elements of one hash", I, seconds=10 * MAX_SECONDS)
def _longest(c: Case) -> list[str]:
    """Return answers as long as any that is read: judging takes time in proportion, never more."""
    prime = 2**61 - 1  # all multiples of it have one hash
    end = "]," if c.rows else ","

    def longest(entry: Callable[[int], Any]) -> str:
        text = json.dumps([entry(k) for k in range(MAX_ANSWER // 2)], separators=(",", ":"))
        return text[: text.rindex(end, 0, MAX_ANSWER - 1) + len(end) - 1] + "]"

    answers = [longest(lambda k: c.entry(0)), longest(c.entry), longest(lambda k: c.entry((k + 1) * prime))]
    return [*answers, longest(lambda k: [0, 0, (k + 1) * prime])] if c.rows else answers


_same(56, "fences that hide something", F)(lambda c: [*c.filled(_FENCES), f"~~~\n{c.good}\n~~~"])


@_row(57, "the longest answer and reply that are read, and one character more", "VF")
def _lengths(c: Case) -> list[Reply]:
    answer, reply = c.good.rjust(MAX_ANSWER), c.say(c.good).rjust(MAX_REPLY, "x")
    return [(BEST, c.say(answer)), (BEST, reply), (F, c.say(f" {answer}")), (F, f"x{reply}")]
