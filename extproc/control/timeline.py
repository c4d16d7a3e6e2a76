"""The last hour of each candidate in steps of five seconds: requests, errors, and how long they took. In memory only.

A request belongs to the step in which it ended. Must stay true: however many experiments there are, it takes at most
some 50 MB; what is left out is the timeline of candidates beyond the first SERIES that have any.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from extproc.control.histograms import quantile
from extproc.control.outcomes import UNTOUCHED, Role

STEP: Final = 5  # seconds
STEPS: Final = 3600 // STEP
SERIES: Final = 1000
LAG: Final = 1.0  # seconds after the end of a step in which Envoy may still tell of it
OPEN: Final = 3  # steps of a series that still take durations; Envoy tells of a request a moment after its end

_FIELDS: Final = 5  # numbers of a closed point: its step, requests, errors, p50 and p99
_NONE: Final = -1.0  # the percentiles of a step of which only latecomers are known


@dataclass(frozen=True, slots=True)
class Point:
    """One step of one candidate; `p50` and `p99` in seconds, None without requests."""

    requests: int = 0
    errors: int = 0
    p50: float | None = None
    p99: float | None = None


IDLE: Final = Point()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of an experiment, which began `at` (Unix time): the points of each model in each of its roles."""

    at: int
    points: Sequence[tuple[str, Role, Point]]

    @property
    def candidates(self) -> Mapping[str, Point]:
        return self._in(Role.PRIMARY)

    @property
    def mirrors(self) -> Mapping[str, Point]:
        return self._in(Role.MIRROR)

    @property
    def untouched(self) -> Mapping[Role, Point]:
        """By role; where another model has become the default in this step, what most of them were answered by."""
        found: dict[Role, Point] = {}
        for _, role, point in self.points:
            if role in UNTOUCHED and point.requests >= found.get(role, IDLE).requests:
                found[role] = point
        return found

    def _in(self, role: Role) -> Mapping[str, Point]:
        return {name: point for name, of, point in self.points if of is role}


@dataclass(slots=True, eq=False)
class _Open:
    requests: int = 0
    errors: int = 0
    buckets: dict[int, int] = field(default_factory=dict)

    def closed(self, step: int) -> tuple[float, ...]:
        return step, self.requests, self.errors, _quantile(self.buckets, 0.5), _quantile(self.buckets, 0.99)


def _quantile(buckets: Mapping[int, int], share: float) -> float:
    return quantile(buckets, share) if buckets else _NONE


@dataclass(slots=True, eq=False)
class Series:
    """One candidate's steps; steps are counted from the Unix epoch."""

    _closed: "array[float]" = field(default_factory=lambda: array("d"))
    _open: dict[int, _Open] = field(default_factory=dict)

    def add(self, ended: float, failed: bool, bucket: int) -> None:
        """Count a request that ended then (Unix time in seconds), and whose duration lies in this bucket."""
        step = int(ended) // STEP
        point = self._open.get(step)
        if point is None:
            if self._closed and step <= self._closed[-_FIELDS]:
                self._late(step, failed)
                return
            point = self._open[step] = _Open()
            if len(self._open) > OPEN:
                oldest = min(self._open)
                self._close(oldest, self._open.pop(oldest))
        point.requests += 1
        point.errors += failed
        point.buckets[bucket] = point.buckets.get(bucket, 0) + 1

    def points(self) -> dict[int, Point]:
        """Every step with requests."""
        kept = [self._closed[i : i + _FIELDS] for i in range(0, len(self._closed), _FIELDS)]
        kept += [array("d", point.closed(step)) for step, point in self._open.items()]
        return {
            int(step): Point(int(requests), int(errors), *(None if p == _NONE else p for p in (p50, p99)))
            for step, requests, errors, p50, p99 in kept
        }

    def _close(self, step: int, point: _Open) -> None:
        self._closed.extend(point.closed(step))
        while self._closed[0] <= step - STEPS:
            del self._closed[:_FIELDS]

    def _late(self, step: int, failed: bool) -> None:
        """A step that is closed already; one without any request until now is not opened again."""
        for at in range(len(self._closed) - _FIELDS, -1, -_FIELDS):
            if self._closed[at] == step:
                self._closed[at + 1] += 1
                self._closed[at + 2] += failed
                return


def window(series: Iterable[Mapping[int, Point]], now: float) -> range:
    """The steps to show: from the first with requests within STEPS to the last that is over; none without requests."""
    over = int(now - LAG) // STEP
    begun = [step for points in series for step in points if over - STEPS <= step < over]
    return range(min(begun), over) if begun else range(0)
