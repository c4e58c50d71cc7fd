"""The explorer's server: a page, and the JSON interface that it calls.

Every answer is judged by the problem's own verifier. Instances are bounded in size, and with them the time that a
request takes. Nothing is stored.
"""

# Annotations stay values here: FastAPI reads them, and some name what is local to a function.

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import cache, lru_cache, partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
from anyio import CapacityLimiter, to_thread
from fastapi import Body, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

from ...core.answer import ANSWER_FORMATS, wrap_answer
from ...core.checks import check_known, short_repr
from ...core.instance import Instance
from ...core.parameters import choices
from ...core.problem import Problem
from ...core.registry import problem as make_problem
from ...core.registry import problem_class, problems
from ...core.rewards import tiered
from ...core.seeding import SPLITS
from ...core.verdict import Malformed
from ...core.verdict_class import verdict_class
from ...data.suite import BENCHMARK, locate, read
from ...kinds import Kind
from ...kinds.table import STYLES
from ...serving import check_size, protect, run
from ..options import read_pairs

MAX_LEVEL = 10
"""Highest difficulty, above all of the benchmark: nearly all of its instances are solved within a second."""
MAX_TEXT = 2**17
"""Characters of an answer."""
MAX_DRAWN = 500
"""Elements or rows of an answer that is drawn."""
SOLVING, WAITING = 8, 64
"""Requests that may need a solver: so many run at a time, so that all others find a thread, and so many may wait."""
_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}

_MARKS = {"tags": "<answer>", "line": "Answer:", "raw": ""}
"""What shows that a text is a whole reply and not an answer alone."""
JsonObject = dict[str, Any]
"""What a route returns."""


@dataclass(frozen=True)
class Asked:
    """What a request asks about: an instance with its problem."""

    problem: Problem[Any, Any]
    instance: Instance

    def reply(self, text: str, whole: bool) -> str:
        """Return the whole reply that states an answer; ``text`` itself where it is one already."""
        if whole or _MARKS[self.problem.answer_format] in text:
            return text
        return wrap_answer(text.strip(), self.problem.answer_format)

    def picture(self, solution: Any = None, draft: bool = False) -> JsonObject | None:
        """Return a picture and what can be clicked in it; None where there is nothing to draw, or too much.

        That of a ``draft`` does not say what is wrong, so that all keeps its place while a person clicks.
        """
        if self.problem.picture is None or len(solution or ()) > MAX_DRAWN:
            return None
        return _picture(self.problem, self.instance, solution, draft)

    def judged(self, text: str, whole: bool) -> JsonObject:
        """Return the verdict on an answer or a whole reply, with its picture."""
        reply = self.reply(text, whole)
        verdict = self.problem.verify(self.instance, reply)
        answer, objective = verdict.solution, verdict.objective
        return {
            **verdict._asdict(),
            "objective": None if objective is None else str(objective),
            "violations": [(v.family, str(v.amount), str(v.scale), v.reason) for v in verdict.violations],
            "reward": tiered(verdict),
            "tier": verdict_class(verdict).name,
            "wrapped": reply != text,
            "picture": None if answer is None else self.picture(answer),
        }

    def revealed(self) -> JsonObject:
        """Return the greedy answer and the best known one, with their pictures."""
        problem, instance = self.problem, self.instance
        reference = problem.reference(instance)

        def stated(solution: Any) -> JsonObject:
            text = problem.format_answer(instance, solution)
            value = str(problem.objective(instance, solution))
            return {"objective": value, "answer": text, "picture": self.picture(solution)}

        proof = {"bound": str(reference.bound), "proven": reference.proven, "solver": reference.solver}
        greedy, optimum = stated(problem.anchors(instance)[1]), stated(reference.solution)
        return {"trivial": str(reference.trivial), "greedy": greedy, "optimum": {**optimum, **proof}}


@lru_cache(maxsize=64)
def _picture(problem: Any, instance: Instance, solution: Any, draft: bool) -> JsonObject:
    picture, file, title, judge = problem.picture, BytesIO(), None, problem
    if draft:
        title = problem.name
        judge = SimpleNamespace(names_of=problem.names_of, violations=lambda *_: ())
    with picture.figure(judge, instance, solution, title=title) as figure:
        figure.savefig(file, format="svg")
        (ax,) = figure.axes
        spots, tracks = picture.spots(instance, ax), picture.tracks(instance)
        return {"svg": file.getvalue().decode(), "spots": _percent(ax, spots), "tracks": _percent(ax, tracks)}


def _percent(ax: Any, rectangles: Any) -> Any:
    """Return left, top, right and bottom of each rectangle in percent of the picture."""
    boxes = np.array(rectangles, dtype=float).reshape(-1, 2, 2)
    to_share = ax.transData + ax.figure.transFigure.inverted()
    corners = to_share.transform(boxes.cumsum(axis=1).reshape(-1, 2)).clip(0, 1) * [100, -100] + [0, 100]
    return np.sort(corners.reshape(-1, 2, 2), axis=1).reshape(-1, 4).round(2).tolist()


@cache
def _benchmark() -> dict[str, Any]:
    return {row.id: row for row in read(locate(BENCHMARK))[1]}


