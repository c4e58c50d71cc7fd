"""A page for each problem, from the registry: its docstrings, its hooks, and what the controls reach on its instances.

A new problem has one without a line here.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from statistics import fmean
from typing import Any

import numpy as np
from docstrings import markdown, parsed, sections, table

import forge_gym
from forge_gym.agents import make_agent
from forge_gym.core.instance import Instance
from forge_gym.core.parameters import choices
from forge_gym.core.problem import Problem
from forge_gym.core.registry import problem_class
from forge_gym.data.rows import Row
from forge_gym.data.suite import BENCHMARK, LEVELS, PER_LEVEL, locate, proven_levels, read
from forge_gym.evaluation.evaluate import evaluate, held_out
from forge_gym.kinds import as_kind

_CONTROLS = ("random", "greedy", "local-search")
_SHOWN = 2
"""Level of the instance that is drawn."""
_ABSURD: dict[type, tuple[Any, ...]] = {int: (-1, 10**18), float: (-1.0, 2.0), str: ("?",)}
"""Values that no parameter of a type takes: their refusals say what it takes."""


def described(cls: type) -> dict[str, tuple[str, str]]:
    """Return annotation and docstring of each field of a dataclass, those of its bases first."""
    found: dict[str, tuple[str, str]] = {}
    for base in reversed(cls.__mro__):
        if is_dataclass(base):
            for name, member in parsed(inspect.getfile(base))[base.__name__].attributes.items():
                found[name] = str(member.annotation or ""), member.docstring.value if member.docstring else ""
    return found


def slug(cls: type) -> str:
    """Return how a problem's files are called: as its module."""
    return cls.__module__.rpartition(".")[2]


def text(docstring: str) -> str:
    """Return what a docstring says before its first section, as Markdown whose citations are links."""
    return markdown(sections(docstring)[""], link=True)


def labelled(docstring: str) -> str:
    """Return the definition with each of its labels on a line of its own.

    Examples
    --------
    >>> print(labelled("Problem: min x. Answer: a number."))
    <BLANKLINE>
    <BLANKLINE>
    - **Problem:** min x.
    - **Answer:** a number.
    """
    label = re.compile(r"(?:^|\s)(Problem|Answer|Trivial|Heuristic|Reference): ")
    paragraphs = []
    for paragraph in text(docstring).split("\n\n"):
        first, *rest = label.split(" ".join(paragraph.split()))
        items = [f"- **{name}:** {what.strip()}" for name, what in zip(rest[::2], rest[1::2], strict=True)]
        paragraphs.append("\n".join([first, "", *items] if items else [first]))
    return "\n\n".join(paragraphs)


def rule(cls: type[Problem[Any, Any]], field: Field[Any]) -> str:
    """Return which values a parameter takes, in the words of the error that refuses others."""
    for value in _ABSURD.get(type(field.default), ()):
        try:
            cls(**{field.name: value})
        except ValueError as error:
            found = re.match(rf"{field.name} must be (.*?), got ", str(error))
            if found:
                return re.sub("'(.+?)'", r"`\1`", found[1]).removeprefix("one of ").strip("[]")
    return ""


def parameters(cls: type[Problem[Any, Any]]) -> str:
    """Return a table of the parameters, the problem's own first."""
    inherited = {field.name for field in fields(Problem)}
    said = described(cls)
    rows = []
    for field in sorted(fields(cls), key=lambda field: field.name in inherited):
        default = "" if field.default is MISSING else f"`{field.default!r}`"
        rows.append((f"`{field.name}`", default, rule(cls, field), text(said[field.name][1])))
    return table(("parameter", "default", "values", "meaning"), rows)


def instance_fields(cls: type[Instance]) -> str:
    """Return a table of the data of an instance."""
    said = described(cls)
    rows = [(f"`{field.name}`", f"`{said[field.name][0]}`", text(said[field.name][1])) for field in fields(cls)]
    return table(("field", "type", "meaning"), rows)


