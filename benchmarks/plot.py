"""The picture of a comparison: throughput, tail latency, and where the CPU time of a request goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.compare import figure
from benchmarks.measure import Sample
from benchmarks.targets import p99, rate

_CPU_AT: Final = 32  # connections, or the most that were measured below it
_ROLES: Final = {"envoy": "Envoy", "worker": "the server, deciding", "control": "the server, keeping outcomes"}


def draw(samples: Sequence[Sample], cases: Sequence[str], file: Path) -> None:
    """Write a PNG. Raises ImportError without matplotlib (the extra `bench`)."""
    import matplotlib as mpl

    mpl.use("agg")  # no display is needed
    from matplotlib import pyplot

    levels = sorted({sample.connections for sample in samples})
    shape, (rates, tails, cpu) = pyplot.subplots(1, 3, figsize=(18, 6), layout="constrained")
    for case in cases:
        for axes, what, factor in ((rates, rate, 1.0), (tails, p99, 1e3)):
            spreads = [spread for level in levels if (spread := figure(samples, case, level, what))]
            middle = [spread.median * factor for spread in spreads]
            below = [(spread.median - spread.low) * factor for spread in spreads]
            above = [(spread.high - spread.median) * factor for spread in spreads]
            axes.errorbar(levels, middle, yerr=[below, above], marker="o", capsize=3, label=case)
    for axes, title in ((rates, "Requests a second"), (tails, "p99, milliseconds")):
        axes.set(title=title, xlabel="connections", xscale="log", xticks=levels, xticklabels=levels)
        axes.grid(alpha=0.3)
    rates.set_ylim(bottom=0)
    tails.set_yscale("log")
    rates.legend()
    at = max((level for level in levels if level <= _CPU_AT), default=levels[0])
    bottom = [0.0] * len(cases)
    for role, says in _ROLES.items():
        spreads = [figure(samples, case, at, lambda s, role=role: s.cpu.get(role, 0.0)) for case in cases]  # type: ignore[misc]
        micros = [spread.median * 1e6 if spread else 0.0 for spread in spreads]
        cpu.barh(cases, micros, left=bottom, label=says)
        bottom = [left + width for left, width in zip(bottom, micros, strict=True)]
    cpu.set(title=f"CPU µs a request, {at} connections")
    cpu.invert_yaxis()
    cpu.legend()
    shape.savefig(file, dpi=100)
    pyplot.close(shape)
