"""The two filters by which Envoy itself reads and writes the model's name in a JSON body, as OpenAI's API has it.

One finds the name before a route is chosen, the other gives the body the name that the chosen route's server knows.
Must stay true: extproc has no part in either, so that it needs no bodies, and its end changes nothing. Why Lua: Envoy's
own `json_to_metadata` makes a tree of the whole body (10 MB of `[]` became 700 MB and took a second, tried with 1.40),
no route can be looked up by metadata ("Route table can only match on request headers"), and it can't write.
"""

from functools import cache
from typing import Final

from extproc import names
from extproc.xds.encode import Json, Packed, pack, typed
from extproc.xds.lua_filters import Constants, lua_filter

LIMIT: Final = 64 * 1024 * 1024  # bytes of a body; beyond them Envoy answers 413

CONSTANTS: Final[Constants] = {
    "MODEL_HEADER": names.BODY_MODEL_HEADER,
    "PROBLEM_HEADER": names.BODY_PROBLEM_HEADER,
    "LIMIT": LIMIT,
}


def reading() -> Json:
    """The filter that reads; it stands before ext_proc, and is on where a route switches it on."""
    return lua_filter(names.BODY_READER, CONSTANTS, "json_model.lua", "name_model.lua")


def writing() -> Json:
    """The filter that writes; it stands after ext_proc, whose decision it follows."""
    return lua_filter(names.BODY_WRITER, CONSTANTS, "json_model.lua", "rename_model.lua")


def known_as(served: str) -> dict[str, dict[str, str]]:
    """The part of a route's metadata that the writer reads: what the body's model shall be called."""
    return {names.BODY_WRITER: {"model": served}}


def mark() -> Json:
    """The metadata of a route where a body is only read; `on_routes` is true for it too."""
    return {"filter_metadata": {names.BODY_WRITER: {}}}


def on_routes() -> Json:
    """An AccessLogFilter that is true for requests which these filters have a part in."""
    expression = f"'{names.BODY_WRITER}' in xds.route_metadata.filter_metadata"
    cel = typed("envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=expression)
    return {"extension_filter": {"name": "envoy.access_loggers.extension_filters.cel", "typed_config": cel}}


@cache
def not_asked() -> Packed:
    """For a route that extproc has no part in, though it may have been asked for on the route before."""
    off = pack("envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute", {"disabled": True})
    return pack("envoy.config.route.v3.FilterConfig", {"config": off})
