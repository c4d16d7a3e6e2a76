"""One metric as a value: its name, what it says and how it is read, told from what it is read of."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from extproc.telemetry.histograms import Bucket

S = TypeVar("S")

Labels = tuple[str, ...]
Numbers = Iterable[tuple[Labels, float]]
Histograms = Iterable[tuple[Labels, list[Bucket], float]]  # and the sum of what was measured


@dataclass(frozen=True, slots=True)
class Family(Generic[S]):
    """A counter or a gauge, under the name that Prometheus shows."""

    name: str
    help: str
    labels: Labels
    kind: Literal["counter", "gauge"]
    read: Callable[[S], Numbers]

    def metric(self, seen: S) -> Metric:
        made = CounterMetricFamily if self.kind == "counter" else GaugeMetricFamily
        family = made(self.name, self.help, labels=self.labels)
        for labels, number in self.read(seen):
            family.add_metric(labels, float(number))
        return family


@dataclass(frozen=True, slots=True)
class HistogramFamily(Generic[S]):
    """A histogram of seconds, which the name ends in; its parts have suffixes of their own."""

    name: str
    help: str
    labels: Labels
    read: Callable[[S], Histograms]

    def metric(self, seen: S) -> Metric:
        family = HistogramMetricFamily(self.name, self.help, labels=self.labels, unit="seconds")
        for labels, buckets, total in self.read(seen):
            family.add_metric(labels, buckets, total)
        return family
