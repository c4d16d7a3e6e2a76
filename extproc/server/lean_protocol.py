"""One connection of the lean transport: a socket's side of `extproc.http2`.

What one read brings is answered with one write. Must stay true: while the peer does not read, nothing is read from it;
and a peer that is gone, or does not get on, does not keep its connection.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final, cast

from extproc.http2.connection import Connection
from extproc.http2.frames import ErrorCode
from extproc.http2.grpc_calls import Call, expire
from extproc.http2.grpc_methods import DECISIVE, Begin, Methods, Opening
from extproc.http2.grpc_status import Status
from extproc.http2.limits import Limits
from extproc.http2.whole_calls import WholeCalls
from extproc.names import EXT_PROC_METHOD
from extproc.server.at_once import AtOnce, Known
from extproc.server.ext_proc import ExtProc, Ledger, Stream
from extproc.server.health import Health
from extproc.server.lean_health import health_methods

# Decisions that are counted together, in one of which the clock is looked at. To do it for each takes a tenth of what a
# decision takes: all of it is code that the processor has just forgotten.
TOGETHER: Final = 64
_SETTLED_WITHIN: Final = 0.25  # seconds
_TICK: Final = 0.001  # seconds


@dataclass(frozen=True, slots=True)
class Timing:
    """Times in seconds. An Envoy that vanished without closing its connection is given up after `idle` + `answer`."""

    idle: float = 60.0  # nothing was read for so long: the peer is pinged
    answer: float = 20.0  # for the answer to that, for the first frame, and for taking some of what is written
    linger: float = 3.0  # for a peer to end its streams when all are answered; and to read why it is left, and to close


class LeanProtocol(asyncio.Protocol):
    """`opened` and `closed` are called with it when the connection is there, and when it is gone.

    `known` is shared by all connections of `service`.
    """

    def __init__(
        self,
        service: ExtProc,
        health: Health,
        opened: Callable[["LeanProtocol"], None],
        closed: Callable[["LeanProtocol"], None],
        limits: Limits | None = None,
        timing: Timing | None = None,
        known: Known | None = None,
    ) -> None:
        self._loop: Final = asyncio.get_running_loop()
        self._now: Final = self._loop.time
        self._service: Final = service
        self._opened: Final = opened
        self._closed: Final = closed
        self._timing: Final = timing or Timing()
        self._ledger: Final = Ledger()
        methods: dict[str, Begin] = {
            EXT_PROC_METHOD: self._begin,
            **health_methods(health, self._write),
        }
        at_once = {EXT_PROC_METHOD: AtOnce(service, known or Known(), self._ledger)}
        self.connection: Final = Connection[Opening](
            Methods(methods, at_once).interpret, DECISIVE, Call, self._loop.time(), limits, WholeCalls
        )
        self._transport: asyncio.Transport | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._look: asyncio.TimerHandle | None = None
        self._leaving: asyncio.TimerHandle | None = None
        self._parting: asyncio.TimerHandle | None = None
        self._settling: asyncio.TimerHandle | None = None
        self._unmeasured = TOGETHER  # decisions until the time of one is taken
        self._pinged = False
        self._due = 0.0  # what `_deadline` is for
        self._written = 0  # bytes
        self._stuck: int | None = None  # of them, what the peer had taken when it was last looked at; None for all
        self._paused = False  # the peer does not read
        self._more: asyncio.Handle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are of no class of asyncio's
        self._opened(self)
        self._look = self._loop.call_later(self._timing.answer, self._look_at_peer)
        self._write()

    def data_received(self, data: bytes) -> None:
        ledger, decisions = self._ledger, self._ledger.decisions
        waiting = len(decisions)
        began = perf_counter_ns() if waiting >= self._unmeasured else 0
        self.connection.receive(data, self._now())
        self._pinged = False
        self._write()
        if began and len(decisions) > waiting:
            self._unmeasured = TOGETHER
            self._service.settle(ledger, perf_counter_ns() - began)
        elif ledger.spans:  # to be ended now
            self._settle()
        elif decisions and self._settling is None:
            self._settling = self._loop.call_later(_SETTLED_WITHIN, self._settle)

    def eof_received(self) -> None:
        """Returning None has the connection closed: a client that sends no more is gone."""

    def pause_writing(self) -> None:
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._transport is not None:
            self._transport.resume_reading()
            if self.connection.sending.stalled:
                self._write_more()

    def connection_lost(self, _: Exception | None) -> None:
        self.connection.end(ErrorCode.NO_ERROR)
        self._settle()
        self._transport = None
        for timer in (self._deadline, self._look, self._parting, self._leaving, self._more):
            if timer is not None:
                timer.cancel()
        self._closed(self)

    def drain(self) -> None:
        """Take no new streams, and close when those that are open have ended."""
        if self.connection.greeted:
            self.connection.drain()
            self._write()
        elif self._transport is not None:
            self._transport.abort()

    def cancel(self) -> None:
        """End every stream that is open, and close."""
        for stream in [*self.connection.streams.values()]:
            if isinstance(stream, Call):
                stream.end(Status.UNAVAILABLE, "the server is leaving")
        self.connection.end(ErrorCode.NO_ERROR, "the server is leaving")
        self._write()

    def _begin(self, call: Call) -> Stream:
        return self._service.open(call.metadata, self._ledger)

    def _write(self) -> None:
        """Write what there is to write."""
        transport, connection = self._transport, self.connection
        if transport is None:
            return
        taken = connection.take()
        if taken and self._leaving is None:
            self._written += len(taken)
            transport.write(taken)
            if connection.sending.stalled and self._more is None and not self._paused:
                self._more = self._loop.call_soon(self._write_more)  # others have their turn in between
        if connection.over:
            self._leave(transport)
        elif self._parting is None and connection.all_answered:
            self._parting = self._loop.call_later(self._timing.linger, self._part)
        elif (due := connection.deadlines.next) is not None:
            self._be_punctual(due)

    def _write_more(self) -> None:
        self._more = None
        if not self._paused:
            self._write()
            self._settle()

    def _part(self) -> None:
        self.connection.end(ErrorCode.NO_ERROR)
        self._write()

    def _leave(self, transport: asyncio.Transport) -> None:
        # To close at once, with something unread, would reset the connection, and the peer might never read why.
        if self._leaving is None:
            self._leaving = self._loop.call_later(self._timing.linger, transport.abort)
            try:
                if transport.can_write_eof():
                    transport.write_eof()
            except OSError:  # asyncio's own loop may call shutdown(2) at once, and the peer has reset the connection
                transport.abort()

    def _be_punctual(self, due: float) -> None:
        if self._deadline is None or due < self._due:
            if self._deadline is not None:
                self._deadline.cancel()
            # uvloop's timers are of whole milliseconds: one may come too early, and what is left is no time for it.
            self._due = due
            self._deadline = self._loop.call_later(max(due - self._now(), _TICK), self._expire)

    def _expire(self) -> None:
        self._deadline = None
        expire(self.connection, self._loop.time())
        self._write()
        self._settle()

    def _settle(self) -> None:
        """Count what was not counted yet."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._unmeasured = max(self._unmeasured - len(self._ledger.decisions), 0)
        self._service.settle(self._ledger)

    def _look_at_peer(self) -> None:
        """See that the peer is there and gets on; comes again every `answer` seconds."""
        transport, connection, timing = self._transport, self.connection, self._timing
        if transport is None:
            return
        waiting = transport.get_write_buffer_size()
        taken = self._written - waiting
        gone = not connection.greeted or self._pinged or (waiting > 0 and taken == self._stuck)
        if gone:
            transport.abort()
            return
        self._stuck = taken if waiting else None
        if not waiting and self._now() - connection.now >= timing.idle:
            self._pinged = True
            connection.ping()
            self._write()
        self._look = self._loop.call_later(timing.answer, self._look_at_peer)
