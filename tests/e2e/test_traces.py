"""One request is one trace, end to end: Envoy, extproc and a real OTLP receiver, the tree asserted span by span."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage
from tests.e2e.trace_trees import (
    ASKED,
    ENVOY,
    MIRRORED,
    PLAIN,
    RUNTIME,
    SOON,
    candidate_of,
    copied,
    decided,
    shown,
    traceparent,
    wait_recorded,
)
from tests.harness.client import fetch
from tests.harness.jaeger import RunningJaeger, jaeger_binary
from tests.harness.load import run_load
from tests.harness.otlp import Collector
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage], collector: Collector) -> Stage:
    """Nothing is traced but what brings a sampled trace with it."""
    stage = open_stage()
    stage.write(PLAIN, MIRRORED)
    endpoint = f"127.0.0.1:{collector.port}"
    stage.start("serve", "--otlp-endpoint", endpoint, "--trace-ratio", "0", environment=SOON, runtime=RUNTIME)
    wait_recorded(stage, "iris-ab", "copied")
    return stage


@pytest.fixture
def stage(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """Both processes run, whatever the last test did."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    assert shared.envoy is not None
    envoy = shared.envoy
    if shared.extproc.exit_code is not None:
        shared.extproc.restart()
        shared.extproc.wait_ready()
        shared.wait_state("iris-ab")
    eventually(lambda: envoy.healthy("extproc"), within=10, saying="Envoy finds extproc healthy")
    shared.forget()
    return shared


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(None, "weighted"), (":iris2_2:", "sticky"), (":gone_7:", "stale_token")],
)
def test_a_request_that_extproc_decides(stage: Stage, collector: Collector, sent: str | None, reason: str) -> None:
    trace, header = traceparent()
    answer = stage.infer(headers={"traceparent": header, **({"x-seldon-route": sent} if sent else {})})
    token = answer.headers["x-seldon-route"]
    assert sent in {None, ":gone_7:", token}
    spans = shown(collector, trace, decided(token, candidate_of(token), reason))
    found = {span.name: span for span in spans}
    assert found["ingress"].parent == header.split("-")[2], "the client's span is the parent of all"
    ours, asked = found["extproc.route"], found[ASKED]
    assert asked.start <= ours.start <= ours.end
    assert ours.start <= asked.end, "extproc's span begins while Envoy waits for it"
    (request,) = (*stage.iris.requests, *stage.iris2.requests)
    upstream = found[f"router {candidate_of(token)} egress"]
    assert request.header("traceparent") == f"00-{trace}-{upstream.id}-01", "the model's own spans go below this one"


def test_a_copy_is_in_the_trace_of_its_original(stage: Stage, collector: Collector) -> None:
    trace, header = traceparent()
    answer = stage.infer(
        "/v2/models/copied/infer", headers={"traceparent": header, "seldon-model": "copied.experiment"}
    )
    assert answer.status == 200
    spans = shown(collector, trace, copied())
    (request,) = stage.iris3.requests
    (upstream,) = (span for span in spans if span.name == "router iris3 egress")
    assert request.header("traceparent") == f"00-{trace}-{upstream.id}-01"


def test_a_request_that_envoy_splits_by_itself(stage: Stage, collector: Collector) -> None:
    assert stage.envoy is not None
    envoy = stage.envoy
    stage.extproc.kill()
    eventually(lambda: not envoy.healthy("extproc"), within=10, saying="Envoy finds extproc unhealthy")
    trace, header = traceparent()
    token = stage.infer(headers={"traceparent": header}).headers["x-seldon-route"]
    wanted = decided(token, candidate_of(token), "fallback")
    del wanted[2]  # nobody was there to make this span
    spans = shown(collector, trace, wanted)
    (asked,) = (span for span in spans if span.name == ASKED)
    assert asked.tags["error"] == "true"


def test_an_unknown_model(stage: Stage, collector: Collector) -> None:
    trace, header = traceparent()
    assert stage.infer("/v2/models/nobody/infer", headers={"traceparent": header}).status == 404
    (span,) = shown(collector, trace, [f"{ENVOY}: ingress SERVER"])
    assert span.tags["http.status_code"] == "404"


def test_a_model_of_no_experiment(stage: Stage, collector: Collector) -> None:
    trace, header = traceparent()
    assert stage.infer("/v2/models/iris3/infer", headers={"traceparent": header}).status == 200
    shown(collector, trace, [f"{ENVOY}: ingress SERVER", f"  {ENVOY}: router iris3 egress CLIENT"])


def test_infer_begins_traces_whatever_the_ratio_is(stage: Stage, collector: Collector) -> None:
    traces = infer_traced(stage, "-i", "3")["traces"]
    assert len({traced["id"] for traced in traces}) == 3
    for traced in traces:
        token = traced["route"]
        shown(collector, traced["id"], decided(token, candidate_of(token), "weighted"))


