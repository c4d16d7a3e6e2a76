"""The control process's end of the table: every worker that is connected decides by what is published last.

Must stay true: a worker is never sent half a change as a whole one, and one that comes, or comes back, is sent
everything; a worker that hangs holds up nobody for longer than PATIENCE. A control process that has just been started
knows less than the workers it finds: until an Envoy has told it which routes it runs, those keep the table they have.
A worker that has none is not given this one beside them: Envoy would ask both, and a unit would have two candidates.
"""

import asyncio
import logging
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from extproc.core.table import EMPTY, Patch, Table
from extproc.wire.table_messages import HELLO, NUMBER, SET_MAX, difference, encode, steps

log: Final = logging.getLogger(__name__)

HOLD: Final = 30.0  # seconds that workers keep an older table while no Envoy says what it runs
PATIENCE: Final = 2.0  # seconds; a worker needs milliseconds, and Envoy has given up one that hangs by then


@dataclass(eq=False, slots=True)
class _Worker:
    """One connected worker. `swapped` is the version that it decides by; it is `late` once it was not waited for.

    It is `ahead` while it keeps a table of the control process before this one. `sent` is the table that all of was
    written to it, None while one is on its way.
    """

    writer: asyncio.StreamWriter
    number: int = -1
    ahead: bool = False
    swapped: int = 0
    late: bool = False
    sent: Table | None = None
    stale: asyncio.Event = field(default_factory=asyncio.Event)


class TableFeed:
    """Sends each table to every worker. Of one event loop; `start` makes it listen, on `listening`."""

    def __init__(self) -> None:
        self._table = EMPTY
        self._version = 0
        self._workers: set[_Worker] = set()
        self._heard = asyncio.Event()
        self._released = asyncio.Event()
        self._server: asyncio.Server | None = None

    def publish(self, patch: Patch) -> None:
        """Have every worker decide by the patched table; `swapped` says when they do."""
        before, self._table = self._table, self._table.patched(patch)
        self._version += 1
        small = [encode(step) for step in steps(patch, self._version)] if len(patch.set) <= SET_MAX else []
        for worker in self._workers:
            if small and worker.sent is before and worker.swapped == self._version - 1:
                # At once: with thousands of experiments, what else follows from a change here takes longer than this.
                worker.writer.writelines(small)
                worker.sent = self._table
            else:
                worker.stale.set()

    def release(self) -> None:
        """An Envoy runs what this process has told it: from now on no worker knows better, and all are waited for."""
        for worker in self._workers:
            worker.ahead = False
        self._released.set()
        self._tell()

    async def released(self) -> None:
        """Wait until no worker keeps the table of the control process before this one."""
        await self._released.wait()

    async def start(self, listening: socket.socket) -> None:
        """Take connections from now on; publish before."""
        self._server = await asyncio.start_unix_server(self._serve, sock=listening)
        asyncio.get_running_loop().call_later(HOLD, self.release)

    async def stop(self) -> None:
        """Take no more connections and end all; the workers go on with what they have."""
        if self._server is not None:
            self._server.close()
        for worker in self._workers:
            worker.writer.close()

    async def swapped(self, at_least: int = 0) -> bool:
        """Wait until all connected workers, `at_least` so many, decide by what is published now.

        False when that takes longer than PATIENCE. Not waited for are workers that were late, until they have caught
        up, and those that are to keep an older table.
        """
        version = self._version
        try:
            async with asyncio.timeout(PATIENCE):
                while not self._have(version, at_least):
                    heard = self._heard
                    await heard.wait()
        except TimeoutError:
            for worker in self._lagging(version):
                worker.late = True
                # A first table may be that of ten thousand experiments, on a machine that is busy.
                what = "does not take the latest change: it hangs" if worker.swapped else "has no table yet"
                log.warning("worker %d %s", worker.number, what)
            return False
        return True

    def _have(self, version: int, at_least: int) -> bool:
        known = sum(worker.number >= 0 for worker in self._workers)
        return known >= at_least and not self._lagging(version)

    def _lagging(self, version: int) -> list[_Worker]:
        """Those that are waited for."""
        spared = self._outdone()
        known = [w for w in self._workers if w.number >= 0 and (w.swapped or not spared)]
        return [w for w in known if w.swapped < version and not (w.late or w.ahead)]

    def _outdone(self) -> bool:
        """Whether a worker decides by an older table that is better, or has not said yet whether it does."""
        return not self._released.is_set() and any(w.ahead or w.number < 0 for w in self._workers)

    def _tell(self) -> None:
        heard, self._heard = self._heard, asyncio.Event()
        heard.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        worker = _Worker(writer)
        self._workers.add(worker)
        sending: asyncio.Task[None] | None = None
        try:
            worker.number, decides = HELLO.unpack(await reader.readexactly(HELLO.size))
            worker.ahead = decides and not self._released.is_set()
            log.debug("worker %d is connected", worker.number)
            sending = asyncio.create_task(self._send(worker), name="table-feed")
            self._tell()
            while True:
                (worker.swapped,) = NUMBER.unpack(await reader.readexactly(NUMBER.size))
                worker.late = False
                self._tell()
        except (asyncio.IncompleteReadError, OSError):
            log.debug("worker %d is gone", worker.number)
        finally:
            if sending is not None:
                sending.cancel()
            self._workers.discard(worker)
            self._tell()
            writer.close()

    async def _send(self, worker: _Worker) -> None:
        if worker.ahead:
            await self._released.wait()
        while self._outdone():
            heard = self._heard
            await heard.wait()
        sent, fresh = EMPTY, True
        with suppress(OSError):  # it is gone, which `_serve` notices
            while True:
                worker.stale.clear()
                table = self._table
                worker.sent = None
                for step in steps(difference(sent, table), self._version, fresh=fresh):
                    worker.writer.write(encode(step))
                    await worker.writer.drain()
                worker.sent, fresh = table, False
                await worker.stale.wait()
                sent = worker.sent
