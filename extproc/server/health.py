"""grpc.health.v1.Health: whether Envoy, a load balancer or a Kubernetes probe may send work here.

The server as a whole and the ext_proc service share one state. It is SERVING from the start; a server that is about to
leave says NOT_SERVING first. Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from typing import Final

import grpc

from extproc.names import EXT_PROC_METHOD
from extproc.wire.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, NotAHealthCheckRequest, read_service

Context = grpc.aio.ServicerContext[bytes, bytes]

EXT_PROC_SERVICE: Final = EXT_PROC_METHOD.split("/")[1]
SERVICES: Final = frozenset({"", EXT_PROC_SERVICE})


class Health:
    """The Health service. Of one event loop: call it only there."""

    def __init__(self) -> None:
        self._serving = True
        self._ending = False
        self._changed = asyncio.Event()

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""
        return grpc.method_handlers_generic_handler(
            "grpc.health.v1.Health",
            {
                "Check": grpc.unary_unary_rpc_method_handler(self._check),
                "Watch": grpc.unary_stream_rpc_method_handler(self._watch),
            },
        )

    def set_serving(self, serving: bool) -> None:
        """Say SERVING or NOT_SERVING from now on; every watcher is told."""
        self._serving = serving
        self._tell()

    def end_streams(self) -> None:
        """Tell every watcher the last state, and end its stream."""
        self._ending = True
        self._tell()

    def _tell(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def _status(self, service: str) -> bytes:
        if service not in SERVICES:
            return SERVICE_UNKNOWN
        return SERVING if self._serving else NOT_SERVING

    async def _check(self, message: bytes, context: Context) -> bytes:
        status = self._status(await _service(message, context))
        if status == SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service here")
        return status

    async def _watch(self, message: bytes, context: Context) -> None:
        service = await _service(message, context)
        last = b""
        while True:
            changed, ending = self._changed, self._ending
            status = self._status(service)
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
