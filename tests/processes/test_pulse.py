"""Who is taken for one that hangs: by real processes, and no other."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from extproc.processes import pulse as module
from extproc.processes.pulse import SIZE, Pulse

BEAT = 0.02  # seconds
ALIVE = 1.0  # seconds in which nobody may be taken for hung, and many times what is enough to be
PROGRAM = """
import asyncio, sys
from extproc.processes import pulse
pulse.BEAT = {beat}
pulse.STILL = pulse.BUSY = 0
async def main():
    beating = asyncio.create_task(pulse.Pulse({descriptor}).beat())
    await asyncio.sleep(0.1)
    print("beats", flush=True)
    {then}
asyncio.run(main())
"""
ON_AND_ON = "await beating"
COMPUTES = "while True: pass"
WAITS = "import time; time.sleep(600)"

Begin = Callable[[str], int]


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("pulse")
    os.ftruncate(descriptor, SIZE)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def begin(memory: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Starts a process that beats for a moment and then does something; returns its id."""
    monkeypatch.setattr(module, "BEAT", BEAT)
    monkeypatch.setattr(module, "STILL", 10)
    monkeypatch.setattr(module, "BUSY", 10_000)
    started: list[subprocess.Popen[str]] = []

    def begun(then: str) -> int:
        program = PROGRAM.format(beat=BEAT, descriptor=memory, then=then)
        started.append(
            subprocess.Popen([sys.executable, "-c", program], pass_fds=[memory], stdout=subprocess.PIPE, text=True)
        )
        assert started[-1].stdout is not None
        assert started[-1].stdout.readline() == "beats\n"
        return started[-1].pid

    yield begun
    for process in started:
        process.kill()
        process.communicate()


async def hangs(memory: int, pid: int, within: float) -> bool:
    """Whether it is found to hang within so many seconds."""
    try:
        async with asyncio.timeout(within):
            await Pulse(memory).stops(lambda: pid)
    except TimeoutError:
        return False
    return True


async def test_whoever_beats_is_well_and_one_that_is_stopped_hangs(begin: Begin, memory: int) -> None:
    pid = begin(ON_AND_ON)
    assert not await hangs(memory, pid, ALIVE)
    os.kill(pid, signal.SIGSTOP)
    assert await hangs(memory, pid, 20)


async def test_one_that_waits_for_something_hangs(begin: Begin, memory: int) -> None:
    assert await hangs(memory, begin(WAITS), 20)


async def test_one_that_is_busy_gets_more_time(begin: Begin, memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = begin(COMPUTES)
    assert not await hangs(memory, pid, ALIVE)
    monkeypatch.setattr(module, "BUSY", 20)
    assert await hangs(memory, pid, 20)


async def test_one_that_has_not_begun_is_starting(begin: Begin, memory: int) -> None:
    """What is there are the last beats of another."""
    assert not await hangs(memory, begin(WAITS) + 1, ALIVE)
