"""How scripts become filters: complete, without comments, and off until a route says otherwise."""

import pytest
from lupa.luajit21 import LuaRuntime

from extproc import names
from extproc.xds import json_bodies, v2_bodies
from extproc.xds.encode import Json, plain
from extproc.xds.lua_filters import source, switched_on

OURS = [json_bodies.reading(), json_bodies.writing(), *v2_bodies.reading(), v2_bodies.writing()]
FILTERS = [filter_ for filter_ in OURS if "default_source_code" in filter_["typed_config"]]


@pytest.mark.parametrize("filter_", FILTERS, ids=[filter_["name"] for filter_ in FILTERS])
def test_a_filter_has_all_that_its_script_needs_and_is_off(filter_: Json) -> None:
    assert filter_["disabled"] is True
    script = filter_["typed_config"]["default_source_code"]["inline_string"]
    assert not [line for line in script.splitlines() if line.startswith("--")]
    lua = LuaRuntime()
    before = set(lua.globals())
    lua.execute(script)
    entries = set(lua.globals()) - before
    # What is global is shared by all requests of a thread: nothing is but what Envoy calls.
    assert entries <= {"envoy_on_request", "envoy_on_response"}
    assert "envoy_on_request" in entries


def test_constants_are_texts_and_numbers() -> None:
    script = source({"NAME": "x-name", "LIMIT": 7}, "json_model.lua")
    assert LuaRuntime().execute(script + "return NAME .. LIMIT + 1") == "x-name8"


def test_a_route_switches_filters_on_and_configures_none() -> None:
    assert plain(switched_on("a", "b")) == {
        name: {
            "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig",
            "config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.LuaPerRoute"},
        }
        for name in (names.BODY_GATE, "a", "b")
    }
