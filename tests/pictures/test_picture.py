"""`Picture`: files, arrays, titles, threads; of one problem for each way to draw."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import threading
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.figure import Figure

from forge_gym.core.verdict import Violation
from forge_gym.pictures.bars import Waterfall
from forge_gym.pictures.graph import ChosenVertices
from forge_gym.pictures.matrix import Incidence
from forge_gym.pictures.picture import summary
from forge_gym.pictures.plane import Tour
from pictures.looks import NAMES, data, red_pixels, red_shapes, red_texts

pytestmark = pytest.mark.filterwarnings("error")

PACK = data(size=3, room=9, weights=(4, 7, 3), order=(0, 1, 2))


class Pack:
    """All that a picture asks of a problem."""

    name = "Pack"
    picture = Waterfall("weights", "room", order="order")

    def names_of(self, instance: Any) -> tuple[str, ...]:
        return NAMES

    def violations(self, instance: Any, solution: Any) -> tuple[Violation, ...]:
        total = sum(instance.weights[i] for i in solution if i in range(3))
        if total <= instance.room:
            return ()
        return (Violation("room", total - instance.room, 9, f"at most {instance.room}, got {total}"),)

    def objective(self, instance: Any, solution: Any) -> int:
        return len(solution)


def image(solution: Any = None, **options: Any) -> bytes:
    return Pack.picture.image(Pack(), PACK, solution, **options)


def pixels(solution: Any = None, **options: Any) -> NDArray[np.uint8]:
    return Pack.picture.pixels(Pack(), PACK, solution, **options)


def decoded(png: bytes) -> NDArray[np.uint8]:
    from matplotlib.image import imread

    return np.round(255 * imread(BytesIO(png))[..., :3]).astype(np.uint8)


def test_modules_of_pictures_load_without_matplotlib() -> None:
    """It is an extra, and slow to load."""
    modules = "from forge_gym.pictures import bars, gantt, graph, matrix, picture, plane"
    check = "import sys; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", f"{modules}; {check}"], check=True)


@pytest.mark.parametrize(("format", "begin"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_equal_arguments_give_equal_bytes_whatever_the_settings(format: str, begin: bytes) -> None:
    """The user's settings play no part, and stay as they are; neither date nor version is told."""
    first = image((0, 1), format=format)
    with matplotlib.rc_context({"figure.facecolor": "black", "font.size": 30, "svg.hashsalt": None}):
        before = dict(matplotlib.rcParams)
        again = image((0, 1), format=format)
        assert dict(matplotlib.rcParams) == before
    assert first == again and first.startswith(begin)
    assert b"Matplotlib" not in first.replace(b"Created with Matplotlib", b"") and b"<dc:date>" not in first


def test_the_array_and_the_file_are_one_picture() -> None:
    """Of the size in inches times the pixels per inch."""
    for solution in (None, (0, 2), (0, 1)):
        shown = pixels(solution, size=(4, 3), dpi=80)
        assert shown.shape == (240, 320, 3) and shown.dtype == np.uint8
        assert (shown == decoded(image(solution, size=(4, 3), dpi=80))).all()


def test_unknown_formats_and_options_are_refused() -> None:
    """Before anything is drawn."""
    with pytest.raises(ValueError, match=r"format must be one of .*'svgz': did you mean 'svg'"):
        image(format="svgz")
    with pytest.raises(TypeError, match="colour"):
        image(colour="red")


def test_titles_are_no_formulas_and_have_no_foreign_letters() -> None:
    """Any text may be a title; one that is too long is broken into lines."""
    titles = ("", "a", "$\\frac{", "\x1b[31m\u4e2d\t$x^2$")
    shown = [pixels(title=title) for title in titles]
    assert all((one != shown[0]).any() for one in shown[1:])
    long = pixels(title="word " * 60)
    assert (long[:100, :3] == 255).all() and (long[:100, -3:] == 255).all()


def test_the_title_is_the_summary_unless_there_is_another() -> None:
    """It says what is broken, and by how much."""
    problem = Pack()
    assert [summary(problem, PACK, solution) for solution in (None, (0, 2), (0, 1))] == [
        "Pack",
        "Pack: objective 2",
        "Pack: infeasible, room by 2",
    ]
    assert image((0, 1)) == image((0, 1), title="Pack: infeasible, room by 2") != image((0, 1), title="")


def test_what_is_wrong_is_said_in_the_words_of_the_verifier() -> None:
    """The reasons stand below the picture, and the feasible solution has none."""
    with Pack.picture.figure(Pack(), PACK, (0, 1)) as figure:
        assert red_texts(figure) == ["at most 9, got 11"] and len(red_shapes(figure)) == 1
    with Pack.picture.figure(Pack(), PACK, (0, 2)) as figure:
        assert not red_texts(figure) and not red_shapes(figure)
    assert red_pixels(pixels((0, 1))) > 100 > red_pixels(pixels((0, 2))) == 0


def test_threads_draw_at_once() -> None:
    """Matplotlib's settings are global, so they wait for each other."""
    solutions = [None, (0, 1)] * 3
    alone = [image(solution) for solution in solutions]
    found, start = [b""] * len(solutions), threading.Barrier(len(solutions))

    def draw(at: int) -> None:
        start.wait()
        found[at] = image(solutions[at])

    threads = [threading.Thread(target=draw, args=(at,)) for at in range(len(solutions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == alone


def test_a_picture_that_fails_lets_others_draw() -> None:
    """The lock is given back, and so are the user's settings."""
    before = dict(matplotlib.rcParams)
    with pytest.raises(AttributeError):
        Tour().image(Pack(), PACK)
    assert dict(matplotlib.rcParams) == before and image()


def test_several_pictures_share_a_figure_of_the_user() -> None:
    """`draw` takes any axes."""
    left, right = Figure(layout="constrained").subfigures(1, 2)
    for half, solution in ((left, (0, 1)), (right, (0, 2))):
        Pack.picture.draw(Pack(), PACK, solution, half.add_subplot())
    assert red_texts(left) and not red_texts(right)


def test_small_pictures_are_drawn() -> None:
    """Names that cannot be read are left out."""
    assert pixels((0, 1), size=(1.5, 1.5)).shape == (150, 150, 3)


def test_pictures_are_values() -> None:
    """A problem states its picture once; two alike are equal."""
    assert ChosenVertices(adjacent=True) == ChosenVertices(adjacent=True) != ChosenVertices()
    assert hash(Incidence("sets", "universe")) == hash(Incidence("sets", "universe"))
    assert len({hashlib.sha256(image(solution)).hexdigest() for solution in (None, (0,), (1,))}) == 3
