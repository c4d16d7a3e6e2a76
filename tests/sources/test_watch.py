"""The kernel's events as changes of paths, and the limits and platforms on which there are none."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from inotify_simple import INotify

from extproc.errors import CannotWatch
from extproc.sources.watch import Change, Watch, What


def inode(file: Path) -> tuple[int, int]:
    return file.stat().st_dev, file.stat().st_ino


@pytest.fixture
def watch() -> Iterator[Watch]:
    watch = Watch()
    yield watch
    watch.close()


def test_tells_what_happened_in_order(watch: Watch, tmp_path: Path) -> None:
    assert watch.cover({tmp_path: True}, {})
    file = tmp_path / "a.json"
    with file.open("w") as out:
        out.write("x")
    file.rename(tmp_path / "b.json")
    (tmp_path / "b.json").unlink()
    assert list(watch.drain()) == [
        Change(file, What.CREATED),
        Change(file, What.WRITTEN_TO),
        Change(file, What.CLOSED),
        Change(file, What.GONE),
        Change(tmp_path / "b.json", What.MOVED_IN),
        Change(tmp_path / "b.json", What.GONE),
    ]
    assert list(watch.drain()) == []


def test_a_directory_on_the_way_tells_of_names_only(watch: Watch, tmp_path: Path) -> None:
    watch.cover({tmp_path: False}, {})
    (tmp_path / "a.json").write_text("x")
    assert [change.what for change in watch.drain()] == [What.CREATED]


def test_covering_the_same_again_is_nothing_new(watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.touch()
    assert watch.cover({tmp_path: True}, {file: inode(file)})
    assert not watch.cover({tmp_path: True}, {file: inode(file)})
    assert not watch.cover({tmp_path: True}, {})
    assert watch.cover({tmp_path: True}, {file: inode(file)})


def test_a_write_through_another_name_is_told(watch: Watch, tmp_path: Path) -> None:
    """As with a file mounted alone: the writer's name for it lies in a directory that is not watched."""
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    file = here / "a.json"
    file.touch()
    os.link(file, there / "b.json")
    watch.cover({here: True}, {file: inode(file)})
    with (there / "b.json").open("r+") as out:
        out.write("x")
    told = list(watch.drain())
    assert Change(file, What.WRITTEN_TO) in told
    assert told[-1] == Change(file, What.CLOSED)


def test_a_replaced_file_speaks_no_more_for_its_name(watch: Watch, tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("w") as old:
        watch.cover({tmp_path: True}, {file: inode(file)})
        (tmp_path / "new").touch()
        (tmp_path / "new").replace(file)
        list(watch.drain())
        old.write("late")
    assert Change(file, What.WRITTEN_TO) not in list(watch.drain())


def test_dropped_events_are_told(watch: Watch, tmp_path: Path) -> None:
    watch.cover({tmp_path: True}, {})
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    for number in range(limit // 2 + 1):  # two events each, and equal neighbours are merged
        os.close(os.open(tmp_path / f"{number % 2}", os.O_WRONLY | os.O_CREAT))
        (tmp_path / f"{number % 2}").unlink()
    assert What.OVERFLOW in {change.what for change in watch.drain()}


def test_what_cannot_be_watched_is_left_out(watch: Watch, tmp_path: Path) -> None:
    assert not watch.cover({tmp_path / "gone": True}, {tmp_path / "gone" / "a.json": (0, 0)})
    assert watch.trouble == ""


def test_the_limit_of_watches_is_a_trouble_with_advice(
    watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: INotify, path: Path, mask: int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as limited:
        limited.setattr(INotify, "add_watch", refuse)
        watch.cover({tmp_path: True}, {})
    assert "raise fs.inotify.max_user_watches" in watch.trouble
    watch.cover({tmp_path: True}, {})
    assert watch.trouble == ""


def test_the_limit_of_instances_is_an_error_with_advice() -> None:
    limit = int(Path("/proc/sys/fs/inotify/max_user_instances").read_text())
    if limit > 1024:
        pytest.skip(f"{limit} inotify instances are allowed here")
    watches: list[Watch] = []
    try:
        with pytest.raises(CannotWatch, match="raise the limit"):
            watches.extend(Watch() for _ in range(limit + 1))
    finally:
        for one in watches:
            one.close()


def test_elsewhere_than_on_linux_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    with pytest.raises(CannotWatch, match=r"can't be watched on darwin: extproc needs Linux \(inotify\)"):
        Watch()
