"""What one scrape tells of, taken in one go; frozen, so that a thread can make text of it while everything goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from extproc.control.admission import Report
from extproc.control.outcomes import Counted as Answerer
from extproc.control.outcomes import SplitOutcomes, Totals
from extproc.control.status import ExperimentStatus
from extproc.telemetry import decisions


@dataclass(frozen=True, slots=True)
class Decided:
    """The decisions since the start; see `decisions.Decisions`."""

    counts: Mapping[decisions.Counted, int]
    by_bucket: Sequence[int]
    seconds: float

    @classmethod
    def of(cls, read: decisions.Decisions) -> "Decided":
        return cls(read.counts(), *read.seconds())


@dataclass(frozen=True, slots=True)
class Reading:
    """Everything that metrics are made of.

    `experiments` are those that run, wait or were refused; `reports` are what is wrong with resources. `stopped` names
    the experiments that run no more and are still listed. `revisions` are the current ones of all that have one, and
    `splits` what was assigned in those. `acks` and `nacks` are by xDS type. `spans_dropped` is None without traces.
    `workers` are their process ids, 0 for one that never ran.
    """

    experiments: Sequence[ExperimentStatus] = ()
    reports: Sequence[Report] = ()
    stopped: frozenset[str] = frozenset()
    revisions: Mapping[str, int] = field(default_factory=dict)
    splits: Mapping[str, SplitOutcomes] = field(default_factory=dict)
    totals: Mapping[Answerer, Totals] = field(default_factory=dict)
    decided: Decided | None = None
    acks: Mapping[str, int] = field(default_factory=dict)
    nacks: Mapping[str, int] = field(default_factory=dict)
    envoys: int = 0
    spans_dropped: int | None = None
    workers: Sequence[int] = ()
