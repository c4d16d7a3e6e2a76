"""Stub model servers: real HTTP/1.1 servers that speak the Open Inference Protocol, name themselves, and remember.

Each is one listening socket in the background loop, so that thousands of requests cost little. A stub serves just
one model and answers 404 for any other, as a real server does: a path that was not rewritten is seen at once.
"""

import asyncio
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, cast

from tests.harness.background import background
from tests.harness.closing import Closing
from tests.harness.http1 import Headers, Message, Reader, encode
from tests.harness.ports import free_port

_MODEL_PATH: Final = re.compile(r"/v2/models/(?P<model>[^/?]+)(?:/versions/[^/?]+)?(?P<action>/[a-z]+)?(?:\?.*)?")
_REASONS: Final = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 503: "Service Unavailable"}
_HEALTH_CHECKER: Final = "Envoy/HC"  # the user agent of Envoy's active health checks


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived; the names of `headers` are in lower case."""

    method: str
    path: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, several joined with a comma; None when it is absent."""
        return Message("", self.headers, b"").header(name)


class ModelServer(Closing):
    """A stub server of one model, called `name`, on 127.0.0.1:`port`; it listens from the start until `close`.

    `served` is the name the server itself knows its model by.
    """

    def __init__(self, name: str, *, served: str = "") -> None:
        self.name: Final = name
        self.served: Final = served or name
        self.port: Final = free_port()
        self._requests: list[Request] = []
        self._probes = 0
        self._hangs = self._probes_hang = False
        self._ready = True
        self._delay = 0.0
        self._status = 200
        self._connections: set[_Connection] = set()
        self._listening: asyncio.Server | None = None
        background().run(self._listen())

    @property
    def endpoint(self) -> str:
        """`host:port`, as a Model's `endpoints` wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.endpoint}"

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request since the start or `forget`, but Envoy's own health checks."""
        return tuple(self._requests)

    @property
    def probes(self) -> int:
        """How many of Envoy's health checks have arrived."""
        return self._probes

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._connections)

    def forget(self) -> None:
        """Forget the requests and probes so far."""
        self._requests = []
        self._probes = 0

    def stop(self) -> None:
        """Close the port and every connection: from now on connections are refused."""
        background().run(self._close())

    def hang(self, *, probes: bool = True) -> None:
        """Accept and record, but never answer; with `probes=False` Envoy's health checks still get their answer."""
        self._hangs, self._probes_hang = True, probes

    def ready(self, is_ready: bool) -> None:
        """Answer readiness with 200 or 503; inference is answered either way."""
        self._ready = is_ready

    def delay(self, seconds: float) -> None:
        """Answer everything but health checks so much later."""
        self._delay = seconds

    def fail(self, status: int = 500) -> None:
        """Answer inference with this status."""
        self._status = status

    def resume(self) -> None:
        """Be as at the start: listening, ready, prompt. Requests that hung get their connection closed."""
        self._hangs = self._probes_hang = False
        self._ready, self._delay, self._status = True, 0.0, 200
        background().call(self._drop_hung)
        background().run(self._listen())

    def close(self) -> None:
        self.stop()

    async def _listen(self) -> None:
        if self._listening is None:
            loop = asyncio.get_running_loop()
            self._listening = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port, backlog=1024)

    async def _close(self) -> None:
        if self._listening is not None:
            self._listening.close()
            self._listening = None
        for connection in tuple(self._connections):
            connection.abort()

    def _drop_hung(self) -> None:
        for connection in tuple(self._connections):
            if connection.hung:
                connection.abort()

    def _received(self, message: Message, connection: "_Connection") -> None:
        method, path, _ = message.start.split(" ", 2)
        if is_probe := (message.header("user-agent") or "") == _HEALTH_CHECKER:
            self._probes += 1
        else:
            self._requests.append(Request(method, path, message.headers, message.body))
        if self._probes_hang if is_probe else self._hangs:
            connection.hung = True
            return
        status, answer = self._answer(method, path, message)
        headers = (("content-type", "application/json"), ("x-stub", self.name))
        body = b"" if method == "HEAD" else json.dumps(answer).encode()
        data = encode(f"HTTP/1.1 {status} {_REASONS.get(status, 'Stub')}", headers, body)
        connection.answer(data, 0.0 if is_probe else self._delay)

    def _answer(self, method: str, path: str, message: Message) -> tuple[int, dict[str, Any]]:
        if path == "/v2/health/ready":
            return (200 if self._ready else 503), {"ready": self._ready, "stub": self.name}
        matched = _MODEL_PATH.fullmatch(path)
        if matched is None:
            headers = dict(message.headers)
            return self._status, {"stub": self.name, "method": method, "path": path, "headers": headers}
        if matched["model"] != self.served:
            return 404, {"stub": self.name, "error": f"Model {matched['model']} not found"}
        if matched["action"] == "/ready":
            return (200 if self._ready else 503), {"name": self.served, "ready": self._ready, "stub": self.name}
        if matched["action"] == "/infer":
            output = {"name": "predict", "shape": [1], "datatype": "BYTES", "data": [self.name]}
            return self._status, {"model_name": self.served, "model_version": "1", "outputs": [output]}
        return self._status, {"name": self.served, "versions": ["1"], "platform": "stub", "stub": self.name}


class _Connection(asyncio.Protocol):
    def __init__(self, server: ModelServer) -> None:
        self.hung = False
        self._server = server
        self._reader = Reader()
        self._received: Callable[[Message, _Connection], None] = server._received
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server._connections.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                self._received(message, self)
        except ValueError as error:
            self.answer(encode("HTTP/1.1 400 Bad Request", (), str(error).encode()), 0.0)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._server._connections.discard(self)

    def answer(self, data: bytes, delay: float) -> None:
        assert self._transport is not None
        if delay:
            asyncio.get_running_loop().call_later(delay, self._transport.write, data)
        else:
            self._transport.write(data)

    def abort(self) -> None:
        assert self._transport is not None
        self._transport.abort()
