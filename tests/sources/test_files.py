"""The file source under everything that editors, tools and Kubernetes do to files, on the real kernel."""

import asyncio
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import pytest
import uvloop

from extproc.core.offers import Document
from extproc.sources import contents, files
from extproc.sources.contents import SIZE_MAX, Reading, Writers, read_bytes
from extproc.sources.files import BUSY, FileSource
from tests.harness.waiting import eventually_async

Seen = dict[str, list[str]]


def text(*names: str) -> str:
    """A file that defines a Model for each name."""
    kind = "type.googleapis.com/extproc.v1.Model"
    return json.dumps({"resources": [{"@type": kind, "name": n, "endpoints": ["127.0.0.1:1"]} for n in names]})


def shown(documents: tuple[Document, ...]) -> Seen:
    """Per file (its name alone) the names it offers, or its problems."""
    return {
        Path(d.origin).name: [p.message for p in d.problems] + [offer.name for offer in d.offers] for d in documents
    }


def replace(file: Path, content: str) -> None:
    """The atomic rename."""
    aside = file.with_name(f".{file.name}.new")
    aside.write_text(content)
    aside.replace(file)


def directories(models: dict[str, str], under: Path) -> None:
    """A directory for each name, with one file, a.json, that offers the model."""
    for name, model in models.items():
        (under / name).mkdir(parents=True)
        (under / name / "a.json").write_text(text(model))


def swap(directory: Path, new: Path) -> None:
    directory.rename(directory.with_name("old"))
    new.rename(directory)


class Watching:
    """A source that is being watched, and everything it has told."""

    def __init__(self, *paths: Path) -> None:
        self.source = FileSource(paths)
        self.told = [shown(self.source.read())]
        self.at = [time.monotonic()]
        self._task = asyncio.create_task(self.source.watch(self._hear))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        try:
            await self._task
        except asyncio.CancelledError:
            self.source.close()

    @property
    def now(self) -> Seen:
        return self.told[-1]

    def _hear(self, documents: tuple[Document, ...]) -> None:
        self.told.append(shown(documents))
        self.at.append(time.monotonic())

    async def until(self, expected: Seen) -> None:
        await eventually_async(
            lambda: self.now, within=5, saying=f"it tells {expected}", until=lambda now: now == expected
        )

    async def looked(self, beside: Path) -> None:
        """Wait until a look has ended that began after this call: it reads a file of its own and leaves it behind."""
        name = f"zz-{len(self.told)}.json"
        replace(beside / name, text("looked"))
        await eventually_async(lambda: name in self.now, within=5, saying="another file is read")
        (beside / name).unlink()
        await eventually_async(lambda: name not in self.now, within=5, saying="another file is gone")


