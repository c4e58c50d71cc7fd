"""Pictures of every problem: whatever can be read is drawn, what is wrong is marked, and nothing else is."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

import forge_gym
from cases import PROBLEMS, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.problem import Problem
from forge_gym.core.registry import problem_class
from forge_gym.core.verdict import Malformed
from forge_gym.pictures.picture import summary
from forge_gym.verification.fuzz import mutate
from pictures.looks import dots_of, red_pixels, red_shapes, red_texts, rows_of

pytestmark = pytest.mark.filterwarnings("error")

HUGE = 10**30
ONE_PER_PICTURE = tuple({type(problem_class(name).picture): name for name in PROBLEMS}.values())
every_picture = pytest.mark.parametrize("name", ONE_PER_PICTURE)


def made(name: str, level: int = 0, **arguments: Any) -> tuple[Problem[Any, Any], Any]:
    problem = forge_gym.problem(name, **arguments).at_level(level)
    return problem, problem.instance(seed=3)


def drawn(problem: Problem[Any, Any], instance: Any, solution: Any) -> Any:
    ax = Figure(figsize=(4.8, 4.8)).add_subplot()
    problem.picture.draw(problem, instance, solution, ax)
    return ax


def is_marked(problem: Problem[Any, Any], instance: Any, solution: Any) -> bool:
    ax = drawn(problem, instance, solution)
    return bool(red_texts(ax) or red_shapes(ax))


def feasible_solutions(problem: Any, instance: Any) -> list[Any]:
    return [problem.trivial(instance), problem.heuristic(instance), problem.reference(instance).solution]


def broken_solutions(problem: Any, instance: Any) -> list[Any]:
    """Return some that can be read and are infeasible: strangers, repetitions, too many and too few."""
    best = problem.reference(instance).solution
    answers: list[Any] = [best[:1] * 2, (*best, *best[:1]), *problem.null_answers(instance)]
    if problem.solutions == "a schedule":
        answers += [((9, HUGE, -1),), (best[0], (best[0][0], best[0][1], best[0][2] + 1))]
    else:
        answers += [(0, HUGE), (-1, HUGE)]
    return [answer for answer in dict.fromkeys(answers) if problem.violations(instance, answer)]


@every_problem
def test_feasible_solutions_are_drawn_without_a_mark(name: str) -> None:
    """Neither they nor the instance alone show the colour of errors."""
    for level in (0, 5):
        problem, instance = made(name, level)
        solutions = [None, *feasible_solutions(problem, instance)]
        assert not any(is_marked(problem, instance, solution) for solution in solutions)
    assert not red_pixels(problem.picture.pixels(problem, instance, solutions[-1]))


@every_problem
def test_broken_solutions_are_drawn_with_their_marks_and_reasons(name: str) -> None:
    """As many reasons as broken families, as pixels of a file and as a vector picture."""
    problem, instance = made(name)
    solutions = broken_solutions(problem, instance)
    assert len(solutions) >= 3
    marked = 0
    for solution in solutions:
        ax = drawn(problem, instance, solution)
        reasons = " ".join(" ".join(red_texts(ax)).split())
        for violation in problem.violations(instance, solution):
            assert " ".join(violation.reason.split()) in reasons
        marked += bool(red_shapes(ax)) or any("×" in text for text in red_texts(ax))
    assert marked >= 2  # what does not exist cannot be marked, nor can halves of different sizes
    assert red_pixels(problem.picture.pixels(problem, instance, solutions[0], title="")) > 100
    assert problem.picture.image(problem, instance, solutions[-1], format="svg").startswith(b"<?xml")


@every_problem
def test_elements_are_placed_alike_whatever_the_solution(name: str) -> None:
    """Dots and rows are where they are for the instance alone; feasible solutions share the axes too."""
    problem, instance = made(name)
    alone = drawn(problem, instance, None)
    for solution in (*feasible_solutions(problem, instance), *broken_solutions(problem, instance)):
        ax = drawn(problem, instance, solution)
        assert rows_of(ax) == rows_of(alone) and ax.get_ylim() == alone.get_ylim()
        assert rows_of(ax) or dots_of(ax, instance.size) == dots_of(alone, instance.size)
        if problem.feasible(instance, solution):
            assert ax.get_xlim() == alone.get_xlim()


@every_picture
def test_all_texts_fit_into_the_picture(name: str) -> None:
    """Names, which are words here, captions, and the longest reasons."""
    problem, instance = made(name, 2, names="words")
    longest = max(
        broken_solutions(problem, instance),
        key=lambda solution: sum(len(broken.reason) for broken in problem.violations(instance, solution)),
    )
    for solution in (problem.heuristic(instance), longest):
        with problem.picture.figure(problem, instance, solution) as figure:
            figure.canvas.draw()
            (ax,) = figure.axes
            written = [ax.xaxis.label, ax.yaxis.label, *ax.get_yticklabels(), *ax.findobj(Annotation)]
            for text in (*written, *figure.texts):
                if text.get_text():
                    (left, low), (right, high) = text.get_window_extent().get_points()
                    assert left >= -1 and low >= -1 and right <= 481 and high <= 481, text


@every_problem
def test_elements_have_the_names_of_the_texts(name: str) -> None:
    """Numbers from 10 on, or words."""
    for names in (10, "words"):
        problem: Any = forge_gym.problem(name, names=names).at_level(0)
        instance = problem.instance(seed=3)
        texts = {text.get_text().split(" ")[0] for text in drawn(problem, instance, None).findobj(Text)}
        assert {str(problem.names_of(instance)[i]) for i in range(instance.size)} <= texts


@every_problem
def test_mutants_of_good_answers_are_drawn(name: str) -> None:
    """What is marked is what the verifier refuses, and nothing else."""
    problem, instance = made(name, level=9)
    rng, seen = random.Random(0), set[Any]()
    good = [problem.format_answer(instance, solve(instance)) for solve in (problem.heuristic, problem.trivial)]
    while len(seen) < 5:
        text = mutate(rng, rng.choice(good), rng.choice(good))
        try:
            solution = problem.parse_answer(instance, text)
        except Malformed:
            continue
        if solution not in seen:
            assert is_marked(problem, instance, solution) != problem.feasible(instance, solution), text
            seen.add(solution)


@every_problem
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_answer_that_can_be_read_is_drawn(name: str, data: st.DataObject) -> None:
    """Lists of any numbers, and rows of any three."""
    problem: Any = forge_gym.problem(name).at_level(0)
    instance = problem.instance(seed=1)
    numbers = st.one_of(st.integers(-1, instance.size), st.sampled_from([540, 541, HUGE, -HUGE]))
    listed: Any = st.lists(numbers, max_size=2 * instance.size)
    if problem.solutions == "a schedule":
        listed = st.lists(st.tuples(numbers, st.integers(-1, 2), st.integers(-1, 1500)).map(list), max_size=9)
    solution = problem.parse_answer(instance, str(data.draw(listed)))
    broken = not problem.feasible(instance, solution)
    assert is_marked(problem, instance, solution) == broken
    assert ("infeasible" in summary(problem, instance, solution)) == broken


@pytest.mark.parametrize(
    ("name", "texts"),
    [
        ("PublishedCycle", ("[0, 1, 2, 0]", "[]", "[0, 1]")),
        ("PublishedBisection", ("[[0], [1]]", "[[], []]")),
    ],
)
def test_answers_in_the_published_spelling_are_drawn(name: str, texts: tuple[str, ...]) -> None:
    """They hold a mark that is no number of a vertex."""
    problem, instance = made(name)
    for text in texts:
        solution = problem.parse_answer(instance, text)
        assert is_marked(problem, instance, solution) != problem.feasible(instance, solution)


@every_picture
def test_300_elements_are_drawn_in_a_second_or_two_and_without_names(name: str) -> None:
    """Whatever is chosen of them. Hundreds of names would be no more than a blot."""
    problem = forge_gym.problem(name, n=300)
    instance = problem.instance(seed=1)
    everything = (
        tuple(range(300)) if problem.solutions != "a schedule" else problem.random(instance, np.random.default_rng(0))
    )
    start = perf_counter()
    with problem.picture.figure(problem, instance, everything) as figure:
        figure.canvas.draw()
        assert len([text for text in figure.findobj(Text) if text.get_text()]) < 60
    assert perf_counter() - start < 10  # seconds; a tenth of it where the machine does nothing else
    assert len(problem.picture.image(problem, instance, problem.heuristic(instance), format="svg")) < 1_000_000


ELSEWHERE = """
import hashlib, forge_gym
for name in ("BalancedMinCut", "SetCover"):
    problem = forge_gym.problem(name).at_level(0)
    instance = problem.instance(seed=3)
    for format in ("png", "svg"):
        drawn = problem.picture.image(problem, instance, problem.null_answers(instance)[1], format=format)
        print(hashlib.sha256(drawn).hexdigest())
