"""The bootstrap, on Envoy itself."""

from pathlib import Path

import pytest

from extproc.xds.bootstrap import bootstrap
from extproc.xds.world import Options
from tests.harness.envoy import validate


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "extproc"])
def test_envoy_accepts_it(host: str, tmp_path: Path) -> None:
    assert validate(bootstrap(Options(grpc_host=host, grpc_port=50052)), tmp_path) == ""


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
