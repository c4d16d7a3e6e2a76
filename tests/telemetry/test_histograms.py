"""Classic buckets: exact sums of the sparse ones, with the exemplars where they belong."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from extproc.control.histograms import Histogram, bucket
from extproc.control.outcomes import Exemplar, Totals
from extproc.telemetry.histograms import EXPONENTS, classic, of_counts

BOUNDS = [2.0**exponent for exponent in EXPONENTS]


@given(st.lists(st.floats(1e-7, 1e6) | st.sampled_from(BOUNDS)))
def test_a_bucket_counts_what_is_at_most_its_bound(durations: list[float]) -> None:
    buckets = classic(Totals(duration=Histogram.of(durations)))
    assert [float(le) for le, *_ in buckets] == [*BOUNDS, float("inf")]
    for le, count, *_ in buckets:
        assert count == sum(duration <= float(le) for duration in durations)


def test_the_last_traced_request_of_a_bucket_is_its_exemplar() -> None:
    durations = [0.0101, 0.012, 0.013, 0.3]
    traced = [
        Exemplar(f"{i:032x}", duration, at)
        for i, (duration, at) in enumerate(zip(durations, (5, 9, 7, 1), strict=True))
    ]
    totals = Totals(duration=Histogram.of(durations), exemplars={bucket(one.seconds): one for one in traced})
    found = {float(item[0]): item[2] for item in classic(totals) if len(item) == 3}
    assert {bound: exemplar.labels for bound, exemplar in found.items()} == {
        2**-6: {"trace_id": f"{1:032x}"},
        2**-1: {"trace_id": f"{3:032x}"},
    }
    assert (found[2**-6].value, found[2**-6].timestamp) == (0.012, 9)
    for low, high in pairwise([0.0, *BOUNDS]):
        if high in found:
            assert low < found[high].value <= high, "an exemplar outside of its bucket is an error of OpenMetrics"


def test_counts_that_are_not_cumulative_become_so() -> None:
    assert of_counts((0.5, 1.0), [3, 0, 4]) == [("0.5", 3), ("1.0", 3), ("+Inf", 7)]
