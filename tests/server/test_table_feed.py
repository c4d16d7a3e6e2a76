"""Both ends of the table's way to the workers, over a real socket: what is published is what every worker swaps in."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest

from extproc.core.layered import Layered
from extproc.core.table import EMPTY, Decision, Entry, Key, Outcome, Patch
from extproc.server import table_feed
from extproc.server.table_feed import TableFeed
from extproc.server.table_subscriber import TableSubscriber
from extproc.wire.ext_proc import Published
from extproc.wire.table_messages import HELLO, NUMBER, SET_MAX
from tests.harness.unwalked import unwalked
from tests.harness.waiting import eventually_async


def entry(experiment: str, candidate: str = "a") -> Entry:
    decision = Decision(experiment, candidate, Outcome.WEIGHTED, f"{experiment}/{candidate}")
    return Entry((1,), (decision,), (decision,), {})


def entries(count: int, candidate: str = "a") -> dict[Key, Entry]:
    return {(f"e{number}", "http"): entry(f"e{number}", candidate) for number in range(count)}


class Stage:
    """A socket, as the supervisor holds it, control processes one after the other, and workers."""

    def __init__(self, path: Path, stack: AsyncExitStack) -> None:
        self.path = path
        self._stack = stack
        self._listening = stack.enter_context(socket.socket(socket.AF_UNIX))
        self._listening.bind(str(path))
        self._listening.listen()

    async def feed(self, patch: Patch) -> TableFeed:
        """The next control process, which has published `patch` before it listens."""
        feed = TableFeed()
        feed.publish(patch)
        await feed.start(self._listening.dup())
        self._stack.push_async_callback(feed.stop)
        return feed

    def worker(self, number: int = 0) -> list[Published]:
        """A worker, by the tables that it swaps in."""
        swapped: list[Published] = []
        task = asyncio.create_task(TableSubscriber(self.path, number, swapped.append).run())
        self._stack.push_async_callback(lambda: asyncio.gather(task, return_exceptions=True))
        self._stack.callback(task.cancel)
        return swapped


@pytest.fixture
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path_factory.mktemp("r") / "table.sock", stack)


async def test_every_worker_has_swapped_when_it_is_said(stage: Stage) -> None:
    workers = [stage.worker(number) for number in range(3)]
    feed = await stage.feed(Patch(entries(1)))
    assert await feed.swapped(at_least=3)
    for candidate in ("b", "c"):
        feed.publish(Patch(entries(1, candidate)))
        assert await feed.swapped()
        assert [worker[-1].table.entries for worker in workers] == [entries(1, candidate)] * 3
    feed.publish(Patch({}, (("e0", "http"),)))
    assert await feed.swapped()
    assert [worker[-1] for worker in workers] == [Published()] * 3


async def test_a_large_table_is_swapped_in_as_a_whole(stage: Stage) -> None:
    many = entries(2 * SET_MAX + 1)
    swapped = stage.worker()
    feed = await stage.feed(Patch(many))
    assert await feed.swapped(at_least=1)
    assert [published.table.entries for published in swapped] == [many]
    assert set(swapped[0].replies) == {"", *(f"{name}/a" for name, _ in many)}


async def test_a_worker_that_has_nothing_to_catch_up_with_is_told_at_once(stage: Stage) -> None:
    """While whoever publishes goes on with what else follows from the change."""
    swapped = stage.worker()
    feed = await stage.feed(Patch(entries(2)))
    assert await feed.swapped(at_least=1)
    published = len(swapped)
    for _ in range(3):
        # Nothing is made of both tables, and no task has its turn, before it is written.
        with patch.object(table_feed, "difference", side_effect=AssertionError):
            feed.publish(Patch(entries(1, f"c{published}"), (("e1", "http"),)))
            assert await feed.swapped()
        published += 1
        assert len(swapped) == published
        assert swapped[-1].table.entries == entries(1, f"c{published - 1}")


async def test_changes_that_come_faster_than_they_are_sent_are_one_change(stage: Stage) -> None:
    swapped = stage.worker()
    feed = await stage.feed(Patch({}))
    assert await feed.swapped(at_least=1)
    for number in range(50):
        feed.publish(Patch(entries(1, f"c{number}")))
    assert await feed.swapped()
    assert swapped[-1].table.entries == entries(1, "c49")
    assert len(swapped) < 10


async def test_who_comes_later_is_sent_everything(stage: Stage) -> None:
    feed = await stage.feed(Patch(entries(3)))
    feed.publish(Patch(entries(1, "b"), (("e2", "http"),)))
    swapped = stage.worker()
    assert await feed.swapped(at_least=1)
    assert [published.table.entries for published in swapped] == [{**entries(2), **entries(1, "b")}]


async def test_a_worker_keeps_its_table_until_the_next_control_process_has_heard_of_envoy(stage: Stage) -> None:
    swapped = stage.worker()
    first = await stage.feed(Patch(entries(2)))
    assert await first.swapped(at_least=1)
    await first.stop()
    second = await stage.feed(Patch(entries(1, "b")))
    fresh = stage.worker(1)
    assert await second.swapped(at_least=2), "neither is waited for"
    assert swapped[-1].table.entries == entries(2)
    assert fresh == [], "Envoy asks the one that knows better, and nobody who does not"
    second.release()
    assert await second.swapped()
    assert fresh[-1].table.entries == entries(1, "b")
    await eventually_async(
        lambda: swapped[-1].table.entries, within=5, saying="it has the new table", until=lambda e: e == entries(1, "b")
    )
    assert swapped[-1].table.entries.keys() == {("e0", "http")}, "nothing is left of the old one"


async def test_a_worker_without_a_table_gets_one_when_nobody_is_left_who_knows_better(stage: Stage) -> None:
    _, kept = await asyncio.open_unix_connection(stage.path)
    kept.write(HELLO.pack(0, True))
    feed = await stage.feed(Patch(entries(1)))
    fresh = stage.worker(1)
    assert await feed.swapped(at_least=2)
    assert fresh == []
    kept.close()
    await eventually_async(lambda: fresh, within=5, saying="it has the table")
    assert fresh[-1].table.entries == entries(1)


async def test_a_worker_that_kept_its_table_is_waited_for_as_soon_as_it_need_not(stage: Stage) -> None:
    """Else a change would be said to be in force while it is on its way to whoever decides."""
    swapped = stage.worker()
    first = await stage.feed(Patch(entries(2)))
    assert await first.swapped(at_least=1)
    await first.stop()
    second = await stage.feed(Patch(entries(2, "b")))
    assert await second.swapped(at_least=1)
    assert swapped[-1].table.entries == entries(2), "it keeps its table, and is not waited for"
    second.release()
    second.publish(Patch(entries(1, "c")))
    assert await second.swapped()
    assert swapped[-1].table.entries == {**entries(2, "b"), **entries(1, "c")}


async def test_an_envoy_that_never_comes_does_not_hold_a_table_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    swapped = stage.worker()
    first = await stage.feed(Patch(entries(2)))
    assert await first.swapped(at_least=1)
    await first.stop()
    monkeypatch.setattr(table_feed, "HOLD", 0.05)
    await stage.feed(Patch({}))
    await eventually_async(
        lambda: swapped[-1].table, within=5, saying="it has the new table", until=lambda table: table == EMPTY
    )


async def test_a_worker_that_hangs_is_waited_for_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(table_feed, "PATIENCE", 0.05)
    _, hung = await asyncio.open_unix_connection(stage.path)
    hung.write(HELLO.pack(7, False))
    swapped = stage.worker()
    feed = await stage.feed(Patch(entries(1)))
    await eventually_async(
        lambda: feed._workers, within=5, saying="both are connected", until=lambda w: all(e.number >= 0 for e in w)
    )
    assert not await feed.swapped(at_least=2)
    assert "worker 7 has no table yet" in caplog.messages
    feed.publish(Patch(entries(1, "b")))
    assert await feed.swapped()
    assert swapped[-1].table.entries == entries(1, "b")
    hung.write(NUMBER.pack(1))
    await eventually_async(
        lambda: feed._workers, within=5, saying="it has come to life", until=lambda w: all(e.swapped for e in w)
    )
    feed.publish(Patch(entries(1)))
    assert not await feed.swapped()
    assert "worker 7 does not take the latest change: it hangs" in caplog.messages
    hung.close()


async def test_a_change_of_one_among_many_costs_neither_end_the_others(stage: Stage) -> None:
    feed = await stage.feed(Patch(entries(1000)))
    swapped = stage.worker()
    await eventually_async(lambda: len(swapped), within=5, saying="it has a table", until=(1).__eq__)
    with unwalked():
        feed.publish(Patch({("e7", "http"): replace(entry("e7"), cumulative=(2,))}))
        assert await feed.swapped(at_least=1)
    before, after = swapped
    assert after.table.entries["e7", "http"].cumulative == (2,)
    assert before.table.entries["e7", "http"].cumulative == (1,), "streams go on with the table they began with"
    assert after.replies is before.replies
    assert isinstance(before.table.entries, Layered)
    assert isinstance(after.table.entries, Layered)
    assert after.table.entries.below is before.table.entries.below
