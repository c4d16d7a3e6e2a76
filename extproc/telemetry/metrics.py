"""The metrics: a function that reads each from what was seen, and a table of all with their names.

Names and units are as https://prometheus.io/docs/practices/naming/ has them. Labels hold names of configured things and
words of fixed sets, nothing that a request brings: how many series there are is bounded by what is configured. An
experiment that is gone for its retention time is in no Reading any more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.metrics_core import Metric

from extproc import __version__
from extproc.control.comparison import Fit, fit
from extproc.control.status import ExperimentState
from extproc.core.resources import Kind
from extproc.core.table import Outcome
from extproc.telemetry.decisions import BOUNDS
from extproc.telemetry.families import Family, HistogramFamily, Histograms, Numbers
from extproc.telemetry.histograms import classic, of_counts
from extproc.telemetry.readings import Reading

PRIMARY: Final = "primary"
MIRROR: Final = "mirror"
UNREADABLE: Final = "unreadable"  # the type of what can't even be told apart


@dataclass(frozen=True, slots=True)
class Seen:
    """A Reading and what follows from it for several families, worked out once."""

    reading: Reading
    fits: tuple[tuple[str, Fit], ...]

    @classmethod
    def of(cls, reading: Reading) -> "Seen":
        fits = ((name, fit(split)) for name, split in sorted(reading.splits.items()))
        return cls(reading, tuple((name, found) for name, found in fits if found))


def _decisions(seen: Seen) -> Numbers:
    counts = seen.reading.decided.counts if seen.reading.decided else {}
    # Zeros only where counting will begin, so that the first increase is seen; other outcomes are mostly never.
    return ((by, count) for by, count in sorted(counts.items()) if count or by[2] == Outcome.WEIGHTED)


def _decision_seconds(seen: Seen) -> Histograms:
    if decided := seen.reading.decided:
        yield (), of_counts(BOUNDS, decided.by_bucket), decided.seconds


def _requests(seen: Seen) -> Numbers:
    for by, totals in seen.reading.totals.items():
        for code_class, count in sorted(totals.by_code.items()):
            yield (by.experiment, by.candidate, MIRROR if by.mirror else PRIMARY, code_class), count


def _request_seconds(seen: Seen) -> Histograms:
    for by, totals in seen.reading.totals.items():
        labels = (by.experiment, by.candidate, MIRROR if by.mirror else PRIMARY)
        yield labels, classic(totals), totals.duration.total


def _fallbacks(seen: Seen) -> Numbers:
    return (((by.experiment, by.candidate), t.fallbacks) for by, t in seen.reading.totals.items() if not by.mirror)


def _ready(seen: Seen) -> Numbers:
    for shown in seen.reading.experiments:
        for candidate in shown.candidates:
            yield (shown.name, candidate.name, PRIMARY), candidate.ready
        if shown.mirror:
            yield (shown.name, shown.mirror.name, MIRROR), shown.mirror.ready


def _weight(seen: Seen) -> Numbers:
    return (((shown.name, one.name), one.weight) for shown in seen.reading.experiments for one in shown.candidates)


def _share(seen: Seen) -> Numbers:
    return (((shown.name, one.name), one.share) for shown in seen.reading.experiments for one in shown.candidates)


def _mirror(seen: Seen) -> Numbers:
    return (((s.name, s.mirror.name), s.mirror.percent / 100) for s in seen.reading.experiments if s.mirror)


def _state(seen: Seen) -> Numbers:
    states = dict.fromkeys(seen.reading.stopped, ExperimentState.STOPPED)
    states |= {shown.name: shown.state for shown in seen.reading.experiments}
    return (((name, state.value), state is now) for name, now in states.items() for state in ExperimentState)


def _revision(seen: Seen) -> Numbers:
    return (((name,), number) for name, number in seen.reading.revisions.items())


def _split_observed(seen: Seen) -> Numbers:
    return (((name, candidate), share) for name, found in seen.fits for candidate, share in found.observed.items())


def _split_expected(seen: Seen) -> Numbers:
    return (((name, candidate), share) for name, found in seen.fits for candidate, share in found.expected.items())


def _split_requests(seen: Seen) -> Numbers:
    return (((name,), found.requests) for name, found in seen.fits)


def _split_p_value(seen: Seen) -> Numbers:
    return (((name,), found.p_value) for name, found in seen.fits)


def _split_mismatch(seen: Seen) -> Numbers:
    return (((name,), found.mismatch) for name, found in seen.fits)


def _problems(seen: Seen) -> Numbers:
    counts = dict.fromkeys((*(kind.word for kind in Kind), UNREADABLE), 0)
    for report in seen.reading.reports:
        counts[report.kind.word if report.kind else UNREADABLE] += len(report.problems)
    return (((word,), count) for word, count in counts.items())


def _acks(seen: Seen) -> Numbers:
    return (((xds_type,), count) for xds_type, count in seen.reading.acks.items())


def _nacks(seen: Seen) -> Numbers:
    return (((xds_type,), count) for xds_type, count in seen.reading.nacks.items())


def _envoys(seen: Seen) -> Numbers:
    return [((), seen.reading.envoys)]


def _spans_dropped(seen: Seen) -> Numbers:
    return [] if seen.reading.spans_dropped is None else [((), seen.reading.spans_dropped)]


def _build(_: Seen) -> Numbers:
    return [((__version__,), 1)]


_ONE: Final = ("experiment",)
_EACH: Final = ("experiment", "candidate")
_ANSWERER: Final = (*_EACH, "role")

FAMILIES: Final[Sequence[Family[Seen] | HistogramFamily[Seen]]] = (
    Family(
        "extproc_decisions_total",
        "Decisions that extproc has taken, by why.",
        (*_EACH, "outcome"),
        "counter",
        _decisions,
    ),
    HistogramFamily(
        "extproc_decision_seconds",
        "From a request's arrival at extproc to its reply; a sample, in which each stands for those not measured.",
        (),
        _decision_seconds,
    ),
    Family(
        "extproc_requests_total",
        "Requests that were answered, by who answered (role mirror: copies) and the class of the status;"
        " 0 for no answer at all.",
        (*_ANSWERER, "code_class"),
        "counter",
        _requests,
    ),
    HistogramFamily(
        "extproc_request_seconds",
        "From a request's first byte to its end, as Envoy saw it.",
        _ANSWERER,
        _request_seconds,
    ),
    Family(
        "extproc_fallback_requests_total",
        "Requests that Envoy split by itself: extproc did not answer in time, or left them to Envoy.",
        _EACH,
        "counter",
        _fallbacks,
    ),
    Family("extproc_candidate_ready", "Whether requests may be sent there.", _ANSWERER, "gauge", _ready),
    Family("extproc_candidate_weight", "The weight as it is configured.", _EACH, "gauge", _weight),
    Family(
        "extproc_candidate_share",
        "The part of fresh assignments that a candidate is to get now, 0 to 1: its weight among those that are ready.",
        _EACH,
        "gauge",
        _share,
    ),
    Family(
        "extproc_mirror_ratio", "The part of requests that is copied to the mirror, 0 to 1.", _EACH, "gauge", _mirror
    ),
    Family(
        "extproc_experiment_state",
        "1 for the state that an experiment is in, 0 for every other.",
        (*_ONE, "state"),
        "gauge",
        _state,
    ),
    Family("extproc_experiment_revision", "The revision in force.", _ONE, "gauge", _revision),
    Family(
        "extproc_split_requests",
        "Fresh weighted assignments in the revision in force: what is compared with the weights.",
        _ONE,
        "gauge",
        _split_requests,
    ),
    Family("extproc_split_observed_ratio", "The part of them that a candidate got.", _EACH, "gauge", _split_observed),
    Family(
        "extproc_split_expected_ratio",
        "The part of them that it should have got, by the shares in effect at the time of each.",
        _EACH,
        "gauge",
        _split_expected,
    ),
    Family(
        "extproc_split_p_value",
        "How probable it is that a split that works misses by so much (chi-squared).",
        _ONE,
        "gauge",
        _split_p_value,
    ),
    Family(
        "extproc_split_mismatch",
        "1 while the p-value is under 0.001: requests do not go where the weights send them.",
        _ONE,
        "gauge",
        _split_mismatch,
    ),
    Family(
        "extproc_resource_problems",
        "What is wrong with resources that were not taken, by their type.",
        ("type",),
        "gauge",
        _problems,
    ),
    Family("extproc_xds_acks_total", "Configurations that an Envoy took.", ("type",), "counter", _acks),
    Family("extproc_xds_nacks_total", "Configurations that an Envoy refused.", ("type",), "counter", _nacks),
    Family("extproc_envoys_connected", "Envoys that take their configuration from here.", (), "gauge", _envoys),
    Family("extproc_spans_dropped_total", "Spans that did not reach the collector.", (), "counter", _spans_dropped),
    Family("extproc_build_info", "Always 1.", ("version",), "gauge", _build),
)


def families(reading: Reading) -> Iterator[Metric]:
    """Every metric of what was read."""
    seen = Seen.of(reading)
    return (family.metric(seen) for family in FAMILIES)
