"""The single writer: takes each event in turn, keeps the State, publishes the Table, and says when Envoy needs building.

Synchronous and called from one thread only. Must stay true: a Table is published before Envoy is told of a change, so
a new weight counts at once; and what is published is always derived from one State, never patched.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Final

from extproc.control import state as reducer
from extproc.control.admission import Admission, Judge
from extproc.control.health import HealthView
from extproc.control.state import State
from extproc.control.status import ExperimentStatus, statuses
from extproc.core.offers import Document
from extproc.core.table import Table
from extproc.xds.snapshot import Snapshot, World

log: Final = logging.getLogger(__name__)

REMEMBERED: Final = 16  # snapshots on their way to Envoy; it answers within one or two


class Plane:
    """Holds the State. `publish` takes each new Table; `stale` is called when Envoy's configuration has to be built."""

    def __init__(self, judge: Judge, publish: Callable[[Table], None], stale: Callable[[], None]) -> None:
        self.state = State()
        self.ready = False
        self._judge = judge
        self._publish = publish
        self._stale = stale
        self._built: list[tuple[Snapshot, Admission]] = []
        self._seen: dict[str, tuple[str, str]] = {}
        self._reported: frozenset[str] = frozenset()
        self._table: Table | None = None

    def offer(self, documents: Iterable[Document]) -> None:
        """The sources offer something else."""
        self._become(reducer.offered(self.state, documents, self._judge))

    def saw(self, health: HealthView | None) -> None:
        """Envoy's view of its clusters has changed."""
        self._become(reducer.healthy(self.state, health))

    def blueprint(self) -> tuple[World, Admission]:
        """What Envoy's configuration is to be built from now."""
        return self.state.world(), self.state.effective

    def built(self, snapshot: Snapshot, effective: Admission) -> None:
        """This snapshot, built from `effective`, is about to be published."""
        self._built = [*self._built[-REMEMBERED:], (snapshot, effective)]

    def accepted(self, snapshot: Snapshot, decided: frozenset[str]) -> None:
        """An Envoy runs this snapshot; `decided` are the decided routes that every connected Envoy knows."""
        effective = self._effective(snapshot)
        if effective is not None:
            self._become(reducer.accepted(self.state, effective, decided))

    def refused(self, snapshot: Snapshot, message: str) -> None:
        """An Envoy refused this snapshot."""
        effective = self._effective(snapshot)
        if effective is not None:
            self._become(reducer.refused(self.state, effective, message))

    def _effective(self, snapshot: Snapshot) -> Admission | None:
        return next((effective for built, effective in self._built if built is snapshot), None)

    def _become(self, new: State) -> None:
        old, self.state = self.state, new
        table = new.table()
        if table != self._table:
            self._table = table
            self._publish(table)
        self._tell(new)
        if (new.admission, new.refusals, new.health) != (old.admission, old.refusals, old.health):
            self._stale()

    def _tell(self, new: State) -> None:
        """Log what changed: problems that are new, and each experiment whose state or reason is another."""
        reports = {str(report) for report in new.reports}
        for report in sorted(reports - self._reported):
            log.warning("refused: %s", report)
        self._reported = frozenset(reports)
        seen = {status.name: status for status in statuses(new)}
        for name, status in seen.items():
            if self._seen.get(name) != _face(status):
                log.info("experiment %s is %s: %s", name, status.state.value, status.reason)
        for name in self._seen.keys() - seen.keys():
            log.info("experiment %s is gone", name)
        self._seen = {name: _face(status) for name, status in seen.items()}


def _face(status: ExperimentStatus) -> tuple[str, str]:
    return status.state.value, status.reason
