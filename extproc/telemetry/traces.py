"""Our part of a trace: the span `extproc.route` of each decision whose request Envoy traces.

Must stay true: a request that is not traced costs one look at a flag, and no request waits for a collector. Spans wait
in a bounded queue for a thread of their own; what finds it full, or is not taken, is dropped and counted.
"""

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased
from opentelemetry.trace import SpanKind, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from extproc import __version__
from extproc.collector import Tracing
from extproc.core.split import DRAW_BITS
from extproc.core.table import Decision
from extproc.errors import InvalidSettings
from extproc.telemetry.exporters import exporter

Metadata = Iterable[tuple[str, str | bytes]]  # of a gRPC call; read more than once

SPAN: Final = "extproc.route"
QUEUE: Final = 2048  # spans; the default of OTEL_BSP_MAX_QUEUE_SIZE
SAY_EVERY: Final = 60.0  # seconds between two log lines about dropped spans
CLOSE_WITHIN: Final = 2.0  # seconds for the last spans to go out

_PARENT: Final = TraceContextTextMapPropagator()
_FLAGS: Final = slice(
    53, 55
)  # of a traceparent, in every version: https://www.w3.org/TR/trace-context/#traceparent-header
_SAMPLED: Final = 1
_UNSAMPLED: Final = re.compile(rb"[!-~]{53}00")  # as Envoy writes most of them
_ANY: Final = re.compile(rb"[!-~]*")
_MANTISSA: Final = 53  # bits of a float: more would round the largest draws up to 1

log: Final = logging.getLogger(__name__)


def sampled(traceparent: str) -> bool:
    """Whether the caller records this trace. False for what is no traceparent."""
    try:
        return bool(int(traceparent[_FLAGS], 16) & _SAMPLED)
    except ValueError:
        return False


