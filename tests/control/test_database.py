"""The store's file is held by one process, checked before it is used, never spoilt, and written through to the disk."""

import fcntl
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from extproc.control.database import Database
from extproc.control.store import Action, Store
from extproc.core.resources import Candidate, Experiment
from extproc.errors import StoreCorrupt, StoreInUse, StoreUnwritable

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
IRIS = Experiment("iris-ab", (Candidate("iris", 50), Candidate("iris2", 50)), default="iris")


def used(state_dir: Path, *, changes: int = 40, killed: bool = False) -> Path:
    """The file of a store with so many changes more; with `killed`, they are in its log only."""
    store = Store.open(state_dir)
    for _ in range(changes):
        store.record("iris-ab", Action.UPDATED, IRIS, source="api", why="because " * 100, at=NOON)
    if killed:
        store._database._connection.interrupt()  # or else the log is written back
    store.close()
    assert (state_dir / "extproc.db-wal").exists() == killed
    return state_dir / "extproc.db"


def content(state_dir: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in state_dir.iterdir()}


def cut_to(size: int) -> Callable[[Path], object]:
    return lambda file: file.write_bytes(file.read_bytes()[:size])


def overwritten(start: int, garbage: bytes) -> Callable[[Path], object]:
    def damage(file: Path) -> None:
        whole = file.read_bytes()
        file.write_bytes(whole[:start] + garbage + whole[start + len(garbage) :])

    return damage


def altered(sql: str) -> Callable[[Path], object]:
    def alter(file: Path) -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.executescript(sql)

    return alter


def another_program(file: Path) -> None:
    file.unlink()
    altered("CREATE TABLE song (title TEXT)")(file)


