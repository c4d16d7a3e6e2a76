"""The metrics of a state that was made by hand, as a scraper reads them, in both formats."""

import os
from collections.abc import Mapping

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_classic

from extproc import __version__
from extproc.control.histograms import Histogram, bucket
from extproc.control.outcomes import Counted, Exemplar, Role, SplitOutcomes, Totals
from extproc.control.state import State, offered
from extproc.control.status import statuses
from extproc.core.resources import Candidate, Experiment, Mirror
from extproc.core.table import Decision, Outcome, Patch
from extproc.telemetry.decisions import CELL, HEAD, Meter, Meters
from extproc.telemetry.exposition import Exposition
from extproc.telemetry.metrics import FAMILIES
from extproc.telemetry.readings import Decided, Reading
from tests.control.test_admission import invalid, model, valid

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
TRACE = "0af7651916cd43dd8448eb211c80319c"


MIRRORS = (Mirror("iris3", 125_000), Mirror("iris4", 10_000))


def a_state() -> State:
    trial = Experiment("ab", (Candidate("iris", 70), Candidate("iris2", 30)), "iris", holdout=50_000, mirrors=MIRRORS)
    return offered(
        State(decided=frozenset({"ab/iris", "ab/iris2"})),
        [valid("a.json", model("iris"), model("iris2"), trial), invalid("b.json", "wrong")],
        lambda _: (),
    )


def a_reading() -> Reading:
    memory = memoryview(bytearray((HEAD + 100) * CELL))
    meters, meter = Meters([memory]), Meter(memory)
    meters.numbered(Patch(a_state().table().entries))
    meter.count([Decision("gone", "", Outcome.NO_EXPERIMENT)] * 16, 3_000)
    ok = Histogram.of([0.01, 0.02, 3.0])
    return Reading(
        tuple(statuses(a_state())),
        a_state().reports,
        stopped=frozenset({"past"}),
        revisions={"ab": 3, "past": 9},
        splits={
            "ab": SplitOutcomes({"iris": 850, "iris2": 150}, {"iris": 700.0, "iris2": 300.0}),
            "past": SplitOutcomes(),
        },
        totals={
            Counted("ab", "iris"): Totals({"2xx": 2, "5xx": 1}, 1, ok, {bucket(0.02): Exemplar(TRACE, 0.02, 1700.5)}),
            Counted("ab", "iris", Role.HOLDOUT): Totals({"2xx": 4}, 3, Histogram.of([0.01] * 4)),
            Counted("ab", "iris3", Role.MIRROR): Totals({"2xx": 7}, 0, Histogram.of([0.5] * 7)),
        },
        decided=Decided.of(meters),
        acks={"Cluster": 4},
        nacks={"Cluster": 1},
        envoys=2,
        spans_dropped=5,
        workers=[os.getpid(), 0],
    )


def scraped(reading: Reading, accept: str = "") -> dict[str, Metric]:
    text, content_type = Exposition().text(reading, accept)
    parse = read_openmetrics if "openmetrics" in content_type else read_classic
    return {metric.name: metric for metric in parse(text.decode())}


def values(metric: Metric) -> dict[tuple[str, ...], float]:
    """Values by label values, in the order of their names."""
    return {tuple(value for _, value in sorted(s.labels.items())): s.value for s in metric.samples}


@pytest.fixture(params=["", OPENMETRICS], ids=["classic", "openmetrics"])
def metrics(request: pytest.FixtureRequest) -> dict[str, Metric]:
    return scraped(a_reading(), request.param)


