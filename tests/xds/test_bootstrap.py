"""The bootstrap, on Envoy itself."""

from pathlib import Path

import pytest

from extproc.names import RUNTIME_LAYER
from extproc.xds.bootstrap import bootstrap
from extproc.xds.world import Options
from tests.harness.envoy import validate


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "extproc"])
def test_envoy_accepts_it(host: str, tmp_path: Path) -> None:
    assert validate(bootstrap(Options(grpc_host=host, grpc_port=50052)), tmp_path) == ""


@pytest.mark.parametrize("limit", [0, 1 << 30])
def test_its_memory_is_limited_where_it_is_to_be(limit: int, tmp_path: Path) -> None:
    config = bootstrap(Options(heap_limit=limit))
    assert validate(config, tmp_path) == ""
    manager = config["overload_manager"]
    monitors = {each["name"].rpartition(".")[2] for each in manager["resource_monitors"]}
    assert "global_downstream_max_connections" in monitors
    assert ("fixed_heap" in monitors, "actions" in manager) == (bool(limit), bool(limit))


def test_it_has_a_place_for_our_runtime_below_the_operators() -> None:
    layers = bootstrap(Options())["layered_runtime"]["layers"]
    assert [layer["name"] for layer in layers] == [RUNTIME_LAYER, "admin"]
    assert layers[0]["rtds_layer"]["name"] == RUNTIME_LAYER


def test_a_name_is_resolved_and_an_address_is_not() -> None:
    types = {
        host: {cluster["type"] for cluster in bootstrap(Options(grpc_host=host))["static_resources"]["clusters"]}
        for host in ("10.0.0.1", "::1", "extproc", "extproc.default.svc")
    }
    assert types == {
        "10.0.0.1": {"STATIC"},
        "::1": {"STATIC"},
        "extproc": {"STRICT_DNS"},
        "extproc.default.svc": {"STRICT_DNS"},
    }
