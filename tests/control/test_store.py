"""Revisions are numbered, kept, read back equal, and forgotten."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from extproc.control.store import Action, Revision, Store
from extproc.core.resources import Candidate, Experiment, Mirror, ResourceType, Retry, WhenUnavailable
from extproc.errors import StoreCorrupt

NOON = datetime(2025, 3, 1, 12, tzinfo=UTC)
IRIS = Experiment("iris-ab", (Candidate("iris", 70), Candidate("iris2", 30)), default="iris")
WINE = Experiment("wine-ab", (Candidate("wine", 1),))
RICH = Experiment(
    "iris-ab",
    (Candidate("iris", 0), Candidate("iris2", 2**32 - 1)),
    default="iris",
    mirror=Mirror("iris3", 123_456),
    resource_type=ResourceType.PIPELINE,
    when_unavailable=WhenUnavailable.DEFAULT_ONLY,
    timeout=1500,
    retry=Retry(3, ("5xx", "reset"), 250),
)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path)) as store:
        yield store


def test_a_new_store_is_empty_and_its_directory_private(tmp_path: Path) -> None:
    state_dir = tmp_path / "var" / "extproc"
    with closing(Store.open(state_dir)) as store:
        assert store.current() == {}
        assert store.history("iris-ab") == ()
    assert state_dir.stat().st_mode & 0o777 == 0o700


def test_record_returns_the_revision_that_history_and_current_tell(store: Store) -> None:
    revision = store.record("iris-ab", Action.STARTED, IRIS, source="api", caller="maria", why="try iris2", at=NOON)
    assert revision == Revision("iris-ab", 1, Action.STARTED, IRIS, "api", "maria", "try iris2", NOON)
    assert store.history("iris-ab") == (revision,)
    assert store.current() == {"iris-ab": revision}


def test_numbers_count_from_one_for_each_name(store: Store) -> None:
    for action in (Action.STARTED, Action.UPDATED, Action.STOPPED):
        store.record("iris-ab", action, IRIS, source="api", at=NOON)
    store.record("wine-ab", Action.STARTED, WINE, source="/etc/extproc/wine.json", at=NOON)
    store.record("iris-ab", Action.ROLLED_BACK, RICH, source="api", at=NOON)
    assert [(r.number, r.action.value) for r in store.history("iris-ab")] == [
        (1, "started"),
        (2, "updated"),
        (3, "stopped"),
        (4, "rolled_back"),
    ]
    assert {name: r.number for name, r in store.current().items()} == {"iris-ab": 4, "wine-ab": 1}


@pytest.mark.parametrize("spec", [IRIS, WINE, RICH], ids=["plain", "without default", "every field"])
def test_a_spec_is_read_back_equal(tmp_path: Path, spec: Experiment) -> None:
    with closing(Store.open(tmp_path)) as store:
        written = store.record(spec.name, Action.STARTED, spec, source="api", at=NOON)
        assert store.history(spec.name) == (written,)
    with closing(Store.open(tmp_path)) as store:
        assert store.current() == {spec.name: written}
        assert store.current()[spec.name].spec == spec


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    caller=st.text(st.characters(exclude_categories=["Cs"])),
    why=st.text(st.characters(exclude_categories=["Cs"])),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_any_words_and_any_moment_are_read_back_equal(store: Store, caller: str, why: str, at: datetime) -> None:
    written = store.record("iris-ab", Action.UPDATED, IRIS, source="api", caller=caller, why=why, at=at)
    assert store.history("iris-ab")[-1] == written


def test_current_is_a_value_that_later_changes_do_not_touch(store: Store) -> None:
    first = store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
    before = store.current()
    store.record("iris-ab", Action.UPDATED, RICH, source="api", at=NOON)
    assert before == {"iris-ab": first}
    with pytest.raises(TypeError):
        before["iris-ab"] = first  # type: ignore[index]


def test_a_forgotten_name_is_gone_and_its_numbers_are_not_given_again(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
        store.record("iris-ab", Action.STOPPED, IRIS, source="api", at=NOON)
        wine = store.record("wine-ab", Action.STARTED, WINE, source="api", at=NOON)
        store.forget("iris-ab")
        assert store.history("iris-ab") == ()
        assert store.current() == {"wine-ab": wine}
    with closing(Store.open(tmp_path)) as store:
        assert store.current() == {"wine-ab": wine}
        store.forget("iris-ab")  # once more is fine
        assert store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON).number == 3


def test_a_running_experiment_is_not_forgotten(store: Store) -> None:
    started = store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
    with pytest.raises(ValueError, match="iris-ab was started, not stopped"):
        store.forget("iris-ab")
    assert store.history("iris-ab") == (started,)


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"at": NOON.replace(tzinfo=None)}, "not in UTC"),
        ({"at": NOON.astimezone(timezone(timedelta(hours=1)))}, "not in UTC"),
        ({"spec": WINE}, "holds the spec of wine-ab"),
        ({"why": "\ud800"}, "surrogates not allowed"),
    ],
    ids=["no time zone", "another time zone", "another's spec", "no text"],
)
def test_a_bug_of_the_caller_is_told_and_leaves_nothing(store: Store, wrong: dict[str, Any], error: str) -> None:
    given: dict[str, Any] = {"spec": IRIS, "at": NOON, **wrong}
    with pytest.raises(ValueError, match=error):
        store.record("iris-ab", Action.STARTED, source="api", **given)
    assert store.history("iris-ab") == ()
    assert store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON).number == 1


def test_threads_take_turns(store: Store) -> None:
    def record(turn: int) -> Revision:
        spec = (IRIS, WINE)[turn % 2]
        return store.record(spec.name, Action.UPDATED, spec, source="api", why=str(turn), at=NOON)

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(record, range(100)))
    for name in ("iris-ab", "wine-ab"):
        history = store.history(name)
        assert [r.number for r in history] == list(range(1, 51))
        assert set(history) == {r for r in made if r.name == name}
        assert store.current()[name] == history[-1]


def test_a_closed_store_can_be_closed_again_and_opened_anew(tmp_path: Path) -> None:
    store = Store.open(tmp_path)
    store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
    store.close()
    store.close()
    with closing(Store.open(tmp_path)) as store:
        assert [r.spec for r in store.history("iris-ab")] == [IRIS]


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("""UPDATE revision SET spec = '{"@type":'""", "line 1, column 10"),
        ("UPDATE revision SET spec = replace(spec, '70', '-70')", r"candidates\[0\].weight"),
        ("UPDATE revision SET spec = '[]'", "no Experiment"),
        (
            """UPDATE revision
               SET spec = '{"@type":"type.googleapis.com/extproc.v1.Model","name":"iris-ab","cluster":"c"}'""",
            "no Experiment",
        ),
        ("UPDATE revision SET spec = replace(spec, 'iris-ab', 'wine-ab')", "holds the spec of wine-ab"),
        ("UPDATE revision SET action = 'paused'", "'paused' is not a valid Action"),
        ("UPDATE revision SET at = 'yesterday'", "Invalid isoformat string: 'yesterday'"),
        ("UPDATE revision SET at = '2025-03-01T12:00:00'", "not in UTC"),
        ("UPDATE revision SET at = x'07'", "argument must be str"),
    ],
    ids=["no JSON", "invalid", "nothing", "a Model", "another's spec", "action", "no date", "no time zone", "no text"],
)
def test_a_revision_that_cannot_be_read_is_named(tmp_path: Path, damage: str, found: str) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
    _alter(tmp_path, damage)
    with pytest.raises(
        StoreCorrupt, match=rf"{tmp_path}/extproc.db .*revision 1 of iris-ab: .*{found}.*move extproc.db"
    ):
        Store.open(tmp_path)


def test_an_old_revision_that_cannot_be_read_spoils_its_history_only(tmp_path: Path) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.record("iris-ab", Action.STARTED, IRIS, source="api", at=NOON)
        last = store.record("iris-ab", Action.UPDATED, RICH, source="api", at=NOON)
    _alter(tmp_path, "UPDATE revision SET why = CAST(x'ff' AS TEXT) WHERE number = 1")
    with closing(Store.open(tmp_path)) as store:
        assert store.current() == {"iris-ab": last}
        with pytest.raises(StoreCorrupt, match=r"extproc.db .*UTF-8"):
            store.history("iris-ab")


def _alter(state_dir: Path, sql: str) -> None:
    with closing(sqlite3.connect(state_dir / "extproc.db", isolation_level=None)) as connection:
        connection.execute(sql)
