"""A Call over REST: `POST /v2/models/<model>/infer`, on kept-alive connections."""

import os
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from multidict import CIMultiDict

from extproc import __version__
from extproc.inference.call import Answer, Ask, Call
from extproc.inference.traces import TRACEPARENT, begin
from extproc.names import MODEL_HEADER, ROUTE_HEADER

_SUCCESSFUL: Final = range(200, 300)  # RFC 9110 section 15.3

# What went wrong when no answer came, the narrower type first: the word for it, and whether anybody was there.
_FAILURES: Final[tuple[tuple[type[BaseException], str, bool], ...]] = (
    (TimeoutError, "timeout", True),
    (aiohttp.ClientConnectorDNSError, "unresolved", False),
    (aiohttp.ClientSSLError, "tls", False),
    (ssl.SSLError, "tls", False),
    (aiohttp.ClientConnectorError, "refused", False),
    (aiohttp.ClientError, "disconnected", True),
    (OSError, "disconnected", True),
)


@asynccontextmanager
async def open_rest(call: Call, connections: int) -> AsyncIterator[Ask]:
    """Gives what sends `call`, on at most so many connections, each closed at the end."""
    url = f"{call.url}/v2/models/{call.model}/infer"
    fixed = CIMultiDict(
        [
            ("content-type", "application/json"),
            ("user-agent", f"extproc/{__version__}"),
            (MODEL_HEADER, call.model),
        ]
    )
    for name in {name for name, _ in call.headers}:
        fixed.popall(name, None)
    fixed.extend(call.headers)

    async def ask(route: str) -> Answer:
        headers = fixed.copy()
        if route:
            headers[ROUTE_HEADER] = route
        trace = ""
        if call.traced:
            trace, headers[TRACEPARENT] = begin()
        begun = time.perf_counter()
        try:
            async with session.post(url, data=call.body, headers=headers, allow_redirects=False) as response:
                body = await response.read()
                seconds = time.perf_counter() - begun
                return Answer(
                    str(response.status),
                    response.status in _SUCCESSFUL,
                    seconds,
                    ",".join(response.headers.getall(ROUTE_HEADER, ())),
                    body=body,
                    sent=tuple(response.request_info.headers.items()),
                    received=tuple(response.headers.items()),
                    trace=trace,
                )
        except (aiohttp.ClientError, OSError) as error:
            code, reached = next((word, there) for kind, word, there in _FAILURES if isinstance(error, kind))
            seconds = time.perf_counter() - begun
            return Answer(
                code,
                False,
                seconds,
                reached=reached,
                detail=_reason(error),
                sent=tuple(headers.items()),
                trace=trace,
            )

    # The proxy of the environment is not asked: what is measured is Envoy.
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        timeout=aiohttp.ClientTimeout(total=call.timeout),
    ) as session:
        yield ask


def _reason(error: BaseException) -> str:
    """In a few words: where the system has words for it, its own, without aiohttp's framing."""
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number and number > 0 else str(error) or type(error).__name__
