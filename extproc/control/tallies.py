"""Counting: what is added to for each request, and what of it is kept on disk.

The only mutable part of outcomes, and its cost is paid for every answer. Must stay true: a tally read back from its row
is the tally that was written.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from extproc.control.histograms import Histogram, bucket
from extproc.control.outcomes import CandidateOutcomes

Counts = defaultdict[Any, int]


def counts() -> Counts:
    return defaultdict(int)


@dataclass(slots=True, eq=False)
class Durations:
    """A histogram that grows."""

    buckets: Counts = field(default_factory=counts)
    total: float = 0.0

    def add(self, seconds: float) -> int:
        """Count one duration; returns its bucket."""
        index = bucket(seconds)
        self.buckets[index] += 1
        self.total += seconds
        return index

    def frozen(self) -> Histogram:
        return Histogram(dict(self.buckets), self.total)


@dataclass(slots=True, eq=False)
class Tally:
    """The requests of one candidate, or of the mirror, in one revision; see `outcomes.CandidateOutcomes`."""

    requests: int = 0
    by_outcome: Counts = field(default_factory=counts)
    by_code: Counts = field(default_factory=counts)
    flags: Counts = field(default_factory=counts)
    duration: Durations = field(default_factory=Durations)
    upstream: Durations = field(default_factory=Durations)
    received: int = 0
    sent: int = 0

    def frozen(self) -> CandidateOutcomes:
        return CandidateOutcomes(
            self.requests,
            dict(self.by_outcome),
            dict(self.by_code),
            dict(self.flags),
            self.duration.frozen(),
            self.upstream.frozen(),
            self.received,
            self.sent,
        )

    def row(self) -> dict[str, Any]:
        """As JSON has it, to be written at once: it grows with the tally."""
        return {
            "requests": self.requests,
            "byOutcome": self.by_outcome,
            "byCode": self.by_code,
            "flags": self.flags,
            "duration": _durations_row(self.duration),
            "upstream": _durations_row(self.upstream),
            "received": self.received,
            "sent": self.sent,
        }

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Tally":
        """What `row` returned. Raises KeyError, TypeError or ValueError for anything else."""
        return cls(
            row["requests"],
            _read(row["byOutcome"]),
            _read(row["byCode"]),
            _read(row["flags"]),
            _read_durations(row["duration"]),
            _read_durations(row["upstream"]),
            row["received"],
            row["sent"],
        )


def _durations_row(durations: Durations) -> dict[str, Any]:
    return {"buckets": durations.buckets, "total": durations.total}


def _read_durations(row: Mapping[str, Any]) -> Durations:
    # A key of JSON is a text.
    return Durations(_read({int(index): count for index, count in row["buckets"].items()}), row["total"])


def _read(counts: Mapping[Any, int]) -> Counts:
    return defaultdict(int, counts)
