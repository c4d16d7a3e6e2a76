"""Processes of the demo: waited for, quoted when they fail, and always ended."""

import os
import signal
import sys
from pathlib import Path

import pytest

from extproc.demo.processes import Service
from extproc.errors import DemoFailed
from tests.harness.waiting import eventually

STUBBORN = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"


async def start(tmp_path: Path, program: str) -> Service:
    return await Service.start("the thing", [sys.executable, "-c", program], log=tmp_path / "thing.log")


async def says_up(service: Service) -> bool | None:
    return True if "up" in service.log.read_text() else None


async def test_it_is_waited_for_and_ended(tmp_path: Path) -> None:
    service = await start(tmp_path, "import time; print('up', flush=True); time.sleep(600)")
    await service.until(lambda: says_up(service), within=10, saying="it was up")
    assert await service.stop() == -signal.SIGTERM
    assert await service.stop() == -signal.SIGTERM, "ending it twice is no error"


async def test_one_that_ends_too_early_is_quoted(tmp_path: Path) -> None:
    service = await start(tmp_path, "import sys; print('no such model'); sys.exit(3)")

    async def never() -> None:
        return None

    with pytest.raises(DemoFailed, match=r"(?s)the thing ended with 3 before it was up.*thing\.log:.*no such model"):
        await service.until(never, within=10, saying="it was up")


async def test_one_that_is_late_is_quoted(tmp_path: Path) -> None:
    service = await start(tmp_path, STUBBORN)
    await service.until(lambda: says_up(service), within=10, saying="it was up")

    async def never() -> None:
        return None

    try:
        with pytest.raises(DemoFailed, match=r"(?s)the thing: not within 0 s: it served.*\n  up"):
            await service.until(never, within=0, saying="it served")
    finally:
        await service.stop(within=0)


async def test_one_that_does_not_stop_is_killed_with_its_children(tmp_path: Path) -> None:
    program = f"import subprocess,sys; p=subprocess.Popen([sys.executable,'-c',{STUBBORN!r}]); print(p.pid,flush=True)"
    service = await start(tmp_path, program + f"\n{STUBBORN}")
    await service.until(lambda: says_up(service), within=10, saying="it was up")
    child = int(service.log.read_text().split()[0])
    assert await service.stop(within=0.1) == -signal.SIGKILL
    eventually(
        lambda: not Path(f"/proc/{child}/cmdline").exists() or not Path(f"/proc/{child}/cmdline").read_bytes(),
        within=5,
        saying="its child is gone",
    )


async def test_work_that_takes_too_long(tmp_path: Path) -> None:
    service = await start(tmp_path, STUBBORN)
    with pytest.raises(DemoFailed, match="the thing is still running after 0 s"):
        await service.ended(0)
    assert os.getpgid(service.pid) == service.pid, "not in a session of its own: Ctrl-C would reach it"
    await service.stop(within=0)