def infer_traced(stage: Stage, *arguments: str) -> dict[str, Any]:
    """What `extproc infer iris --trace` tells."""
    where = ("--inference", stage.extproc.inference_url, "--admin", stage.extproc.admin_url)
    argv = [sys.executable, "-m", "extproc", "infer", "iris", "--trace", *where, "-o", "json", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.parametrize("header", [None, "not sampled"])
def test_a_request_that_is_not_sampled_leaves_no_span(stage: Stage, collector: Collector, header: str | None) -> None:
    before = {span.trace for span in collector.spans}
    for _ in range(10):
        stage.infer(headers={"traceparent": traceparent(sampled=False)[1]} if header else None)
    assert all((request.header("traceparent") or "").endswith("-00") for request in stage.iris.requests)
    trace, sampled = traceparent()  # what comes after those ten is there
    token = stage.infer(headers={"traceparent": sampled}).headers["x-seldon-route"]
    shown(collector, trace, decided(token, candidate_of(token), "weighted"))
    assert {span.trace for span in collector.spans} - before == {trace}


def test_a_share_of_all_requests_over_http(open_stage: Callable[[], Stage]) -> None:
    with Collector("http") as collector:
        stage = open_stage()
        stage.write(PLAIN)
        environment = {
            **SOON,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=lab%201",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
            "OTEL_SERVICE_NAME": "trial",
        }
        endpoint = f"http://127.0.0.1:{collector.port}"
        stage.start(
            "serve", "--otlp-endpoint", endpoint, "--trace-ratio", "0.5", environment=environment, runtime=RUNTIME
        )
        stage.wait_state("iris-ab")
        # A request id that is no UUID, as clients make them, is traced and kept like any other.
        result = run_load(f"{stage.extproc.inference_url}/v2/models/iris/infer", 200, headers={"x-request-id": "my-1"})
        assert result.failed == 0, str(result)
        requests = (*stage.iris.requests, *stage.iris2.requests)
        assert {request.header("x-request-id") for request in requests} == {"my-1"}
        parents = [(request.header("traceparent") or "").split("-") for request in requests]
        sampled = {trace for _, trace, _, flags in parents if flags == "01"}
        low, high = binomial_interval(200, 0.5, miss=1e-9)
        assert low <= len(sampled) <= high

        def complete() -> dict[str, int]:
            return {trace: len(collector.trace(trace)) for trace in sampled}

        eventually(complete, within=15, saying="4 spans of each", until=lambda n: set(n.values()) == {4})
        assert {span.trace for span in collector.spans} == sampled
        assert {span.service for span in collector.spans} == {"trial", "trial-envoy"}
        assert {span.resource.get("deployment.environment.name") for span in collector.spans} == {"test"}
        assert {headers.get("x-tenant") for headers in collector.headers} == {"lab 1"}


@pytest.mark.skipif(not jaeger_binary(), reason="no Jaeger: put `jaeger` on PATH or name it in JAEGER_BIN")
def test_jaeger_shows_the_same_tree(open_stage: Callable[[], Stage], tmp_path: Path) -> None:
    with RunningJaeger(tmp_path) as jaeger:
        stage = open_stage()
        stage.write(PLAIN, MIRRORED)
        stage.start("serve", "--otlp-endpoint", f"127.0.0.1:{jaeger.port}", environment=SOON, runtime=RUNTIME)
        wait_recorded(stage, "iris-ab", "copied")
        trace, header = traceparent()
        token = stage.infer(headers={"traceparent": header}).headers["x-seldon-route"]
        shown(jaeger, trace, decided(token, candidate_of(token), "weighted"))
        trace, header = traceparent()
        stage.infer(headers={"traceparent": header, "seldon-model": "copied.experiment"})
        shown(jaeger, trace, copied())
        told = infer_traced(stage, "--jaeger-url", jaeger.url)
        shown(jaeger, told["trace"]["id"], decided(told["route"], candidate_of(told["route"]), "weighted"))
        assert fetch(told["trace"]["url"]).status == 200


@pytest.mark.parametrize("how", ["down", "hung"])
def test_a_collector_that_is_away_costs_no_request_and_every_span_is_counted(
    open_stage: Callable[[], Stage], how: Literal["down", "hung"]
) -> None:
    with closing(Collector()) as collector:
        collector.hang()
        if how == "down":
            collector.close()
        stage = open_stage()
        stage.write(PLAIN)
        small = {"OTEL_BSP_MAX_QUEUE_SIZE": "128", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "64"}
        environment = {**SOON, **small, "OTEL_EXPORTER_OTLP_TIMEOUT": "1"}
        endpoint = f"127.0.0.1:{collector.port}"
        stage.start("serve", "--otlp-endpoint", endpoint, environment=environment, runtime=RUNTIME)
        stage.wait_state("iris-ab")
        result = run_load(f"{stage.extproc.inference_url}/v2/models/iris/infer", 600)
        assert result.failed == 0, str(result)
        assert result.percentile(99) < 1.0, str(result)
        stage.extproc.stop(within=15)
        said = re.findall(r"traces: (\d+) spans dropped", stage.extproc.log)
        assert int(said[-1]) == 600, stage.extproc.log
        assert len(said) <= 2, "one line at first, and one at the end"