@pytest.fixture(params=["leases", "no leases"], autouse=True)
def leases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As the files' owner, who may ask the kernel for writers, and as someone who may not."""
    if request.param == "no leases":
        monkeypatch.setattr(contents, "_writers", lambda _: Writers.UNKNOWN)
    return bool(request.param == "leases")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A directory with one file, a.json, that offers `one`."""
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "a.json").write_text(text("one"))
    return directory


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


@pytest.mark.parametrize("mode", ["w", "r+", "a"])
async def test_a_half_written_file_is_never_applied(conf: Path, mode: str) -> None:
    """Both halves are valid by themselves; the writer pauses between them until others have been read."""
    yaml = conf / "b.yaml"
    first = "- {'@type': type.googleapis.com/extproc.v1.Model, name: half, endpoints: ['127.0.0.1:1']}\n"
    yaml.write_text("" if mode == "a" else first.replace("half", "old1"))
    before = [] if mode == "a" else ["old1"]
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
            await watching.until({"a.json": []})
        else:
            await watching.looked(conf)
            assert watching.now == {"a.json": ["one"]}


def edit_like_vim(file: Path, content: str) -> None:
    backup = file.with_name(file.name + "~")
    file.rename(backup)
    file.write_text(content)
    backup.unlink()


def edit_like_emacs(file: Path, content: str) -> None:
    (file.parent / f".#{file.name}").symlink_to("user@host.1234")
    shutil.copyfile(file, file.with_name(file.name + "~"))
    file.write_text(content)
    (file.parent / f".#{file.name}").unlink()


def edit_with_sed(file: Path, content: str) -> None:
    subprocess.run(["sed", "-i", f"1c\\{content}", str(file)], check=True)


def edit_with_cp(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    subprocess.run(["cp", str(other), str(file)], check=True)


def edit_with_mv(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    subprocess.run(["mv", str(other), str(file)], check=True)


def edit_by_rename_before_close(file: Path, content: str) -> None:
    with file.with_name("aside").open("w") as out:
        out.write(content)
        out.flush()
        Path(out.name).rename(file)


def edit_by_link(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    file.unlink()
    os.link(other, file)


def edit_through_another_name(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    os.link(file, other)
    other.write_text(content)


EDITS = [
    replace,
    edit_like_vim,
    edit_like_emacs,
    edit_with_sed,
    edit_with_cp,
    edit_with_mv,
    edit_by_rename_before_close,
    edit_by_link,
    edit_through_another_name,
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("given", ["directory", "file"])
async def test_every_way_of_saving(conf: Path, given: str, edit: Callable[[Path, str], None]) -> None:
    """The new content is told, and the way there never stops what the file declares."""
    file = conf / "a.json"
    async with Watching(conf if given == "directory" else file) as watching:
        for number in range(3):
            edit(file, text(f"m{number}"))
            await watching.until({"a.json": [f"m{number}"]})
            (conf.parent / "other.json").unlink(missing_ok=True)
    assert [told for told in watching.told if len(told.get("a.json", [])) != 1] == []


async def test_a_deleted_file_is_gone_and_only_then_missing(conf: Path) -> None:
    file, other = conf / "a.json", conf / "b.json"
    other.write_text(text("two"))
    async with Watching(file, other) as watching:
        file.unlink()
        await watching.until({"a.json": [missing()], "b.json": ["two"]})
        assert watching.told[-2] == {"b.json": ["two"]}, "its last good version must not be kept"
        file.write_text(text("back"))
        await watching.until({"a.json": ["back"], "b.json": ["two"]})


async def test_a_file_deleted_from_a_directory_is_gone(conf: Path) -> None:
    async with Watching(conf) as watching:
        (conf / "b.json").write_text(text("two"))
        await watching.until({"a.json": ["one"], "b.json": ["two"]})
        (conf / "a.json").unlink()
        await watching.until({"b.json": ["two"]})
        (conf / "b.json").rename(conf / "b.json.disabled")
        await watching.until({})


def missing() -> str:
    return "does not exist: create it, and it is read at once"


async def test_a_path_that_appears_later_is_read(tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet" / "a.json"
    async with Watching(file) as watching:
        assert watching.now == {"a.json": [missing()]}
        directories({"not/yet": "one"}, tmp_path)
        await watching.until({"a.json": ["one"]})


async def test_a_directory_deleted_and_made_again(conf: Path) -> None:
    async with Watching(conf) as watching:
        for number in range(3):
            shutil.rmtree(conf)
            await watching.until({"conf": [missing()]})
            directories({"conf": f"m{number}"}, conf.parent)
            await watching.until({"a.json": [f"m{number}"]})


async def test_a_directory_replaced_by_rename(conf: Path) -> None:
    """Also when one above it is renamed: neither the directory nor its files notice anything themselves."""
    async with Watching(conf) as watching:
        directories({"new": "two"}, conf.parent)
        swap(conf, conf.with_name("new"))
        await watching.until({"a.json": ["two"]})
        (conf / "a.json").write_text(text("three"))
        await watching.until({"a.json": ["three"]})
    assert all(told.keys() == {"a.json"} for told in watching.told), "the gap of a swap is not told"


async def test_a_parent_replaced_by_rename(tmp_path: Path) -> None:
    directories({"up/conf": "one", "other/conf": "two"}, tmp_path)
    async with Watching(tmp_path / "up" / "conf") as watching:
        (tmp_path / "up").rename(tmp_path / "old")
        (tmp_path / "other").rename(tmp_path / "up")
        await watching.until({"a.json": ["two"]})


async def test_a_file_becomes_a_directory_and_back(conf: Path) -> None:
    path = conf / "a.json"
    async with Watching(path) as watching:
        path.unlink()
        path.mkdir()
        (path / "b.json").write_text(text("two"))
        await watching.until({"b.json": ["two"]})
        shutil.rmtree(path)
        path.write_text(text("three"))
        await watching.until({"a.json": ["three"]})


async def test_a_link_led_elsewhere(tmp_path: Path) -> None:
    directories({"one": "one", "two": "two"}, tmp_path)
    link = tmp_path / "conf"
    link.symlink_to("one")
    async with Watching(link) as watching:
        (tmp_path / "aside").symlink_to("two")
        (tmp_path / "aside").replace(link)
        await watching.until({"a.json": ["two"]})
        link.unlink()
        link.symlink_to("one")
        await watching.until({"a.json": ["one"]})
    assert watching.told == [{"a.json": ["one"]}, {"a.json": ["two"]}, {"a.json": ["one"]}]


def publish_config_map(mount: Path, version: str, **content: str) -> None:
    """What the kubelet does (k8s.io/kubernetes/pkg/volume/util/atomic_writer.go): write aside, swap ..data, tidy up."""
    (mount / version).mkdir()
    for name, value in content.items():
        (mount / version / f"{name}.json").write_text(value)
    last = mount / "..data"
    old = last.resolve() if last.is_symlink() else None
    (mount / "..data_tmp").symlink_to(version)
    (mount / "..data_tmp").replace(last)
    for name in content:
        if not (mount / f"{name}.json").is_symlink():
            (mount / f"{name}.json").symlink_to(f"..data/{name}.json")
    for link in mount.glob("*.json"):
        if link.stem not in content:
            link.unlink()
    if old:
        shutil.rmtree(old)


async def test_a_config_map_is_swapped_whole(tmp_path: Path) -> None:
    publish_config_map(tmp_path, "..0", a=text("a0"), b=text("b0"))
    async with Watching(tmp_path) as watching:
        assert watching.now == {"a.json": ["a0"], "b.json": ["b0"]}
        publish_config_map(tmp_path, "..1", a=text("a1"), b=text("b1"))
        await watching.until({"a.json": ["a1"], "b.json": ["b1"]})
        publish_config_map(tmp_path, "..2", b=text("b2"), c=text("c2"))
        await watching.until({"b.json": ["b2"], "c.json": ["c2"]})
        assert watching.told[1] == {"a.json": ["a1"], "b.json": ["b1"]}, "old and new are never mixed"


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
        await eventually_async(lambda: len(watching.now), within=5, saying="five files", until=lambda n: n == 5)
        await eventually_async(
            lambda: watching.now["garbage.json"], within=5, saying="UTF-8", until=lambda told: "UTF-8" in told[0]
        )
        assert watching.now["a.json"] == ["one"]
        assert watching.now["big.json"] == ["is larger than 16 MiB: split it into several files"]
        assert "symbolic links" in watching.now["circle.json"][0]
        assert "symbolic link to a file that does not exist" in watching.now["dangling.json"][0]
        (conf / "nothing").write_text(text("three"))
        await eventually_async(
            lambda: watching.now["dangling.json"], within=5, saying="the link leads somewhere", until=["three"].__eq__
        )


def meanwhile(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Let `act` happen once, right after the source has taken the `step` (a function it calls) for the first time."""
    real = getattr(files, step)
    acts = [act]

    def taken(*given: object) -> object:
        result = real(*given)
        if acts:
            acts.pop()()
        return result

    monkeypatch.setattr(files, step, taken)


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


