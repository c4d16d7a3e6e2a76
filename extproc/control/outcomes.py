"""What became of the requests of an experiment, as values: by revision, by candidate, and what is compared.

Frozen: a reader (REST, metrics, the comparison) gets a copy of what was counted until then. Counts are of answers, and
of requests that got none; a request that Envoy has retried is one request.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from extproc.control.histograms import EMPTY, Histogram

FALLBACK: Final = "fallback"  # Envoy's own split, because extproc did not answer
MIRRORED: Final = "mirrored"  # a copy
NO_ANSWER: Final = "0"  # the code class of a request that ended without an answer: its client went away, say
FAILED: Final = frozenset({"5xx", NO_ANSWER})


class Role(StrEnum):
    """As what somebody answers: as a candidate, a mirror, or the default of requests that are left to it untouched.

    The values of UNTOUCHED are those of `core.table.Outcome` that say so.
    """

    PRIMARY = "primary"
    MIRROR = "mirror"
    HOLDOUT = "holdout"
    OTHER_SLOT = "other_slot"
    NO_UNIT = "no_unit"


UNTOUCHED: Final = (Role.HOLDOUT, Role.OTHER_SLOT, Role.NO_UNIT)


@dataclass(frozen=True, slots=True)
class CandidateOutcomes:
    """One candidate's answers, or the mirror's, in one revision of an experiment.

    `by_outcome` counts requests by why they came here: a value of `core.table.Outcome`, FALLBACK or MIRRORED. `by_code`
    counts them by the class of their status, "1xx" to "5xx" or NO_ANSWER; a gRPC call counts by the HTTP status that
    its own one stands for. `flags` counts Envoy's response flags by their short names (UF, UT, DC…). `duration` is from
    the request's first byte to its end, `upstream` from the first byte sent to the model to the last one received;
    requests that no model answered are missing there. `received` and `sent` are bytes of bodies, as the client sees
    them.
    """

    requests: int = 0
    by_outcome: Mapping[str, int] = field(default_factory=dict)
    by_code: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    duration: Histogram = EMPTY
    upstream: Histogram = EMPTY
    received: int = 0
    sent: int = 0

    @property
    def errors(self) -> int:
        """The requests that failed: 5xx, or no answer at all."""
        return sum(count for code, count in self.by_code.items() if code in FAILED)


@dataclass(frozen=True, slots=True)
class SplitOutcomes:
    """Who got the fresh weighted assignments of one revision: the only requests that may be compared with the weights.

    `observed` counts them by candidate. `expected` is how many of them each candidate should have got, by the shares
    that were in effect when each request started (readiness narrows them for a time); both have the same sum.
    """

    observed: Mapping[str, int] = field(default_factory=dict)
    expected: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RevisionOutcomes:
    """What became of the requests of one revision; `number` is None until the revision is recorded.

    `since` is when it was in force first, in UTC. `candidates` and `mirrors` are all that the revision names, in its
    order, with or without requests; `untouched` likewise are the requests that it leaves to its default, by role. Those
    are never part of the split.
    """

    number: int | None
    since: datetime
    candidates: Mapping[str, CandidateOutcomes]
    mirrors: Mapping[str, CandidateOutcomes]
    split: SplitOutcomes
    untouched: Mapping[Role, CandidateOutcomes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Exemplar:
    """The last traced request of a bucket: `trace` is its id (32 hex digits), `at` when it ended (seconds, Unix)."""

    trace: str
    seconds: float
    at: float


@dataclass(frozen=True, slots=True)
class Totals:
    """All requests that one model has answered in one role of an experiment since this process began.

    These never shrink while the experiment is known, whatever revisions are dropped: they are what a counter shows.
    They begin at 0 with the process, as counters of Prometheus do: one that was taken up again where it was last
    saved, and so a little lower than last seen, would be taken for a new one with all its requests at once.
    `fallbacks` of them were Envoy's own split. `exemplars` are by bucket of `duration`.
    """

    by_code: Mapping[str, int] = field(default_factory=dict)
    fallbacks: int = 0
    duration: Histogram = EMPTY
    exemplars: Mapping[int, Exemplar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """Which totals: of one `candidate` of an `experiment` in one role; of the untouched ones it is the default."""

    experiment: str
    candidate: str
    role: Role = Role.PRIMARY
