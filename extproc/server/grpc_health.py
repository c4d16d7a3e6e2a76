"""grpc.health.v1.Health on grpc.aio: Check, and Watch, whose calls are told of changes as they happen."""

from typing import Final

import grpc

from extproc.server.health import Health
from extproc.wire.health import SERVICE_UNKNOWN, NotAHealthCheckRequest, read_service

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcHealth:
    """A service of a GrpcServer."""

    def __init__(self, health: Health) -> None:
        self._health: Final = health

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )

    def end_streams(self) -> None:
        """Tell every watcher the last state, and end its stream."""
        self._health.end_streams()

    async def _check(self, message: bytes, context: Context) -> bytes:
        status = self._health.status(await _service(message, context))
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return status

    async def _watch(self, message: bytes, context: Context) -> None:
        service = await _service(message, context)
        last = b""
        while True:
            changed, ending = self._health.changed, self._health.ending
            status = self._health.status(service)
            if status != last:
                await context.write(status)
                last = status
            if ending:
                return
            await changed.wait()


async def _service(message: bytes, context: Context) -> str:
    try:
        return read_service(message)
    except NotAHealthCheckRequest as error:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
