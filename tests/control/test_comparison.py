"""What outcomes say: the test of fit by enumeration, percentiles against the very durations, shares that changed."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.control.comparison import EXPECTED_LEAST, MISMATCH_BELOW, error_rate, fit, percentiles
from extproc.control.histograms import LOWEST, Histogram, upper_bound
from extproc.control.outcomes import CandidateOutcomes, SplitOutcomes
from extproc.intervals import percentile_ranks
from tests.harness.statistics import probability

BLUR = 2 ** (1 / 16)  # a bucket's bounds


def split(observed: dict[str, int], shares: dict[str, float]) -> SplitOutcomes:
    requests = sum(observed.values())
    return SplitOutcomes(observed, {name: share * requests for name, share in shares.items()})


def alarms(requests: int, share: float) -> float:
    """How probable a mismatch is for a split that works: every count that the first of two candidates may get."""
    shares = {"a": share, "b": 1 - share}
    most = min(requests, ceil(requests * share + 20 * (requests * share) ** 0.5 + 60))  # beyond, under 1e-20
    found = ((k, fit(split({"a": k, "b": requests - k}, shares))) for k in range(most + 1))
    return sum(probability(requests, share, k) for k, it in found if it and it.mismatch)


@pytest.mark.parametrize("share", [0.5, 0.3, 0.1, 0.01, 0.001])
def test_a_split_that_works_alarms_at_most_25_times_in_10000(share: float) -> None:
    """At every expectation from where anything is said; the greatest is near 10.4 of very many."""
    counts = {ceil(expected / share) for expected in (2, 5, 9, 9.9, 10, 10.2, 10.4, 10.7, 11, 12, 13, 15, 20, 30)}
    assert max(alarms(requests, share) for requests in counts) <= 0.0025


@pytest.mark.parametrize("shares", [(0.34, 0.33, 0.33), (0.6, 0.3, 0.1), (0.8, 0.1, 0.1), (0.9, 0.09, 0.01)])
def test_a_split_of_three_that_works_alarms_no_more_often(shares: tuple[float, ...]) -> None:
    a, b, c = shares
    for requests in (8, 20, 31, 45, 60):
        alarm = 0.0
        for k in range(requests + 1):
            for m in range(requests - k + 1):
                found = fit(split({"a": k, "b": m, "c": requests - k - m}, {"a": a, "b": b, "c": c}))
                if found and found.mismatch:
                    rest = requests - k
                    alarm += probability(requests, a, k) * (probability(rest, b / (b + c), m) if rest else 1.0)
        assert alarm <= 0.0025, requests


@pytest.mark.parametrize("share", [0.5, 0.3])
def test_with_many_requests_it_alarms_as_often_as_it_says(share: float) -> None:
    assert alarms(3_000, share) == pytest.approx(MISMATCH_BELOW, rel=0.1)


def test_p_values_are_uniform() -> None:
    """P(p-value <= x) is x, as far as counts are continuous: every outcome of 2,000 requests, by how likely it is."""
    found = [
        (probability(2000, 0.4, k), fit(split({"a": k, "b": 2000 - k}, {"a": 0.4, "b": 0.6}))) for k in range(2001)
    ]
    for level in (0.01, 0.05, 0.2, 0.5, 0.9):
        below = sum(weight for weight, it in found if it and it.p_value <= level)
        assert below == pytest.approx(level, abs=0.02)


def test_a_split_as_it_is_told() -> None:
    found = fit(split({"iris": 710, "iris2": 290}, {"iris": 0.7, "iris2": 0.3}))
    assert found
    assert found.requests == 1000
    assert found.expected == pytest.approx({"iris": 0.7, "iris2": 0.3})
    assert found.observed == {"iris": 0.71, "iris2": 0.29}
    assert found.chi_squared == pytest.approx(10**2 / 700 + 10**2 / 300)
    assert found.p_value == pytest.approx(0.490, abs=5e-4)
    assert not found.mismatch


def test_a_candidate_that_gets_half_of_its_share_is_a_mismatch() -> None:
    found = fit(split({"iris": 850, "iris2": 150}, {"iris": 0.7, "iris2": 0.3}))
    assert found
    assert found.mismatch


def test_without_assignments_there_is_nothing_to_say() -> None:
    assert fit(SplitOutcomes()) is None
    assert fit(SplitOutcomes({"iris": 0}, {"iris": 0.0})) is None


def test_too_few_are_no_evidence() -> None:
    for requests in range(1, int(EXPECTED_LEAST)):
        found = fit(split({"iris": requests, "iris2": 0}, {"iris": 0.5, "iris2": 0.5}))
        assert found
        assert (found.p_value, found.mismatch) == (1.0, False)


def test_one_that_was_decided_at_the_moment_of_a_change_is_no_alarm() -> None:
    found = fit(SplitOutcomes({"old": 1, "new": 100_000}, {"new": 100_001.0}))
    assert found
    assert not found.mismatch
    assert found.expected == {"old": 0.0, "new": 1.0}


def test_a_rare_candidate_is_no_evidence_until_it_gets_more_than_the_least_that_is_judged() -> None:
    shares = {"a": 0.6, "b": 0.395, "c": 0.005}
    few = fit(split({"a": 600, "b": 390, "c": 10}, shares))  # 5 are expected of c
    assert few
    assert few.p_value > 0.5
    for c in (30, 600):
        many = fit(split({"a": 1000 - 395 - c, "b": 395, "c": c}, shares))
        assert many
        assert many.mismatch


def test_rare_candidates_are_judged_together() -> None:
    shares = {"a": 0.988, "b": 0.006, "c": 0.006}
    for b, c, wrong in ((10, 2, False), (2, 10, False), (0, 0, True), (20, 20, True)):
        found = fit(split({"a": 1000 - b - c, "b": b, "c": c}, shares))
        assert found
        assert found.mismatch is wrong, (b, c)


@pytest.mark.parametrize("late", [400.0, 500.0, 600.0])
def test_what_was_to_get_none_and_got_many_is_a_mismatch(late: float) -> None:
    """Also where it got exactly what another one lacks."""
    found = fit(SplitOutcomes({"a": 1000 - int(late), "gone": int(late)}, {"a": 1000 - late, "late": late}))
    assert found
    assert found.mismatch
    assert set(found.observed) == set(found.expected) == {"a", "gone", "late"}


def test_shares_that_changed_are_no_mismatch() -> None:
    """1,000 while iris2 was down, then 1,000 at 70 to 30."""
    found = fit(SplitOutcomes({"iris": 1700, "iris2": 300}, {"iris": 1700.0, "iris2": 300.0}))
    assert found
    assert found.p_value == 1.0


@given(
    st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 10**6)), min_size=1, max_size=8),
)
def test_a_p_value_is_a_probability_whatever_was_counted(weights: list[tuple[int, int]]) -> None:
    total = sum(weight for weight, _ in weights)
    observed = {f"c{i}": count for i, (_, count) in enumerate(weights)}
    found = fit(split(observed, {f"c{i}": weight / total for i, (weight, _) in enumerate(weights)}))
    if found is None:
        assert not sum(observed.values())
        return
    assert 0 <= found.p_value <= 1
    assert found.chi_squared >= 0
    assert sum(found.expected.values()) == pytest.approx(1)
    assert sum(found.observed.values()) == pytest.approx(1)


def test_the_error_rate_counts_what_failed_and_what_got_no_answer() -> None:
    assert error_rate(CandidateOutcomes()) is None
    outcomes = CandidateOutcomes(20, by_code={"2xx": 19, "4xx": 0, "0": 1})
    estimate = error_rate(outcomes)
    assert estimate
    assert estimate.value == 0.05
    assert (estimate.low, estimate.high) == pytest.approx((0.0089, 0.2361), abs=5e-5)


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=600))
def test_a_percentile_and_its_interval_hold_the_durations_of_their_ranks(durations: list[float]) -> None:
    ordered = sorted(durations)
    for percent, estimate in percentiles(Histogram.of(durations)).items():
        exact = ordered[-(-percent * len(ordered) // 100) - 1]
        assert exact / BLUR <= estimate.value <= exact * BLUR
        low, high = percentile_ranks(len(ordered), percent / 100)
        if low:
            assert ordered[low - 1] / BLUR <= estimate.low <= ordered[low - 1]
        else:
            assert estimate.low == 0
        if high <= len(ordered):
            assert estimate.high is not None
            assert ordered[high - 1] <= estimate.high * (1 + 1e-12) <= ordered[high - 1] * BLUR * (1 + 1e-9)
        else:
            assert estimate.high is None
        assert estimate.low <= estimate.value <= (estimate.high or estimate.value)


def test_percentiles_of_nothing_and_of_no_time_at_all() -> None:
    assert percentiles(Histogram()) == {}
    at_once = percentiles(Histogram({LOWEST: 1000}))
    assert at_once[50].value == at_once[50].high == upper_bound(LOWEST)
    assert at_once[50].low == 0.0


def test_percentiles_lie_evenly_in_a_bucket() -> None:
    """1,000 values of 1 s to 2 s, one in 16 to a bucket: no jump from one to the next."""
    found = percentiles(Histogram.of(2 ** (i / 1000) for i in range(1000)))
    assert found[50].value == pytest.approx(2**0.5, rel=0.005)
    assert found[99].value == pytest.approx(2**0.99, rel=0.005)
