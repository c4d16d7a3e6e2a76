"""Outcomes on a terminal: error rates and latencies with their intervals, and whether the split fits the weights."""

from collections.abc import Iterable
from typing import Final

from rich.table import Table
from rich.text import Text

from extproc.cli.outcome_view import PERCENTILES, EstimateView, OutcomesView, SplitView

_NARROW: Final = ("p50", "p99")
_UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (0.0, "µs"))  # from so many seconds on
_IN_A_SECOND: Final = {"s": 1.0, "ms": 1e3, "µs": 1e6}


def outcomes_table(answerers: Iterable[tuple[str, OutcomesView]], *, wide: bool) -> Table:
    """A line for each that has answered, by its name; intervals in brackets."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    percentiles = PERCENTILES if wide else _NARROW
    for column in ("CANDIDATE", "ERRORS", *(name.upper() for name in percentiles)):
        table.add_column(column, overflow="fold")
    for name, outcomes in answerers:
        cells = [Text(name), _errors(outcomes.error_rate)]
        cells += [Text(_latency(outcomes.latency[p]) if p in outcomes.latency else "-") for p in percentiles]
        table.add_row(*cells)
    return table


def fit(split: SplitView) -> Text:
    """Whether the split fits the weights, in one sentence."""
    requests = f"of {split.requests} fresh requests"
    chance = f"p-value {_number(split.p_value)}"
    if not split.mismatch:
        shares = ", ".join(f"{name} {percent(share)}" for name, share in split.observed.items())
        return Text(f"{shares} {requests}: fits the weights ({chance})")
    shares = ", ".join(
        f"{name} {percent(share)} instead of {percent(split.expected.get(name, 0.0))}"
        for name, share in split.observed.items()
    )
    return Text.assemble(("MISMATCH", "bold red"), f": {shares} {requests} ({chance})")


def percent(share: float) -> str:
    """A share, 0 to 1, in percent."""
    return f"{_number(share * 100)} %"


def _errors(rate: EstimateView | None) -> Text:
    if rate is None:
        return Text("-")
    high = _number((rate.high if rate.high is not None else 1.0) * 100)
    return Text(f"{percent(rate.value)} ({_number(rate.low * 100)}–{high})", style="yellow" if rate.value else "")


def _latency(estimate: EstimateView) -> str:
    """`3.1 ms (3–3.2)`; `(from 3)` where nothing bounds it yet."""
    unit = next(unit for least, unit in _UNITS if estimate.value >= least)
    scale = _IN_A_SECOND[unit]
    value, low = _number(estimate.value * scale), _number(estimate.low * scale)
    if estimate.high is None:
        return f"{value} {unit} (from {low})"
    return f"{value} {unit} ({low}–{_number(estimate.high * scale)})"


def _number(value: float) -> str:
    """Three digits that count: more is known of hardly anything that is measured."""
    return f"{value:.3g}" if value < 1000 else f"{value:.0f}"
