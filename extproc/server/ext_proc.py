"""The ext_proc service on grpc.aio: a stream per intercepted request, a look-up, a draw, constant bytes back.

Nothing a client does may hurt another stream or the server. Each phase is answered in kind; only request headers are
ever answered with a change. Protocol: envoy/service/ext_proc/v3/external_processor.proto.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from random import Random
from typing import Final, Protocol

import grpc

from extproc.core.decide import decide
from extproc.core.split import DRAW_BITS
from extproc.core.table import Decision
from extproc.names import EXT_PROC_METHOD
from extproc.wire.ext_proc import NEUTRAL, NotAProcessingRequest, Published, read

Context = grpc.aio.ServicerContext[bytes, bytes]
Draw = Callable[[], int]
Observe = Callable[[Decision], object]


class Span(Protocol):
    """A stream as a trace has it, from when it was begun."""

    def decided(self, decision: Decision, draw: int) -> None:
        """This was decided on it; `draw` in [0, 2^64)."""

    def end(self) -> None:
        """The stream is over."""


# Given the stream's gRPC metadata; None when its request is not traced.
Begin = Callable[[Iterable[tuple[str, str | bytes]]], Span | None]

_END: Final[object] = grpc.aio.EOF  # what reading returns after the last message
_log: Final = logging.getLogger(__name__)


def random_draw() -> Draw:
    """A source of draws, uniform in [0, 2^64), seeded by the operating system: no two processes share a sequence."""
    return partial(Random().getrandbits, DRAW_BITS)  # noqa: S311 - a split of traffic, no secret


class ExtProc:
    """The ExternalProcessor service.

    `draw` gives the randomness of one decision, uniform in [0, 2^64). `observe` is called once for each decision, after
    its reply was written or could not be, because the client was gone. What it raises is logged and hurts no stream.
    `begin` is asked for the span of each stream; it and the span must not raise.
    """

    def __init__(
        self,
        published: Published | None = None,
        *,
        draw: Draw | None = None,
        observe: Observe | None = None,
        begin: Begin | None = None,
    ) -> None:
        self._published = published or Published()
        self._draw = draw or random_draw()
        self._observe = observe
        self._begin = begin
        self._complained = False

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        _, service, method = EXT_PROC_METHOD.split("/")
        return grpc.method_handlers_generic_handler(
            service, {method: grpc.stream_stream_rpc_method_handler(self._process)}
        )

    def publish(self, published: Published) -> None:
        """Decide with `published` from now on. Streams that have begun go on with what they began with."""
        self._published = published

    def end_streams(self) -> None:
        """Nothing to do: Envoy ends a stream as soon as it has its answer."""

    async def _process(self, _: AsyncIterator[bytes], context: Context) -> None:
        span = self._begin(context.invocation_metadata() or ()) if self._begin else None
        try:
            await self._answer(context, span)
        except grpc.aio.InternalError as error:
            # The client was gone before our write: a cancellation, only that gRPC did not know of it in time.
            raise asyncio.CancelledError from error
        finally:
            if span:
                span.end()

    async def _answer(self, context: Context, span: Span | None) -> None:
        published = self._published
        # read() and write() cost less than iterating over the requests and yielding the answers. A message is read only
        # after the one before is answered, so a client that never reads is held up by HTTP/2's flow control.
        while (message := await context.read()) is not _END:
            try:
                request = read(message)
            except NotAProcessingRequest as error:
                await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            if request.phase == "request_headers":
                draw = self._draw()
                decision = decide(published.table, request.route_name, request.headers, draw)
                if span:
                    span.decided(decision, draw)
                try:
                    await context.write(published.reply(decision, traced=span is not None))
                finally:
                    # Envoy resets the stream when it has its answer, and that may cancel this very write.
                    self._observed(decision)
                if request.route_name:
                    # Caught on an intercept route, for which Envoy asks nothing more. To end here also spares memory:
                    # gRPC's aio leaks about 100 bytes for each stream that waits for one more message while Envoy
                    # resets it (grpc/grpc#43360).
                    return
            elif request.phase is None:
                return  # A stream that ends well leaves the rest of the request to Envoy.
            else:
                await context.write(NEUTRAL[request.phase])

    def _observed(self, decision: Decision) -> None:
        if self._observe is None:
            return
        try:
            self._observe(decision)
        except Exception:  # noqa: BLE001 - whatever an observer raises stays out of the stream
            if not self._complained:
                self._complained = True
                _log.exception("an observer of decisions failed; it will not be reported again")
