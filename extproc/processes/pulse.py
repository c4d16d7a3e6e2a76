"""A worker's pulse: a count in shared memory that its event loop moves on, and that the supervisor looks at.

Must stay true: whoever is still starting is not taken for one that hangs, nor is one that only waits for its turn on a
busy machine; and time in which the supervisor itself did not run counts for nothing.
"""

import asyncio
import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

SIZE: Final = 16  # bytes
BEAT: Final = 0.25  # seconds between two beats, and between two looks
STILL: Final = 12  # looks at a process that waits or is stopped: three seconds without a beat, and it hangs
BUSY: Final = 120  # looks at one that computes, or wants to: half a minute

_BEATS: Final = 0
_PROCESS: Final = 1  # whose beats they are

# The states in which a process runs or is about to, or waits for a disk (proc(5), /proc/pid/stat).
_AT_WORK: Final = frozenset("RD")


class Pulse:
    """The memory behind `descriptor`, SIZE bytes; one process beats, another looks."""

    def __init__(self, descriptor: int) -> None:
        self._cells: Final = memoryview(mmap.mmap(descriptor, SIZE)).cast("Q")

    async def beat(self) -> None:
        """Beat until cancelled."""
        self._cells[_PROCESS] = os.getpid()
        while True:
            self._cells[_BEATS] += 1
            await asyncio.sleep(BEAT)

    async def stops(self, pid: Callable[[], int | None]) -> None:
        """Return when the process of that id, None while there is none, has begun to beat and goes on no more."""
        seen, still, looks = (0, 0), 0, 0
        while still < STILL and looks < BUSY:
            await asyncio.sleep(BEAT)
            now = self._cells[_BEATS], self._cells[_PROCESS]
            if now != seen or now[_PROCESS] != pid():
                seen, still, looks = now, 0, 0
            else:
                looks += 1
                still += _state(now[_PROCESS]) not in _AT_WORK


def _state(pid: int) -> str:
    """One letter; empty for a process that is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
