"""REST under /api/v1: what runs, and the changes to it. Errors are problem details (RFC 9457, `problem_details`)."""

import asyncio
import json
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Final

from aiohttp import web

from extproc.control.accumulator import Outcomes
from extproc.control.document import (
    event_document,
    experiment_document,
    model_document,
    problem_documents,
    revision_document,
    stopped_document,
)
from extproc.control.drafts import API, Author
from extproc.control.outcome_documents import with_outcomes
from extproc.control.plane import Plane
from extproc.control.revisions import Action
from extproc.control.status import model_statuses
from extproc.core.resources import Experiment
from extproc.errors import InvalidResource, Problem, UnknownExperiment
from extproc.server import gradual
from extproc.server.changes import Changes
from extproc.wire.manifests import read

PLANE: Final = web.AppKey("plane", Plane)
CHANGES: Final = web.AppKey("changes", Changes)
OUTCOMES: Final = web.AppKey("outcomes", Outcomes)  # absent where none are kept

BODY_MAX: Final = 1024 * 1024  # bytes of a request's body
AT_ONCE: Final = 4096  # bytes of JSON that take less time to read than to give to another thread
REVISION_DIGITS: Final = 18  # what SQLite can count

routes: Final = web.RouteTableDef()


@routes.get("/api/v1/experiments")
async def experiments(request: web.Request) -> web.Response:
    """Every experiment, and every problem of what the sources offer."""
    return await _many(listing(request.app))


def listing(app: web.Application) -> dict[str, Iterator[dict[str, Any]]]:
    """What `GET /api/v1/experiments` answers: its arrays, made while they are gone through."""
    return {"experiments": _experiments(app), "problems": _problems(app)}


def _experiments(app: web.Application) -> Iterator[dict[str, Any]]:
    stopped = app[CHANGES].lifecycle.stopped()
    for name in sorted(app[PLANE].statuses.keys() | stopped.keys()):
        try:
            document = _document(app, name, stopped)
        except UnknownExperiment:  # gone since the list was begun
            continue
        yield document


def _problems(app: web.Application) -> Iterator[dict[str, Any]]:
    for report in app[PLANE].state.reports:
        yield {
            "source": report.origin,
            "kind": report.kind.word if report.kind else "",
            "name": report.name,
            "kept": report.kept,
            "problems": problem_documents(report),
        }


@routes.get("/api/v1/experiments/{name}")
async def experiment(request: web.Request) -> web.Response:
    """One experiment."""
    return _json(_one(request, request.match_info["name"]))


@routes.put("/api/v1/experiments/{name}")
async def start(request: web.Request) -> web.Response:
    """Start or update; idempotent."""
    name = request.match_info["name"]
    body = await body_of(request)
    if request.content_type == "application/json" and len(body) <= AT_ONCE:
        wanted = _named(name, body, request.content_type)
    else:
        # Beside the event loop, which others wait for meanwhile: a YAML body of 1 MiB takes seconds to read.
        wanted = await asyncio.to_thread(_named, name, body, request.content_type)
    lifecycle = request.app[CHANGES].lifecycle
    expected = _expected(request)
    return await _change(request, name, lambda: lifecycle.start(wanted, _author(request), expected))


@routes.delete("/api/v1/experiments/{name}")
async def stop(request: web.Request) -> web.Response:
    """Stop; idempotent."""
    name = request.match_info["name"]
    lifecycle = request.app[CHANGES].lifecycle
    expected = _expected(request)
    return await _change(request, name, lambda: lifecycle.stop(name, _author(request), expected))


