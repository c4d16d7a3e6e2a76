"""A child's lives: what ends them all, what does not, and the pauses between them."""

import asyncio
import errno
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from unittest.mock import AsyncMock

import pytest

from extproc.errors import ExtprocError
from extproc.processes import child as module
from extproc.processes.child import Child
from extproc.processes.specs import Logs, Spec
from extproc.settings import Settings
from tests.harness.waiting import eventually_async


class Running:
    """A child whose behaviour is `steps` (see stand_in), under way."""

    def __init__(self, file: Path, steps: str, *, vital: bool) -> None:
        self._file = file
        spec = Spec(steps, os.getpid(), Settings(state_dir=file), Logs())
        self.child = Child("tests.processes.stand_in", lambda: spec, (), vital=vital)
        self.task = asyncio.create_task(self.child.run())

    @property
    def births(self) -> list[tuple[int, float]]:
        """Process id and time in seconds of each."""
        lines = self._file.read_text().splitlines() if self._file.exists() else []
        return [(int(pid), float(at)) for pid, at in map(str.split, lines)]

    async def until_born(self, times: int) -> None:
        await eventually_async(
            lambda: self.births, within=30, saying=f"{times} births", until=lambda births: len(births) >= times
        )


Start = Callable[..., Running]


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Start]:
    started: list[Running] = []

    def begin(steps: str, *, vital: bool = False) -> Running:
        started.append(Running(tmp_path / f"births-{len(started)}", steps, vital=vital))
        return started[-1]

    yield begin
    for running in started:
        running.child.kill()
        with suppress(ExtprocError):
            await running.task


@pytest.mark.parametrize("vital", [True, False])
async def test_what_can_t_start_says_why(start: Start, vital: bool) -> None:
    with pytest.raises(ExtprocError, match=r"^the thing can't be done: do another$"):
        await start("refuse", vital=vital).task


@pytest.mark.parametrize("vital", [True, False])
async def test_what_ends_before_it_was_ready_is_not_started_again(start: Start, vital: bool) -> None:
    running = start("3", vital=vital)
    with pytest.raises(ExtprocError, match=r"^the process 3 does not start: it ended with code 3; its log above"):
        await running.task
    assert len(running.births) == 1


@pytest.mark.parametrize("vital", [True, False])
async def test_killed_it_is_started_again_at_once(start: Start, vital: bool) -> None:
    running = start("ready wait", vital=vital)
    first = (await running.child.ready).grpc_port
    os.kill(first, signal.SIGKILL)
    await running.until_born(2)
    assert running.births[1][0] != first
    running.child.end()
    await running.task


async def test_what_keeps_dying_young_is_started_after_pauses_that_grow(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAUSE", 0.1)
    running = start("ready 70")
    await running.until_born(6)
    times = [at for _, at in running.births]
    pauses = [later - earlier for earlier, later in pairwise(times)]
    for number, least in enumerate((0.1, 0.2, 0.4), start=1):
        assert pauses[number] >= least, pauses
    running.child.end()
    async with asyncio.timeout(10):
        await running.task


async def test_a_pause_is_bounded_and_cut_short_by_the_end(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 1000.0)
    monkeypatch.setattr(module, "PAUSE_MAX", 600.0)
    running = start("ready 70")
    await running.until_born(2)
    running.child.end()
    async with asyncio.timeout(10):
        await running.task
    assert len(running.births) == 2


async def test_a_vital_child_that_ends_in_order_ends_the_run(start: Start) -> None:
    running = start("ready 0", vital=True)
    await running.task
    assert len(running.births) == 1


async def test_any_other_that_does_is_started_again(start: Start) -> None:
    running = start("ready first:0 wait")
    await running.until_born(2)


async def test_what_was_ready_once_may_be_refused_something_later(start: Start) -> None:
    """Its port, say, which somebody took while it was away; the next attempt may be luckier."""
    running = start("first:ready first:70 refuse")
    await running.until_born(3)
    vital = start("ready refuse", vital=True)
    with pytest.raises(ExtprocError, match="the thing can't be done"):
        await vital.task


async def test_what_can_t_take_the_place_of_one_that_was_ready_tries_again(start: Start) -> None:
    """Vital or not: the others serve meanwhile, and would be taken along by the end of everything."""
    running = start("first:ready first:70 refuse", vital=True)
    await running.until_born(4)
    assert not running.task.done()


async def test_a_machine_without_room_for_a_process_has_it_later(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    full = AsyncMock(side_effect=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    running = start("ready wait", vital=True)
    await running.child.ready
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", full)
        os.kill(running.births[0][0], signal.SIGKILL)
        await eventually_async(lambda: full.await_count, within=10, saying="two attempts", until=(2).__le__)
    await running.until_born(2)


async def test_a_machine_without_room_for_the_first_process_is_told(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = AsyncMock(side_effect=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    with pytest.raises(ExtprocError, match=r"^the process wait can't be started: Resource temporarily unavailable$"):
        await start("wait").task
