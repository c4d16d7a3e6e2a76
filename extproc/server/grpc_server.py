"""The one gRPC server: ext_proc, ADS and health on one port, and how it leaves.

Its options are what Envoy needs of a server on the other end of a long-lived HTTP/2 connection. Options are documented
in https://github.com/grpc/grpc/blob/master/include/grpc/impl/channel_arg_names.h.
"""

import asyncio
import errno
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Protocol, Self

import grpc

from extproc.errors import ExtprocError
from extproc.server.grpc_health import GrpcHealth
from extproc.server.health import Health

OPTIONS: Final[tuple[tuple[str, int], ...]] = (
    # A second extproc on the port must fail, not take half of the streams.
    ("grpc.so_reuseport", 0),
    # Envoy's `connection_keepalive` pings every few seconds, with or without streams. gRPC takes that for abuse by
    # default and ends the connection with GOAWAY too_many_pings.
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 1000),
    ("grpc.keepalive_permit_without_calls", 1),
    # An Envoy that vanished without closing its connection is given up after 80 s instead of two hours.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Per connection. Envoy opens another connection when it needs more.
    ("grpc.max_concurrent_streams", 10_000),
    # Streams that wait to be picked up. gRPC by default turns away at random what comes after the first 1,000.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
    # Without probing the bandwidth, gRPC takes in 64 KiB of a stream ahead of us, with it up to 6 MiB.
    ("grpc.http2.bdp_probe", 0),
    # One limit for all services: request headers are at most 60 KiB by default in Envoy, but an ADS subscription may
    # name thousands of resources. What is sent has no limit.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
)


class Service(Protocol):
    """What the server serves."""

    def handler(self) -> grpc.GenericRpcHandler:
        """The handler to add to the gRPC server; messages are raw bytes on both sides."""

    def end_streams(self) -> None:
        """Let every stream end that would not end by itself: the server is leaving."""


class GrpcServer:
    """A server that is listening; made by `start`, ended by `drain`. `port` is the one it listens on."""

    def __init__(self, server: grpc.aio.Server, port: int, health: Health, services: tuple[Service, ...]) -> None:
        self.port: Final = port
        self._server = server
        self._health = health
        self._services = services

    @classmethod
    async def start(
        cls, host: str, port: int, services: Iterable[Service], health: Health | None = None, flag: str = "--grpc-port"
    ) -> Self:
        """Serve `services`, and health, on `host`:`port`; port 0 takes a free one.

        Raises ExtprocError when the address can't be listened on; `flag` is where another can be chosen.
        """
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if refusal := _refusal(host, port):
            raise _not_listening(address, refusal, flag)
        return await cls._start(address, services, health, flag)

    @classmethod
    async def start_on(cls, path: Path, services: Iterable[Service], health: Health | None = None) -> Self:
        """Serve on the Unix socket at the absolute `path`, in place of one that was left there. Raises ExtprocError."""
        return await cls._start(f"unix:{path}", services, health, "--worker-sockets")

    @classmethod
    async def _start(cls, address: str, services: Iterable[Service], health: Health | None, flag: str) -> Self:
        health = health or Health()
        served = (*services, GrpcHealth(health))
        server = grpc.aio.server(options=OPTIONS)
        server.add_generic_rpc_handlers([service.handler() for service in served])
        try:
            bound = server.add_insecure_port(address)
        except RuntimeError as error:  # someone took the port since we looked
            raise _not_listening(address, str(error), flag) from error
        await server.start()
        return cls(server, bound, health, served)

    async def drain(self, grace: float) -> None:
        """Leave: say NOT_SERVING, send GOAWAY, take nothing new, and let open streams end.

        Streams that are still open after `grace` seconds are cancelled.
        """
        self._health.set_serving(False)
        stopped = asyncio.create_task(self._server.stop(grace))
        for service in self._services:
            service.end_streams()
        await stopped


def _not_listening(address: str, reason: str, flag: str) -> ExtprocError:
    return ExtprocError(f"the gRPC port {address} can't be listened on ({reason}): choose another with {flag}")


def _refusal(host: str, port: int) -> str:
    """The system's reason why `host`:`port` can't be listened on, "" when it can.

    gRPC keeps the reason to its log, and where a name has two addresses (localhost) it is content with one of them.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        return error.strerror or str(error)
    refusals = []
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as gRPC does
                probe.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return error.strerror or str(error)
            refusals.append(error.strerror or str(error))
    return refusals[0] if len(refusals) == len(found) else ""
