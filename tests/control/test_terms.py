"""What was in force when a request started, and who is asked around a change."""

from typing import Any

import pytest

from extproc.control.outcomes import Role
from extproc.control.terms import PERIODS, STRATA, TERMS, Shares, Terms
from extproc.core.resources import Candidate, Experiment, Mirror


def trial(weights: dict[str, int], mirror: str = "", **fields: Any) -> Experiment:
    candidates = tuple(Candidate(name, weight) for name, weight in weights.items())
    return Experiment("ab", candidates, mirror=Mirror(mirror, 1_000_000) if mirror else None, **fields)


def drawn(**shares: float) -> Shares:
    return {"http": shares, "grpc": {}}


EVEN, OTHER = trial({"a": 1, "b": 1}), trial({"a": 1, "c": 3}, mirror="m")
HALVES, QUARTERS = drawn(a=0.5, b=0.5), drawn(a=0.25, c=0.75)


def numbers(terms: Terms) -> list[tuple[int | None, float]]:
    return [(term.number, term.since) for term in terms.terms]


def test_a_change_through_the_api_begins_a_term() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(1, EVEN, HALVES, 150.0)
    terms.in_force(2, OTHER, QUARTERS, 200.0)
    assert numbers(terms) == [(1, 100.0), (2, 200.0)]
    assert [list(term.candidates) for term in terms.terms] == [["a", "b"], ["a", "c"]]
    assert [list(term.mirrors) for term in terms.terms] == [[], ["m"]]


def test_a_change_of_a_file_is_in_force_before_it_has_a_number() -> None:
    terms = Terms()
    terms.in_force(None, EVEN, HALVES, 100.0)
    terms.in_force(1, EVEN, HALVES, 101.0)
    terms.in_force(1, OTHER, QUARTERS, 200.0)  # revision 1 is still the last one on disk
    assert numbers(terms) == [(1, 100.0), (None, 200.0)]
    terms.in_force(2, OTHER, QUARTERS, 201.0)
    assert numbers(terms) == [(1, 100.0), (2, 200.0)]
    assert terms.terms[-1].changed


def test_stopped_and_started_again_is_another_term() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(3, EVEN, HALVES, 300.0)
    assert numbers(terms) == [(1, 100.0), (3, 300.0)]


def test_the_shares_change_within_a_term() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(1, EVEN, drawn(a=1.0), 110.0)  # b is down
    terms.in_force(1, EVEN, HALVES, 120.0)
    assert numbers(terms) == [(1, 100.0)]
    found = [terms.stratum(at, "http", "a") for at in (105.0, 115.0, 125.0)]
    assert [stratum and stratum.shares for stratum in found] == [{"a": 0.5, "b": 0.5}, {"a": 1.0}, {"a": 0.5, "b": 0.5}]
    assert found[0] is found[2]


def test_assignments_are_expected_by_the_shares_of_their_time() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(1, EVEN, drawn(a=1.0), 110.0)
    for at, requests in ((105.0, 40), (115.0, 7)):
        stratum = terms.stratum(at, "http", "a")
        assert stratum is not None
        stratum.assigned += requests
    assert terms.terms[0].outcomes().split.expected == {"a": 27.0, "b": 20.0}


@pytest.mark.parametrize(
    ("start", "candidate", "number"),
    [
        (50.0, "a", 1),  # before anything is known
        (150.0, "a", 1),
        (200.0, "a", 2),
        (250.0, "a", 2),
        (199.9, "c", 2),  # it started before the change, and was decided after it
        (200.1, "b", 1),  # Envoy's own split follows a moment later
        (999.0, "b", 1),
        (150.0, "z", None),
    ],
)
def test_a_request_belongs_to_what_was_in_force(start: float, candidate: str, number: int | None) -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(2, OTHER, QUARTERS, 200.0)
    term = terms.term(start, candidate, Role.PRIMARY)
    assert (term and term.number) == number


def test_a_copy_belongs_to_a_term_with_that_mirror() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, HALVES, 100.0)
    terms.in_force(2, OTHER, QUARTERS, 200.0)
    found = [terms.term(at, "m", Role.MIRROR) for at in (150.0, 250.0)]
    assert [term and term.number for term in found] == [2, 2]
    assert terms.term(250.0, "a", Role.MIRROR) is None
    assert terms.term(250.0, "m", Role.PRIMARY) is None


def test_protocols_have_shares_of_their_own() -> None:
    terms = Terms()
    terms.in_force(1, EVEN, {"http": {"a": 0.5, "b": 0.5}, "grpc": {"b": 1.0}}, 100.0)
    grpc = terms.stratum(150.0, "grpc", "b")
    assert grpc is not None
    assert grpc.shares == {"b": 1.0}
    assert terms.stratum(150.0, "grpc", "a") is None


def test_shares_are_sought_where_there_were_any() -> None:
    """Until Envoy has taken the routes nothing is drawn, but a request may have started then."""
    terms = Terms()
    terms.in_force(1, EVEN, drawn(), 100.0)
    terms.in_force(1, EVEN, HALVES, 110.0)
    found = terms.stratum(105.0, "http", "a")
    assert found is not None
    assert found.shares == {"a": 0.5, "b": 0.5}


def test_what_is_kept_is_bounded() -> None:
    terms = Terms()
    for number in range(1, TERMS + 10):
        terms.in_force(number, EVEN, HALVES, float(number))
    assert [term.number for term in terms.terms] == list(range(10, TERMS + 10))
    for step in range(1, STRATA + 50):
        terms.in_force(TERMS + 9, EVEN, drawn(a=step / 1000, b=1 - step / 1000), 1000.0 + step)
    assert len(terms.periods) == PERIODS
    assert len(terms.terms[-1].strata) == STRATA
