"""ext_proc on grpc.aio (`--transport grpc`): a task for each stream, which asks ExtProc for every answer.

Nothing a client does may hurt another stream or the server.
"""

import asyncio
from collections.abc import AsyncIterator
from time import perf_counter_ns
from typing import Final

import grpc

from extproc.http2.grpc_status import Refused
from extproc.names import EXT_PROC_METHOD
from extproc.server.ext_proc import ExtProc, Ledger, Stream

Context = grpc.aio.ServicerContext[bytes, bytes]

_END: Final[object] = grpc.aio.EOF  # what reading returns after the last message
_CODES: Final = {code.value[0]: code for code in grpc.StatusCode}


class GrpcExtProc:
    """A service of a GrpcServer."""

    def __init__(self, service: ExtProc) -> None:
        self._service: Final = service

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        _, service, method = EXT_PROC_METHOD.split("/")
        return grpc.method_handlers_generic_handler(
            service, {method: grpc.stream_stream_rpc_method_handler(self._process)}
        )

    def end_streams(self) -> None:
        """Nothing to do: Envoy ends a stream as soon as it has its answer."""

    async def _process(self, _: AsyncIterator[bytes], context: Context) -> None:
        ledger = Ledger()
        stream = self._service.open(context.invocation_metadata() or (), ledger)
        try:
            await self._answer(stream, ledger, context)
        except grpc.aio.InternalError as error:
            # The client was gone before our write: a cancellation, only that gRPC did not know of it in time.
            raise asyncio.CancelledError from error
        finally:
            stream.end()
            self._service.settle(ledger, 0)

    async def _answer(self, stream: Stream, ledger: Ledger, context: Context) -> None:
        # read() and write() cost less than iterating over the requests and yielding the answers. A message is read only
        # after the one before is answered, so a client that never reads is held up by HTTP/2's flow control.
        while (message := await context.read()) is not _END:
            arrived = perf_counter_ns()
            try:
                reply, ends = stream.answer(message)
            except Refused as refusal:
                await context.abort(_CODES[refusal.status], str(refusal))
            if reply is not None:
                try:
                    await context.write(reply)
                finally:
                    # Envoy resets the stream when it has its answer, and that may cancel this very write.
                    self._service.settle(ledger, perf_counter_ns() - arrived)
            if ends:
                # To end here also spares memory: gRPC's aio leaks about 100 bytes for each stream that waits for one
                # more message while Envoy resets it (grpc/grpc#43360).
                return
