"""Envoy's Lua filters, each of scripts in `lua/` that build on each other; off, but for the routes that switch them on.

https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/lua_filter
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from extproc import names
from extproc.xds.encode import Json, Packed, pack, typed

Constants = Mapping[str, str | int]


def lua_filter(name: str, constants: Constants, *scripts: str) -> Json:
    """The filter `name`; see `source` for the rest."""
    lua = typed(
        "envoy.extensions.filters.http.lua.v3.Lua", default_source_code={"inline_string": source(constants, *scripts)}
    )
    return {"name": name, "disabled": True, "typed_config": lua}


def source(constants: Constants, *scripts: str) -> str:
    """One script of several files. The comments are for those who read the files; Envoy gets none."""
    given = [
        f'local {name} = "{value}"\n' if isinstance(value, str) else f"local {name} = {value}\n"
        for name, value in constants.items()
    ]
    texts = [(files("extproc.xds") / "lua" / script).read_text() for script in scripts]
    lines = [line for text in texts for line in text.splitlines(keepends=True)]
    return "".join(line for line in (*given, *lines) if not line.startswith("--"))


@cache
def switched_on(*filters: str) -> dict[str, Packed]:
    """The `typed_per_filter_config` of a route for which these are on, and the one that bounds bodies, if there is one.

    A request has the filters of the route it was matched to first, whatever routes come later. Those decide what the
    filters do.
    """
    nothing_else = pack("envoy.extensions.filters.http.lua.v3.LuaPerRoute", {})
    on = pack("envoy.config.route.v3.FilterConfig", {"config": nothing_else})
    return dict.fromkeys((names.BODY_GATE, *filters), on)
