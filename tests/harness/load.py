"""A load generator: a fixed number of keep-alive HTTP/1.1 connections, each with one request under way.

It never retries and never drops a request: everything it sends ends as an answer or as an error, and both are counted.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self, cast
from urllib.parse import urlsplit

from tests.harness.background import background
from tests.harness.http1 import Message, Reader, encode
from tests.harness.waiting import eventually

_BODY: Final = b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [5.1, 3.5, 1.4, 0.2]}]}'
_ERROR_TEXTS: Final = 5
_NO_ROUTE: Final = ""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of the requests. `by_route` counts answers by `x-seldon-route`, "" for answers without one.

    `seconds` is the time from the first request to now or to the end; `latencies` are in seconds, sorted.
    """

    by_status: Mapping[int, int]
    by_route: Mapping[str, int]
    errors: int
    error_texts: tuple[str, ...]
    seconds: float
    latencies: tuple[float, ...] = field(repr=False)

    @property
    def answers(self) -> int:
        return sum(self.by_status.values())

    @property
    def total(self) -> int:
        return self.answers + self.errors

    @property
    def failed(self) -> int:
        """Errors, and answers of any other status than 200."""
        return self.total - self.by_status.get(200, 0)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds if self.seconds else 0.0

    def percentile(self, percent: float) -> float:
        """A latency in seconds; `percent` in [0, 100]."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * percent / 100))]

    def __str__(self) -> str:
        return (
            f"{self.total} requests in {self.seconds:.2f} s, by status {dict(self.by_status)}, by route"
            f" {dict(self.by_route)}, {self.errors} errors {list(self.error_texts)}"
        )


class Load:
    """Requests against `url` from the start until `stop`, or until `count` of them have ended.

    `rate` bounds the requests per second over all connections (0: as fast as they are answered). `vary` gives more
    headers for request number n. `within` bounds each request in seconds; one that takes longer is an error.
    """

    def __init__(
        self,
        url: str,
        *,
        count: int = 0,
        connections: int = 8,
        rate: float = 0.0,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        vary: Callable[[int], Mapping[str, str]] | None = None,
        body: bytes = _BODY,
        within: float = 10.0,
    ) -> None:
        where = urlsplit(url)
        self.host: Final = where.hostname or ""
        self.port: Final = where.port or 80
        self.within: Final = within
        self._start_line: Final = f"{method} {where.path or '/'}{'?' + where.query if where.query else ''} HTTP/1.1"
        self._headers: Final = {"host": where.netloc, "content-type": "application/json", **(headers or {})}
        self._vary: Final = vary
        self._body: Final = body
        self._fixed: Final = encode(self._start_line, tuple(self._headers.items()), body)
        self._count: Final = count
        self._rate: Final = rate
        self._begun = 0
        self._stopping = False
        self._statuses: Counter[int] = Counter()
        self._routes: Counter[str] = Counter()
        self._errors: list[str] = []
        self._latencies: list[float] = []
        self._first = self._last = time.monotonic()
        self._over = asyncio.run_coroutine_threadsafe(self._run(connections), background().loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def so_far(self) -> Result:
        """The counts now."""
        return background().call(self._result)

    def wait_for(self, answers: int, *, within: float = 30.0) -> Result:
        """Wait until there are so many more answers than now, and return the counts."""
        goal = self.so_far().answers + answers
        return eventually(
            self.so_far, within=within, saying=f"{goal} answers", until=lambda result: result.answers >= goal
        )

    def finish(self, *, within: float = 60.0) -> Result:
        """Wait until `count` requests have ended, and return what became of them."""
        try:
            self._over.result(within)
        except TimeoutError:
            so_far = self.stop()
            raise AssertionError(f"not within {within:g} s: {self._count} requests\nlast seen: {so_far}") from None
        return self.so_far()

    def stop(self) -> Result:
        """Begin no more requests, wait for those under way, and return what became of all."""
        self._stopping = True
        self._over.result(self.within + 5)
        return self.so_far()

    async def _run(self, connections: int) -> None:
        await asyncio.gather(*(self._worker() for _ in range(connections)))

    async def _worker(self) -> None:
        connection: _Connection | None = None
        while (number := self._next()) is not None:
            await self._pace(number)
            begin = time.monotonic()
            try:
                # A connection that the server has closed in between can't carry a request: that is no error.
                if connection is None or connection.closed:
                    connection = await self._connect()
                answer = await asyncio.wait_for(connection.exchange(self._message(number)), self.within)
            except (OSError, ValueError) as error:  # TimeoutError is an OSError
                self._errors.append(f"{type(error).__name__}: {error}")
                if connection is not None:
                    connection.abort()
                connection = None
            else:
                self._statuses[int(answer.start.split(" ", 2)[1])] += 1
                self._routes[answer.header("x-seldon-route") or _NO_ROUTE] += 1
                self._latencies.append(time.monotonic() - begin)
                if answer.header("connection") == "close":
                    connection.abort()
            self._last = time.monotonic()
        if connection is not None:
            connection.abort()

    def _next(self) -> int | None:
        if self._stopping or (self._count and self._begun >= self._count):
            return None
        self._begun += 1
        return self._begun - 1

    async def _pace(self, number: int) -> None:
        # An event loop may wake a sleeper a little before its time.
        while self._rate and (early := self._first + number / self._rate - time.monotonic()) > 0:  # noqa: ASYNC110
            await asyncio.sleep(early)

    async def _connect(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        opening = loop.create_connection(lambda: _Connection(self._errors), self.host, self.port)
        return (await asyncio.wait_for(opening, self.within))[1]

    def _message(self, number: int) -> bytes:
        if self._vary is None:
            return self._fixed
        headers = {**self._headers, **self._vary(number)}
        return encode(self._start_line, tuple(headers.items()), self._body)

    def _result(self) -> Result:
        return Result(
            dict(self._statuses),
            dict(self._routes),
            len(self._errors),
            tuple(self._errors[:_ERROR_TEXTS]),
            self._last - self._first,
            tuple(sorted(self._latencies)),
        )


def run_load(
    url: str,
    count: int,
    *,
    connections: int = 8,
    headers: Mapping[str, str] | None = None,
    vary: Callable[[int], Mapping[str, str]] | None = None,
) -> Result:
    """Exactly `count` requests, and what became of them."""
    return Load(url, count=count, connections=connections, headers=headers, vary=vary).finish()


class _Connection(asyncio.Protocol):
    def __init__(self, errors: list[str]) -> None:
        self.closed = False
        self._errors = errors
        self._reader = Reader()
        self._answer: asyncio.Future[Message] | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def exchange(self, message: bytes) -> asyncio.Future[Message]:
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(message)
        return self._answer

    def data_received(self, data: bytes) -> None:
        try:
            for message in self._reader.feed(data):
                if self._answer is None or self._answer.done():
                    self._errors.append(f"an answer that nobody asked for: {message.start}")
                else:
                    self._answer.set_result(message)
        except ValueError as error:
            self._fail(error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._fail(exc or ConnectionResetError("the connection was closed before the answer"))

    def eof_received(self) -> bool:
        return False

    def abort(self) -> None:
        self.closed = True
        assert self._transport is not None
        self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
