"""A log line for each decision, for whoever looks for one request's way: at debug level, and at no other.

Must stay true: at any other level nothing is done for it, not even a look at the level. A line names the experiment and
what was decided, nothing of the request: no header, no path, no token.
"""

import logging
from collections.abc import Sequence
from typing import Final, Protocol

from extproc.core.table import Decision

log: Final = logging.getLogger("extproc.decisions")


class Meter(Protocol):
    """Counts decisions; see `extproc.telemetry.decisions.Meter`."""

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        """The last of these was answered so long after its request was read; None where that was not measured."""


def logged(meter: Meter) -> Meter:
    """`meter` as it is, or, where debug lines are written now, one that writes a line before it counts."""
    return _Logged(meter) if log.isEnabledFor(logging.DEBUG) else meter


class _Logged:
    __slots__ = ("_meter",)

    def __init__(self, meter: Meter) -> None:
        self._meter: Final = meter

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        for decision in decisions:
            _write(decision)
        self._meter.count(decisions, nanoseconds)


def _write(decision: Decision) -> None:
    parts = {
        "experiment": decision.experiment,
        "candidate": decision.candidate,
        "outcome": decision.outcome.value,
        "revision": decision.revision or None,  # not recorded yet
    }
    log.debug(
        "experiment %s, revision %s: %s, %s",
        decision.experiment,
        parts["revision"] or "none",
        decision.candidate or "left to Envoy",
        decision.outcome.value,
        extra=parts,
    )
