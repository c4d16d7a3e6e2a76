"""Our spans, sent to a real collector: what is told, what is not even begun, and what is counted when it is lost."""

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pytest

from extproc.collector import Tracing
from extproc.core.table import Decision, Outcome
from extproc.errors import InvalidSettings
from extproc.telemetry.traces import Traces, sampled
from tests.harness.otlp import Collector
from tests.harness.ports import free_port
from tests.harness.waiting import eventually

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SAMPLED: Final = (("user-agent", "envoy"), ("traceparent", f"00-{TRACE}-{PARENT}-01"), ("x-bin", b"\0"))
DECISION: Final = Decision("iris-ab", "iris2", Outcome.STICKY, "iris-ab/iris2", revision=3, share=0.3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "4")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


@contextmanager
def traces(port: int, environment: Mapping[str, str] | None = None) -> Iterator[Traces]:
    """Traces to a port; what OpenTelemetry's own logger was told is undone."""
    tracing = Tracing.given(f"127.0.0.1:{port}", None, environment or {})
    assert tracing
    told: list[int] = []
    noisy = logging.getLogger("opentelemetry")
    handlers, propagate = noisy.handlers, noisy.propagate
    made = Traces(tracing, told.append)
    try:
        yield made
    finally:
        made.close()
        assert sum(told) == made.dropped, "who counts elsewhere counts the same"
        noisy.handlers, noisy.propagate = handlers, propagate


def make(traces: Traces, count: int = 1) -> None:
    for _ in range(count):
        span = traces.begin(SAMPLED)
        assert span
        span.decided(DECISION, 2**63)
        span.end()


def test_a_span_tells_the_decision_below_its_parent(quick: None) -> None:
    with Collector() as collector, traces(collector.port) as ours:
        make(ours)
        (span,) = eventually(lambda: collector.spans, within=10, saying="the span")
    assert (span.trace, span.parent, span.name, span.kind) == (TRACE, PARENT, "extproc.route", "SERVER")
    assert span.service == "extproc"
    assert span.tags == {
        "experiment.name": "iris-ab",
        "experiment.candidate": "iris2",
        "experiment.outcome": "sticky",
        "experiment.draw": 0.5,
        "experiment.revision": 3,
        "experiment.share": 0.3,
    }
    assert 0 < span.start <= span.end <= time.time_ns()
    assert ours.dropped == 0


def test_a_span_tells_nothing_that_is_not_known(quick: None) -> None:
    with Collector() as collector, traces(collector.port) as ours:
        span = ours.begin(SAMPLED)
        assert span
        span.decided(Decision("iris-ab", "", Outcome.NOT_ACCEPTED), 0)
        span.end()
        (got,) = eventually(lambda: collector.spans, within=10, saying="the span")
    assert got.tags == {
        "experiment.name": "iris-ab",
        "experiment.outcome": "not_accepted",
        "experiment.draw": 0.0,
    }


def test_the_largest_draw_is_told_as_less_than_one(quick: None) -> None:
    with Collector() as collector, traces(collector.port) as ours:
        span = ours.begin(SAMPLED)
        assert span
        span.decided(DECISION, 2**64 - 1)
        span.end()
        (got,) = eventually(lambda: collector.spans, within=10, saying="the span")
    assert 0.999 < got.tags["experiment.draw"] < 1


@pytest.mark.parametrize(
    "metadata",
    [
        (),
        (("user-agent", "envoy"),),
        (("traceparent", f"00-{TRACE}-{PARENT}-00"),),
        (("traceparent", ""),),
        (("traceparent", "nonsense"),),
    ],
)
def test_what_is_not_sampled_is_not_begun(quick: None, metadata: tuple[tuple[str, str], ...]) -> None:
    with traces(free_port()) as ours:
        assert ours.begin(metadata) is None


def test_a_parent_that_is_none_is_not_recorded(quick: None) -> None:
    with Collector() as collector, traces(collector.port) as ours:
        span = ours.begin((("traceparent", f"00-{'0' * 32}-{PARENT}-01"),))
        assert span
        span.end()
        make(ours)
        eventually(lambda: collector.spans, within=10, saying="the span after it")
    assert [span.trace for span in collector.spans] == [TRACE]


@pytest.mark.parametrize(
    ("flags", "expected"), [("01", True), ("03", True), ("ff", True), ("00", False), ("02", False), ("zz", False)]
)
def test_sampled_is_one_bit(flags: str, *, expected: bool) -> None:
    assert sampled(f"00-{TRACE}-{PARENT}-{flags}") is expected
    assert sampled(f"cc-{TRACE}-{PARENT}-{flags}-of-a-version-to-come") is expected


def test_with_the_collector_down_every_span_is_counted_and_one_line_is_logged(
    quick: None, caplog: pytest.LogCaptureFixture
) -> None:
    with traces(free_port()) as ours:
        make(ours, 5)
        eventually(lambda: ours.dropped, within=20, saying="the first drops")
        make(ours, 5)
        before = time.monotonic()
        ours.close()
        assert time.monotonic() - before < 5
    assert ours.dropped == 10
    first, *more = [record.getMessage() for record in caplog.records]
    # The exporter tries again while its second is not over, and on a busy machine that attempt may not end in it.
    assert "StatusCode.UNAVAILABLE" in first or "StatusCode.DEADLINE_EXCEEDED" in first
    assert len(more) == 1, "and what was not yet said, at the end"
    assert more[0].startswith("traces: 10 spans dropped so far")


def test_with_the_collector_hung_the_queue_is_bounded_and_ending_a_span_waits_for_nothing(quick: None) -> None:
    with Collector() as collector:
        collector.hang()
        with traces(collector.port) as ours:
            before = time.monotonic()
            make(ours, 1000)
            assert time.monotonic() - before < 1
            assert ours.dropped >= 1000 - 8 - 4, "the queue and the batch under way"
        assert ours.dropped == 1000


def test_settings_that_make_no_sense_are_the_users_error(quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "2")  # smaller than a batch
    with pytest.raises(InvalidSettings, match="max_queue_size"), traces(free_port()):
        pass


@pytest.mark.parametrize(
    "text", [f"00-{TRACE}-{PARENT}-00", f"00-{TRACE}-{PARENT}-01", f"00-{TRACE}-{PARENT}-02", "", "0"]
)
def test_whoever_is_said_to_be_untraced_begins_no_span(quick: None, text: str) -> None:
    with traces(free_port()) as ours:
        matches = ours.untraced("traceparent", (("x-a", "b"),))
        assert matches is not None
        assert (matches(text.encode()) is not None) == text.endswith("-00")
        assert matches(text.encode()) is None or ours.begin((("traceparent", text),)) is None
        assert ours.untraced("x-a", (("traceparent", text),)) is None
        other = ours.untraced("x-a", ())
        assert other is not None
        assert other(text.encode())
