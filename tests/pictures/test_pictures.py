"""Pictures of every problem: anything that can be read is drawn, what is wrong is marked, and nothing else is."""

from __future__ import annotations

import random
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import forge_gym
from cases import PROBLEMS, every_problem
from forge_gym.core.env import TextEnv
from forge_gym.core.problem import Problem
from forge_gym.core.verdict import Malformed
from forge_gym.evaluation.fuzz import mutate
from forge_gym.pictures import drawing
from forge_gym.pictures.drawing import summary

matplotlib = pytest.importorskip("matplotlib")
pytestmark = pytest.mark.filterwarnings("error")

HUGE = 10**30


def made(name: str, level: int = 0) -> tuple[Problem[Any, Any], Any]:
    problem = forge_gym.problem(name).at_level(level)
    return problem, problem.instance(seed=3)


def picture(problem: Problem[Any, Any], instance: Any, solution: Any = None, **options: Any) -> bytes:
    image: bytes = problem.picture.image(problem, instance, solution, **options)
    return image


def pixels(
    problem: Problem[Any, Any], instance: Any, solution: Any = None, **options: Any
) -> NDArray[np.uint8]:
    shown: NDArray[np.uint8] = problem.picture.pixels(problem, instance, solution, **options)
    return shown


def broken_solutions(problem: Any, instance: Any) -> list[Any]:
    """Return some solutions that can be read and are infeasible: strangers, repetitions, too many and too few."""
    best = problem.reference(instance).solution
    found: list[Any] = [best[:1] * 2, (*best, *best[:1]), *problem.null_answers(instance)]
    if problem.solutions == "a schedule":
        found += [((9, HUGE, -1),), (best[0], (best[0][0], best[0][1], best[0][2] + 1))]
    else:
        found += [(0, HUGE), (-1, HUGE)]
    return [solution for solution in dict.fromkeys(found) if problem.violations(instance, solution)]


def marks(image: NDArray[np.uint8]) -> int:
    """Count pixels of the colour that marks errors."""
    wrong = [int(drawing.WRONG[at : at + 2], 16) for at in (1, 3, 5)]
    return int((np.abs(image.astype(int) - wrong).max(axis=2) < 12).sum())


def decoded(png: bytes) -> NDArray[np.uint8]:
    from matplotlib.image import imread

    return np.round(255 * imread(BytesIO(png))[..., :3]).astype(np.uint8)


@every_problem
def test_feasible_solutions_differ_and_have_no_mark(name: str) -> None:
    problem, instance = made(name)
    alone, best = pixels(problem, instance), pixels(problem, instance, problem.reference(instance).solution)
    for image in (alone, best):
        assert image.shape == (480, 480, 3) and image.dtype == np.uint8 and not marks(image)
        assert image.min() < 100 and (image[0] == 255).all(axis=1).any()
    assert (alone != best).any()
    for level in (4, 9):
        problem, instance = made(name, level)
        reference = problem.reference(instance)
        for solution in (None, problem.trivial(instance), problem.heuristic(instance), reference.solution):
            assert solution is None or not problem.violations(instance, solution)
            figure = drawn(problem, instance, solution)
            assert not marked(figure)
        assert not marks(pixels(problem, instance, reference.solution, dpi=60))


@every_problem
def test_what_is_wrong_is_marked(name: str) -> None:
    problem, instance = made(name)
    best = pixels(problem, instance, problem.reference(instance).solution, title="")
    alone = pixels(problem, instance, title="")
    solutions = broken_solutions(problem, instance)
    assert len(solutions) >= 3
    for solution in solutions:
        image = pixels(problem, instance, solution, title="")
        assert marks(image) > 20, solution
        assert (image != best).any() and (image != alone).any(), solution


def places(problem: Problem[Any, Any], instance: Any, solution: Any) -> list[tuple[str, float, float]]:
    """Return the names of elements with where they stand in the units of the axes."""
    from matplotlib.text import Annotation

    names = set(map(str, range(instance.size)))
    (axes,) = drawn(problem, instance, solution).axes
    found = [text for text in axes.findobj(Annotation) if text.get_text() in names]
    return sorted((text.get_text(), *np.round(text.xy, 6).tolist()) for text in found)


@pytest.mark.parametrize(
    "name", [n for n in PROBLEMS if forge_gym.problem(n).family in ("graph", "planning")]
)
def test_elements_stand_alike_whatever_the_solution(name: str) -> None:
    problem, instance = made(name)
    solutions = [
        problem.trivial(instance),
        problem.reference(instance).solution,
        *broken_solutions(problem, instance),
    ]
    alone = places(problem, instance, None)
    assert len(alone) >= instance.size
    for solution in solutions:
        assert set(places(problem, instance, solution)) >= set(alone)