@routes.post("/api/v1/experiments/{name}/rollback")
async def rollback(request: web.Request) -> web.Response:
    """Make an old revision current again, as a new one."""
    name = request.match_info["name"]
    if request.content_type != "application/json":
        # A browser sends any other type from any page without asking first (Fetch standard, "CORS-safelisted").
        raise web.HTTPUnsupportedMediaType(text="send the revision as application/json")
    try:
        body = json.loads(await body_of(request))
        number = body["revision"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InvalidResource([Problem("revision", 'is missing: send {"revision": 3}')]) from error
    if not isinstance(number, int) or isinstance(number, bool):
        raise InvalidResource([Problem("revision", "must be a whole number")])
    lifecycle = request.app[CHANGES].lifecycle
    expected = _expected(request)
    return await _change(request, name, lambda: lifecycle.roll_back(name, number, _author(request), expected))


@routes.get("/api/v1/experiments/{name}/history")
async def history(request: web.Request) -> web.Response:
    """Every revision, oldest first."""
    name = request.match_info["name"]
    revisions = await request.app[CHANGES].history(name)
    return _json({"name": name, "revisions": [revision_document(revision) for revision in revisions]})


@routes.get("/api/v1/models")
async def models(request: web.Request) -> web.Response:
    """Every model."""
    return await _many({"models": (model_document(status) for status in model_statuses(request.app[PLANE].state))})


async def _change(request: web.Request, name: str, judge: Any) -> web.Response:
    changes = request.app[CHANGES]
    _, draft = await changes.make(judge)
    if request.query.get("wait", "true") != "false" and not await changes.live(name):
        raise web.HTTPGatewayTimeout(
            text=f"the change of {name!r} is on disk, but no Envoy has accepted it yet; it will be in force as soon as"
            " one does (`extproc experiment status` shows what it waits for)"
        )
    started = draft is not None and draft.action is Action.STARTED
    return _json({**_one(request, name), "changed": draft is not None}, status=201 if started else 200)


def _one(request: web.Request, name: str) -> dict[str, Any]:
    return _document(request.app, name)


def _document(app: web.Application, name: str, stopped: Container[str] = ()) -> dict[str, Any]:
    """Raises UnknownExperiment. `stopped` are known to be: to ask who is goes through all who are."""
    plane, lifecycle = app[PLANE], app[CHANGES].lifecycle
    revision = lifecycle.revision(name)
    if (status := plane.statuses.get(name)) is not None:
        document = experiment_document(status, revision)
        if outcomes := app.get(OUTCOMES):
            document = with_outcomes(document, outcomes.current(name))
    elif revision is not None and (name in stopped or name in lifecycle.stopped()):
        document = stopped_document(revision)
    else:
        raise lifecycle.unknown(name)
    return {**document, "events": [event_document(event) for event in plane.chronicle.of(name)]}


async def body_of(request: web.Request) -> bytes:
    """The body. Raises HTTPBadRequest when it is not what its headers promise."""
    try:
        return await request.read()
    except web.RequestPayloadError as error:
        encoding = request.headers.get("Content-Encoding", "")
        raise web.HTTPBadRequest(text=f"the body can't be read ({encoding or 'no'} content encoding)") from error


def _named(name: str, body: bytes, content_type: str) -> Experiment:
    found = experiment_in(body, content_type)
    if found.name != name:
        raise InvalidResource([Problem("name", f"is {found.name!r} in the body and {name!r} in the path")])
    return found


def experiment_in(body: bytes, content_type: str) -> Experiment:
    """The one experiment in a request's body. Raises InvalidResource."""
    origin = f"{API}.json" if content_type == "application/json" else API
    document = read(body, origin, untyped=True)
    if document.problems:
        raise InvalidResource(document.problems)
    problems = [problem for offer in document.offers for problem in offer.problems]
    if problems:
        raise InvalidResource(problems)
    found = [offer.resource for offer in document.offers]
    if len(found) != 1 or not isinstance(found[0], Experiment):
        raise InvalidResource([Problem("", "the body must be one Experiment; Models belong into a --resources file")])
    return found[0]


def _author(request: web.Request) -> Author:
    return Author(request.query.get("caller", ""), request.query.get("why", ""))


def _expected(request: web.Request) -> int | None:
    """The revision in If-Match (RFC 9110, section 13.1.1); a revision is its own entity tag."""
    tag = request.headers.get("If-Match", "").strip().strip('"')
    if not tag or tag == "*":
        return None
    if not tag.isdecimal() or len(tag) > REVISION_DIGITS:
        raise InvalidResource([Problem("If-Match", f"{tag!r} is no revision: send a whole number")])
    return int(tag)


async def _many(arrays: Mapping[str, Iterable[dict[str, Any]]]) -> web.Response:
    body, _ = await gradual.text(arrays, lines=True)
    return web.Response(body=body + b"\n", content_type="application/json", charset="utf-8")


def _json(body: dict[str, Any], status: int = 200) -> web.Response:
    headers = {"ETag": f'"{body["revision"]}"'} if body.get("revision") else None
    return web.json_response(
        body, status=status, headers=headers, dumps=lambda value: json.dumps(value, indent=2) + "\n"
    )
