"""Outcomes are read back as they were written, never outlive their revisions, and never keep a store from opening."""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from extproc.control.outcome_store import Row
from extproc.control.outcomes import Role
from extproc.control.store import Action, Store
from extproc.control.terms import TERMS, Term, Terms
from extproc.core.resources import Candidate, Experiment, Mirror

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
AB = Experiment("ab", (Candidate("a", 1), Candidate("b", 1)), "a", Mirror("m", 1_000_000), holdout=10_000)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store.open(tmp_path)) as opened:
        yield opened


def record(store: Store, action: Action = Action.UPDATED) -> int:
    return store.record("ab", action, AB, source="api", at=NOON).number


def counted(number: int, requests: int = 7) -> Term:
    terms = Terms()
    terms.in_force(number, AB, {"http": {"a": 0.5, "b": 0.5}}, 1000.25 + number)
    (term,) = terms.terms
    tally = term.candidates["a"]
    tally.requests = requests
    tally.by_outcome["weighted"] = tally.by_code["2xx"] = requests
    tally.duration.add(0.5)
    term.mirrors["m"].requests = 3
    term.strata[0].assigned = requests
    term.untouched[Role.HOLDOUT].requests = 2
    return term


def test_a_term_is_read_back_from_its_row(store: Store) -> None:
    term = counted(record(store))
    store.outcomes.save([Row.of("ab", term)])
    (read,) = store.outcomes.load()["ab"]
    assert read.outcomes() == term.outcomes()
    assert read.outcomes().split.expected == {"a": 3.5, "b": 3.5}
    assert read.outcomes().untouched[Role.HOLDOUT].requests == 2


def test_a_row_from_before_anything_was_left_untouched_is_read_and_counted_on() -> None:
    term = Row("ab", 1, 1000.0, '{"candidates": {}, "mirrors": {}, "strata": []}').term()
    assert term.untouched == {}
    term.of(AB)
    assert list(term.untouched) == [Role.HOLDOUT]


def test_a_row_stays_as_it_was_while_counting_goes_on(store: Store) -> None:
    term = counted(record(store), 7)
    row = Row.of("ab", term)
    term.candidates["a"].requests += 1
    assert row.term().candidates["a"].requests == 7


def test_what_is_written_later_replaces_it(store: Store) -> None:
    first, second = record(store), record(store)
    store.outcomes.save([Row.of("ab", counted(first, 1)), Row.of("ab", counted(second, 2))])
    store.outcomes.save([Row.of("ab", counted(second, 20))])
    assert [(t.number, t.candidates["a"].requests) for t in store.outcomes.load()["ab"]] == [(first, 1), (second, 20)]


def test_only_the_last_revisions_are_kept(store: Store) -> None:
    for _ in range(TERMS + 3):
        store.outcomes.save([Row.of("ab", counted(record(store)))])
    assert [term.number for term in store.outcomes.load()["ab"]] == list(range(4, TERMS + 4))


def test_outcomes_go_with_their_experiment(store: Store) -> None:
    row = Row.of("ab", counted(record(store)))
    store.outcomes.save([row])
    record(store, Action.STOPPED)
    store.forget("ab")
    assert store.outcomes.load() == {}
    store.outcomes.save([row])  # it was on its way
    assert store.outcomes.load() == {}


@pytest.mark.parametrize("counts", ["", "[]", "{}", "null", '{"candidates": {"a": {}}, "mirrors": {}, "strata": []}'])
def test_a_row_that_can_t_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, counts: str) -> None:
    with closing(Store.open(tmp_path)) as store:
        store.outcomes.save([Row.of("ab", counted(record(store))), Row.of("ab", counted(record(store)))])
        with store._database.writing() as connection:
            connection.execute("UPDATE outcome SET counts = ? WHERE revision = 1", (counts,))
    with closing(Store.open(tmp_path)) as store, caplog.at_level(logging.WARNING):
        assert [term.number for term in store.outcomes.load()["ab"]] == [2]
    assert "outcomes of revision 1 of ab can't be read" in caplog.text
