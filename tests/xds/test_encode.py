"""The encoder beside envoy-data-plane's own, and its messages for users."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from envoy_data_plane.envoy.config.bootstrap.v3 import Bootstrap
from envoy_data_plane.envoy.config.cluster.v3 import Cluster, OutlierDetection
from envoy_data_plane.envoy.config.core.v3 import DataSource, Metadata

from extproc.errors import InvalidResource, Problem
from extproc.xds import data_plane
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.encode import Packed, encode, pack, plain, typed
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.xds.worlds import WORLDS

ROUTE = "envoy.config.route.v3.Route"
ROUTES = "envoy.config.route.v3.RouteConfiguration"
CLUSTER = "envoy.config.cluster.v3.Cluster"


def problems(type_name: str, body: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidResource) as raised:
        encode(type_name, body)
    return [(problem.path, problem.message) for problem in raised.value.problems]


def without_newer_fields(tree: Any) -> Any:
    """What envoy-data-plane 2.2 knows: see data_plane._NEWER. It can't read the field `consecutive_5xx` by any name."""
    match tree:
        case dict():
            unknown = ("cel_config", "consecutive_5xx")
            return {key: without_newer_fields(value) for key, value in tree.items() if key not in unknown}
        case list():
            return [without_newer_fields(item) for item in tree]
    return tree


def types(tree: Any) -> Iterator[str]:
    """The type of every Any."""
    match tree:
        case dict():
            if "@type" in tree:
                yield tree["@type"]
            for value in tree.values():
                yield from types(value)
        case list():
            for item in tree:
                yield from types(item)


def test_it_writes_what_envoy_data_plane_writes() -> None:
    config = without_newer_fields(static_config(WORLDS["grpc"], Options()))  # one world: theirs takes seconds
    for type_name in {key.removeprefix(TYPE_URL) for key in types(config)}:
        data_plane.find(type_name)  # theirs have to be imported
    ours = Bootstrap.parse(encode("envoy.config.bootstrap.v3.Bootstrap", config))
    assert ours.to_dict() == Bootstrap.from_dict(config).to_dict()


def test_it_writes_the_one_name_that_envoy_data_plane_can_not_read() -> None:
    told = encode("envoy.config.cluster.v3.OutlierDetection", {"consecutive_5xx": 3})
    assert OutlierDetection.parse(told).consecutive_5xx == 3


def test_both_spellings_and_any_order_give_the_same_bytes() -> None:
    snake = {"name": "x", "connect_timeout": "0.250s", "dns_lookup_family": "V4_ONLY", "type": "STRICT_DNS"}
    camel = {"type": 1, "dnsLookupFamily": "V4_ONLY", "connectTimeout": "0.25s", "name": "x"}
    assert encode(CLUSTER, snake) == encode(CLUSTER, camel)
    assert Cluster.parse(encode(CLUSTER, camel)).name == "x"


def test_the_json_of_google_s_own_types() -> None:
    values = {"text": "é", "number": 1.5, "whole": 3, "no": False, "none": None, "list": [1, {"a": []}], "in": {}}
    body = {"filter_metadata": {"x": values}}
    assert Metadata.parse(encode("envoy.config.core.v3.Metadata", body)).to_dict() == Metadata.from_dict(body).to_dict()
    data = {"inline_bytes": base64.b64encode(b"\xff\xfe").decode()}
    assert DataSource.parse(encode("envoy.config.core.v3.DataSource", data)).inline_bytes == b"\xff\xfe"


def test_a_packed_message_is_written_as_the_message_it_is() -> None:
    body = {"name": "r", "match": {"prefix": "/"}, "non_forwarding_action": {}}
    packed = pack(ROUTE, body)
    for_people = plain({"name": "a", "typed_config": packed})
    assert for_people == {"name": "a", "typed_config": typed(ROUTE, **body)}
    extension = "envoy.config.core.v3.TypedExtensionConfig"
    assert encode(extension, {"name": "a", "typed_config": packed}) == encode(extension, for_people)
    assert isinstance(packed, Packed)


