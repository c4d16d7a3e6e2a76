"""An ext_proc server that answers what a test tells it to, good or bad, and remembers what it was sent."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import grpc

from extproc.wire.pb.extproc.slim.ext_proc_pb2 import HeaderValueOption, ProcessingRequest, ProcessingResponse
from tests.harness.ports import free_port


def setting(*headers: tuple[str, str]) -> ProcessingResponse:
    """A reply that sets headers and has Envoy choose the route anew."""
    reply = ProcessingResponse()
    common = reply.request_headers.response
    common.clear_route_cache = True
    for key, value in headers:
        option = common.header_mutation.set_headers.add()
        option.header.key, option.header.raw_value = key, value.encode()
        option.append_action = HeaderValueOption.AppendAction.OVERWRITE_IF_EXISTS_OR_ADD
    return reply


class Decider:
    """It listens on 127.0.0.1:`port` from the start; `reply` may be replaced at any time, also with raw bytes."""

    def __init__(self) -> None:
        self.port: Final = free_port()
        self.reply: bytes = setting().SerializeToString()
        self.requests: Final[list[ProcessingRequest]] = []
        self._proceed: Final = threading.Event()
        self._proceed.set()
        self._server: Final = grpc.server(ThreadPoolExecutor(8), options=[("grpc.so_reuseport", 0)])
        process: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_stream_rpc_method_handler(self._process)
        check: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._check)
        handlers = {
            "envoy.service.ext_proc.v3.ExternalProcessor": {"Process": process},
            "grpc.health.v1.Health": {"Check": check},
        }
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.proceed()
        self._server.stop(0).wait()

    def hang(self) -> None:
        """Take calls, health checks too, and answer none until `proceed`."""
        self._proceed.clear()

    def proceed(self) -> None:
        self._proceed.set()

    def _process(self, stream: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        for message in stream:
            self.requests.append(ProcessingRequest.FromString(message))
            self._proceed.wait()
            yield self.reply

    def _check(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self._proceed.wait()
        return b"\x08\x01"  # SERVING