"""


def test_pictures_are_the_same_in_every_process() -> None:
    """Identifiers in a vector picture are no addresses, and nothing depends on the order of a set."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", ELSEWHERE],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )
        for seed in "12"
    ]
    assert runs[0].stdout == runs[1].stdout and len(set(runs[0].stdout.split())) == 4


def test_the_rendered_frame_and_the_file_of_a_command_are_that_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`render` and `forge-gym show --png` draw what the problem's picture does."""
    from forge_gym.cli import main

    env = gym.make("Forge/TSP-v0", n=6, render_mode="rgb_array", turns=3)
    env.reset(seed=1)
    base = env.unwrapped
    assert isinstance(base, TextEnv) and base.instance is not None
    problem, instance = base.problem, base.instance
    for reply, title in (("?", "TSP: malformed"), ("<answer>[0, 1, 1, 99]</answer>", "TSP: infeasible")):
        env.step(reply)
        solution = None if reply == "?" else problem.parse_reply(instance, reply)
        frame: Any = env.render()
        assert (frame == problem.picture.pixels(problem, instance, solution, title=title)).all()
    for file, format in (("x.png", "png"), ("x.SVG", "svg")):
        command = ["show", "TSP", "--set", "n=6", "--seed", "1", "--split", "train"]
        command += ["--solution", "--png", str(tmp_path / file)]
        main(command)
        best = problem.reference(instance).solution
        expected = problem.picture.image(problem, instance, best, format=format, dpi=150)
        assert (tmp_path / file).read_bytes() == expected
        (tmp_path / file).unlink()
        main([*command, "--reply", "<answer>[0, 1, 1, 99]</answer>"])
        expected = problem.picture.image(problem, instance, (0, 1, 1, 99), format=format, dpi=150)
        assert (tmp_path / file).read_bytes() == expected
    capsys.readouterr()