DAMAGES: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "text": (lambda file: file.write_text("iris-ab: 70/30\n" * 1000), "file is not a database"),
    "zeros": (lambda file: file.write_bytes(bytes(8192)), "file is not a database"),
    "empty": (cut_to(0), "it is empty"),
    "cut in its first words": (cut_to(10), "file is not a database"),
    "cut in its header": (cut_to(99), "malformed|not a database"),
    "cut in its first page": (cut_to(2000), "malformed"),
    "cut after its first page": (cut_to(4096), "malformed"),
    "cut in the middle": (lambda file: cut_to(file.stat().st_size // 2)(file), "malformed"),
    "its last byte is missing": (lambda file: cut_to(file.stat().st_size - 1)(file), r"it ends after \d+ of \d+ bytes"),
    "garbage in its header": (overwritten(30, b"\xa5" * 60), "malformed|not a database"),
    "garbage in its schema": (overwritten(100, b"\xa5" * 3996), "malformed|not a database"),
    "garbage in its content": (overwritten(8192, b"\xa5" * 4096), "Page 3: .*; "),
    "another program's": (another_program, "it is a database of another program"),
    "of no version": (altered("PRAGMA user_version = -1"), "there is no schema version -1"),
    "a table is missing": (altered("DROP TABLE revision"), "no such table: revision"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_and_left_as_it_is(tmp_path: Path, damage: str) -> None:
    spoil, found = DAMAGES[damage]
    file = used(tmp_path)
    spoil(file)
    before = content(tmp_path)
    with pytest.raises(StoreCorrupt) as refusal:
        Store.open(tmp_path)
    refusal.match(rf"{file} can't be read as a store of experiments: .*({found}).* It was left as it is.")
    refusal.match(rf"move extproc.db and any extproc.db-wal beside it out of {tmp_path}\. The experiments made through")
    assert content(tmp_path) == before


@pytest.mark.parametrize(
    ("spoil", "found"),
    [(overwritten(8192, b"\xa5" * 4096), "Page 3"), (cut_to(0), "it is empty")],
    ids=["garbage", "empty"],
)
def test_a_damaged_file_with_a_log_is_left_with_its_log(
    tmp_path: Path, spoil: Callable[[Path], object], found: str
) -> None:
    used(tmp_path)
    spoil(used(tmp_path, changes=1, killed=True))
    before = content(tmp_path)
    with pytest.raises(StoreCorrupt, match=found):
        Store.open(tmp_path)
    assert content(tmp_path) == before


def test_a_file_that_is_damaged_only_where_its_log_knows_better_is_whole(tmp_path: Path) -> None:
    file = used(tmp_path, killed=True)
    overwritten(4096, b"\xa5" * 8192)(file)
    with closing(Store.open(tmp_path)) as store:
        assert [r.number for r in store.history("iris-ab")] == list(range(1, 41))


def test_a_log_without_its_file_is_not_deleted(tmp_path: Path) -> None:
    used(tmp_path, killed=True).unlink()
    before = content(tmp_path)
    with pytest.raises(StoreCorrupt, match=r"extproc.db can't .*: it is missing, .* changes to it in extproc.db-wal"):
        Store.open(tmp_path)
    assert content(tmp_path) == before


def test_after_moving_a_damaged_file_away_a_new_store_is_made(tmp_path: Path) -> None:
    file = used(tmp_path, killed=True)
    file.write_text("garbage")
    for part in tmp_path.glob("extproc.db*"):
        part.rename(tmp_path / f"damaged-{part.name}")
    with closing(Store.open(tmp_path)) as store:
        assert store.current() == {}


def test_remains_of_a_maker_that_was_killed_are_no_store(tmp_path: Path) -> None:
    for name in ("extproc.db.new", "extproc.db.new-journal"):
        (tmp_path / name).write_bytes(b"half a store")
    with closing(Store.open(tmp_path)) as store:
        assert store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON).number == 1
    assert not list(tmp_path.glob("*.new*"))


def test_a_second_store_on_a_directory_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        with pytest.raises(StoreInUse, match=rf"{tmp_path} is in use by another process.*--state-dir"):
            Store.open(tmp_path)
        assert store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON).number == 1
    with closing(Store.open(tmp_path)) as store:
        assert store.current()["iris-ab"].number == 1


def test_a_directory_where_another_process_is_just_making_its_store_is_in_use(tmp_path: Path) -> None:
    with (tmp_path / "extproc.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(StoreInUse, match=rf"{tmp_path} is in use by another process"):
            Store.open(tmp_path)
    assert list(content(tmp_path)) == ["extproc.lock"]


def test_a_file_that_another_program_has_open_is_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.control.database.PATIENCE", 0.0)
    file = used(tmp_path)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreInUse, match=f"{tmp_path} is in use"):
            Store.open(tmp_path)
    with closing(Store.open(tmp_path)) as store:
        assert store.current()["iris-ab"].number == 40


def test_a_refused_directory_is_let_go(tmp_path: Path) -> None:
    file = used(tmp_path)
    whole = file.read_bytes()
    file.write_bytes(b"garbage" * 100)
    with pytest.raises(StoreCorrupt):
        Store.open(tmp_path)
    file.write_bytes(whole)
    with closing(Store.open(tmp_path)) as store:
        assert store.current()["iris-ab"].number == 40


def test_a_state_directory_that_is_a_file_is_unwritable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "state"):
        with pytest.raises(StoreUnwritable, match=rf"the state directory {place} can't be used: .*--state-dir"):
            Store.open(place)


def test_every_commit_is_synced(tmp_path: Path) -> None:
    database = Database.open(tmp_path)
    with closing(database):
        assert database.read("PRAGMA journal_mode") == [("wal",)]
        assert database.read("PRAGMA synchronous") == [(2,)]  # FULL
        assert database.read("PRAGMA locking_mode") == [("exclusive",)]


def test_a_block_that_raises_changes_nothing(tmp_path: Path) -> None:
    with closing(Database.open(tmp_path)) as database:
        with pytest.raises(KeyboardInterrupt), database.writing() as connection:
            connection.execute("INSERT INTO numbering VALUES ('iris-ab', 1)")
            raise KeyboardInterrupt
        assert database.read("SELECT * FROM numbering") == []
        with database.writing() as connection:
            connection.execute("INSERT INTO numbering VALUES ('iris-ab', 1)")
        assert database.read("SELECT * FROM numbering") == [("iris-ab", 1)]
