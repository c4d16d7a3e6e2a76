"""Half-written files: whoever writes, however slowly or fast, nothing is applied that was not complete."""

import asyncio
import os
from pathlib import Path

import pytest

from extproc.sources.files import BUSY
from extproc.wire.manifests import EMPTY
from tests.harness.waiting import eventually_async
from tests.sources.watching import (
    Watching,
    meanwhile,
    replace,
    text,
)

pytestmark = pytest.mark.usefixtures("leases")


@pytest.mark.parametrize("mode", ["w", "r+", "a"])
async def test_a_half_written_file_is_never_applied(conf: Path, mode: str) -> None:
    """Both halves are valid by themselves; the writer pauses between them until others have been read."""
    yaml = conf / "b.yaml"
    first = "- {'@type': type.googleapis.com/extproc.v1.Model, name: half, endpoints: ['127.0.0.1:1']}\n"
    yaml.write_text("" if mode == "a" else first.replace("half", "old1"))
    before = [EMPTY] if mode == "a" else ["old1"]
    async with Watching(conf) as watching:
        with yaml.open(mode) as out:
            out.write(first)
            out.flush()
            await watching.looked(conf)
            assert watching.now["b.yaml"] == before
            out.write(first.replace("half", "whole"))
            out.flush()
            await watching.looked(conf)
            assert watching.now["b.yaml"] == before
        await watching.until({"a.json": ["one"], "b.yaml": ["half", "whole"]})
    assert ["half"] not in [told["b.yaml"] for told in watching.told]


async def test_a_new_file_that_is_being_written_is_told_as_that_and_then_read(conf: Path) -> None:
    async with Watching(conf) as watching:
        with (conf / "b.json").open("w") as out:
            out.write(text("two"))
            out.flush()
            await watching.until({"a.json": ["one"], "b.json": [BUSY]})
        await watching.until({"a.json": ["one"], "b.json": ["two"]})


async def test_a_file_that_is_open_for_writing_at_the_start_is_waited_for(conf: Path, leases: bool) -> None:
    with (conf / "b.json").open("w") as out:
        out.write(text("two"))
        out.flush()
        async with Watching(conf) as watching:
            if leases:  # without them nobody can know of a writer from before
                assert watching.now == {"a.json": ["one"], "b.json": [BUSY]}
            out.close()
            await watching.until({"a.json": ["one"], "b.json": ["two"]})


@pytest.mark.parametrize(("name", "times"), [("b.yaml", 400), ("{}.yaml", 100)], ids=["one file", "new files"])
async def test_a_writer_that_never_stops_is_never_caught_halfway(conf: Path, name: str, times: int) -> None:
    """A writer writes in place, in two writes, as fast as it can; each content that is told must be a whole one."""
    line = "- {{'@type': type.googleapis.com/extproc.v1.Model, name: {0}{1}, endpoints: ['127.0.0.1:1']}}\n"

    whole = [[f"m{number}", f"n{number}"] for number in range(times)]

    def write() -> None:
        for number in range(times):
            with (conf / name.format(number)).open("w") as out:
                for part in "mn":
                    out.write(line.format(part, number))
                    out.flush()

    async with Watching(conf) as watching:
        await asyncio.to_thread(write)
        last = name.format(times - 1)
        await eventually_async(
            lambda: watching.now.get(last), within=20, saying="the end", until=lambda told: told == whole[-1]
        )
        await watching.looked(conf)
    expected = [*whole, [BUSY], ["one"], ["looked"]]
    assert [told for tellings in watching.told for told in tellings.values() if told not in expected] == []
    assert len(watching.now) == (2 if name == "b.yaml" else 1 + times)


async def test_truncating_without_opening_is_noticed(conf: Path, leases: bool) -> None:
    """truncate(2) writes and never closes; only who may ask for writers can know that it is over."""
    async with Watching(conf) as watching:
        os.truncate(conf / "a.json", 0)
        if leases:
            await watching.until({"a.json": [EMPTY]})
        else:
            await watching.looked(conf)
            assert watching.now == {"a.json": ["one"]}


async def test_a_file_that_changes_while_it_is_read_is_read_again(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read is out of date before it is told: by a rename, or by a writer who is not done."""
    meanwhile(monkeypatch, "read_bytes", lambda: replace(conf / "a.json", text("two")))
    async with Watching(conf) as watching:
        await watching.until({"a.json": ["two"]})
    assert {"a.json": ["one"]} not in watching.told
    with (conf / "a.json").open("r+") as out:
        meanwhile(monkeypatch, "read_bytes", lambda: print(text("half"), file=out, flush=True))
        async with Watching(conf) as watching:
            assert watching.now == {"a.json": [BUSY]}


async def test_a_change_between_looking_and_watching_is_not_missed(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meanwhile(monkeypatch, "survey", lambda: replace(conf / "b.json", text("two")))
    async with Watching(conf) as watching:
        assert watching.now == {"a.json": ["one"], "b.json": ["two"]}