def constraints(problem: Problem[Any, Any], instances: list[Instance]) -> str:
    """Return a table of the constraint families, each with what the verifier says of an answer that breaks it."""
    said: dict[str, str] = {}
    for instance in instances:
        for solution in broken(problem, instance):
            for violation in problem.violations(instance, solution):
                said.setdefault(violation.family, violation.reason)
    rows = []
    for family in problem.constraints:
        mends = "yes" if family in as_kind(problem).mendable else ""
        rows.append((f"`{family}`", markdown(said.get(family, "")), mends))
    return table(("family", "what the verifier says, for example", "mended by adding"), rows)


def broken(problem: Problem[Any, Any], instance: Instance) -> list[Any]:
    """Return answers of the right form that break one constraint or another."""
    rng, n = np.random.default_rng(0), instance.size
    witness = problem.reference(instance).solution
    found = [*problem.null_answers(instance), (*witness, *witness[:1])]
    kind = as_kind(problem)
    if kind.widget != "labels":  # elements that do not exist
        found.append(problem.permute(witness, range(n, 2 * n)))
    if kind.widget == "rows":
        found.append([(*row[:-1], row[-1] + 1) for row in witness])
    return found + [kind.any_answer(instance, rng) for _ in range(100)]


def hooks(cls: type[Problem[Any, Any]]) -> str:
    """Return what the docstrings of the anchors and solvers say."""
    rows = []
    for name, what in (
        ("trivial", "thoughtless answer: quality 0"),
        ("heuristic", "greedy: skill 0"),
        ("neighbour", "a move of local search"),
        ("solve", "reference method: quality 1"),
    ):
        method = getattr(cls, name)
        if name in vars(cls) and method.__doc__:
            rows.append((f"`{name}`", what, text(method.__doc__)))
    return table(("hook", "part", "method"), rows)


@cache
def benchmark() -> dict[tuple[str, int | None], list[Row]]:
    """Return the rows of the benchmark by problem and level."""
    found: dict[tuple[str, int | None], list[Row]] = {}
    for row in read(locate(BENCHMARK))[1]:
        found.setdefault((row.problem.name, row.level), []).append(row)
    return found


def levels(problem: Problem[Any, Any]) -> str:
    """Return the ladder: parameters, length of the prompt, and the calibration line of the controls."""
    ladder = [problem.at_level(level) for level in LEVELS]
    steps = [field.name for field in fields(problem) if len({getattr(rung, field.name) for rung in ladder}) > 1]
    rows = []
    for level, at_level in zip(LEVELS, ladder, strict=True):
        suite = benchmark().get((problem.name, level))
        instances = [row.use() for row in suite] if suite else held_out(at_level, PER_LEVEL)
        size = ", ".join(f"{name}={getattr(at_level, name)}" for name in steps)
        prompt = fmean(len(at_level.prompt(instance)) for instance in instances)
        reached = {
            control: evaluate(make_agent(control), suite[0].problem if suite else at_level, instances)
            for control in _CONTROLS
        }
        marks = [
            fmean(reached[control].values(metric))
            for control in _CONTROLS
            for metric in (("quality",) if control == "greedy" else ("quality", "skill", "optimal"))
        ]
        rows.append((level, size, f"{prompt:,.0f}", *(f"{mark:.2f}" for mark in marks)))
    reached_by = ("quality", "skill", "optimal")
    columns = (
        "level", "parameters", "prompt",
        *(f"random {metric}" for metric in reached_by), "greedy quality",
        *(f"local search {metric}" for metric in reached_by),
    )  # fmt: skip
    origin = f"`{BENCHMARK}`" if (problem.name, 0) in benchmark() else "the test split"
    return (
        f"Means over the {PER_LEVEL} instances of each level in {origin}; prompts in characters. The last level "
        f"has at most n={problem.most}. Greedy answers have skill 0 and are never optimal, since the instances are "
        "graded. Exact answers are "
        f"1 throughout.\n\n{table(columns, rows, numbers=8)}"
    )


def proven(name: str) -> str:
    """Return the sentence that says up to which level references are proven."""
    levels = proven_levels(name)
    if not levels:
        return ""
    listed = ", ".join(f"{level} (`{family}`)" if family else str(level) for family, level in levels.items())
    if len(set(levels.values())) == 1:
        listed = str(min(levels.values()))
    return (
        f"References are proven to level {listed} within 10 s: all of three instances, with the problem's own limit "
        "of work, on one core of a shared server (AMD EPYC). Beyond, an instance may come with a bound."
    )


