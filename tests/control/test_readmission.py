"""Admission again, of what has changed a little: the same answer as if all of it were judged."""

from dataclasses import replace
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from extproc.control import readmission
from extproc.control.admission import NOTHING, Admission, admit
from extproc.control.readmission import readmit
from extproc.core.matches import Match
from extproc.core.offers import Document
from extproc.core.resources import Candidate, Kind
from tests.control.changing import UNTAKEN, documents, objections
from tests.control.test_admission import experiment, model, valid


@given(st.data())
def test_it_says_what_admission_says(data: st.DataObject) -> None:
    admission, before = NOTHING, tuple[Document, ...]()
    for _ in range(data.draw(st.integers(1, 12))):
        offered = data.draw(documents(before))
        again = readmit(admission, before, offered, objections)
        judged = admit(admission, offered, objections)
        assert again == judged
        assert by_kind(again) == by_kind(Admission(judged.admitted))
        admission, before = again, offered


def by_kind(admission: Admission) -> list[object]:
    """What an Admission keeps sorted."""
    pass_through = [admission.pass_through(kind) for kind in (Kind.CLUSTER, Kind.ROUTES)]
    names, reluctant = admission.experiment_names, admission.reluctant
    return [dict(admission.models), dict(admission.experiments_by_name), *map(dict, pass_through), names, reluctant]


def trials(count: int) -> tuple[Document, ...]:
    return (valid("a.json", *(experiment(f"e{i}", f"m{i}") for i in range(count)), model("iris2")),)


def changed(before: tuple[Document, ...], at: int, **fields: object) -> tuple[Document, ...]:
    offers = list(before[0].offers)
    offers[at] = replace(offers[at], resource=replace(offers[at].resource, **fields))  # type: ignore[type-var]
    return (Document("a.json", tuple(offers)),)


def test_of_a_change_of_one_weight_nothing_else_is_judged() -> None:
    before = trials(200)
    admission = admit(NOTHING, before)
    weights = (Candidate("m7", 9), Candidate("iris2", 1))
    with patch.object(readmission, "admit", side_effect=AssertionError("it judged everything")):
        after = readmit(admission, before, changed(before, 7, candidates=weights))
        assert readmit(admission, before, trials(200)) is admission, "the same once more is no change"
    assert list(after.other_than(admission)) == [(Kind.EXPERIMENT, "e7")]
    assert after.experiments_by_name["e7"].candidates == weights
    assert after.experiments_by_name["e8"] is admission.experiments_by_name["e8"]


def test_of_experiments_that_come_and_go_nothing_else_is_judged() -> None:
    before = trials(200)
    admission = admit(NOTHING, before)
    more = (Document("a.json", (*before[0].offers[1:], *valid("a.json", experiment("new", "wine")).offers)),)
    with patch.object(readmission, "admit", side_effect=AssertionError("it judged everything")):
        fewer = readmit(admission, before, (Document("a.json", before[0].offers[1:]),))
    assert "e0" not in fewer.experiment_names
    with_new = readmit(fewer, (Document("a.json", before[0].offers[1:]),), more)
    assert with_new == admit(fewer, more)
    assert with_new.experiment_names == (admission.experiment_names - {"e0"}) | {"new"}


def test_what_was_not_amended_is_compared() -> None:
    one = admit(NOTHING, [valid("a", model("x"))])
    other = admit(NOTHING, [valid("a", model("x"), model("y"))])
    assert set(other.other_than(one)) == {(Kind.MODEL, "x"), (Kind.MODEL, "y")}
    assert not one.other_than(one)


def test_what_has_become_invalid_is_judged_with_all_of_it() -> None:
    before = trials(3)
    admission = admit(NOTHING, before)
    after = changed(before, 1, match=Match.of({"prefix": UNTAKEN}))
    again = readmit(admission, before, after, objections)
    assert again == admit(admission, after, objections)
    assert again.experiments_by_name == admission.experiments_by_name
    new = (*valid("a.json", replace(experiment("new", "wine"), match=Match.of({"prefix": UNTAKEN}))).offers,)
    more = (Document("a.json", (*before[0].offers, *new)),)
    assert "new" not in readmit(admission, before, more, objections).experiment_names
