"""Envoy's access log service: takes the entries of every worker thread of every Envoy, and hands them on.

Nothing here can slow a request: Envoy waits for nobody, and reading is held up by HTTP/2's flow control while a message
is counted. Must stay true: a message that is none ends its own stream alone. Protocol: envoy/service/accesslog/v3.
"""

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Final

import grpc

from extproc import names
from extproc.wire.access_log import Entry, NotAnAccessLog, read
from extproc.xds.access_logs import FLUSH_INTERVAL

# Entries that are counted before others get a turn on the event loop; some two milliseconds.
AT_ONCE: Final = 256

# When the server leaves: seconds until Envoy knows it by its health checks, from when on it keeps what it can't send;
# and seconds that each stream then gets to bring what Envoy has buffered. It is ended right after that message, since
# the next one is then furthest away: what Envoy sends into a stream that is ended is lost.
NOTICED: Final = 0.5
LAST_WORD: Final = 2 * FLUSH_INTERVAL

Stream = grpc.aio.ServicerContext[bytes, bytes]
_SERVICE, _METHOD = names.ACCESS_LOG_METHOD.strip("/").split("/")


class AccessLogService:
    """Calls `account` with the entries of each message, a part at a time; it must not raise."""

    def __init__(self, account: Callable[[Iterable[Entry]], None]) -> None:
        self._account = account
        self._leaving = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        return grpc.method_handlers_generic_handler(
            _SERVICE, {_METHOD: grpc.stream_unary_rpc_method_handler(self._stream)}
        )

    def end_streams(self) -> None:
        """Let each stream end with one more message: Envoy keeps what comes later until somebody listens again."""
        asyncio.get_running_loop().call_later(NOTICED, self._leaving.set)

    async def _stream(self, _requests: object, context: Stream) -> bytes:
        leaving = asyncio.create_task(self._leaving.wait())
        try:
            while (message := await self._next(context, leaving)) is not None:
                try:
                    await self._count(message)
                except NotAnAccessLog as error:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
                if leaving.done():
                    break
        finally:
            leaving.cancel()
        return b""

    async def _next(self, context: Stream, leaving: "asyncio.Task[bool]") -> bytes | None:
        """The next message; None at the end, which is also when the server leaves and nothing comes."""
        reading = asyncio.create_task(context.read())
        try:
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await asyncio.wait({reading}, timeout=LAST_WORD)
            # EOF is what gRPC returns after the last message.
            message = reading.result() if reading.done() else grpc.aio.EOF
            return message if isinstance(message, bytes) else None
        finally:
            reading.cancel()

    async def _count(self, message: bytes) -> None:
        """Raises NotAnAccessLog."""
        entries = read(message)
        while part := list(islice(entries, AT_ONCE)):
            self._account(part)
            await asyncio.sleep(0)
