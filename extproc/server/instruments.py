"""Everything that metrics are read from, and how a Reading is taken of it."""

from dataclasses import dataclass

from extproc.control.accumulator import Outcomes
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Plane
from extproc.server.ads import AdsService
from extproc.telemetry.decisions import Meters
from extproc.telemetry.readings import Decided, Reading


@dataclass(frozen=True, slots=True)
class Instruments:
    """The parts of a running extproc that know numbers.

    The first `workers` of the meters belong to processes of their own. `traced`: there are spans that can be dropped.
    """

    plane: Plane
    lifecycle: Lifecycle
    outcomes: Outcomes
    meters: Meters
    ads: AdsService
    workers: int = 0
    traced: bool = False

    def read(self) -> Reading:
        """All of it as it is now; on the event loop, where it changes. Slots of experiments that are gone are freed."""
        state = self.plane.state
        listed = {name: number for name, number in state.revisions.items() if self.lifecycle.revision(name)}
        self.meters.keep(listed.keys() | {experiment.name for experiment in state.effective.experiments})
        splits = {name: self.outcomes.split(name) for name in listed}
        return Reading(
            tuple(self.plane.statuses.values()),
            state.reports,
            frozenset(self.lifecycle.stopped()),
            listed,
            {name: split for name, split in splits.items() if split},
            self.outcomes.totals(),
            Decided.of(self.meters),
            dict(self.ads.acks),
            dict(self.ads.nacks),
            self.ads.connected,
            self.meters.spans_dropped() if self.traced else None,
            self.meters.processes()[: self.workers],
        )