def _ask(request: Request) -> Asked:
    """Return the row of the benchmark, or the instance of a stream, that the address names."""
    query = dict(request.query_params)
    if "row" not in query:
        return _drawn(tuple(query.items()))
    check_known(BENCHMARK, "row", [query["row"]], _benchmark())
    row = _benchmark()[query["row"]]
    return Asked(row.problem, row.use())


@lru_cache(maxsize=256)
def _drawn(query: tuple[tuple[str, str], ...]) -> Asked:
    """Return an instance of a stream, if it is of a size that the page can solve."""
    values: Any = {"problem": "TSP", "seed": 0, "index": 0, "split": "test"}
    values |= read_pairs("parameters", ["=".join(pair) for pair in query])
    name, *place = [values.pop(key) for key in ("problem", "seed", "index", "split")]
    check_size(str(name), values, MAX_LEVEL)
    problem = make_problem(str(name), **values)
    return Asked(problem, problem.instance(*place))


def _parameters(cls: Any) -> JsonObject:
    """Return the default and the choices of each parameter of a problem."""
    listed = {"style": STYLES, "answer_format": ANSWER_FORMATS}
    known = [(field.name, field.default) for field in fields(cls)]
    return {name: (default, listed.get(name, choices(cls, name))) for name, default in known}


def create_app(allow_host: Iterable[str] = ()) -> FastAPI:
    """Return the application; see `forge_gym.serving.protect` for ``allow_host``."""
    handlers: dict[Any, Any] = {
        ValueError: lambda _, error: _error(str(error), 400),
        RequestValidationError: lambda _, error: _error("; ".join(map(_flaw, error.errors())), 422),
        HTTPException: lambda _, error: _error(error.detail, error.status_code),
        Exception: lambda _, error: _error(f"the server failed: {type(error).__name__}", 500),
    }
    app = FastAPI(openapi_url=None, exception_handlers=handlers)  # its documentation loads foreign scripts
    protect(app, allow_host, headers=_HEADERS)
    _add_interface(app)
    app.mount("/", StaticFiles(directory=Path(__file__).with_name("page"), html=True))
    return app


def _error(message: str, status: int) -> JSONResponse:
    return JSONResponse({"error": message}, status)


def _flaw(flaw: JsonObject) -> str:
    place = ".".join(map(str, flaw["loc"][1:])) or "the body"
    return f"{place}: {flaw['msg']}, got {short_repr(flaw.get('input'))}"


def _add_interface(app: FastAPI) -> None:
    Question = Annotated[Asked, Depends(_ask)]
    Text = Annotated[str, Body(max_length=MAX_TEXT)]
    Whole = Annotated[bool, Body()]

    @app.get("/api/problems", response_model=None)
    def list_problems() -> JsonObject:
        known = {name: _parameters(problem_class(name)) for name in problems()}
        rows = {"suite": BENCHMARK, "rows": list(_benchmark())}
        return {"problems": known, "splits": SPLITS, "max_level": MAX_LEVEL, **rows}

    @app.get("/api/instance", response_model=None)
    def show(asked: Question) -> JsonObject:
        """Return an instance, and the kind's widget with what it chooses among: (noun, (name, number) pairs)."""
        problem, instance = asked.problem, asked.instance
        columns = problem.columns_of(instance) if isinstance(problem, Kind) else {}
        return {
            "problem": problem.name,
            "prompt": problem.prompt(instance),
            "picture": asked.picture(),
            "widget": getattr(problem, "widget", ""),
            "columns": [(noun, [*numbers.items()]) for noun, numbers in columns.items()],
        }

    @app.post("/api/draw", response_model=None)
    def draw(
        asked: Question,
        text: Text = "",
        whole: Whole = False,
        solution: Annotated[list[Any] | None, Body()] = None,
    ) -> JsonObject:
        """Draw an unfinished answer: one that was clicked, which becomes text, or the text."""
        problem, instance = asked.problem, asked.instance
        if solution is not None:
            try:
                text = problem.format_answer(instance, solution)
            except (TypeError, IndexError):
                raise ValueError(f"solution must be one of {problem.name}, got {solution[:3]}") from None
        answer = picture = None
        with suppress(Malformed):
            answer = problem.parse_reply(instance, asked.reply(text, whole))
            picture = asked.picture(answer, draft=True)
        return {"text": text, "solution": answer, "picture": picture}

    solvers = CapacityLimiter(SOLVING)

    async def solved(asked: Asked, work: Callable[[], JsonObject]) -> JsonObject:
        """Return what ``work`` does in a thread, of which few are for instances that need to be solved first."""
        is_solved = asked.problem.has_reference(asked.instance)
        if not is_solved and solvers.statistics().tasks_waiting >= WAITING:
            raise HTTPException(503, f"the server solves {SOLVING} instances, and {WAITING} requests wait: try later")
        done: JsonObject = await to_thread.run_sync(work, limiter=None if is_solved else solvers)
        return done

    @app.post("/api/judge", response_model=None)
    async def judge(asked: Question, text: Text, whole: Whole = False) -> JsonObject:
        return await solved(asked, partial(asked.judged, text, whole))

    @app.get("/api/reveal", response_model=None)
    async def reveal(asked: Question) -> JsonObject:
        return await solved(asked, asked.revealed)


def serve(host: str, port: int, allow_host: Sequence[str] = ()) -> None:
    """Serve the explorer until it is interrupted; see `forge_gym.serving.run`."""
    run(create_app, host, port, allow_host, ws="none")
