"""The ext_proc service, whatever carries it: what is answered to each message of a stream.

Both transports ask here and nowhere else, so they can't answer differently. Each phase is answered in kind; only
request headers are ever answered with a change. Must stay true: nothing here waits, and what is not needed for the
answer, counting and tracing, is done in `settle`, after the answer was written. Protocol:
envoy/service/ext_proc/v3/external_processor.proto.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Final, Protocol

from extproc.core.decide import decide
from extproc.core.split import DRAW_BITS
from extproc.core.table import Decision
from extproc.http2.grpc_methods import Answer, Matches
from extproc.http2.grpc_status import Refused, Status
from extproc.wire.ext_proc import NEUTRAL, NotAProcessingRequest, Published, read

Draw = Callable[[], int]


class Meter(Protocol):
    """Counts decisions."""

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        """The last of these was answered so long after its request was read; None where that was not measured."""


class Span(Protocol):
    """A stream as a trace has it, from when it was begun."""

    def decided(self, decision: Decision, draw: int) -> None:
        """This was decided on it; `draw` in [0, 2^64)."""

    def end(self) -> None:
        """The stream is over."""


# Given the stream's gRPC metadata; None when its request is not traced.
Begin = Callable[[Iterable[tuple[str, str | bytes]]], Span | None]
# Which values of the field that is named begin no span beside the others; None if all may.
Untraced = Callable[[str, Iterable[tuple[str, str | bytes]]], Matches | None]

_NEUTRAL: Final = {phase: Answer(reply, ends=False) for phase, reply in NEUTRAL.items()}
# A stream that ends well leaves the rest of the request to Envoy.
_NO_PHASE: Final = Answer(None, ends=True)

_log: Final = logging.getLogger(__name__)


def random_draw() -> Draw:
    """A source of draws, uniform in [0, 2^64), seeded by the operating system: no two processes share a sequence."""
    return partial(Random().getrandbits, DRAW_BITS)  # noqa: S311 - a split of traffic, no secret


class Ledger:
    """What is still to be counted and traced, of one stream or of all that are answered in one go."""

    __slots__ = ("decisions", "spans")

    def __init__(self) -> None:
        self.decisions: Final[list[Decision]] = []
        self.spans: Final[list[Span]] = []  # of streams that are over


class ExtProc:
    """The ExternalProcessor service.

    `draw` gives the randomness of one decision, uniform in [0, 2^64). `meter` is told of each decision once, after its
    reply was written or could not be, because the client was gone. What it raises is logged and hurts no stream.
    `begin` is asked for the span of each stream; it and the span must not raise.
    """

    def __init__(
        self,
        published: Published | None = None,
        *,
        draw: Draw | None = None,
        meter: Meter | None = None,
        begin: Begin | None = None,
        untraced: Untraced | None = None,
    ) -> None:
        self.published = published or Published()
        self.draw: Final = draw or random_draw()
        self._meter = meter
        self._begin = begin
        self.traced: Final = begin is not None
        self.untraced: Final = untraced
        self._complained = False

    def publish(self, published: Published) -> None:
        """Decide with `published` from now on. Streams that have begun go on with what they began with."""
        self.published = published

    def open(self, metadata: Iterable[tuple[str, str | bytes]], ledger: Ledger) -> "Stream":
        """A stream begins; what has to be settled goes into `ledger`."""
        return Stream(self, self._begin(metadata) if self._begin else None, ledger)

    def settle(self, ledger: Ledger, nanoseconds: int | None = None) -> None:
        """Count and trace what is in `ledger`, which is empty then.

        All of it is written, the last of it `nanoseconds` after it was read, where that was measured.
        """
        if ledger.decisions:
            if self._meter is not None:
                try:
                    self._meter.count(ledger.decisions, nanoseconds)
                except Exception:  # noqa: BLE001 - whatever a meter raises stays out of the stream
                    self._complain()
            ledger.decisions.clear()
        if ledger.spans:
            for span in ledger.spans:
                span.end()
            ledger.spans.clear()

    def _complain(self) -> None:
        if not self._complained:
            self._complained = True
            _log.exception("counting decisions failed; it will not be reported again")


class Stream:
    """One ext_proc stream: an Exchange of `extproc.http2`."""

    __slots__ = ("_draw", "_ledger", "_published", "_span")
    stays = False

    def __init__(self, service: ExtProc, span: Span | None, ledger: Ledger) -> None:
        self._published = service.published
        self._draw = service.draw
        self._span = span
        self._ledger = ledger

    def answer(self, message: bytes) -> Answer:
        """The answer to a serialised ProcessingRequest. Raises Refused when it is none."""
        try:
            phase, route_name, headers, unit, _ = read(message)
        except NotAProcessingRequest as error:
            raise Refused(Status.INVALID_ARGUMENT, str(error)) from error
        if phase is None:
            return _NO_PHASE
        if phase != "request_headers":
            return _NEUTRAL[phase]
        draw = self._draw()
        published, span = self._published, self._span
        decision = decide(published.table, route_name, headers, draw, unit=unit)
        self._ledger.decisions.append(decision)
        if span is not None:
            span.decided(decision, draw)
        # For what was caught on an intercept route, Envoy asks nothing more.
        return Answer(published.reply(decision, traced=span is not None), ends=bool(route_name))

    def end(self) -> None:
        """The stream is over."""
        if self._span is not None:
            self._ledger.spans.append(self._span)
            self._span = None
