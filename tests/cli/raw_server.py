"""A TCP server that answers every connection with the same bytes, to see what a client makes of them."""

import asyncio
from types import TracebackType
from typing import Final, Self

from tests.harness.background import background


class RawServer:
    """Reads what has come and answers `reply`; then closes, or with `drip` seconds sends a blank every so often."""

    def __init__(self, reply: bytes, *, drip: float = 0.0) -> None:
        self.reply = reply
        self._drip: Final = drip
        self._open: Final[set[asyncio.StreamWriter]] = set()
        self._server = background().run(self._listen())
        self.url: Final = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        background().run(self._close())

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._answer, "127.0.0.1", 0)

    async def _close(self) -> None:
        self._server.close()
        for writer in self._open:
            writer.close()
        await self._server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await reader.read(65536)
            writer.write(self.reply)
            await writer.drain()
            while self._drip:
                await asyncio.sleep(self._drip)
                writer.write(b" ")
                await writer.drain()
            writer.close()
        except ConnectionError:  # the client has gone, as it may
            writer.close()
        finally:
            self._open.discard(writer)


def http(status: str, kind: str, body: bytes | str, *, length: int | None = None) -> bytes:
    """An HTTP answer."""
    data = body.encode() if isinstance(body, str) else body
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data) if length is None else length}\r\n"
    return head.encode() + b"\r\n" + data
