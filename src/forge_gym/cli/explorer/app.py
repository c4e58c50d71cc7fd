"""The explorer's server: a page, and the JSON interface that it calls.

Every answer is judged by the problem's own verifier. Instances are bounded in size, and with them the time that a
request takes; nothing is stored, and nothing but the transcripts in one folder is read.
"""

# Annotations stay values here: FastAPI reads them, and some name what is local to a function.

import ipaddress
import json
import os
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from threading import Lock
from typing import Annotated, Any

import uvicorn
from anyio.to_thread import current_default_thread_limiter
from fastapi import Body, Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ...core.answer import wrap_answer
from ...core.checks import check_choice, check_int, check_known, short_repr
from ...core.instance import Instance, lists_to_tuples
from ...core.problem import Problem
from ...core.registry import problem as make_problem
from ...core.registry import problem_class, problems
from ...core.rewards import tiered
from ...core.seeding import SPLITS
from ...core.verdict import STATUSES, Verdict
from ...core.verdict_class import verdict_class
from ...data.suite import BENCHMARK, Row, locate, read
from ...evaluation.runs import Run, read_run
from ...evaluation.transcript import Call, verdict_to_dict
from ...kinds import Kind
from .guard import Guard

MAX_LEVEL = 10
"""Highest difficulty, above all of the benchmark: nearly all of its instances are solved within seconds."""
MAX_NUMBER = 100
"""Largest number among the parameters; a size is at most that of `MAX_LEVEL` besides."""
MAX_PARAMETERS = 1000
"""Characters of the parameters."""
MAX_TEXT = 2**17
"""Characters of an answer."""
MAX_SHOWN = 2**18
"""Characters of a recorded text that are sent; more of it nobody reads."""
MAX_RUN = 2**28
"""Bytes of a transcript."""
MAX_DRAWN = 500
"""Numbers in an answer that is drawn, besides four for each element."""
PAGE = 100
"""Calls in a page of a run's table."""
THREADS = 4
"""Requests that are worked on at once."""

