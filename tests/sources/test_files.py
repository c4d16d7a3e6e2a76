"""The file source: what it reads, when it tells, and that a problem of one file disturbs no other."""

import asyncio
import ctypes
import os
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from extproc.sources import files
from extproc.sources.contents import SIZE_MAX, Reading, read_bytes
from extproc.sources.files import FileSource
from tests.harness.waiting import eventually_async
from tests.sources.watching import (
    PATIENCE,
    Watching,
    meanwhile,
    replace,
    shown,
    text,
)

pytestmark = pytest.mark.usefixtures("leases")


async def test_reads_at_the_start_and_tells_nothing_without_a_change(conf: Path) -> None:
    async with Watching(conf) as watching:
        assert watching.now == {"a.json": ["one"]}
        (conf / "notes.txt").write_text("not a resource")
        os.utime(conf / "a.json")
        await watching.looked(conf)
    assert all(told["a.json"] == ["one"] for told in watching.told)
    assert len(watching.told) == 3, "only the other file came and went"


async def test_a_change_is_told_within_100_ms_of_the_rename(conf: Path) -> None:
    """The bound is on the median of nine changes: one may meet a pause of the machine, five may not."""
    took = []
    async with Watching(conf) as watching:
        for number in range(9):
            replace(conf / "a.json", text(f"m{number}"))
            renamed = time.monotonic()
            await watching.until({"a.json": [f"m{number}"]})
            took.append(watching.at[-1] - renamed)
    assert sorted(took)[4] < 0.1, took


async def test_watches_on_uvloop(conf: Path) -> None:
    def run() -> None:
        async def main() -> None:
            async with Watching(conf) as watching:
                replace(conf / "a.json", text("two"))
                await watching.until({"a.json": ["two"]})

        uvloop.run(main())

    await asyncio.to_thread(run)


async def test_many_changes_at_once_are_told_together(conf: Path) -> None:
    async with Watching(conf) as watching:
        aside = conf / "aside"
        aside.mkdir()
        for number in range(200):
            (aside / f"{number:03}.json").write_text(text(f"m{number}"))
        for file in sorted(aside.iterdir()):
            file.rename(conf / file.name)
        expected = {f"{number:03}.json": [f"m{number}"] for number in range(200)}
        await watching.until({**expected, "a.json": ["one"]})
    assert len(watching.told) <= 20


async def test_only_what_changed_is_read_again(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (conf / "b.json").write_text(text("two"))
    async with Watching(conf) as watching:
        read: list[str] = []

        def note(path: Path) -> Reading:
            read.append(path.name)
            return read_bytes(path)

        monkeypatch.setattr(files, "read_bytes", note)
        replace(conf / "b.json", text("three"))
        await watching.until({"a.json": ["one"], "b.json": ["three"]})
    assert set(read) == {"b.json"}


def overflow(directory: Path) -> None:
    """More events than the kernel keeps; the event loop does not run meanwhile."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(limit // 2 + 1):
        file = directory / f"{number % 2}.json"
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT))
        file.unlink()


async def test_changes_that_the_kernel_dropped_are_found(conf: Path) -> None:
    async with Watching(conf) as watching:
        overflow(conf)
        replace(conf / "a.json", text("two"))
        await watching.until({"a.json": ["two"]})


async def test_problems_are_documents_and_disturb_no_other_file(conf: Path) -> None:
    async with Watching(conf) as watching:
        with (conf / "big.json").open("wb") as out:
            out.truncate(SIZE_MAX + 1)
        (conf / "circle.json").symlink_to("circle.json")
        (conf / "dangling.json").symlink_to("nothing")
        (conf / "garbage.json").write_bytes(b"\xff{]")
        await eventually_async(lambda: len(watching.now), within=PATIENCE, saying="five files", until=lambda n: n == 5)
        await eventually_async(
            lambda: watching.now["garbage.json"], within=PATIENCE, saying="UTF-8", until=lambda told: "UTF-8" in told[0]
        )
        assert watching.now["a.json"] == ["one"]
        assert watching.now["big.json"] == ["is larger than 16 MiB: split it into several files"]
        assert "symbolic links" in watching.now["circle.json"][0]
        assert "symbolic link to a file that does not exist" in watching.now["dangling.json"][0]
        (conf / "nothing").write_text(text("three"))
        await eventually_async(
            lambda: watching.now["dangling.json"],
            within=PATIENCE,
            saying="the link leads somewhere",
            until=["three"].__eq__,
        )


async def test_cancelling_waits_for_the_look_that_is_under_way(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a look too: what it uses may be closed then."""
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        assert go_on.wait(10)

    source = FileSource([conf])
    meanwhile(monkeypatch, "survey", pause)
    task = asyncio.create_task(source.watch(lambda _: None))
    await eventually_async(begun.is_set, within=PATIENCE, saying="a look has begun")
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    source.close()


@contextmanager
def as_nobody() -> Iterator[None]:
    """Files are looked at as a user without rights (setfsuid(2), this thread alone); root may read everything."""
    libc = ctypes.CDLL(None)
    libc.setfsuid(65534)
    try:
        yield
    finally:
        libc.setfsuid(os.geteuid())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody")
def test_what_may_not_be_read_is_told_and_read_once_it_may() -> None:
    with tempfile.TemporaryDirectory() as place:
        directory = Path(place)
        directory.chmod(0o755)
        (directory / "a.json").write_text(text("one"))
        (directory / "b.json").write_text(text("two"))
        (directory / "b.json").chmod(0o600)
        source = FileSource([directory])
        try:
            with as_nobody():
                assert shown(source.read()) == {"a.json": ["one"], "b.json": ["can't be read: Permission denied"]}
            (directory / "b.json").chmod(0o644)
            directory.chmod(0o711)
            with as_nobody():
                last = {"a.json": ["one"]}  # what lies in a directory that can't be looked into is there still
                assert shown(source.read()) == {directory.name: ["can't be read: Permission denied"], **last}
            directory.chmod(0o755)
            with as_nobody():
                assert shown(source.read()) == {"a.json": ["one"], "b.json": ["two"]}
        finally:
            source.close()
