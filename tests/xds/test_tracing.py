"""Tracing in Envoy's configuration, on Envoy itself; what it does is seen in tests/e2e/test_traces.py."""

from pathlib import Path

import pytest

from extproc import names
from extproc.collector import Tracing
from extproc.credentials import ClientTls
from extproc.xds.snapshot import CLUSTER, LISTENER, build
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.envoy import validate
from tests.xds.worlds import WORLDS

GRPC = Tracing("127.0.0.1", 4317, ratio=0.000_001)
HTTP = Tracing(
    "jaeger", 4318, "/v1/traces", ratio=1, headers=(("api-key", "x"),), attributes=(("team", "a"),), service="trial"
)


SYSTEM = ClientTls.given("", "", "", {})


@pytest.mark.parametrize(
    "tracing",
    [
        GRPC,
        HTTP,
        Tracing("::1", 4318, "/v1/traces", ratio=0),
        Tracing("collector.example", 4317, tls=SYSTEM),
        Tracing("::1", 4318, "/v1/traces", tls=SYSTEM),
    ],
    ids=lambda t: t.url,
)
def test_envoy_accepts_it(tracing: Tracing, tmp_path: Path) -> None:
    assert validate(static_config(WORLDS["mirror"], Options(tracing=tracing)), tmp_path) == ""


def test_without_it_there_is_nothing_of_it() -> None:
    plain, traced = (build(WORLDS["mirror"], Options(tracing=tracing)) for tracing in (None, GRPC))
    assert names.OTLP_CLUSTER not in plain.resources[CLUSTER]
    assert not any(b"opentelemetry" in listener for listener in plain.resources[LISTENER].values())
    assert set(traced.resources[CLUSTER]) - set(plain.resources[CLUSTER]) == {names.OTLP_CLUSTER}
    for name, listener in traced.resources[LISTENER].items():
        assert b"opentelemetry" in listener, name
        assert listener != plain.resources[LISTENER][name]


def test_both_listeners_sample_alike() -> None:
    """The copy follows its original's decision, so the ratio must never be taken twice."""
    inference, mirrors = (
        each["filter_chains"][0]["filters"][0]["typed_config"]
        for each in static_config(WORLDS["mirror"], Options(tracing=GRPC))["static_resources"]["listeners"]
    )
    sampler = inference["tracing"]["provider"]["typed_config"]["sampler"]
    assert sampler["name"] == "envoy.tracers.opentelemetry.samplers.parent_based"
    assert inference["tracing"] == mirrors["tracing"]
    assert inference["request_id_extension"] == mirrors["request_id_extension"]