def drawn(problem: Problem[Any, Any], instance: Any, solution: Any) -> Any:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.8, 4.8))
    problem.picture.draw(problem, instance, solution, figure.add_subplot())
    return figure


def marked(figure: Any) -> bool:
    """Whether any artist that is drawn has the colour of errors."""
    from matplotlib.collections import Collection
    from matplotlib.colors import to_rgba
    from matplotlib.text import Text

    wrong = to_rgba(drawing.WRONG)
    texts = (text for text in figure.findobj(Text) if text.get_text())
    return any(to_rgba(text.get_color()) == wrong for text in texts) or any(
        to_rgba(colour) == wrong for found in figure.findobj(Collection) for colour in found.get_edgecolor()
    )


@pytest.mark.parametrize("level", [0, 4, 9])
@every_problem
def test_mutants_of_good_answers_are_drawn(name: str, level: int) -> None:
    problem, instance = made(name, level)
    rng = random.Random(level)
    good = [
        problem.format_answer(instance, problem.heuristic(instance)),
        problem.format_answer(instance, problem.trivial(instance)),
    ]
    seen = set()
    for _ in range(400):
        text = mutate(rng, rng.choice(good), rng.choice(good))
        try:
            solution = problem.parse_answer(instance, text)
        except Malformed:
            continue
        broken = bool(problem.violations(instance, solution))
        if len(seen) < 5 and solution not in seen:
            assert marked(drawn(problem, instance, solution)) == broken, text
            seen.add(solution)
    assert len(seen) == 5


@every_problem
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_answer_that_can_be_read_is_drawn(name: str, data: st.DataObject) -> None:
    problem: Any = forge_gym.problem(name).at_level(0)
    instance = problem.instance(seed=1)
    numbers = st.one_of(st.integers(-1, instance.size), st.sampled_from([540, 541, HUGE, -HUGE]))
    listed: Any = st.lists(numbers, max_size=2 * instance.size)
    if problem.solutions == "a schedule":
        listed = st.lists(st.tuples(numbers, st.integers(-1, 2), st.integers(-1, 1500)).map(list), max_size=9)
    solution = problem.parse_answer(instance, str(data.draw(listed)))
    broken = bool(problem.violations(instance, solution))
    assert marked(drawn(problem, instance, solution)) == broken
    assert ("infeasible" in summary(problem, instance, solution)) == broken


@every_problem
def test_equal_arguments_give_equal_bytes_whatever_the_settings(name: str) -> None:
    problem, instance = made(name)
    solution = broken_solutions(problem, instance)[-1]
    formats = {"png": b"\x89PNG", "svg": b"<?xml"} if name in ("TSP", "SetCover") else {"png": b"\x89PNG"}
    for format, begin in formats.items():
        first = picture(problem, instance, solution, format=format)
        with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 30, "svg.hashsalt": None}):
            before = dict(matplotlib.rcParams)
            again = picture(problem, instance, solution, format=format)
            assert dict(matplotlib.rcParams) == before
        assert first == again and first.startswith(begin)
        assert (
            b"Matplotlib" not in first.replace(b"Created with Matplotlib", b"") and b"<dc:date>" not in first
        )


def test_the_array_the_file_and_the_rendered_frame_are_one_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from forge_gym.evaluation.cli import main

    env = gym.make("Forge/TSP-v0", n=6, render_mode="rgb_array", turns=3)
    env.reset(seed=1)
    base = env.unwrapped
    assert isinstance(base, TextEnv) and base.instance is not None
    problem, instance = base.problem, base.instance
    for reply, title in (
        ("?", "TSP: malformed"),
        ("<answer>[0, 1, 1, 99]</answer>", "TSP: infeasible"),
        ("<answer>[0, 1, 2, 3, 4, 5]</answer>", None),
    ):
        env.step(reply)
        solution = None if reply == "?" else problem.parse_reply(instance, reply)
        title = title or f"TSP: {base.caption()}"
        frame: Any = env.render()
        assert (frame == pixels(problem, instance, solution, title=title)).all()
        assert (frame == decoded(picture(problem, instance, solution, title=title))).all()
    for file, format in (("x.png", "png"), ("x.SVG", "svg")):
        command = ["show", "TSP", "--set", "n=6", "--seed", "1", "--split", "train"]
        command += ["--solution", "--png", str(tmp_path / file)]
        main(command)
        best = problem.reference(instance).solution
        assert (tmp_path / file).read_bytes() == picture(problem, instance, best, format=format, dpi=150)
        main([*command, "--reply", "<answer>[0, 1, 1, 99]</answer>"])
        broken = picture(problem, instance, (0, 1, 1, 99), format=format, dpi=150)
        assert (tmp_path / file).read_bytes() == broken
    capsys.readouterr()


