"""What each metric is read from: functions from what was seen to labels and numbers, in the order of the table."""

from dataclasses import dataclass
from typing import Final

from extproc import __version__
from extproc.control.comparison import Fit, fit
from extproc.control.outcomes import Role
from extproc.control.status import ExperimentState
from extproc.core.resources import MILLION, Kind
from extproc.core.table import Outcome
from extproc.telemetry.decisions import BOUNDS
from extproc.telemetry.families import Histograms, Numbers
from extproc.telemetry.histograms import classic, of_counts
from extproc.telemetry.readings import Reading

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


def decisions(seen: Seen) -> Numbers:
    counts = seen.reading.decided.counts if seen.reading.decided else {}
    # Zeros only where counting will begin, so that the first increase is seen; other outcomes are mostly never.
    return ((by, count) for by, count in sorted(counts.items()) if count or by[2] == Outcome.WEIGHTED)


def decision_seconds(seen: Seen) -> Histograms:
    if decided := seen.reading.decided:
        yield (), of_counts(BOUNDS, decided.by_bucket), decided.seconds


def requests(seen: Seen) -> Numbers:
    for by, totals in seen.reading.totals.items():
        for code_class, count in sorted(totals.by_code.items()):
            yield (by.experiment, by.candidate, by.role.value, code_class), count


def request_seconds(seen: Seen) -> Histograms:
    for by, totals in seen.reading.totals.items():
        labels = (by.experiment, by.candidate, by.role.value)
        yield labels, classic(totals), totals.duration.total


def fallbacks(seen: Seen) -> Numbers:
    found: dict[tuple[str, str], int] = {}  # the default may answer in several roles
    for by, totals in seen.reading.totals.items():
        if by.role is not Role.MIRROR:
            key = by.experiment, by.candidate
            found[key] = found.get(key, 0) + totals.fallbacks
    return found.items()


def ready(seen: Seen) -> Numbers:
    for shown in seen.reading.experiments:
        for candidate in shown.candidates:
            yield (shown.name, candidate.name, Role.PRIMARY.value), candidate.ready
        for mirror in shown.mirrors:
            yield (shown.name, mirror.name, Role.MIRROR.value), mirror.ready


def weight(seen: Seen) -> Numbers:
    return (((shown.name, one.name), one.weight) for shown in seen.reading.experiments for one in shown.candidates)


def share(seen: Seen) -> Numbers:
    return (((shown.name, one.name), one.share) for shown in seen.reading.experiments for one in shown.candidates)


def mirror(seen: Seen) -> Numbers:
    return (((s.name, mirror.name), mirror.percent / 100) for s in seen.reading.experiments for mirror in s.mirrors)


def holdout(seen: Seen) -> Numbers:
    return (((s.name,), s.spec.holdout / MILLION) for s in seen.reading.experiments if s.spec and s.spec.holdout)


def state(seen: Seen) -> Numbers:
    states = dict.fromkeys(seen.reading.stopped, ExperimentState.STOPPED)
    states |= {shown.name: shown.state for shown in seen.reading.experiments}
    return (((name, state.value), state is now) for name, now in states.items() for state in ExperimentState)


def revision(seen: Seen) -> Numbers:
    return (((name,), number) for name, number in seen.reading.revisions.items())


def split_observed(seen: Seen) -> Numbers:
    return (((name, candidate), share) for name, found in seen.fits for candidate, share in found.observed.items())


def split_expected(seen: Seen) -> Numbers:
    return (((name, candidate), share) for name, found in seen.fits for candidate, share in found.expected.items())


def split_requests(seen: Seen) -> Numbers:
    return (((name,), found.requests) for name, found in seen.fits)


def split_p_value(seen: Seen) -> Numbers:
    return (((name,), found.p_value) for name, found in seen.fits)


def split_mismatch(seen: Seen) -> Numbers:
    return (((name,), found.mismatch) for name, found in seen.fits)


def resource_problems(seen: Seen) -> Numbers:
    counts = dict.fromkeys((*(kind.word for kind in Kind), UNREADABLE), 0)
    for report in seen.reading.reports:
        counts[report.kind.word if report.kind else UNREADABLE] += len(report.problems)
    return (((word,), count) for word, count in counts.items())


def acks(seen: Seen) -> Numbers:
    return (((xds_type,), count) for xds_type, count in seen.reading.acks.items())


def nacks(seen: Seen) -> Numbers:
    return (((xds_type,), count) for xds_type, count in seen.reading.nacks.items())


def envoys(seen: Seen) -> Numbers:
    return [((), seen.reading.envoys)]


def spans_dropped(seen: Seen) -> Numbers:
    return [] if seen.reading.spans_dropped is None else [((), seen.reading.spans_dropped)]


def build_info(_: Seen) -> Numbers:
    return [((__version__,), 1)]
