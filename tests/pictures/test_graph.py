"""Graphs on a circle: what a solution takes stands out, and so does what it breaks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from forge_gym.pictures.drawing import arcs, circular_layout
from forge_gym.pictures.graph import ChosenVertices, ColoredVertices, GraphPicture, Halves, Route
from pictures.looks import NAMES, data, dots_of, red_shapes, shown, texts_of

pytestmark = pytest.mark.filterwarnings("error")

SQUARE = data(n=5, edges=((0, 1), (0, 3), (1, 2), (2, 3), (2, 4)))
WEIGHTED = data(n=4, edges=((0, 1, 9), (0, 3, 2), (1, 2, 3), (2, 3, 7)))
PICTURES = [
    (ChosenVertices(adjacent=True), SQUARE, ((), (0, 1), (0, 2, 2), (9, -1, 10**30), (0, 1, 2, 3, 4))),
    (ChosenVertices(adjacent=False), SQUARE, ((), (0, 2), (0, 1, 1), (9, -1, 10**30), (0, 1, 2, 3, 4))),
    (ChosenVertices(), SQUARE, ((), (0, 2), (0, 1, 1), (9, -1, 10**30), (0, 1, 2, 3, 4))),
    (ColoredVertices(), SQUARE, ((), (0, 1, 0, 1, 1), (0, 0, 0, 0, 0), (9, -1, 10**30), (0,) * 9)),
    (Route(), SQUARE, ((), (0, 1, 2, 3), (0, 0, 4), (9, -1, 10**30, -0.5), (0, 1, 2, 3, 4))),
    (Halves(), WEIGHTED, ((), (0, 1), (0, 0), (9, -1, 10**30, -0.5), (0, 1, 2, 3))),
]


@pytest.mark.parametrize(("picture", "graph", "solutions"), PICTURES)
def test_vertices_stand_alike_whatever_the_solution(picture: Any, graph: Any, solutions: Any) -> None:
    """The dots and the limits of the axes are those of the graph alone."""
    alone, _ = shown(picture, graph)
    for solution in solutions:
        ax, _ = shown(picture, graph, solution)
        assert dots_of(ax, graph.n) == dots_of(alone, graph.n)
        assert (ax.get_xlim(), ax.get_ylim()) == (alone.get_xlim(), alone.get_ylim())


@pytest.mark.parametrize(("picture", "graph", "solutions"), PICTURES)
def test_vertices_have_the_names_that_texts_give_them(picture: Any, graph: Any, solutions: Any) -> None:
    """Nothing is numbered by the picture itself."""
    for solution in (None, *solutions):
        ax, _ = shown(picture, graph, solution)
        assert texts_of(ax)[: graph.n] == list(NAMES[: graph.n])


@pytest.mark.parametrize(
    ("adjacent", "solution", "marks"),
    [
        (True, (0, 1), 0),
        (True, (0, 1, 2), 1),  # 0 and 2 are not adjacent
        (True, (0, 1, 2, 3, 4), 5),
        (True, (0, 0, 1), 1),  # a ring
        (False, (0, 2), 0),
        (False, (0, 1, 2), 2),
        (False, (2, 2), 1),
        (None, (0, 1, 2), 0),
        (None, (0, 1, 1), 1),
    ],
)
def test_chosen_vertices_mark_each_pair_that_is_wrong(adjacent: Any, solution: Any, marks: int) -> None:
    """Pairs without the edge they need, or with one they must not have, and vertices that are repeated."""
    ax, caption = shown(ChosenVertices(adjacent=adjacent), SQUARE, solution)
    assert len(red_shapes(ax)) == marks
    assert caption == f"chosen (coloured): {len(set(solution))} of 5 vertices"


def test_missing_edges_are_dashed_and_wrong_ones_thick() -> None:
    """Errors show by more than their colour."""
    dashed, _ = shown(ChosenVertices(adjacent=True), SQUARE, (0, 2))
    thick, _ = shown(ChosenVertices(adjacent=False), SQUARE, (0, 1))
    assert dashed.collections[1].get_linestyle()[0][1] is not None
    assert thick.collections[1].get_linewidth()[0] == 3


def test_edges_of_a_clique_are_drawn_thick() -> None:
    """Those between chosen vertices, and no others; a cover shows none."""
    ax, _ = shown(ChosenVertices(adjacent=True), SQUARE, (0, 1))
    path = ax.collections[1].get_paths()[0].vertices
    assert np.allclose(path, arcs(circular_layout(5), [(0, 1)])[0])
    assert len(shown(ChosenVertices(), SQUARE, (0, 1))[0].collections) == 2  # edges and vertices


def test_of_a_blot_of_lines_only_some_are_drawn() -> None:
    """All pairs of 300 vertices that are not adjacent are 44,850."""
    graph = data(n=300, edges=((0, 1),))
    ax, _ = shown(ChosenVertices(adjacent=True), graph, tuple(range(300)), names=range(300))
    assert 1000 < len(red_shapes(ax)) <= 10_000


def test_colours_have_their_number_outside() -> None:
    """Areas repeat after eight colours; numbers do not, and they serve readers who see no colours."""
    graph = data(n=12, edges=((0, 1),))
    ax, caption = shown(ColoredVertices(), graph, (11, 3, *range(10)))
    assert texts_of(ax)[12:] == [*map(str, (11, 3, *range(10)))]
    assert caption == "colours, with their numbers outside: 11" and not red_shapes(ax)


def test_vertices_without_a_colour_are_ringed_and_clashes_are_thick() -> None:
    """Strange labels are none."""
    ax, caption = shown(ColoredVertices(), SQUARE, (0, 0, 7, -1))
    assert len(red_shapes(ax)) == 1 + 3  # the edge between 0 and 1; vertices 2, 3 and 4
    assert caption.endswith(": 1")


def test_steps_of_a_route_without_an_edge_are_dashed() -> None:
    """A step counts once, whatever its direction; a route of two vertices is none."""
    ax, caption = shown(Route(), SQUARE, (0, 1, 2, 4))
    assert len(red_shapes(ax)) == 1 and caption == "visited (coloured): 4 of 5 vertices"
    assert len(red_shapes(shown(Route(), SQUARE, (0, 1))[0])) == 2
    assert len(red_shapes(shown(Route(), SQUARE, (1, 3, 1, 3))[0])) == 1 + 2


def test_the_edges_between_halves_show_their_weight() -> None:
    """They are drawn the thicker the heavier they are, and weighed together in the caption."""
    ax, caption = shown(Halves(), WEIGHTED, (0, 1))
    assert caption == "halves of 2 and 2; 2 edges between them weigh 5" and not red_shapes(ax)
    assert sorted(texts_of(ax)[4:]) == ["2", "3"]
    widths = ax.collections[0].get_linewidth()
    assert np.allclose(widths, [0.5 + 2.5 * weight / 9 for *_, weight in WEIGHTED.edges])
    assert shown(Halves(), WEIGHTED)[1] == "4 vertices, 4 edges, the thicker the heavier"


def test_linked_vertices_stand_near_each_other_where_a_route_is_drawn() -> None:
    """A cycle in random order of its numbers is drawn on the rim."""
    order = np.random.default_rng(0).permutation(12).tolist()
    pairs = sorted((min(a, b), max(a, b)) for a, b in zip(order, [*order[1:], order[0]], strict=True))
    for picture, long in ((Route(), False), (ChosenVertices(), True)):
        places = np.array(dots_of(shown(picture, data(n=12, edges=tuple(pairs)))[0], 12))
        assert (sum(np.hypot(*(places[a] - places[b])) for a, b in pairs) > 9) == long


def test_no_name_stands_on_hundreds_of_vertices_and_none_takes_long() -> None:
    """The limit of names is about a hundred; that of an instance 100,000 vertices."""
    graph = data(n=20_000, edges=tuple((v, v + 1) for v in range(19_999)))
    ax, _ = shown(Route(), graph, tuple(range(20_000)), names=range(20_000))
    assert not texts_of(ax) and len(ax.collections[-1].get_offsets()) == 20_000


def test_a_new_picture_of_a_graph_writes_one_method() -> None:
    """What has no subclass of its own, such as dominating sets, is a few lines."""
    assert GraphPicture.__abstractmethods__ == {"marks"}
