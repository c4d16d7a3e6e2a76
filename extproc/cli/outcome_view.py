"""The outcomes in a REST document as values that can be shown; see `experiment_view`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from extproc.cli.document_reader import Reader

PERCENTILES: Final = ("p50", "p90", "p99")


@dataclass(frozen=True, slots=True)
class EstimateView:
    """A measured value and its 95 % interval; `high` is None where nothing bounds it yet."""

    value: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class OutcomesView:
    """What became of a candidate's requests: the share that failed (0 to 1), and percentiles of latency in seconds.

    `error_rate` is None, and `latency` empty, while there were no requests.
    """

    error_rate: EstimateView | None
    latency: Mapping[str, EstimateView]

    @classmethod
    def of(cls, document: Reader | None) -> Self | None:
        if document is None:
            return None
        errors, latency = document.inside("errors"), document.inside("latency", None)
        found = [(name, latency.inside(name, None)) for name in PERCENTILES] if latency else []
        return cls(
            _estimate(errors, "rate"), {name: e for name, one in found if one and (e := _estimate(one, "value"))}
        )


@dataclass(frozen=True, slots=True)
class SplitView:
    """The fresh assignments of the current revision against the weights. Shares are 0 to 1, by candidate."""

    requests: int
    expected: Mapping[str, float]
    observed: Mapping[str, float]
    p_value: float
    mismatch: bool

    @classmethod
    def of(cls, document: Reader | None) -> Self | None:
        if document is None:
            return None
        return cls(
            document.whole("requests"),
            document.inside("expected").numbers(),
            document.inside("observed").numbers(),
            document.number("pValue"),
            document.flag("mismatch"),
        )


def _estimate(document: Reader, name: str) -> EstimateView | None:
    value = document.number(name, None)
    if value is None:
        return None
    return EstimateView(value, document.number("low", 0.0), document.number("high", None))
