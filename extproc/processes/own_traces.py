"""The spans of a process that decides; who wants none does not load OpenTelemetry."""

from typing import TYPE_CHECKING

from extproc.collector import Tracing
from extproc.telemetry.decisions import Meter

if TYPE_CHECKING:
    from extproc.telemetry.traces import Traces


def own_traces(tracing: Tracing | None, meter: Meter) -> "Traces | None":
    """What sends them, counting in `meter` those that are lost; None where no spans are wanted."""
    if tracing is None:
        return None
    from extproc.telemetry.traces import Traces

    return Traces(tracing, meter.lost_spans)
