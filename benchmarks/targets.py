"""What has to be reached: each figure with its bound, and what a run has measured."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import ge, le
from typing import Any, Final, Literal

from benchmarks.cases import AIO, FLOOR, OURS, THREADS, TRACED
from benchmarks.compare import Spread, figure, ratio
from benchmarks.measure import Sample
from benchmarks.scale import Scale

_AT: Final = 32  # connections
_MANY: Final = 10_000  # experiments
_SOME: Final = 1_000


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run has found out."""

    samples: Sequence[Sample] = ()
    scales: Sequence[Scale] = ()

    def at(self, experiments: int, what: Callable[[Scale], Spread | float]) -> Spread | float | None:
        """A figure of one size; None when it was not measured."""
        return next((what(scale) for scale in self.scales if scale.experiments == experiments), None)


@dataclass(frozen=True, slots=True)
class Target:
    """A figure that must be at least or at most `bound`.

    `find` is told the case to take for ours, OURS or FLOOR; it gives None for what a run did not measure.
    """

    figure: str
    sense: Literal["≥", "≤"]
    bound: float
    unit: str
    find: Callable[[Measured, str], Spread | float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what was measured; of a spread its median counts.

    `floor` is what a server reached in its place that does nothing: what is possible on the machine of the run.
    """

    target: Target
    measured: Spread | float | None
    floor: Spread | float | None = None

    @property
    def value(self) -> float | None:
        return self.measured.median if isinstance(self.measured, Spread) else self.measured

    @property
    def ok(self) -> bool | None:
        """Whether it is reached; None when it was not measured."""
        reached = ge if self.target.sense == "≥" else le
        return None if self.value is None else bool(reached(self.value, self.target.bound))

    def as_json(self) -> dict[str, Any]:
        spread = self.measured if isinstance(self.measured, Spread) else None
        return {
            "figure": self.target.figure,
            "target": f"{self.target.sense} {self.target.bound:g}{self.target.unit}",
            "measured": self.value,
            **({"low": spread.low, "high": spread.high} if spread else {}),
            "floor": self.floor.median if isinstance(self.floor, Spread) else self.floor,
            "ok": self.ok,
        }


def rate(sample: Sample) -> float:
    """Requests a second."""
    return sample.rate


def p99(sample: Sample) -> float:
    """Seconds."""
    return sample.latency["p99"]


def deciding_micros(sample: Sample) -> float:
    """CPU microseconds a request of the processes that decide.

    The control process is left out: what it spends on a request is reading Envoy's report of what became of it, which
    no other case does. The tables show it apart.
    """
    return sample.cpu.get("worker", 0.0) * 1e6


def _sized(experiments: int, what: Callable[[Scale], Spread | float]) -> Callable[[Measured, str], Any]:
    return lambda m, case: m.at(experiments, what) if case == OURS else None


TARGETS: Final = (
    Target("throughput, ours / native", "≥", 0.62, "", lambda m, case: ratio(m.samples, case, _AT, rate)),
    Target("throughput, ours / plain aio", "≥", 2.0, "", lambda m, case: ratio(m.samples, case, _AT, rate, under=AIO)),
    Target(
        "server CPU, plain threads / ours",
        "≥",
        20,
        "",
        lambda m, case: ratio(m.samples, THREADS, _AT, deciding_micros, under=case),
    ),
    Target("p99, ours / native", "≤", 2.2, "", lambda m, case: ratio(m.samples, case, _AT, p99)),
    Target("server CPU a request", "≤", 10, " µs", lambda m, case: figure(m.samples, case, _AT, deciding_micros)),
    Target(
        "server CPU a request, traced",
        "≤",
        25,
        " µs",
        lambda m, case: figure(m.samples, TRACED, _AT, deciding_micros) if case == OURS else None,
    ),
    Target("throughput, 10,000 experiments / 1", "≥", 0.9, "", _sized(_MANY, lambda s: s.relative_rate)),
    Target("start to ready, 10,000", "≤", 20, " s", _sized(_MANY, lambda s: s.ready)),
    Target("building everything, 10,000", "≤", 10, " s", _sized(_MANY, lambda s: s.build)),
    Target("weights on every worker, 10,000", "≤", 0.01, " s", _sized(_MANY, lambda s: s.workers)),
    Target("weights in Envoy's fallback, 1,000", "≤", 1, " s", _sized(_SOME, lambda s: s.fallback)),
    Target("weights in Envoy's fallback, 10,000", "≤", 5, " s", _sized(_MANY, lambda s: s.fallback)),
)


def verdicts(measured: Measured) -> list[Verdict]:
    return [Verdict(target, target.find(measured, OURS), target.find(measured, FLOOR)) for target in TARGETS]
