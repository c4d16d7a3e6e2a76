"""REST of outcomes: an experiment's timeline, and what became of its requests in each of its revisions."""

import json
import time
from typing import Any, Final

from aiohttp import web

from extproc.control.accumulator import Outcomes
from extproc.control.outcome_documents import revision_outcomes_document, timeline_document
from extproc.server import rest

_routes: Final = web.RouteTableDef()


def add_outcomes(app: web.Application, outcomes: Outcomes) -> None:
    """Serve outcomes; without this every document leaves them out, and these paths are unknown."""
    app[rest.OUTCOMES] = outcomes
    app.add_routes(_routes)


@_routes.get("/api/v1/experiments/{name}/timeline")
async def timeline(request: web.Request) -> web.Response:
    """The last hour, oldest step first."""
    name = _known(request)
    return _json(timeline_document(request.app[rest.OUTCOMES].timeline(name, time.time())))


@_routes.get("/api/v1/experiments/{name}/outcomes")
async def revisions(request: web.Request) -> web.Response:
    """The last revisions, oldest first."""
    found = request.app[rest.OUTCOMES].revisions(_known(request))
    return _json({"revisions": [revision_outcomes_document(outcomes) for outcomes in found]})


def _known(request: web.Request) -> str:
    """The experiment that is asked for. Raises UnknownExperiment."""
    name = request.match_info["name"]
    if name not in request.app[rest.OUTCOMES].experiments:
        raise request.app[rest.CHANGES].lifecycle.unknown(name)
    return name


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, dumps=lambda value: json.dumps(value, separators=(",", ":")) + "\n")
