"""Offers are plain values: equal when they say the same, so that a source can tell a change from a repetition."""

from extproc.core.offers import Document, Offer
from extproc.core.resources import Candidate, Experiment, Kind
from extproc.errors import Problem


def test_equal_readings_are_equal() -> None:
    def document(weight: int) -> Document:
        experiment = Experiment("e", (Candidate("a", weight),))
        return Document("f.json", (Offer("f.json", "", Kind.EXPERIMENT, "e", experiment),))

    assert document(1) == document(1)
    assert document(1) != document(2)
    assert Document("f.json", problems=(Problem("", "x"),)) != Document("f.json")
