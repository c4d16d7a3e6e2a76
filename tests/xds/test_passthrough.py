"""Envoy's own resources, as users give them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from extproc.core.resources import Kind, PassThrough
from extproc.xds.passthrough import filters, problems, routes
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.envoy import validate
from tests.xds.given import a_cluster, a_world, some_routes

PING = {"match": {"prefix": "/ping"}, "direct_response": {"status": 200}}


def found(kind: Kind, body: dict[str, Any]) -> dict[str, str]:
    return {problem.path: problem.message for problem in problems(PassThrough(kind, body.get("name", ""), body))}


def test_what_is_right_has_no_problems() -> None:
    assert problems(a_cluster("mine")) == []
    assert problems(some_routes("web", PING)) == []
    assert problems(PassThrough(Kind.ROUTES, "web", {"@type": Kind.ROUTES.value, "name": "web"})) == []


def test_any_extension_of_envoy_can_be_configured() -> None:
    options = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    http2 = {"@type": f"type.googleapis.com/{options}", "explicitHttpConfig": {"http2ProtocolOptions": {}}}
    body = {**a_cluster("mine").body, "typedExtensionProtocolOptions": {options: http2}}
    assert found(Kind.CLUSTER, body) == {}
    http2["explicitHttpConfig"] = {"http3ProtocolOption": {}}
    assert list(found(Kind.CLUSTER, body)) == [
        f"typedExtensionProtocolOptions[{options}].explicitHttpConfig.http3ProtocolOption"
    ]


@pytest.mark.parametrize("name", ["mirrors", "extproc", "extproc-xds", "iris/grpc"])
def test_names_of_generated_clusters_are_taken(name: str) -> None:
    assert "choose another name" in found(Kind.CLUSTER, a_cluster(name).body)["name"]


def test_what_can_t_be_part_of_the_one_virtual_host() -> None:
    host = {"name": "web", "domains": ["example.com"], "routes": [PING], "cors": {}}
    problems_found = found(Kind.ROUTES, {"name": "web", "virtualHosts": [host], "internal_only_headers": ["x"]})
    assert set(problems_found) == {"internal_only_headers", "virtual_hosts[0].cors", "virtual_hosts[0].domains"}
    assert '["*"]' in problems_found["virtual_hosts[0].domains"]


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ({"match": {"prefix": "/"}}, ""),
        ({"match": {"prefix": "/"}, "metadata": {}}, ""),
        ({"redirect": {}}, ".match"),
        ({"match": {"headers": []}, "directResponse": {"status": 200}}, ".match"),
    ],
)
def test_a_route_needs_a_match_and_an_action(route: dict[str, Any], path: str) -> None:
    assert list(found(Kind.ROUTES, some_routes("web", PING, route).body)) == [f"virtual_hosts[0].routes[1]{path}"]


LUA = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}
ROUTER = {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"name": "mine", "typed_config": LUA}, None),
        ({"name": "mine", "typedConfig": LUA, "disabled": True}, None),
        ({"name": "mine"}, "typed_config"),
        ({"name": "mine", "typed_config": ROUTER}, "typed_config.@type"),
        ({"name": "mine", "typedConfig": ROUTER}, "typedConfig.@type"),
        ({"name": "mine", "config_discovery": {}}, "config_discovery"),
        ({"name": "mine", "typed_config": {**LUA, "no": 1}}, "typed_config.no"),
        ({"name": "mine", "typed_config": {"@type": "type.googleapis.com/no.such.Filter"}}, "typed_config.@type"),
        ({"name": "envoy.filters.http.ext_proc", "typed_config": LUA}, "name"),
        ({"name": "envoy.filters.http.router", "typed_config": LUA}, "name"),
        ({"name": "extproc.mine", "typed_config": LUA}, "name"),
    ],
)
def test_a_filter_is_one_of_the_user_s_own(body: dict[str, Any], path: str | None) -> None:
    assert list(found(Kind.FILTER, body)) == ([path] if path else [])


# Messages whose classes in Python are called otherwise.
ACRONYMS: dict[str, dict[str, Any]] = {
    "rbac.v3.RBAC": {"rules": {"policies": {"all": {"permissions": [{"any": True}], "principals": [{"any": True}]}}}},
    "fault.v3.HTTPFault": {"abort": {"http_status": 503, "percentage": {"numerator": 1}}},
}


@pytest.mark.parametrize("type_name", ACRONYMS)
def test_a_filter_is_called_as_envoy_calls_it(type_name: str, tmp_path: Path) -> None:
    config = {"@type": f"type.googleapis.com/envoy.extensions.filters.http.{type_name}", **ACRONYMS[type_name]}
    given = PassThrough(Kind.FILTER, "mine", {"name": "mine", "typed_config": config})
    assert problems(given) == []
    assert validate(static_config(replace(a_world(), filters=(given,)), Options()), tmp_path) == ""


def test_filters_come_by_name() -> None:
    given = [{"name": name, "typed_config": LUA} for name in ("b", "a", "c")]
    assert [each["name"] for each in filters(PassThrough(Kind.FILTER, str(f["name"]), f) for f in given)] == [
        "a",
        "b",
        "c",
    ]


def test_routes_come_in_order_in_either_spelling() -> None:
    first, second = {**PING, "name": "1"}, {**PING, "name": "2"}
    hosts = [{"name": "a", "domains": ["*"], "routes": [first]}, {"name": "b", "domains": ["*"], "routes": [second]}]
    for key in ("virtual_hosts", "virtualHosts"):
        assert routes(PassThrough(Kind.ROUTES, "web", {"name": "web", key: hosts})) == [first, second]
    assert routes(PassThrough(Kind.ROUTES, "web", {"name": "web"})) == []