def test_threads_draw_at_once() -> None:
    jobs = [made(name) for name in PROBLEMS[:4]] * 2
    alone = [picture(problem, instance, problem.trivial(instance)) for problem, instance in jobs[:4]] * 2
    found: list[bytes] = [b""] * len(jobs)
    start = threading.Barrier(len(jobs))

    def draw(at: int) -> None:
        problem, instance = jobs[at]
        start.wait()
        found[at] = picture(problem, instance, problem.trivial(instance))

    threads = [threading.Thread(target=draw, args=(at,)) for at in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


@pytest.mark.parametrize("name", ["PublishedCycle", "PublishedBisection"])
def test_answers_in_the_published_spelling_are_drawn(name: str) -> None:
    problem, instance = made(name)
    texts = (
        ["[0, 1, 2, 0]", "[]", "[0, 1]"]
        if name == "PublishedCycle"
        else ["[[0], [1]]", "[[], []]", "[[0, 0], [9]]"]
    )
    for text in texts:
        solution = problem.parse_answer(instance, text)
        assert marked(drawn(problem, instance, solution)) == (not problem.feasible(instance, solution))


@pytest.mark.parametrize(
    ("name", "data", "solution"),
    [
        ("Knapsack", '{"capacity": %d, "weights": [%d, 1, 7], "values": [0, %d, 1]}', (0, 2)),
        ("SubsetSum", '{"target": %d, "numbers": [%d, 2, %d]}', (0, 2)),
    ],
)
def test_numbers_beyond_any_float_are_drawn(name: str, data: str, solution: tuple[int, ...]) -> None:
    problem = forge_gym.problem(name)
    for digits in (20, 400, 4000):
        instance = problem.from_json(data % (10**digits, 10**digits - 5, 9 * 10**digits))
        assert marks(pixels(problem, instance, solution)) and pixels(problem, instance).min() < 100


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("TSP", {"n": 500}), ("TSP", {"n": 12, "distribution": "matrix"}), ("Knapsack", {"n": 400}),
        ("SubsetSum", {"n": 400}), ("SetCover", {"n": 300}), ("GraphColoring", {"n": 200}),
        ("MaxClique", {"n": 200}), ("MaxIndependentSet", {"n": 200}), ("BalancedMinCut", {"n": 200}),
        ("HamiltonianCycle", {"n": 300}),
    ],
)  # fmt: skip
def test_large_instances_are_drawn_without_a_name_on_each_element(
    name: str, arguments: dict[str, Any]
) -> None:
    from matplotlib.text import Text

    problem = forge_gym.problem(name, **arguments)
    instance = problem.instance(seed=1)
    figure = drawn(problem, instance, problem.heuristic(instance))
    assert not marked(figure)
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    assert len(texts) < 60


def test_titles_are_no_formulas_and_have_no_foreign_letters() -> None:
    problem, instance = made("TSP")
    shown = [
        decoded(picture(problem, instance, title=title))
        for title in ("", "a", "$\\frac{", "\x1b[31m\u4e2d\t$x^2$")
    ]
    assert all((image != shown[0]).any() for image in shown[1:])
    long = pixels(problem, instance, title="word " * 60)
    assert (long[:, :3] == 255).all() and (long[:, -3:] == 255).all()


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(ValueError, match=r"format must be one of .*'svgz': did you mean 'svg'"):
        picture(*made("TSP"), format="svgz")


def test_a_small_picture_is_drawn_and_one_of_several() -> None:
    from matplotlib.figure import Figure

    problem, instance = made("MeetingScheduling", 9)
    assert pixels(problem, instance, problem.heuristic(instance), size=(1.5, 1.5)).shape == (150, 150, 3)
    left, right = Figure(layout="constrained").subfigures(1, 2)
    for half, (problem, instance) in ((left, made("TSP")), (right, made("Knapsack"))):
        problem.picture.draw(problem, instance, problem.parse_answer(instance, "[0, 0]"), half.add_subplot())
        assert marked(half)
