"""Spans over TLS: Envoy's and extproc's reach a collector that proves who it is, and never another one."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import trustme

from tests.e2e.stage import Stage
from tests.e2e.trace_trees import PLAIN, RUNTIME, SOON, candidate_of, decided, shown, traceparent, wait_recorded
from tests.harness.otlp import Collector, ServerTls
from tests.harness.waiting import eventually


def trusting(authority: trustme.CA, directory: Path) -> dict[str, str]:
    """The environment of an extproc that trusts this authority alone."""
    file = directory / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return {**SOON, "OTEL_EXPORTER_OTLP_CERTIFICATE": str(file)}


def identified(authority: trustme.CA, directory: Path) -> dict[str, str]:
    """The environment of an extproc that has a certificate of its own."""
    certificate, key = directory / "client.pem", directory / "client.key"
    issued = authority.issue_cert("extproc.example")
    issued.private_key_pem.write_to_path(str(key))
    for number, pem in enumerate(issued.cert_chain_pems):
        pem.write_to_path(str(certificate), append=number > 0)
    return {
        "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE": str(certificate),
        "OTEL_EXPORTER_OTLP_CLIENT_KEY": str(key),
    }


@pytest.mark.parametrize(("protocol", "host"), [("grpc", "localhost"), ("http", "127.0.0.1")])
def test_the_whole_tree_over_tls(
    open_stage: Callable[[], Stage], tmp_path: Path, protocol: Literal["grpc", "http"], host: str
) -> None:
    """And the collector is told who we are, because it asks."""
    authority = trustme.CA()
    with Collector(protocol, ServerTls(authority.issue_cert(host), clients=authority)) as collector:
        stage = open_stage()
        stage.write(PLAIN)
        environment = {
            **trusting(authority, tmp_path),
            **identified(authority, tmp_path),
            "OTEL_EXPORTER_OTLP_PROTOCOL": {"grpc": "grpc", "http": "http/protobuf"}[protocol],
        }
        endpoint = f"https://{host}:{collector.port}"
        stage.start("serve", "--otlp-endpoint", endpoint, environment=environment, runtime=RUNTIME)
        wait_recorded(stage, "iris-ab")
        trace, header = traceparent()
        token = stage.infer(headers={"traceparent": header}).headers["x-seldon-route"]
        shown(collector, trace, decided(token, candidate_of(token), "weighted"))


def test_a_collector_with_another_name_gets_nothing_and_costs_nothing(
    open_stage: Callable[[], Stage], tmp_path: Path
) -> None:
    authority = trustme.CA()
    with Collector("grpc", ServerTls(authority.issue_cert("another.example"))) as collector:
        stage = open_stage()
        stage.write(PLAIN)
        environment = {**trusting(authority, tmp_path), "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        endpoint = f"https://localhost:{collector.port}"
        stage.start("serve", "--otlp-endpoint", endpoint, environment=environment, runtime=RUNTIME)
        stage.wait_state("iris-ab")
        assert stage.infer().status == 200
        assert stage.envoy is not None
        envoy = stage.envoy
        eventually(
            lambda: envoy.stats("^cluster.extproc-otlp.ssl.fail_verify_san$"),
            within=10,
            saying="Envoy does not take it for the collector",
            until=lambda failed: sum(failed.values()) > 0,
        )
        stage.extproc.stop(within=15)
        assert "traces: 1 spans dropped" in stage.extproc.log
        assert collector.spans == ()
