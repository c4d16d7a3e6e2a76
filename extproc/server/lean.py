"""The lean transport: ext_proc and health on one event loop, without a task or a thread in between. The default.

server = await LeanServer.start("127.0.0.1", 0, ext_proc, health)      # or start_on(path, ext_proc, health)
server.port
await server.drain(grace=5.0)
"""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any, Final, Self

from extproc.errors import ExtprocError
from extproc.http2.limits import Limits
from extproc.server.at_once import Known
from extproc.server.ext_proc import ExtProc
from extproc.server.health import Health
from extproc.server.lean_protocol import LeanProtocol, Timing

_BACKLOG: Final = 1024


class LeanServer:
    """A server that is listening; made by `start` or `start_on`, ended by `drain`.

    `port` is the one it listens on, 0 on a Unix socket.
    """

    def __init__(self, service: ExtProc, health: Health, limits: Limits | None, timing: Timing | None) -> None:
        self.port = 0
        self._health: Final = health
        self._open: Final[set[LeanProtocol]] = set()
        self._all_closed: Final = asyncio.Event()
        self._listening: Final[list[asyncio.Server]] = []
        known = Known()
        self._make: Final = lambda: LeanProtocol(service, health, self._open.add, self._closed, limits, timing, known)

    @classmethod
    async def start(
        cls,
        host: str,
        port: int,
        service: ExtProc,
        health: Health | None = None,
        flag: str = "--grpc-port",
        *,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> Self:
        """Serve on `host`:`port`; port 0 takes a free one.

        Raises ExtprocError when the address can't be listened on; `flag` is where another can be chosen.
        """
        server = cls(service, health or Health(), limits, timing)
        loop = asyncio.get_running_loop()
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            # A name may have several addresses, and would get a port for each.
            for family, *_, at in found if port else found[:1]:
                bound = _bound(family, at)
                server._listening.append(await loop.create_server(server._make, sock=bound, backlog=_BACKLOG))
                server.port = bound.getsockname()[1]
        except OSError as error:
            for listening in server._listening:
                listening.close()
            raise _not_listening(address, error, flag) from error
        return server

    @classmethod
    async def start_on(
        cls,
        path: Path,
        service: ExtProc,
        health: Health | None = None,
        flag: str = "--worker-sockets",
        *,
        limits: Limits | None = None,
        timing: Timing | None = None,
    ) -> Self:
        """Serve on the Unix socket `path`, in place of one that was left there. Raises ExtprocError."""
        server = cls(service, health or Health(), limits, timing)
        loop = asyncio.get_running_loop()
        try:
            server._listening.append(await loop.create_unix_server(server._make, str(path), backlog=_BACKLOG))
        except OSError as error:
            raise _not_listening(str(path), error, flag) from error
        return server

    async def drain(self, grace: float) -> None:
        """Leave: say NOT_SERVING, send GOAWAY, take nothing new, and let open streams end.

        Streams that are still open after `grace` seconds are ended with UNAVAILABLE.
        """
        self._health.set_serving(False)
        for listening in self._listening:
            listening.close()
        for protocol in [*self._open]:
            protocol.drain()
        self._health.end_streams()
        if not await self._all_gone(grace):
            for protocol in [*self._open]:
                protocol.cancel()
            await self._all_gone(None)

    async def _all_gone(self, within: float | None) -> bool:
        try:
            async with asyncio.timeout(within):
                while self._open:
                    self._all_closed.clear()
                    await self._all_closed.wait()
        except TimeoutError:
            return False
        return True

    def _closed(self, protocol: LeanProtocol) -> None:
        self._open.discard(protocol)
        self._all_closed.set()


def _bound(family: int, address: tuple[Any, ...]) -> socket.socket:
    """A socket bound to the address. Without SO_REUSEPORT: a second extproc must fail, not take half of the streams."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # "::" is every address, as for gRPC
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _not_listening(address: str, error: OSError, flag: str) -> ExtprocError:
    reason = error.strerror or str(error)
    if error.errno and not isinstance(error, socket.gaierror):
        reason = os.strerror(error.errno)  # the event loop words it differently
    return ExtprocError(f"the gRPC port {address} can't be listened on ({reason}): choose another with {flag}")
