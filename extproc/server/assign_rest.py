"""`POST /api/v1/experiments/{name}/assign`: whom units go to, as it would be decided now; changes nothing."""

import json
from typing import Any, Final

from aiohttp import web

from extproc.control.assignments import assignments
from extproc.errors import InvalidResource, Problem
from extproc.server.rest import CHANGES, PLANE, body_of

UNITS_MAX: Final = 10_000  # of one request

routes: Final = web.RouteTableDef()


@routes.post("/api/v1/experiments/{name}/assign")
async def assign(request: web.Request) -> web.Response:
    """The body is `{"units": [text…]}`, at most UNITS_MAX; the answer has one entry in `assignments` for each."""
    name = request.match_info["name"]
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="send the units as application/json")
    units = _units(await body_of(request))
    plane = request.app[PLANE]
    if name not in plane.statuses:
        raise request.app[CHANGES].lifecycle.unknown(name)
    found = assignments(plane.table, name, units)
    revision = request.app[CHANGES].lifecycle.revision(name)
    return web.json_response(
        {"name": name, "revision": revision.number if revision else None, "assignments": found},
    )


def _units(body: bytes) -> list[str]:
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise InvalidResource([Problem("", f"is no JSON: {error}")]) from error
    units = value.get("units") if isinstance(value, dict) else None
    if not isinstance(units, list) or not all(isinstance(unit, str) for unit in units):
        raise InvalidResource([Problem("units", "must be a list of texts")])
    if len(units) > UNITS_MAX:
        raise InvalidResource([Problem("units", f"has {len(units)} entries: send at most {UNITS_MAX} at a time")])
    return units
