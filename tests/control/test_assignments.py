"""Whom named units go to, in the words of those who ask."""

import pytest

from extproc.control.assignments import assignments
from extproc.core.assignment import bucket, slot
from extproc.core.units import Layer, OnMissing, Override
from extproc.errors import Conflict
from extproc.wire.hashing import hash64
from tests.core.test_decide_units import USER, table, unit

ALICE = bucket(hash64, b"ab", b"alice")


def test_each_unit_has_its_candidate_and_its_bucket() -> None:
    (found,) = assignments(table(), "ab", ["alice"])
    decided = unit(table(), b"alice")
    assert found == {
        "unit": "alice",
        "candidate": decided.candidate,
        "outcome": "unit",
        "bucket": ALICE,
        "why": f"by its hash, bucket {ALICE}",
    }


def test_the_answers_are_in_the_order_of_the_questions() -> None:
    asked = [f"user-{i}" for i in range(50)]
    assert [found["unit"] for found in assignments(table(), "ab", asked)] == asked


def test_each_reason_has_its_words() -> None:
    own = slot(hash64, b"ranking", b"alice")
    elsewhere = Layer("ranking", 0, 0) if own else Layer("ranking", 1, 1)
    cases = [
        (table(overrides=(Override("iris2", ("alice",)),)), "override", "is on the list of an override"),
        (table(holdout=1_000_000), "holdout", "is among the 100 % that are held out"),
        (table(layer=elsewhere), "other_slot", f"is in slot {own} of the layer, and the experiment owns"),
        (table(usable=()), "unavailable", "the default stands in"),
    ]
    for of, outcome, why in cases:
        (found,) = assignments(of, "ab", ["alice"])
        assert found["outcome"] == outcome
        assert found["why"].startswith(why)
    assert assignments(table(layer=elsewhere), "ab", ["alice"])[0]["slot"] == own


def test_no_value_is_no_unit() -> None:
    (drawn,) = assignments(table(), "ab", [""])
    assert (drawn["candidate"], drawn["why"]) == (None, "has no value, so each request is drawn for")
    strict = table(stickiness=type(USER)(USER.source, USER.key, on_missing=OnMissing.DEFAULT))
    (left,) = assignments(strict, "ab", [""])
    assert (left["candidate"], left["outcome"]) == ("iris", "no_unit")


@pytest.mark.parametrize(
    ("of", "experiment", "path", "message"),
    [
        (table(), "gone", "name", "does not run"),
        (table(stickiness=None), "ab", "stickiness", "assigns requests, not units"),
        (table(accepted=()), "ab", "stickiness", "is not live yet"),
    ],
)
def test_what_assigns_nobody_says_why(of: object, experiment: str, path: str, message: str) -> None:
    with pytest.raises(Conflict) as raised:
        assignments(of, experiment, ["alice"])  # type: ignore[arg-type]
    (problem,) = raised.value.problems
    assert problem.path == path
    assert message in problem.message