class Traces:
    """Makes the spans and sends them, until `close`. Raises InvalidSettings when an OTEL_… variable makes no sense.

    `lost` is called with the number of spans that were dropped, whenever some were; by one thread at a time.
    """

    def __init__(self, tracing: Tracing, lost: Callable[[int], None] = lambda _: None) -> None:
        try:
            self._drops: Final = Drops(tracing.url, lost)
            self._exporter: Final = CountedExporter(exporter(tracing), self._drops)
            self._queue: Final = BoundedQueue(self._exporter, self._drops)
        except ValueError as error:
            raise InvalidSettings(f"OpenTelemetry's settings can't be used: {error}") from error
        # Envoy has decided: what comes without its decision is not recorded.
        self._provider: Final = TracerProvider(
            sampler=ParentBased(ALWAYS_OFF),
            resource=Resource.create({SERVICE_NAME: tracing.service}),
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(self._queue)
        self._tracer: Final[Tracer] = self._provider.get_tracer("extproc", __version__)

    @property
    def dropped(self) -> int:
        """How many spans did not reach the collector."""
        return self._drops.count

    def begin(self, metadata: Metadata) -> "RouteSpan | None":
        """Begin the span of a stream, if its request is traced. `metadata` is the stream's."""
        for key, value in metadata:
            if key == "traceparent":
                if isinstance(value, str) and sampled(value):
                    return RouteSpan(self._tracer, metadata)
                return None
        return None

    def untraced(self, name: str, others: Metadata) -> Callable[[bytes], object] | None:
        """Which values of the field `name` have `begin` begin no span, whatever they are; None if all may.

        `others` are the other fields of the stream's metadata. What is returned returns None for all other values.
        """
        if any(key == "traceparent" for key, _ in others):
            return None
        return (_UNSAMPLED if name == "traceparent" else _ANY).fullmatch

    def close(self) -> None:
        """Send what is left, for at most CLOSE_WITHIN, and end. Blocks; begin no span any more."""
        # The SDK would wait half a minute for a collector that does not answer.
        leaving = threading.Thread(target=self._provider.shutdown, name="traces-shutdown", daemon=True)
        leaving.start()
        leaving.join(CLOSE_WITHIN)
        self._exporter.shutdown()
        leaving.join(CLOSE_WITHIN / 2)
        self._drops.say_last()


class RouteSpan:
    """One stream's span. The SDK needs 100 µs for it, so it is made at its end, when nobody waits any more."""

    __slots__ = ("_attributes", "_metadata", "_start", "_tracer")

    def __init__(self, tracer: Tracer, metadata: Metadata) -> None:
        self._tracer: Final = tracer
        self._metadata: Final = metadata
        self._start: Final = time.time_ns()
        self._attributes: dict[str, str | float] = {}

    def decided(self, decision: Decision, draw: int) -> None:
        """Say what was decided; `draw` in [0, 2^64) is told as a number in [0, 1). What is not known is left out."""
        self._attributes = {
            "experiment.name": decision.experiment,
            "experiment.outcome": decision.outcome.value,
            "experiment.draw": (draw >> DRAW_BITS - _MANTISSA) / 2**_MANTISSA,
        }
        if decision.candidate:
            self._attributes["experiment.candidate"] = decision.candidate
            self._attributes["experiment.share"] = decision.share
        if decision.revision:
            self._attributes["experiment.revision"] = decision.revision

    def end(self) -> None:
        """The stream is over."""
        over = time.time_ns()
        parent = _PARENT.extract({key: value for key, value in self._metadata if isinstance(value, str)})
        span = self._tracer.start_span(SPAN, parent, SpanKind.SERVER, self._attributes, start_time=self._start)
        span.end(over)


class Drops:
    """Counts the spans that are lost on the way to `collector`, and says so once a minute; `lost` is told of each."""

    def __init__(self, collector: str, lost: Callable[[int], None] = lambda _: None) -> None:
        self._lost: Final = lost
        self.count = 0
        self._collector: Final = collector
        self._said = 0
        self._said_at = -SAY_EVERY
        self._lock: Final = threading.Lock()
        self._reason: Final = _LastWord()
        # The SDK has a line for each attempt and each span. What it said last goes into ours.
        noisy = logging.getLogger("opentelemetry")
        noisy.propagate = False
        noisy.handlers = [self._reason]

    def add(self, spans: int) -> None:
        with self._lock:
            self.count += spans
            self._lost(spans)
            if time.monotonic() - self._said_at < SAY_EVERY:
                return
            self._say()

    def say_last(self) -> None:
        """Say what was not yet said."""
        with self._lock:
            if self.count > self._said:
                self._say()

    def _say(self) -> None:
        self._said, self._said_at = self.count, time.monotonic()
        log.warning(
            "traces: %d spans dropped so far on their way to %s: %s",
            self.count,
            self._collector,
            self._reason.text or "the queue is full",
        )


class _LastWord(logging.Handler):
    """Keeps the last thing that was logged."""

    text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text = record.getMessage()


class CountedExporter(SpanExporter):
    """An exporter that counts what it was handed and what of it was lost."""

    def __init__(self, exporter: SpanExporter, drops: Drops) -> None:
        self.taken = 0
        self._exporter: Final = exporter
        self._drops: Final = drops
        self._over: Final = threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = SpanExportResult.FAILURE
        try:
            if not self._over.is_set():
                result = self._exporter.export(spans)
        finally:
            if result is not SpanExportResult.SUCCESS:
                self._drops.add(len(spans))
        return result

    def shutdown(self) -> None:
        """End, and an attempt that is under way with it."""
        if not self._over.is_set():
            self._over.set()
            self._exporter.shutdown()


class BoundedQueue(BatchSpanProcessor):
    """The SDK's queue and thread; a span that finds it full is dropped and counted.

    By itself the SDK drops the oldest span instead, and says so only in its log.
    """

    def __init__(self, exporter: CountedExporter, drops: Drops) -> None:
        self._size: Final = int(os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE") or QUEUE)
        super().__init__(exporter, max_queue_size=self._size)
        self._handed = 0
        self._to: Final = exporter
        self._drops: Final = drops

    def on_end(self, span: ReadableSpan) -> None:
        # `taken` may lag behind by the batch that is being taken, never lead: the SDK's own queue does not overflow.
        if self._handed - self._to.taken >= self._size:
            self._drops.add(1)
            return
        self._handed += 1
        super().on_end(span)
