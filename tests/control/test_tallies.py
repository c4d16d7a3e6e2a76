"""A tally goes to disk and back as it was, and gives away copies alone."""

import json

import pytest

from extproc.control.histograms import Histogram
from extproc.control.outcomes import CandidateOutcomes
from extproc.control.tallies import Tally


def counted() -> Tally:
    tally = Tally(requests=3, received=10, sent=2**40)
    tally.by_outcome.update(weighted=2, fallback=1)
    tally.by_code.update({"2xx": 2, "0": 1})
    tally.flags["DC"] = 1
    for seconds in (0.001, 0.25, 7.0):
        tally.duration.add(seconds)
    tally.upstream.add(0.2)
    return tally


def test_a_tally_is_read_back_from_its_row() -> None:
    tally = Tally.of_row(json.loads(json.dumps(counted().row())))
    assert tally.frozen() == counted().frozen()
    tally.by_code["5xx"] += 1  # and counts on
    tally.duration.add(0.25)
    assert tally.frozen().errors == 2
    assert tally.frozen().duration.count == 4


def test_what_is_given_away_does_not_grow() -> None:
    tally = counted()
    before = tally.frozen()
    tally.by_outcome["weighted"] += 1
    tally.duration.add(1.0)
    assert before.by_outcome == {"weighted": 2, "fallback": 1}
    assert before.duration == Histogram.of([0.001, 0.25, 7.0])
    assert before.errors == 1


def test_an_untouched_tally_is_no_outcome() -> None:
    assert Tally().frozen() == CandidateOutcomes()


@pytest.mark.parametrize("row", [{}, {**counted().row(), "duration": 1}, {**counted().row(), "flags": "DC"}])
def test_what_is_no_row_is_refused(row: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        Tally.of_row(row)