def test_absent_and_null_are_the_same() -> None:
    assert encode(CLUSTER, {"name": "x", "connect_timeout": None}) == encode(CLUSTER, {"name": "x"})


def test_every_problem_has_its_path() -> None:
    host = {
        "name": 5,
        "domains": "*",
        "routes": [
            {"match": {"prefx": "/"}, "route": {"cluster": "a", "timeout": "1", "prefix_rewrite": None}},
            {"match": {"prefix": "/", "path": "/"}, "metadata": {"filter_metadata": {"a": 1}}},
            7,
        ],
    }
    assert problems(ROUTES, {"virtual_hosts": [host], "validate_clusters": "yes"}) == [
        ("virtual_hosts[0].name", "must be a string"),
        ("virtual_hosts[0].domains", "must be a list"),
        ("virtual_hosts[0].routes[0].match.prefx", "Envoy's RouteMatch has no such field: did you mean 'prefix'?"),
        ("virtual_hosts[0].routes[0].route.timeout", 'must be a duration in seconds, like "1s" or "0.25s"'),
        ("virtual_hosts[0].routes[1].match.path", "stands beside 'prefix': give one of the two"),
        ("virtual_hosts[0].routes[1].metadata.filter_metadata[a]", "must be an object"),
        ("virtual_hosts[0].routes[2]", "must be an object, Envoy's Route"),
        ("validate_clusters", "must be true or false"),
    ]


@pytest.mark.parametrize(
    ("body", "path", "message"),
    [
        ({"type": "STATICK"}, "type", "must be one of STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST"),
        ({"per_connection_buffer_limit_bytes": -1}, "per_connection_buffer_limit_bytes", "must be a whole number"),
        ({"per_connection_buffer_limit_bytes": 1.5}, "per_connection_buffer_limit_bytes", "must be a whole number"),
        ({"per_connection_buffer_limit_bytes": 2**32}, "per_connection_buffer_limit_bytes", "must be a whole number"),
        ({"per_connection_buffer_limit_bytes": True}, "per_connection_buffer_limit_bytes", "must be a whole number"),
        (
            {"lb_subsetconfig": {}},
            "lb_subsetconfig",
            "Envoy's Cluster has no such field: did you mean 'lb_subset_config'?",
        ),
        (
            {"max_requests_per_connection": 1, "fallback_policy": 1},
            "fallback_policy",
            "Envoy's Cluster has no such field: 'lb_subset_config' has it",
        ),
        ({"nothing_like_it": 1}, "nothing_like_it", "Envoy's Cluster has no such field"),
        ({"name": "\ud800"}, "name", "must be a string of Unicode characters"),
        ({"common_lb_config": {"healthy_panic_threshold": {"value": "x"}}}, "common_lb_config.", "must be a number"),
        ({"name": "a", "alt_stat_name": "b", "altStatName": "c"}, "altStatName", "stands beside 'alt_stat_name'"),
        ({"transport_socket": {"typed_config": {}}}, "transport_socket.typed_config", "must be an object with an"),
        (
            {"transport_socket": {"typed_config": {"@type": "type.googleapis.com/os.Path"}}},
            "transport_socket.typed_config.@type",
            "'os.Path' is none of Envoy's types",
        ),
    ],
)
def test_what_a_field_can_t_hold(body: dict[str, Any], path: str, message: str) -> None:
    ((found_path, found_message),) = problems(CLUSTER, body)
    assert found_path.startswith(path)
    assert found_message.startswith(message)


def test_a_type_that_does_not_exist() -> None:
    for name in ("envoy.config.route.v3.Rout", "envoy.nothing.v3.Route", "Route", "", "os.path", "..Route"):
        with pytest.raises(LookupError):
            encode(name, {})


def test_a_problem_reads_as_a_sentence() -> None:
    with pytest.raises(InvalidResource) as raised:
        encode(ROUTES, {"virtual_host": []})
    expected = Problem("virtual_host", "Envoy's RouteConfiguration has no such field: did you mean 'virtual_hosts'?")
    assert raised.value.problems == (expected,)
