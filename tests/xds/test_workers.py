"""The cluster of the decisions, on Envoy itself."""

from pathlib import Path

import pytest

from extproc.core.resources import Endpoint
from extproc.xds.encode import plain
from extproc.xds.workers import cluster
from extproc.xds.world import Address, Options
from tests.harness.envoy import validate


@pytest.mark.parametrize(
    ("workers", "found_by"),
    [
        ((Endpoint("127.0.0.1", 50052),), "STATIC"),
        ((Endpoint("127.0.0.1", 50052), Endpoint("127.0.0.1", 50053)), "STATIC"),
        ((Path("/run/extproc/worker-0.sock"), Path("/run/extproc/worker-1.sock")), "STATIC"),
        ((Endpoint("::1", 50052),), "STATIC"),
        ((Endpoint("extproc", 50052), Endpoint("extproc", 50053)), "STRICT_DNS"),
    ],
    ids=str,
)
def test_envoy_accepts_it_and_resolves_names_alone(workers: tuple[Address, ...], found_by: str, tmp_path: Path) -> None:
    built = plain(cluster(Options(workers=workers)))
    assert validate({"static_resources": {"clusters": [built]}}, tmp_path) == ""
    assert built["type"] == found_by
    assert len(built["load_assignment"]["endpoints"][0]["lb_endpoints"]) == len(workers)
