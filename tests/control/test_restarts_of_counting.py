"""What was decided while nobody counted says nothing about the split, whoever was ready then; time is the test's."""

import pytest

from extproc.control.accumulator import Outcomes
from extproc.control.comparison import fit
from extproc.control.outcome_store import Row
from extproc.control.outcomes import SplitOutcomes
from extproc.control.terms import PERIODS
from extproc.core.resources import Candidate, Experiment
from extproc.wire.access_log import Entry

AB = Experiment("ab", (Candidate("a", 1), Candidate("b", 1)))
BOTH = {"a": 0.5, "b": 0.5}
NOW = 1_800_000_000.0


def entry(route_name: str, at: float) -> Entry:
    return Entry(route_name, "", at, 0.010, 0.008, 200, (), 100, 1000, "")


def started_again(before: Outcomes, shares: dict[str, float], at: float) -> Outcomes:
    """Another control process, which has read what the one before it had written, and counts from `at` on."""
    ((name, term),) = before.changed()
    read = Row.of(name, term).term()
    read.of(AB)
    outcomes = Outcomes()
    outcomes.restore(name, [read])
    outcomes.in_force(1, AB, {"http": shares}, at - 2)
    outcomes.drawn_since(at)  # a start takes its time, in which workers go on with the table that they have
    return outcomes


@pytest.mark.parametrize(
    ("shares", "told", "observed"),
    [
        pytest.param(BOTH, ["ab/a"] * 2000, {"a": 7000, "b": 5000}, id="b was away before, and is back"),
        pytest.param({"a": 1.0}, ["ab/a", "ab/b"] * 1000, {"a": 6000, "b": 6000}, id="b was there before, and is away"),
    ],
)
def test_what_envoy_tells_after_a_restart_is_no_mismatch(
    shares: dict[str, float], told: list[str], observed: dict[str, int]
) -> None:
    before = Outcomes()
    before.in_force(1, AB, {"http": BOTH}, NOW)
    before.account([entry("ab/a", NOW + 1), entry("ab/b", NOW + 1)] * 5000)
    outcomes = started_again(before, shares, NOW + 100)
    outcomes.account(entry(route, NOW + 99) for route in told)
    split = outcomes.split("ab")
    assert split == SplitOutcomes(observed, {name: float(count) for name, count in observed.items()})
    found = fit(split)
    assert found is not None
    assert found.p_value == 1.0
    assert started_again(outcomes, BOTH, NOW + 200).split("ab") == split
    outcomes.account([entry("ab/a", NOW + 101)] * 100)  # and what comes then is compared again
    after = outcomes.split("ab")
    assert after is not None
    assert after.expected["a"] - observed["a"] == 100 * shares["a"]


def test_a_request_from_before_the_changes_that_are_remembered_is_no_mismatch() -> None:
    outcomes = Outcomes()
    for change in range(PERIODS + 2):
        outcomes.in_force(1, AB, {"http": {"a": 1.0} if change % 2 else BOTH}, NOW + change)
    outcomes.account([entry("ab/b", NOW + 1.5), entry("ab/a", NOW + 2)])
    assert outcomes.split("ab") == SplitOutcomes({"a": 1, "b": 1}, {"a": 0.5, "b": 1.5})
