"""What a scraper reads of a running `extproc up`: sums of the requests that were sent, and the traces behind them."""

import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_classic
from prometheus_client.samples import Sample

from tests.e2e.stage import Stage, experiment
from tests.harness.load import run_load
from tests.harness.otlp import Collector
from tests.harness.promql import expressions, selectors
from tests.harness.waiting import eventually

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"
FRESH, STICKY, PLAIN = 200, 30, 5


@pytest.fixture(scope="module")
def stage(open_stage: Callable[[], Stage]) -> Iterator[Stage]:
    """An experiment whose every request is copied, and so many requests to it; nothing is traced of itself."""
    with Collector() as collector:
        stage = open_stage()
        stage.write(experiment("iris-ab", {"iris": 70, "iris2": 30}, mirror={"name": "iris3", "percent": 100}))
        stage.start("up", "--otlp-endpoint", f"127.0.0.1:{collector.port}", "--trace-ratio", "0")
        stage.wait_state("iris-ab")
        url, called = f"{stage.extproc.inference_url}/v2/models/x/infer", {"seldon-model": "iris-ab.experiment"}
        for result in (
            run_load(url, FRESH, headers=called),
            run_load(url, STICKY, headers={**called, "x-seldon-route": ":iris2_2:"}),
            run_load(f"{stage.extproc.inference_url}/v2/models/iris/infer", PLAIN),  # of no experiment
        ):
            assert result.failed == 0, str(result)
        yield stage


def scraped(stage: Stage, accept: str = OPENMETRICS) -> dict[str, Metric]:
    answer = stage.extproc.admin("/metrics", headers={"Accept": accept})
    assert answer.status == 200
    parse = read_openmetrics if "openmetrics" in answer.headers["content-type"] else read_classic
    return {metric.name: metric for metric in parse(answer.body.decode())}


def total(samples: list[Sample], **labels: str) -> float:
    """The sum of the samples that have these labels."""
    return sum(s.value for s in samples if labels.items() <= s.labels.items())


@pytest.fixture(scope="module")
def metrics(stage: Stage) -> dict[str, Metric]:
    """A scrape after Envoy has told of every request, and the worker of every decision."""

    def counted() -> dict[str, float]:
        metrics = scraped(stage)
        answered, decided = (
            [s for s in metrics[name].samples if s.name.endswith("_total")]
            for name in ("extproc_requests", "extproc_decisions")
        )
        return {
            "requests": total(answered, role="primary"),
            "copies": total(answered, role="mirror"),
            "decisions": total(decided),
        }

    eventually(
        counted,
        within=10,
        saying="every request, every copy and every decision is counted",
        until=lambda seen: set(seen.values()) == {FRESH + STICKY},
    )
    return scraped(stage)


def test_requests_and_decisions_are_those_that_were_sent(stage: Stage, metrics: dict[str, Metric]) -> None:
    answered = {"iris": len(stage.iris.requests) - PLAIN, "iris2": len(stage.iris2.requests)}
    decided = [s for s in metrics["extproc_decisions"].samples if s.name.endswith("_total")]
    assert total(decided, outcome="weighted") == FRESH
    assert total(decided, outcome="sticky") == total(decided, candidate="iris2", outcome="sticky") == STICKY
    assert total(decided) == FRESH + STICKY
    served = metrics["extproc_requests"].samples
    for candidate, requests_there in answered.items():
        named = {"experiment": "iris-ab", "candidate": candidate, "role": "primary", "code_class": "2xx"}
        assert total(served, **named) == total(decided, candidate=candidate) == requests_there


def test_every_request_has_its_duration(metrics: dict[str, Metric]) -> None:
    seconds = metrics["extproc_request_seconds"].samples
    counts = [s for s in seconds if s.name.endswith("_count")]
    assert total(counts, role="primary") == total(counts, role="mirror") == FRESH + STICKY
    assert total([s for s in seconds if s.labels.get("le") == "+Inf"], role="primary") == FRESH + STICKY
    decisions = metrics["extproc_decision_seconds"].samples
    sampled = total([s for s in decisions if s.name.endswith("_count")])
    assert (FRESH + STICKY) / 2 < sampled <= FRESH + STICKY, "what came after the last sample waits for the next"


def test_the_split_is_compared_by_what_was_drawn(metrics: dict[str, Metric]) -> None:
    assert total(metrics["extproc_split_requests"].samples, experiment="iris-ab") == FRESH
    expected = {s.labels["candidate"]: s.value for s in metrics["extproc_split_expected_ratio"].samples}
    assert expected == pytest.approx({"iris": 0.7, "iris2": 0.3})
    # 0.001 is what a mismatch is; 1e-6 is how often this fails for a split that works.
    assert total(metrics["extproc_split_p_value"].samples) > 1e-6


def test_what_is_configured_and_who_is_there(metrics: dict[str, Metric]) -> None:
    ready = {(s.labels["candidate"], s.labels["role"]): s.value for s in metrics["extproc_candidate_ready"].samples}
    assert ready == {("iris", "primary"): 1, ("iris2", "primary"): 1, ("iris3", "mirror"): 1}
    states = {s.labels["state"]: s.value for s in metrics["extproc_experiment_state"].samples}
    assert states == {"PENDING": 0, "ACTIVE": 1, "DEGRADED": 0, "STOPPED": 0, "REJECTED": 0}
    assert total(metrics["extproc_envoys_connected"].samples) == 1
    assert total(metrics["extproc_xds_acks"].samples, type="RouteConfiguration") >= 1
    assert total(metrics["extproc_xds_nacks"].samples) == 0
    assert total(metrics["extproc_worker_cpu_seconds"].samples, worker="0") > 0


def test_a_traced_request_is_found_from_its_bucket(stage: Stage, metrics: dict[str, Metric]) -> None:
    trace = secrets.token_hex(16)
    headers = {
        "seldon-model": "iris-ab.experiment",
        "x-seldon-route": ":iris_1:",
        "traceparent": f"00-{trace}-{secrets.token_hex(8)}-01",
    }
    assert stage.infer("/v2/models/x/infer", headers).status == 200

    def exemplars() -> dict[tuple[str, str], str]:
        samples = scraped(stage)["extproc_request_seconds"].samples
        return {(s.labels["candidate"], s.labels["role"]): s.exemplar.labels["trace_id"] for s in samples if s.exemplar}

    found = eventually(exemplars, within=10, saying="the trace is an exemplar", until=lambda seen: len(seen) == 2)
    assert found == {("iris", "primary"): trace, ("iris3", "mirror"): trace}
    classic = stage.extproc.admin("/metrics").body.decode()
    assert trace not in classic
    assert {metric.name for metric in read_classic(classic)} >= set(metrics) - {"process_cpu_seconds"}


def test_alerts_and_dashboard_ask_for_nothing_else(metrics: dict[str, Metric]) -> None:
    told: dict[str, set[str]] = {"up": {"job", "instance"}}
    for sample in (sample for metric in metrics.values() for sample in metric.samples):
        told.setdefault(sample.name, {"job", "instance"}).update(sample.labels)
    for where, expression in expressions().items():
        for name, labels in selectors(expression):
            assert name in told, f"{where}: no {name} in a scrape"
            assert labels <= told[name], f"{where}: {name} has no label {labels - told[name]}"


def test_status_tells_the_same(stage: Stage, metrics: dict[str, Metric]) -> None:
    argv = [sys.executable, "-m", "extproc", "experiment", "status", "iris-ab", "--admin", stage.extproc.admin_url]
    shown = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout
    assert f"of {FRESH} fresh requests" in shown
    assert "p-value" in shown
