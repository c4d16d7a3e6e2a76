"""A worker's end of the table: takes what the control process publishes, and swaps it in with one assignment.

Must stay true: without the control process a worker goes on deciding by the table that it has, for as long as it
takes; and it asks again until there is one.
"""

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Final

from extproc.wire.ext_proc import Published
from extproc.wire.table_messages import HELLO, LENGTH, NUMBER, decode

log: Final = logging.getLogger(__name__)

BACK_OFF: Final = 0.05  # seconds before the second attempt to connect, doubled for each further one
BACK_OFF_MAX: Final = 1.0


class TableSubscriber:
    """Follows the feed at the Unix socket `path` as worker `number`; `swap` is called with each whole table."""

    def __init__(self, path: Path, number: int, swap: Callable[[Published], None]) -> None:
        self._path = path
        self._number = number
        self._swap = swap
        self._published: Published | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:  # the supervisor holds the socket open, so this is a machine short of something
                await asyncio.sleep(min(BACK_OFF * 2**failures, BACK_OFF_MAX))
                failures += 1
                continue
            failures = 0
            try:
                await self._follow(reader, writer)
            except (asyncio.IncompleteReadError, OSError):
                log.info("the control process is gone; deciding goes on by its last table")
            finally:
                writer.close()

    async def _follow(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HELLO.pack(self._number, self._published is not None))
        growing = self._published or Published()
        while True:
            (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
            message = decode(await reader.readexactly(length))
            growing = (Published() if message.fresh else growing).patched(message.patch)
            if message.last:
                self._published = growing
                self._swap(growing)
                writer.write(NUMBER.pack(message.version))
            await asyncio.sleep(0)  # requests go first: what is in the buffer already would be read without a pause
