"""Background tasks end when they are cancelled, also in the moment in which what they wait for happens."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.server.changes import Changes
from extproc.server.readiness import ReadinessWatch
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async


async def ends(work: Coroutine[Any, Any, None], waits: Callable[[], bool], happens: Callable[[], None]) -> None:
    task = asyncio.create_task(work)
    await eventually_async(waits, within=5, saying="it waits")
    happens()
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done, "the cancellation was lost"
    assert task.cancelled()


async def test_keeping_the_record_ends_while_a_change_comes_in(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: datetime.now(UTC))
    plane = Plane(("api",), lambda _: (), outlets)
    changes = Changes(Lifecycle(store, plane, lambda: datetime.now(UTC)), plane)
    event = changes._files_changed
    await ends(changes.keep_record(), lambda: bool(event._waiters), event.set)
    store.close()


@pytest.mark.parametrize("_", range(3))
async def test_watching_readiness_ends_while_it_is_told_to_look(_: int) -> None:
    watch = ReadinessWatch(f"http://127.0.0.1:{free_port()}", lambda _: None)
    event = watch._look_now
    await ends(watch.run(), lambda: bool(event._waiters), watch.look_now)
