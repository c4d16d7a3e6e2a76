"""A file of an older schema version is brought to the present one, and one of a newer version is left alone.

The files of older versions are kept as the SQL of their content, so that a reader can see what is in them.
"""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest

from extproc.control.schema import MIGRATIONS, VERSION
from extproc.control.store import Action, Store
from extproc.core.resources import Candidate, Experiment, Mirror
from extproc.errors import StoreCorrupt, StoreTooNew

RELEASED: Final = Path(__file__).parents[1] / "fixtures" / "store"
OLDER: Final = range(1, VERSION)
NOON: Final = datetime(2025, 3, 1, 12, tzinfo=UTC)
EVEN: Final = Experiment("iris-ab", (Candidate("iris", 50), Candidate("iris2", 50)), default="iris")
ALL_NEW: Final = Experiment(
    "iris-ab", (Candidate("iris", 0), Candidate("iris2", 100)), default="iris", mirror=Mirror("iris3", 125_000)
)


def execute(file: Path, sql: str) -> None:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(sql)


def write_version(version: int, file: Path) -> None:
    execute(file, (RELEASED / f"version-{version}.sql").read_text())


@pytest.mark.parametrize("killed", [False, True])
def test_a_file_of_a_newer_extproc_is_refused_and_left_as_it_is(tmp_path: Path, killed: bool) -> None:
    store = Store.open(tmp_path)
    store._database._connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    if killed:
        store._database._connection.interrupt()
    store.close()
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(StoreTooNew, match=rf"extproc.db has schema version {VERSION + 1},.*above {VERSION}:"):
        Store.open(tmp_path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


@pytest.mark.parametrize("version", OLDER)
def test_a_file_of_an_older_version_is_migrated(tmp_path: Path, version: int) -> None:
    write_version(version, tmp_path / "extproc.db")
    why = "more of it" if version > 1 else ""
    with closing(Store.open(tmp_path)) as store:
        assert [(r.number, r.action, r.spec, r.caller, r.why) for r in store.history("iris-ab")] == [
            (1, Action.STARTED, EVEN, "maria", ""),
            (2, Action.UPDATED, ALL_NEW, "maria", ""),
            (3, Action.ROLLED_BACK, EVEN, "ben", why),
        ]
        assert store.history("iris-ab")[1].at == datetime(2025, 3, 2, 10, 0, 0, 250_000, tzinfo=UTC)
        assert {n: (r.number, r.source) for n, r in store.current().items()} == {
            "iris-ab": (3, "api"),
            "wine-ab": (2, "/etc/extproc/wine.json"),
        }
        old = Experiment("old", (Candidate("a", 1),))
        assert store.record("old", Action.STARTED, old, source="api", why="again", at=NOON).number == 4
        assert store.outcomes.load() == {}
    with closing(Store.open(tmp_path)) as store:
        assert store.current()["old"].why == "again"
        assert _version(store) == VERSION


@pytest.mark.parametrize("version", OLDER)
def test_a_migrated_file_has_the_schema_of_a_new_one(tmp_path: Path, version: int) -> None:
    (tmp_path / "old").mkdir()
    write_version(version, tmp_path / "old" / "extproc.db")
    for name in ("old", "new"):
        Store.open(tmp_path / name).close()
    assert _schema(tmp_path / "old" / "extproc.db") == _schema(tmp_path / "new" / "extproc.db")


@pytest.mark.parametrize("version", OLDER)
def test_a_released_version_is_what_its_migrations_still_make(tmp_path: Path, version: int) -> None:
    write_version(version, tmp_path / "released.db")
    execute(tmp_path / "made.db", "".join(MIGRATIONS[:version]))
    assert _schema(tmp_path / "made.db") == _schema(tmp_path / "released.db")


def test_a_migration_that_fails_leaves_the_old_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "extproc.db"
    write_version(1, file)
    schema = _schema(file)
    half = ("", "ALTER TABLE revision ADD COLUMN why TEXT; ALTER TABLE nobody ADD COLUMN why TEXT;")
    with monkeypatch.context() as patch:
        patch.setattr("extproc.control.database.MIGRATIONS", half)
        with pytest.raises(StoreCorrupt, match="nobody"):
            Store.open(tmp_path)
    assert _schema(file) == schema
    with closing(Store.open(tmp_path)) as store:
        assert _version(store) == VERSION


def _version(store: Store) -> int:
    return int(store._database.read("PRAGMA user_version")[0][0])


def _schema(file: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
