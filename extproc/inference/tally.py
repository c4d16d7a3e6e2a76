"""What the answers add up to: exact counts for each candidate, no network and no screen.

Every answer that carries a route token counts for its candidate's share, failed or not: the split is about who was
asked. Latencies are those of answers without failure.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from extproc.core.tokens import tokens
from extproc.inference.call import Answer
from extproc.inference.statistics import percentile
from extproc.intervals import wilson
from extproc.names import PIPELINE_SUFFIX


@dataclass(frozen=True, slots=True)
class Candidate:
    """A configured candidate: `share` is 0 to 1; `route` is its token, empty for a model that nothing defines."""

    name: str
    route: str
    share: float


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds; None of no answers."""

    p50_ms: float | None
    p90_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Line:
    """One candidate. Shares are 0 to 1; `interval` holds the ends of the 95 % interval of `share`.

    `configured` is None where it is not known, or where this is no candidate of the experiment.
    """

    name: str
    route: str
    requests: int
    share: float
    interval: tuple[float, float]
    configured: float | None
    failed: int
    latency: Latency


@dataclass(frozen=True, slots=True)
class Summary:
    """A whole run of `seconds` seconds; `failures` counts by status code, and by a word where there was no answer."""

    requests: int
    failed: int
    seconds: float
    candidates: tuple[Line, ...]
    failures: dict[str, int]
    latency: Latency

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class _Row:
    requests: int = 0
    failed: int = 0
    # Eight bytes each; quoted, because Python 3.11's array takes no parameter at runtime.
    seconds: "array[float]" = field(default_factory=lambda: array("d"))


class Tally:
    """Counts answers as they come; `examples` keeps the first failure of each code."""

    def __init__(self) -> None:
        self.requests = 0
        self.failures: Counter[str] = Counter()
        self.examples: dict[str, Answer] = {}
        self._rows: dict[str, _Row] = {}

    def note(self, answer: Answer) -> None:
        self.requests += 1
        if not answer.ok:
            self.failures[answer.code] += 1
            self.examples.setdefault(answer.code, answer)
        if not (answer.route or answer.ok):
            return  # nobody's answer
        row = self._rows.setdefault(answer.route, _Row())
        row.requests += 1
        if answer.ok:
            row.seconds.append(answer.seconds)
        else:
            row.failed += 1

    def summary(self, seconds: float, configured: Sequence[Candidate] = ()) -> Summary:
        """All of it, after `seconds` seconds: the configured candidates in their order, then whoever else answered."""
        answered = sum(row.requests for row in self._rows.values())
        # A candidate that no Model defines has no token, and so no answers; its row must not be the tokenless one.
        known = {candidate.route for candidate in configured if candidate.route}
        lines = [
            _line(c.name, c.route, self._rows.get(c.route) if c.route else None, answered, c.share) for c in configured
        ]
        lines += [
            _line(_name(route), route, row, answered, None)
            for route, row in sorted(self._rows.items())
            if route not in known
        ]
        return Summary(
            self.requests,
            self.failures.total(),
            round(seconds, 3),
            tuple(lines),
            dict(self.failures.most_common()),
            _latency(second for row in self._rows.values() for second in row.seconds),
        )


def _line(name: str, route: str, row: _Row | None, answered: int, configured: float | None) -> Line:
    row = row or _Row()
    return Line(
        name,
        route,
        row.requests,
        row.requests / answered if answered else 0.0,
        wilson(row.requests, answered),
        configured,
        row.failed,
        _latency(row.seconds),
    )


def _latency(seconds: Iterable[float]) -> Latency:
    ordered = sorted(seconds)
    p50, p90, p99 = (_milliseconds(percentile(ordered, p)) for p in (50, 90, 99))
    return Latency(p50, p90, p99)


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 2)


def _name(route: str) -> str:
    """The model or pipeline that a route token names, empty for none."""
    served = next(tokens(route), "")
    return served.removesuffix(PIPELINE_SUFFIX) if served.endswith(PIPELINE_SUFFIX) else served.rpartition("_")[0]