def problem_page(name: str) -> tuple[str, bytes]:
    """Return a problem's page and its picture."""
    cls = problem_class(name)
    module, problem = sys.modules[cls.__module__], cls()
    origin = sections(module.__doc__ or "")
    title, _, definition = markdown(origin[""], link=True).partition("\n\n")
    small = problem.at_level(0)
    asked = next(small.graded_instances(0, "test"))[1]
    at_level = problem.at_level(_SHOWN)
    index, shown = next(at_level.graded_instances(0, "test"))
    reference = at_level.reference(shown)
    about = sections(cls.__doc__ or "")[""].partition("\n\n")
    families = ", ".join(f"`{choice}`" for choice in choices(cls, "distribution")) or "one family"
    sense = {"min": "minimise", "max": "maximise"}[cls.sense]
    facts = (f"`Forge/{name}-v{cls.version}`", cls.family, sense, cls.solutions, families)
    proof = "proven optimum" if reference.proven else f"best known (bound {reference.bound})"
    sources = markdown("References\n----------\n" + origin.get("References", ""))
    numbered = re.sub(r"^(\d+)\. ", r'\1. <span id="source-\1"></span>', sections(sources)["References"], flags=re.M)
    source = "/".join(cls.__module__.split(".")[1:]) + ".py"
    page = f"""# {name}

{title}

{definition}

{table(("environment", "family", "objective", "a solution is", "instances"), [facts])}

```python
import gymnasium as gym
import forge_gym

env = gym.make("Forge/{name}-v{cls.version}", level={_SHOWN})
prompt, info = env.reset(seed=0)
```

![{name}: an instance with its best solution]({slug(cls)}.svg){{ .picture }}

An instance of level {_SHOWN} and its best solution: trivial {reference.trivial}, greedy {reference.greedy},
{proof} {reference.value} ({reference.solver}).

```bash
forge-gym show {name} --level {_SHOWN} --index {index} --solution
forge-gym play {name} --level {_SHOWN}
forge-gym check {name}
```

`play` puts you in the agent's place; `check` attacks the verifier and compares it with a second one on every answer
to small instances ([verification](../verification.md)).

## Definition

{text(about[0])}
{labelled(about[2])}

## Instance

{instance_fields(cls.instance_type)}

## Parameters

{parameters(cls)}

`level=` sets the size, [below](#levels); parameters and `level` are arguments of `gym.make` and `forge_gym.problem`.

## Prompt and answer

The prompt of an instance of level 0:

````text
{small.prompt(asked)}
````

An answer that attains the optimum:

````text
{small.format(asked, small.reference(asked).solution)}
````

## Constraints

An answer that breaks one is infeasible: quality 0, and a reward that grows with the share of constraints it meets.

{constraints(problem, [problem.instance(index=index, split="test") for index in range(8)])}

## Methods

{hooks(cls)}

## Levels

{proven(name)}

{levels(problem)}

## Sources

{numbered}

All of it is code in `{source}`, module [`{cls.__module__}`][{cls.__module__}].
"""
    return page, problem.picture.image(at_level, shown, reference.solution, format="svg", title="")


def problems_page() -> str:
    """Return the table of all problems."""
    rows = []
    for name in forge_gym.problems():
        cls = problem_class(name)
        title = markdown(sections(sys.modules[cls.__module__].__doc__ or "")[""]).partition("\n\n")[0]
        what = title.partition(": ")[2] or title
        image = f"[![]({slug(cls)}.svg){{ .picture }}]({slug(cls)}.md)"
        rows.append((image, f"[{name}]({slug(cls)}.md)", what, cls.sense, cls.family, cls.solutions))
    return f"""# Problems

All are NP-hard, and of each instance that ships the optimum is proven. `gym.make("Forge/NAME-v0", level=3)` makes an
environment; every page has definition, instance, prompt, constraints, methods, and what the controls reach by level.

{table(("", "problem", "task", "sense", "family", "a solution is"), rows)}

A problem of your own has the same page once it is registered: [add a problem](../add_a_problem.md).
"""