async def test_a_config_map_that_is_swapped_while_it_is_read_is_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_config_map(tmp_path, "..0", a=text("a0"), b=text("b0"))
    source = FileSource([tmp_path])
    meanwhile(
        monkeypatch, "read_bytes", lambda: publish_config_map(tmp_path, "..1", a=text("a1"), b=text("b1"), c=text("c1"))
    )
    assert shown(source.read()) == {"a.json": ["a1"], "b.json": ["b1"], "c.json": ["c1"]}
    source.close()


async def test_a_slow_editor_stops_nothing(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rename to the backup and the new file others are read; the editor is waited for all the same."""
    monkeypatch.setattr(files, "PATIENCE", 30.0)
    file, looks = conf / "a.json", []
    async with Watching(file) as watching:
        file.rename(conf / "a.json~")
        meanwhile(monkeypatch, "survey", lambda: looks.append("one"))
        await eventually_async(lambda: looks or watching.told[1:], within=5, saying="the source looks again")
        file.write_text(text("two"))
        await watching.until({"a.json": ["two"]})
    assert watching.told == [{"a.json": ["one"]}, {"a.json": ["two"]}]


async def test_cancelling_waits_for_the_look_that_is_under_way(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a look too: what it uses may be closed then."""
    begun, go_on = threading.Event(), threading.Event()

    def pause() -> None:
        begun.set()
        assert go_on.wait(10)

    source = FileSource([conf])
    meanwhile(monkeypatch, "survey", pause)
    task = asyncio.create_task(source.watch(lambda _: None))
    await eventually_async(begun.is_set, within=5, saying="a look has begun")
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    source.close()
