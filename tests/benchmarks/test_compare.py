"""A ratio is taken round by round, and only of what was measured."""

from benchmarks.compare import Spread, figure, ratio
from benchmarks.measure import Sample
from benchmarks.targets import TARGETS, Measured, Verdict, verdicts


def sample(case: str, round_: int, rate: float, *, connections: int = 32, **cpu: float) -> Sample:
    latency = dict.fromkeys(("p50", "p90", "p99", "p99.9"), 1 / rate)
    return Sample(case, connections, round_, rate, latency, {"envoy": 1e-5, **cpu}, 0, 1.0, 0.0)


SAMPLES = [
    sample("native", 0, 100),
    sample("ours", 0, 60, worker=8e-6, control=1e-5),
    sample("native", 1, 200),
    sample("ours", 1, 140, worker=9e-6, control=1e-5),
    sample("native", 2, 50),
    sample("ours", 2, 45, worker=9.5e-6, control=1e-5),
    sample("ours", 3, 1, worker=1.0, control=1.0),  # native was not measured in this round
    sample("ours", 0, 1, connections=8),
]


def test_ratios_are_of_the_same_round() -> None:
    assert ratio(SAMPLES, "ours", 32, lambda s: s.rate) == Spread(0.7, 0.6, 0.9)


def test_what_was_not_measured_has_no_figure() -> None:
    assert figure(SAMPLES, "ours", 128, lambda s: s.rate) is None
    assert ratio(SAMPLES, "ours", 8, lambda s: s.rate) is None


def test_targets_are_judged_by_the_median_and_only_when_measured() -> None:
    found = {verdict.target.figure: verdict for verdict in verdicts(Measured(SAMPLES))}
    assert found["throughput, ours / native"].ok is True
    assert found["server CPU a request"].value == 9.25  # the worker's alone
    assert found["start to ready, 10,000"].ok is None


def test_bounds_hold_in_their_own_direction() -> None:
    at_least, at_most = TARGETS[0], TARGETS[3]
    assert [Verdict(at_least, value).ok for value in (0.61, 0.62)] == [False, True]
    assert [Verdict(at_most, value).ok for value in (2.2, 2.21)] == [True, False]