_FILES = {
    "/": ("page.html", "text/html"),
    "/page.js": ("page.js", "text/javascript"),
    "/page.css": ("page.css", "text/css"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
_MARKS = {"tags": "<answer>", "line": "Answer:", "raw": ""}
"""What shows that a text is a whole reply and not an answer alone."""
JsonObject = dict[str, Any]
"""What a route returns."""


# ------------------------------------------------------------------------------------ instances


@dataclass(frozen=True)
class Place:
    """What a request asks about: a row of the benchmark or of a run, or a place in a stream of instances."""

    problem: str = "TSP"
    level: int | None = None
    parameters: str = ""
    """A JSON object."""
    seed: int = 0
    split: str = "test"
    index: int = 0
    row: str = ""
    """Given alone, or with ``run``: the others do not count then."""
    run: str = ""


@dataclass(frozen=True)
class Asked:
    """An instance with its problem."""

    problem: Problem[Any, Any]
    instance: Instance
    level: int | None

    def picture(self, solution: Any = None) -> str | None:
        """Return an SVG, or None where there is too much to draw."""
        size = sum(len(part) if isinstance(part, tuple) else 1 for part in solution or ())
        if size > MAX_DRAWN + 4 * self.instance.size or self.problem.picture is None:
            return None
        return _svg(self.problem, self.instance, solution)

    def answer_picture(self, verdict: Verdict) -> str | None:
        """Return the picture of an answer; None where it cannot be read."""
        return None if verdict.solution is None else self.picture(verdict.solution)

    def form(self) -> tuple[str, list[list[int]]]:
        """Return how an answer can be clicked together: the kind's widget, and the numbers of each column.

        Both are empty where it is typed: in other spellings, and where the kind has no widget.
        """
        problem, instance = self.problem, self.instance
        if not isinstance(problem, Kind) or problem.style == "compact" or not isinstance(problem.names, int):
            return "", []
        columns = [list(numbers) for numbers in problem.columns_of(instance)]
        written = json.loads(problem.format_answer(instance, problem.heuristic(instance)))
        widths = {len(value) if isinstance(value, list) else 1 for value in written}
        return (problem.widget, columns) if problem.widget and widths <= {len(columns)} else ("", [])


@lru_cache(maxsize=64)
def _svg(problem: Problem[Any, Any], instance: Instance, solution: Any) -> str:
    image: bytes = problem.picture.image(problem, instance, solution, format="svg")
    return image.decode()


@lru_cache(maxsize=256)
def _drawn(place: Place) -> Asked:
    """Draw the instance at ``place`` of its stream, if it is of a size that the page can solve."""
    cls = problem_class(place.problem)
    if place.level is not None:
        check_int("level", place.level, 0, MAX_LEVEL, rule="the page solves what it shows")
    if (length := len(place.parameters)) > MAX_PARAMETERS:
        raise ValueError(f"parameters must be at most {MAX_PARAMETERS} characters, got {length}")
    values: Any = None
    with suppress(ValueError, RecursionError):
        values = json.loads(place.parameters or "{}")
    if not isinstance(values, dict):
        got = short_repr(place.parameters)
        raise ValueError(f'parameters must be a JSON object such as {{"n": 9}}, got {got}')
    check_known(place.problem, "parameter", values, cls.__dataclass_fields__)
    largest = vars(cls().at_level(MAX_LEVEL))
    for name, value in values.items():
        if name == "n":
            check_int(name, value, 0, largest[name], rule="the page solves what it shows")
        elif isinstance(value, (int, float)) and not -MAX_NUMBER <= value <= MAX_NUMBER:
            raise ValueError(
                f"{name} must be a number from {-MAX_NUMBER} to {MAX_NUMBER} here, got {short_repr(value)}: "
                f"did you mean {MAX_NUMBER}?"
            )
    parameters = {name: lists_to_tuples(value) for name, value in values.items()}
    problem = make_problem(place.problem, level=place.level, **parameters)
    check_int("seed", place.seed, 0, 2**63)
    check_int("index", place.index, 0, 2**63)
    return Asked(problem, problem.instance(place.seed, place.index, place.split), place.level)


@cache
def _benchmark() -> dict[str, Row]:
    return {row.id: row for row in read(locate(BENCHMARK))[1]}


def _row(rows: dict[str, Row], id: str, owner: str) -> Asked:
    check_known(owner, "row", [id], rows)
    row = rows[id]
    row.use()
    return Asked(row.problem, row.instance, row.level)


# ------------------------------------------------------------------------------------ runs


class Runs:
    """The transcripts in a folder. A name that does not come from listing it opens nothing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = Lock()
        self._read = lru_cache(maxsize=4)(lambda path, size, changed: read_run(path))

    def paths(self) -> dict[str, Path]:
        """Return the files by name."""
        return {path.name: path for path in sorted(self.folder.glob("*.jsonl")) if path.is_file()}

    def read(self, name: str) -> Run:
        """Return a run; one that is under way is read again when it has grown."""
        paths = self.paths()
        check_known(f"the folder {self.folder}", "run", [name], paths)
        about = paths[name].stat()
        if about.st_size > MAX_RUN:
            raise ValueError(f"a run has at most {MAX_RUN} bytes here, got {about.st_size}")
        with self._lock:  # reading takes long the first time, and two readers would both do it
            return self._read(paths[name], about.st_size, about.st_mtime_ns)

    def ask(self, name: str, row: str) -> Asked:
        """Return the instance of a run's row."""
        return _row({entry.id: entry for entry in self.read(name).rows}, row, f"the run {short_repr(name)}")

    def list(self) -> list[JsonObject]:
        """Return what the first line of each file says; of one that is no transcript, only the name."""
        entries = []
        for name, path in self.paths().items():
            header: Any = None
            with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
                header = json.loads(file.readline(2**20))
            known = header if isinstance(header, dict) and "forge_gym" in header else {}
            suite = known.get("suite")
            asked = suite.get("name", "") if isinstance(suite, dict) else "instances of streams"
            about = {key: str(known.get(key, "")) for key in ("agent", "started", "samples", "turns")}
            entries.append({"name": name, "valid": bool(known), "suite": str(asked), **about})
        return entries


# ------------------------------------------------------------------------------------ answers


def _verdict(verdict: Verdict) -> JsonObject:
    return {**verdict_to_dict(verdict), "reward": tiered(verdict), "tier": verdict_class(verdict).name}


def _stated(asked: Asked, solution: Any) -> JsonObject:
    """Return a feasible solution as the page shows it."""
    problem, instance = asked.problem, asked.instance
    return {
        "objective": str(problem.objective(instance, solution)),
        "answer": problem.format_answer(instance, solution),
        "picture": asked.picture(solution),
    }


def _optimum(asked: Asked) -> JsonObject:
    reference = asked.problem.reference(asked.instance)
    about = {"bound": str(reference.bound), "proven": reference.proven, "solver": reference.solver}
    return {**_stated(asked, reference.solution), **about}


def _level(level: int | None) -> str:
    return "none" if level is None else str(level)


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}\n... and {len(text) - MAX_SHOWN} more characters"


class _Json(JSONResponse):
    """JSON in ASCII, so that even half a character of a model's text can be sent."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False).encode()


# ------------------------------------------------------------------------------------ the application


def create_app(runs: Path, names: Iterable[str] = ("localhost",)) -> FastAPI:
    """Return the application.

    Parameters
    ----------
    runs
        Folder whose transcripts can be browsed; need not exist.
    names
        Host names under which the page is opened, besides addresses in numbers.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        current_default_thread_limiter().total_tokens = THREADS
        yield

    # Without the documentation, which loads foreign scripts.
    app = FastAPI(lifespan=lifespan, openapi_url=None, default_response_class=_Json)
    app.add_middleware(Guard, names=names)
    app.add_exception_handler(ValueError, lambda _, error: _Json({"error": str(error)}, 400))
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    for path, (file, media_type) in _FILES.items():
        _add_file(app, path, Path(__file__).with_name(file).read_bytes(), media_type)
    recorded = Runs(runs)
    _add_instances(app, recorded)
    _add_runs(app, recorded)
    return app


def _add_file(app: FastAPI, path: str, content: bytes, media_type: str) -> None:
    @app.get(path)
    async def send() -> Response:  # not in a thread: the page is there however busy the others are
        return Response(content, media_type=media_type)


def _invalid(request: Request, error: Any) -> Response:
    message = "; ".join(
        f"{'.'.join(map(str, flaw['loc'][1:])) or 'the body'}: {flaw['msg']}, got {short_repr(flaw.get('input'))}"
        for flaw in error.errors()
    )
    return _Json({"error": message}, 422)


def _refused(request: Request, error: Any) -> Response:
    return _Json({"error": str(error.detail)}, error.status_code)


def _failed(request: Request, error: Exception) -> Response:
    return _Json({"error": f"the server failed, its terminal says why: {type(error).__name__}"}, 500)


def _add_instances(app: FastAPI, runs: Runs) -> None:
    """Add the routes about one instance."""

    def ask(place: Annotated[Place, Depends()]) -> Asked:
        if place.run:
            return runs.ask(place.run, place.row)
        return _row(_benchmark(), place.row, BENCHMARK) if place.row else _drawn(place)

    @app.get("/api/problems", response_model=None)
    def list_problems() -> JsonObject:
        return {
            "problems": problems(),
            "splits": SPLITS,
            "max_level": MAX_LEVEL,
            "suite": BENCHMARK,
            "rows": list(_benchmark()),
        }

    @app.get("/api/instance", response_model=None)
    def show(asked: Annotated[Asked, Depends(ask)]) -> JsonObject:
        problem, instance = asked.problem, asked.instance
        form, columns = asked.form()
        return {
            "problem": problem.name,
            "sense": problem.sense,
            "level": asked.level,
            "parameters": problem.parameters,
            "size": instance.size,
            "form": form,
            "columns": columns,
            "prompt": problem.prompt(instance),
            "picture": asked.picture(),
        }

    @app.post("/api/judge", response_model=None)
    def judge(
        asked: Annotated[Asked, Depends(ask)],
        text: Annotated[str, Body(max_length=MAX_TEXT)],
        whole: Annotated[bool, Body()] = False,
    ) -> JsonObject:
        problem = asked.problem
        bare = not whole and _MARKS[problem.answer_format] not in text
        reply = wrap_answer(text.strip(), problem.answer_format) if bare else text
        verdict = problem.verify(asked.instance, reply)
        return {**_verdict(verdict), "wrapped": bare, "picture": asked.answer_picture(verdict)}

    @app.get("/api/reveal", response_model=None)
    def reveal(asked: Annotated[Asked, Depends(ask)]) -> JsonObject:
        heuristic = asked.problem.heuristic(asked.instance)
        trivial = asked.problem.reference(asked.instance).trivial
        return {"trivial": str(trivial), "greedy": _stated(asked, heuristic), "optimum": _optimum(asked)}


def _add_runs(app: FastAPI, runs: Runs) -> None:
    """Add the routes about recorded runs."""

    def matching(
        run: str, problem: str = "", level: str = "", status: str = ""
    ) -> tuple[Run, list[tuple[Row, Call]]]:
        whole = runs.read(run)
        if status:
            check_choice("status", status, (*STATUSES, "optimal"))
        rows = {row.id: row for row in whole.rows}
        calls = [(rows[call.row], call) for calls in whole.calls.values() for call in calls]
        return whole, [
            (row, call)
            for row, call in calls
            if problem in ("", row.problem.name)
            and level in ("", _level(row.level))
            and status in ("", call.verdict.status, "optimal" if call.verdict.optimal else "")
        ]

    Matching = Annotated[tuple[Run, list[tuple[Row, Call]]], Depends(matching)]

    @app.get("/api/runs", response_model=None)
    def list_runs() -> JsonObject:
        return {"folder": str(runs.folder), "runs": runs.list()}

    @app.get("/api/run", response_model=None)
    def table(matches: Matching, page: Annotated[int, Query(ge=0, le=10**6)] = 0) -> JsonObject:
        run, calls = matches
        statuses = Counter(call.verdict.status for _, call in calls)
        return {
            "agent": run.agent,
            "header": run.header,
            "finished": run.finished,
            "missing": run.missing,
            "problems": sorted({row.problem.name for row in run.rows}),
            "levels": sorted({_level(row.level) for row in run.rows}, key=lambda text: (len(text), text)),
            "total": len(calls),
            "statuses": {status: statuses[status] for status in STATUSES},
            "optimal": sum(call.verdict.optimal for _, call in calls),
            "pages": -(-len(calls) // PAGE),
            "calls": [_listed(row, call) for row, call in calls[page * PAGE : (page + 1) * PAGE]],
        }

    @app.get("/api/call", response_model=None)
    def show_call(matches: Matching, run: str, row: str, sample: int = 0, turn: int = 0) -> JsonObject:
        whole, calls = matches
        turns = whole.calls.get((row, sample), [])
        if not 0 <= turn < len(turns):
            place = f"turn {turn} of sample {sample} of {short_repr(row)}"
            raise ValueError(f"there must be such a call, got {place}")
        call, asked = turns[turn], runs.ask(run, row)
        places = [(other.row, other.sample, other.turn) for _, other in calls]
        at = places.index((row, sample, turn)) if (row, sample, turn) in places else -1
        shown = [{"reply": _cut(step.reply), "feedback": _cut(step.feedback)} for step in turns[: turn + 1]]
        return {
            **_listed(next(entry for entry in whole.rows if entry.id == row), call),
            "agent": whole.agent,
            **{name: getattr(call, name) for name in ("finish", "cost", "attempts", "score")},
            "scheme": str(whole.header.get("reward", "")),
            "prompt": asked.problem.prompt(asked.instance),
            "turns": shown,
            "verdict": _verdict(call.verdict),
            "picture": asked.answer_picture(asked.problem.verify(asked.instance, call.reply)),
            "optimum": _optimum(asked),
            "before": places[at - 1] if at > 0 else None,
            "after": places[at + 1] if 0 <= at < len(places) - 1 else None,
        }


def _listed(row: Row, call: Call) -> JsonObject:
    """Return a call as a line of a table."""
    verdict = call.verdict
    return {
        "row": row.id,
        "problem": row.problem.name,
        "level": _level(row.level),
        "sample": call.sample,
        "turn": call.turn,
        "status": "optimal" if verdict.optimal else verdict.status,
        "objective": None if verdict.objective is None else str(verdict.objective),
        "quality": verdict.quality,
        "reward": tiered(verdict),
        "tokens": call.completion_tokens,
        "seconds": call.seconds,
    }


# ------------------------------------------------------------------------------------ serving


def serve(host: str, port: int, runs: Path) -> None:
    """Serve the explorer until it is interrupted; print its address, and a warning if others can reach it.

    Port 0 takes a free one.

    Raises
    ------
    ValueError
        If the port is taken or the host is not this machine's.
    """
    check_int("--port", port, 0, 65535)
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        got = short_repr(host)
        raise ValueError(f"--host must be a name or an address of this machine, got {got}") from None
    try:
        listening = socket.create_server(address[:2], family=family)
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise ValueError(f"--port must be free on {short_repr(host)}, got {port}: {why}") from None
    at, port = listening.getsockname()[:2]
    names = {"localhost", host}
    if not ipaddress.ip_address(at).is_loopback:
        names |= {socket.gethostname(), f"{socket.gethostname()}.local"}
        warning = f"{host} can be reached from other machines, and nothing asks for a password"
        print(f"forge-gym: {warning}", file=sys.stderr)
    config = uvicorn.Config(
        create_app(runs, names),
        log_level="warning",
        ws="none",
        server_header=False,
        limit_concurrency=100,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=2,
    )
    print(f"http://{f'[{at}]' if ':' in at else at}:{port}/  (Ctrl-C ends it)", flush=True)
    with suppress(KeyboardInterrupt), listening:
        uvicorn.Server(config).run(sockets=[listening])
