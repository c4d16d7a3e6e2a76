"""`/metrics` as text: OpenMetrics, with exemplars, for who asks for it, and Prometheus' own format for everybody else.

Blocking, and takes up to a tenth of a second for each hundred experiments: not for an event loop.
https://prometheus.io/docs/instrumenting/content_negotiation/
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from extproc.telemetry.metrics import families
from extproc.telemetry.readings import Reading

# What is told of each worker, of what prometheus-client tells of a process.
_OF_WORKERS: Final = {
    "process_cpu_seconds": ("extproc_worker_cpu_seconds_total", "CPU time that a worker has used."),
    "process_resident_memory_bytes": ("extproc_worker_resident_memory_bytes", "Memory that a worker holds."),
    "process_start_time_seconds": ("extproc_worker_start_time_seconds", "When a worker was started (Unix time)."),
}


class Exposition:
    """Makes the text of a Reading; what belongs to this process (CPU, memory) is looked up then."""

    def __init__(self) -> None:
        self._process: Final = CollectorRegistry(auto_describe=False)
        ProcessCollector(registry=self._process)
        PlatformCollector(registry=self._process)
        GCCollector(registry=self._process)

    def text(self, reading: Reading, accept: str) -> tuple[bytes, str]:
        """The metrics, and their content type, as a request's `accept` header wants them."""
        encode, content_type = choose_encoder(accept)
        return encode(_Once(chain(families(reading), workers(reading.workers), self._process.collect()))), content_type


class _Once(Collector):
    """What was collected already."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics: Final = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def workers(processes: Iterable[int]) -> Iterator[Metric]:
    """CPU and memory of the worker processes of these ids, numbered from 0; one that does not run is left out."""
    found = {name: _family(*told) for name, told in _OF_WORKERS.items()}
    for number, process in enumerate(processes):
        if process:
            for metric in ProcessCollector(pid=lambda process=process: process, registry=None).collect():  # type: ignore[misc]
                if metric.name in found:
                    found[metric.name].add_metric((str(number),), metric.samples[0].value)
    yield from found.values()


def _family(name: str, about: str) -> CounterMetricFamily | GaugeMetricFamily:
    made = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return made(name, about, labels=("worker",))
