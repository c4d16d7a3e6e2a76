"""What one Envoy's runtime has to hold, by the routes that it may have: one stream's memory of both.

Must stay true: whichever of the routes that were sent are in force, the runtime makes of them what is in effect now.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extproc.names import RUNTIME_LAYER
from extproc.xds.runtime import Overrides, Splits, meanwhile, resource
from extproc.xds.snapshot import RUNTIME, Snapshot, version_of


@dataclass(slots=True)
class Corrections:
    """`written` is what those routes were written for that may be in force; `overrides` is what the runtime holds."""

    written: tuple[Splits, ...] = ()
    overrides: Overrides = field(default_factory=dict)
    _made: tuple[Overrides, Mapping[str, bytes], str] = field(default_factory=lambda: ({}, {}, ""))

    def taken(self, routes: Snapshot | None) -> None:
        """Envoy has these routes and no others; None for some of which nothing is known."""
        if routes is not None:
            self.written = (routes.written,)

    def refused(self, routes: Snapshot | None) -> None:
        """Envoy refused these routes; of several RouteConfigurations it may have taken some."""
        if routes is not None:
            self.written = (*self.written[:1], routes.written)

    def wanted(
        self, snapshot: Snapshot, under_way: Snapshot | None, *, in_force: bool
    ) -> tuple[Overrides, Mapping[str, bytes], str]:
        """What the runtime shall hold, as a resource, and its version. `in_force`: Envoy has just these routes."""
        if not in_force:
            others = (*self.written, under_way.written) if under_way is not None else self.written
            overrides = meanwhile(others, snapshot.running, snapshot.overrides, self.overrides)
            if overrides != snapshot.overrides:
                if overrides != self._made[0]:
                    resources = {RUNTIME_LAYER: resource(overrides)}
                    self._made = (overrides, resources, version_of(resources))
                return self._made
        return snapshot.overrides, snapshot.resources.get(RUNTIME, {}), snapshot.version(RUNTIME)