def test_every_metric_is_there_under_its_name(metrics: dict[str, Metric]) -> None:
    named = {sample.name for metric in metrics.values() for sample in metric.samples}
    for family in FAMILIES:
        assert {family.name, f"{family.name}_count"} & named, f"{family.name} is missing"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "extproc_requests",
            {
                ("iris", "2xx", "ab", "primary"): 2,
                ("iris", "5xx", "ab", "primary"): 1,
                ("iris", "2xx", "ab", "holdout"): 4,
                ("iris3", "2xx", "ab", "mirror"): 7,
            },
        ),
        ("extproc_fallback_requests", {("iris", "ab"): 4}),
        (
            "extproc_candidate_ready",
            {
                ("iris", "ab", "primary"): 1,
                ("iris2", "ab", "primary"): 1,
                ("iris3", "ab", "mirror"): 0,
                ("iris4", "ab", "mirror"): 0,
            },
        ),
        ("extproc_candidate_weight", {("iris", "ab"): 70, ("iris2", "ab"): 30}),
        ("extproc_candidate_share", {("iris", "ab"): 0.7, ("iris2", "ab"): 0.3}),
        ("extproc_mirror_ratio", {("iris3", "ab"): 0.125, ("iris4", "ab"): 0.01}),
        ("extproc_holdout_ratio", {("ab",): 0.05}),
        ("extproc_experiment_revision", {("ab",): 3, ("past",): 9}),
        ("extproc_split_requests", {("ab",): 1000}),
        ("extproc_split_observed_ratio", {("iris", "ab"): 0.85, ("iris2", "ab"): 0.15}),
        ("extproc_split_expected_ratio", {("iris", "ab"): 0.7, ("iris2", "ab"): 0.3}),
        ("extproc_split_mismatch", {("ab",): 1}),
        (
            "extproc_resource_problems",
            {
                ("Model",): 0,
                ("Experiment",): 1,
                ("Cluster",): 0,
                ("RouteConfiguration",): 0,
                ("HttpFilter",): 0,
                ("unreadable",): 0,
            },
        ),
        ("extproc_xds_acks", {("Cluster",): 4}),
        ("extproc_xds_nacks", {("Cluster",): 1}),
        ("extproc_envoys_connected", {(): 2}),
        ("extproc_spans_dropped", {(): 5}),
        ("extproc_build_info", {(__version__,): 1}),
    ],
)
def test_what_each_says(metrics: dict[str, Metric], name: str, expected: Mapping[tuple[str, ...], float]) -> None:
    assert values(metrics[name]) == pytest.approx(expected)


def test_one_series_for_each_state(metrics: dict[str, Metric]) -> None:
    states = values(metrics["extproc_experiment_state"])
    assert {key for key, value in states.items() if value} == {
        ("ab", "PENDING"),
        ("past", "STOPPED"),
        ("wrong", "REJECTED"),
    }
    assert len(states) == 3 * 5
    assert set(states.values()) == {0, 1}


def test_a_histogram_is_whole(metrics: dict[str, Metric]) -> None:
    samples = metrics["extproc_request_seconds"].samples
    mine = [s for s in samples if (s.labels["candidate"], s.labels["role"]) == ("iris", "primary")]
    assert [s.value for s in mine if s.name.endswith("_count")] == [3]
    assert [s.value for s in mine if s.name.endswith("_sum")] == [pytest.approx(3.03)]
    shown = {s.labels["le"]: s.value for s in mine if "le" in s.labels}
    assert [shown[le] for le in ("0.0078125", "0.015625", "0.03125", "4.0", "+Inf")] == [0, 1, 2, 3, 3]


def test_time_of_decisions(metrics: dict[str, Metric]) -> None:
    found = {s.labels.get("le", s.name): s.value for s in metrics["extproc_decision_seconds"].samples}
    assert (found["2.048e-06"], found["4.096e-06"], found["+Inf"]) == (0, 16, 16)
    assert found["extproc_decision_seconds_sum"] == pytest.approx(48e-6)


def test_decisions_start_at_0_where_requests_will_be_drawn(metrics: dict[str, Metric]) -> None:
    assert values(metrics["extproc_decisions"]) == {
        ("iris", "ab", "weighted"): 0,
        ("iris2", "ab", "weighted"): 0,
        ("", "", "no_experiment"): 16,
    }


def test_exemplars_are_told_to_who_can_read_them() -> None:
    found = [s for s in scraped(a_reading(), OPENMETRICS)["extproc_request_seconds"].samples if s.exemplar]
    (sample,) = found
    assert sample.exemplar
    assert (sample.labels["candidate"], sample.labels["le"]) == ("iris", "0.03125")
    assert sample.exemplar.labels == {"trace_id": TRACE}
    assert sample.exemplar.value == 0.02
    assert float(sample.exemplar.timestamp or 0) == 1700.5
    assert TRACE.encode() not in Exposition().text(a_reading(), "text/plain")[0]


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"),
    ],
)
def test_the_scraper_chooses_the_format(accept: str, content_type: str) -> None:
    assert Exposition().text(a_reading(), accept)[1] == content_type


def test_this_process_and_the_workers(metrics: dict[str, Metric]) -> None:
    assert metrics["process_resident_memory_bytes"].samples[0].value > 1e6
    assert {s.labels["worker"] for s in metrics["extproc_worker_resident_memory_bytes"].samples} == {"0"}
    assert metrics["extproc_worker_cpu_seconds"].samples[0].value > 0


def test_without_traces_no_span_is_said_to_be_dropped() -> None:
    assert "extproc_spans_dropped" not in {name for name, m in scraped(Reading()).items() if m.samples}


def test_nothing_is_told_of_nothing() -> None:
    for name, metric in scraped(Reading(), OPENMETRICS).items():
        assert not any("experiment" in sample.labels for sample in metric.samples), name
