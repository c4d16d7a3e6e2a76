"""What a run prints: a table for each number of connections, one for the sizes, one for the targets."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final

from benchmarks.cases import NATIVE
from benchmarks.compare import Figure, Spread, figure, ratio
from benchmarks.load import PERCENTILES
from benchmarks.measure import Sample
from benchmarks.scale import Scale
from benchmarks.targets import Verdict, p99, rate

_HEAD: Final = (
    "case",
    "req/s",
    "× native",
    *PERCENTILES,
    "p99 × native",
    "Envoy",
    "server",
    "of it control",
    "decided",
)
_NONE: Final = "–"
_CROWDED: Final = 0.05  # share of the cores' time that others may use before a run is called disturbed


def comparison(samples: Sequence[Sample], cases: Sequence[str]) -> Iterator[str]:
    """The tables of a comparison; latencies in milliseconds, CPU times in microseconds a request."""
    for connections in sorted({sample.connections for sample in samples}):
        yield f"\n{connections} connections (latency in ms, CPU in µs a request; median, in parentheses min–max)\n"
        yield from table([_HEAD, *(_row(samples, case, connections) for case in cases)])
    failed = sum(sample.failed for sample in samples)
    if failed:
        yield f"\n{failed} requests FAILED"
    if (crowd := median(sample.others for sample in samples)) > _CROWDED:
        yield f"\nDISTURBED: something else used {crowd:.0%} of the cores; only ratios mean anything, and not much"


def sizes(scales: Sequence[Scale]) -> Iterator[str]:
    """The tables of the sizes: under load, and what changes and starts cost; times in seconds, memory in MiB."""
    yield "\nSizes under load (CPU in µs a request; median over the rounds)\n"
    head = ("experiments", "req/s", "× smallest", "Envoy", "worker", "of control", "decided")
    yield from table([head, *(_loaded(scale) for scale in scales)])
    if failed := sum(sample.failed for scale in scales for sample in scale.samples):
        yield f"\n{failed} requests FAILED"
    roles = sorted({role for scale in scales for role in scale.memory})
    yield "\nSizes (seconds; CPU seconds until ready; MiB of each process)\n"
    spent = ("control", "envoy")
    heads = ("experiments", "ready", *(f"CPU {role}" for role in spent), "read", "build", "all workers", "fallback")
    rows = [
        (
            f"{s.experiments:,}",
            f"{s.ready:.1f}",
            *(f"{s.cpu.get(role, 0.0):.1f}" for role in spent),
            *(f"{seconds:.3f}" for seconds in (s.read, s.build, s.workers, s.fallback)),
            *("+".join(f"{mib:.0f}" for mib in s.memory.get(role, ())) or _NONE for role in roles),
        )
        for s in scales
    ]
    yield from table([(*heads, *(f"MiB {role}" for role in roles)), *rows])


def _loaded(scale: Scale) -> tuple[str, ...]:
    def micros(role: str) -> str:
        return f"{median(sample.cpu.get(role, 0.0) for sample in scale.samples) * 1e6:.1f}"

    decided = median(sample.decided for sample in scale.samples)
    return (
        f"{scale.experiments:,}",
        f"{scale.rate:,.0f}",
        str(scale.relative_rate),
        *(micros(role) for role in ("envoy", "worker", "control")),
        f"{decided:.0%}",
    )


def targets(verdicts: Sequence[Verdict]) -> Iterator[str]:
    """The table of the targets."""
    yield ""
    yield from table(
        [
            ("figure", "target", "measured", "ok", "floor"),
            *(
                (
                    v.target.figure,
                    f"{v.target.sense} {v.target.bound:g}{v.target.unit}",
                    _NONE if v.measured is None else _number(v.measured),
                    {True: "yes", False: "NO", None: _NONE}[v.ok],
                    _NONE if v.floor is None else _number(v.floor),
                )
                for v in verdicts
            ),
        ]
    )


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Rows, the first of them the heads, as a Markdown table with columns of equal width."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if i == 0 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield f"| {' | '.join(cells)} |"
        if number == 0:
            yield f"|{'|'.join('-' * (w + 2) if i == 0 else '-' * (w + 1) + ':' for i, w in enumerate(widths))}|"


def _row(samples: Sequence[Sample], case: str, connections: int) -> tuple[str, ...]:
    def show(what: Figure, form: str) -> str:
        found = figure(samples, case, connections, what)
        return _NONE if found is None else format(found.median, form)

    mine = [sample for sample in samples if sample.case == case and sample.connections == connections]
    return (
        case,
        show(rate, ",.0f"),
        str(ratio(samples, case, connections, rate) or _NONE),
        *(show(lambda s, name=name: s.latency[name] * 1e3, ".2f") for name in PERCENTILES),  # type: ignore[misc]
        str(ratio(samples, case, connections, p99) or _NONE),
        show(lambda s: s.cpu["envoy"] * 1e6, ".1f"),
        _NONE if case == NATIVE else show(lambda s: s.server * 1e6, ".1f"),
        show(lambda s: s.cpu["control"] * 1e6, ".1f") if all("control" in s.cpu for s in mine) else _NONE,
        show(lambda s: s.decided * 100, ".0f") + " %",
    )


def _number(measured: Spread | float) -> str:
    return str(measured) if isinstance(measured, Spread) else f"{measured:.3f}"
