"""The comparison: every case in turn, at every number of connections, again and again.

Interleaved, because a machine is not the same from one minute to the next: a ratio is taken between two measurements
of the same round, some seconds apart, and the spread over the rounds says how far it can be trusted.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, Self

from benchmarks.cases import NATIVE
from benchmarks.measure import Sample, measure
from benchmarks.stage import Running

CONNECTIONS: Final = (1, 8, 32, 128)

Figure = Callable[[Sample], float]


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Self:
        return cls(median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


def compare(
    running: Sequence[Running], *, connections: Iterable[int], rounds: int, seconds: float, say: Callable[[str], None]
) -> list[Sample]:
    """Measure all of them; `seconds` for each measurement. `say` is told of each one."""
    samples = []
    levels = tuple(connections)
    for round_ in range(rounds):
        for level in levels:
            first = round_ % len(running)  # so that no case always comes after the same one
            for each in (*running[first:], *running[:first]):
                sample = measure(each, connections=level, seconds=seconds, round_=round_)
                samples.append(sample)
                say(f"round {round_ + 1}/{rounds}, {level:>3} connections, {sample.case}: {sample.rate:,.0f}/s")
    return samples


def figure(samples: Iterable[Sample], case: str, connections: int, what: Figure) -> Spread | None:
    """One figure of one case; None when it was not measured."""
    return _spread([what(s) for s in samples if s.case == case and s.connections == connections])


def ratio(
    samples: Iterable[Sample], over: str, connections: int, what: Figure, under: str = NATIVE, by: Figure | None = None
) -> Spread | None:
    """`what` of case `over` divided by `by` (or `what`) of case `under`, round by round; None when one is missing."""
    at = [s for s in samples if s.connections == connections]
    above = {s.round: what(s) for s in at if s.case == over}
    below = {s.round: (by or what)(s) for s in at if s.case == under}
    return _spread([above[i] / below[i] for i in above.keys() & below.keys() if below[i]])


def _spread(values: list[float]) -> Spread | None:
    return Spread.of(values) if values else None
