"""An access log service that keeps every message as it arrived, and answers Envoy's health checks."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import grpc

from extproc import names
from extproc.wire.access_log import Entry, read
from tests.harness.closing import Closing
from tests.harness.ports import free_port

_SERVING: Final = b"\x08\x01"  # https://github.com/grpc/grpc/blob/master/doc/health-checking.md
_SERVICE, _METHOD = names.ACCESS_LOG_METHOD.strip("/").split("/")


class AccessLogRecorder(Closing):
    """It listens on 127.0.0.1:`port`, by default a free one, from the start; `close` ends it."""

    def __init__(self, port: int = 0) -> None:
        self.port: Final = port or free_port()
        self.messages: Final[list[bytes]] = []
        self._reads: Final = threading.Event()
        self._reads.set()
        # As the product's own: without probing the bandwidth, gRPC takes in no more than 64 KiB ahead of who reads.
        options = [("grpc.so_reuseport", 0), ("grpc.http2.bdp_probe", 0)]
        self._server: Final = grpc.server(ThreadPoolExecutor(8), options=options)
        log: grpc.RpcMethodHandler[bytes, bytes] = grpc.stream_unary_rpc_method_handler(self._log)
        check: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(self._check)
        handlers = {_SERVICE: {_METHOD: log}, "grpc.health.v1.Health": {"Check": check}}
        for service, methods in handlers.items():
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, methods),))
        assert self._server.add_insecure_port(f"127.0.0.1:{self.port}") == self.port
        self._server.start()

    def close(self) -> None:
        self.proceed()
        self._server.stop(0).wait()

    def hang(self) -> None:
        """Read nothing of what is sent, and answer no health check, until `proceed`."""
        self._reads.clear()

    def proceed(self) -> None:
        self._reads.set()

    @property
    def entries(self) -> list[Entry]:
        return [entry for message in tuple(self.messages) for entry in read(message)]

    def _log(self, stream: Iterator[bytes], _context: grpc.ServicerContext) -> bytes:
        self._reads.wait()
        for message in stream:
            self.messages.append(message)
            self._reads.wait()
        return b""

    def _check(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        self._reads.wait()
        return _SERVING
