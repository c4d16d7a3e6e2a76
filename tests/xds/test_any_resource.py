"""Whatever a user writes into a resource, it is refused with a reason or served: reading, judging and building raise
nothing. Right resources are spoilt in up to three places each, the same ones in each run.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from random import Random
from typing import Any, Final

import pytest

from extproc.control.admission import NOTHING, admit
from extproc.core.resources import Kind
from extproc.wire.manifests import read
from extproc.xds import judge
from extproc.xds.snapshot import build
from extproc.xds.world import Options, World

TYPE: Final = "type.googleapis.com/"
HTTP_FILTER: Final = Kind.FILTER.value
LUA: Final = {
    "@type": f"{TYPE}envoy.extensions.filters.http.lua.v3.Lua",
    "default_source_code": {"inline_string": "--"},
}
RBAC: Final = {
    "@type": f"{TYPE}envoy.extensions.filters.http.rbac.v3.RBAC",
    "rules": {"action": "DENY", "policies": {"p": {"permissions": [{"any": True}], "principals": [{"any": True}]}}},
}
TLS: Final = {"@type": f"{TYPE}envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", "sni": "x"}
RIGHT: Final[list[dict[str, Any]]] = [
    {
        "@type": Kind.CLUSTER.value,
        "name": "c",
        "type": "STRICT_DNS",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_requests": 3}]},
        "transport_socket": {"name": "tls", "typed_config": TLS},
        "metadata": {"filter_metadata": {"x": {"a": [1, {"b": None}]}}},
    },
    {"@type": HTTP_FILTER, "name": "lua", "typed_config": LUA},
    {"@type": HTTP_FILTER, "name": "rbac", "typed_config": RBAC},
    {
        "@type": Kind.ROUTES.value,
        "name": "web",
        "virtual_hosts": [
            {
                "name": "web",
                "domains": ["*"],
                "routes": [
                    {"match": {"prefix": "/a", "headers": [{"name": "x"}]}, "route": {"cluster": "c", "timeout": "3s"}},
                    {"match": {"path": "/b"}, "direct_response": {"status": 200, "body": {"inline_string": "b"}}},
                ],
            }
        ],
    },
    {"@type": Kind.MODEL.value, "name": "iris", "endpoints": ["127.0.0.1:8081"]},
    {"@type": Kind.MODEL.value, "name": "iris2", "cluster": "c"},
    {
        "@type": Kind.EXPERIMENT.value,
        "name": "iris-ab",
        "default": "iris",
        "candidates": [{"name": "iris", "weight": 70}, {"name": "iris2", "weight": 30}],
        "match": {"path_separated_prefix": "/v", "headers": [{"name": "x", "string_match": {"exact": "y"}}]},
    },
]
WRONG: Final[list[Any]] = [
    *(None, True, 0, -1, 2**63, 2**70, 1.5, float("inf"), float("nan"), "", "x", "*", "/", "é", "\ud800", "\0"),
    *("-1s", "x" * 300, [], {}, [[]], [{}], [None], {"": 1}, {"a": None}, {"@type": 1}, {"@type": TYPE}),
    *({"@type": f"{TYPE}google.protobuf.{name}", "value": {}} for name in ("Any", "Struct", "Duration", "Value")),
    *({"@type": f"{TYPE}{name}"} for name in ("envoy.config.Cluster", "envoy.type.v3", "envoy.type.v3.Percent")),
    {"@type": f"{TYPE}envoy.config.cluster.v3.ClusterDiscoveryType"},  # an enumeration
]
KEYS: Final = ["name", "x", "", "@type", "typed_config", "typedConfig", "match", "route", "headers", "\ud800"]

Place = tuple[Any, str | int]  # an object or a list, and where in it


def places(tree: Any) -> Iterator[Place]:
    """Every place in it that holds something."""
    found = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in found:
        yield tree, key
        yield from places(value)


def spoil(resource: dict[str, Any], random: Random) -> None:
    """Put something else, something more, or nothing, in one place; or what stands in another one."""
    known = [*places(resource)]
    inside, key = random.choice(known)
    match random.randrange(5):
        case 0 if isinstance(inside, dict):
            inside[random.choice(KEYS)] = deepcopy(random.choice(WRONG))
        case 1:
            del inside[key]
        case 2:
            other, where = random.choice(known)
            inside[key] = deepcopy(other[where])
        case _:
            inside[key] = deepcopy(random.choice(WRONG))


@pytest.mark.parametrize("seed", range(10))
def test_whatever_a_resource_says_nothing_is_raised(seed: int) -> None:
    random, refused = Random(seed), 0
    for _ in range(60):
        resources = deepcopy(RIGHT)
        for resource in random.sample(resources, 3):
            for _ in range(random.randint(1, 3)):
                if resource:
                    spoil(resource, random)
        admission = admit(NOTHING, [read(json.dumps({"resources": resources}), "all.json")], judge.problems)
        refused += bool(admission.reports)
        assert all(str(problem.message) for report in admission.reports for problem in report.problems)
        world = World(
            tuple(admission.experiments),
            admission.models,
            admission.pass_through(Kind.CLUSTER),
            tuple(admission.pass_through(Kind.ROUTES).values()),
            lambda _name, _protocol: True,
            tuple(admission.pass_through(Kind.FILTER).values()),
        )
        build(world, Options())
    assert refused > 30, "what is spoilt is found"


def test_what_is_right_is_taken() -> None:
    admission = admit(NOTHING, [read(json.dumps({"resources": RIGHT}), "all.json")], judge.problems)
    assert not admission.reports, [str(problem) for report in admission.reports for problem in report.problems]
