"""The single writer: takes each event in turn, keeps the State, publishes the Table, says when Envoy needs building.

Synchronous and called from one thread only. Must stay true: a Table is published before Envoy is told of a change, so
a new weight counts at once; and what is published, patch after patch, is what would be derived from the State anew.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from weakref import ref

from extproc.control import blame
from extproc.control import state as reducer
from extproc.control.admission import Admission, Judge
from extproc.control.derived import Derived
from extproc.control.events import Chronicle
from extproc.control.health import HealthView
from extproc.control.readmission import readmit
from extproc.control.state import State
from extproc.control.status import ExperimentStatus
from extproc.core.offers import Document
from extproc.core.resources import Experiment, PassThrough
from extproc.core.table import Patch, Table
from extproc.errors import Problem
from extproc.xds.snapshot import Snapshot
from extproc.xds.world import World

log: Final = logging.getLogger(__name__)

LINES: Final = 200  # events that are a line each; of more at once (thousands, at the start) their number is said


@dataclass(frozen=True, slots=True)
class Outlets:
    """What the plane drives.

    `publish` takes what is other in each new Table (`Plane.table`), `stale` is called when Envoy's configuration has to
    be built, `now` is the time in UTC.
    """

    publish: Callable[[Patch], None]
    stale: Callable[[], None]
    now: Callable[[], datetime]


class Plane:
    """Holds the State. `sources` are in order of seniority: of two that claim a new name, the earlier one gets it."""

    def __init__(self, sources: Sequence[str], judge: Judge, outlets: Outlets) -> None:
        self.state = State()
        self.chronicle = Chronicle()
        self.ready = False
        self._documents: dict[str, tuple[Document, ...]] = dict.fromkeys(sources, ())
        self._judge = judge
        self._outlets = outlets
        self._built: list[tuple[ref[Snapshot], Admission]] = []
        self._reported: frozenset[str] = frozenset()
        self._derived = Derived()
        self._watchers: list[Callable[[], None]] = []
        self._holding = False

    @property
    def table(self) -> Table:
        """The table that was published last, as a whole."""
        return self._derived.table

    @property
    def statuses(self) -> Mapping[str, ExperimentStatus]:
        """How every experiment is now, by name; `status.statuses` of the State."""
        return self._derived.statuses

    def watch(self, watcher: Callable[[], None]) -> None:
        """Call `watcher` after each event, when all that follows from it is done."""
        self._watchers.append(watcher)

    @contextmanager
    def as_one(self) -> Iterator[None]:
        """What happens inside is one event to all who follow; of thousands of experiments each takes seconds."""
        before, self._holding = self.state, True
        try:
            yield
        finally:
            self._holding = False
            self._follow(before, quietly=False)

    def offer(self, source: str, documents: Iterable[Document], revisions: Mapping[str, int] | None = None) -> None:
        """One source offers something else; `revisions` holds the experiments' current ones, where they changed."""
        before = self._all()
        self._documents[source] = tuple(documents)
        admission = readmit(self.state.admission, before, self._all(), self._judge)
        self._become(reducer.admitted(self.state, admission, revisions))

    def recorded(self, revisions: Mapping[str, int]) -> None:
        """These are the experiments' current revisions."""
        self._become(replace(self.state, revisions=revisions))

    def rehearse(self, source: str, documents: Iterable[Document]) -> Admission:
        """What admission would say if one source offered this; changes nothing."""
        return readmit(self.state.admission, self._all(), self._all({source: tuple(documents)}), self._judge)

    def objections(self, resource: PassThrough | Experiment) -> Sequence[Problem]:
        """What is wrong with a resource by itself, as far as Envoy's types show."""
        return self._judge(resource)

    def saw(self, health: HealthView | None) -> None:
        """Envoy's view of its clusters has changed."""
        self._become(reducer.healthy(self.state, health))

    def blueprint(self) -> tuple[World, Admission]:
        """What Envoy's configuration is to be built from now."""
        moves = self._derived.moves if self._derived.state is self.state else None
        return self.state.world(moves), self.state.effective

    def built(self, snapshot: Snapshot, effective: Admission) -> None:
        """This snapshot, built from `effective`, is about to be published."""
        # Whoever may still accept or refuse a snapshot holds it. Held here, ten thousand experiments would be 70 MiB.
        self._built = [(built, of) for built, of in self._built if built() is not None]
        self._built.append((ref(snapshot), effective))

    def connected(self, is_connected: bool) -> None:
        """The first Envoy has connected, or the last one has gone: all experiments', and so one log line."""
        if not is_connected:
            waiting = len(self.state.effective.experiment_names)
            log.warning("no Envoy is connected: %d experiment(s) wait for one", waiting)
        self._become(reducer.connected(self.state, is_connected), quietly=True)

    def accepted(self, snapshot: Snapshot, decided: frozenset[str]) -> None:
        """An Envoy runs this snapshot; `decided` are the decided routes that every connected Envoy knows."""
        effective = self._effective(snapshot)
        if effective is not None:
            self._become(reducer.accepted(self.state, effective, decided))

    def refused(self, snapshot: Snapshot, type_url: str, message: str) -> None:
        """An Envoy refused what of this snapshot has this type."""
        effective = self._effective(snapshot)
        if effective is not None:
            self._become(blame.refused(self.state, effective, type_url, message))

    def survived(self, snapshot: Snapshot) -> None:
        """An Envoy has run this snapshot for a while."""
        effective = self._effective(snapshot)
        if effective is not None and effective.admitted is not self.state.survived:
            self._become(blame.survived(self.state, effective))

    def crashed(self, snapshot: Snapshot, types: Iterable[str], ended: str) -> bool:
        """An Envoy crashed while it took these types of this snapshot, or soon after it had taken it, if it is none.

        Returns whether it need not take that once more: somebody is set aside for it.
        """
        effective = self._effective(snapshot)
        if effective is None:
            return False
        self._become(blame.crashed(self.state, effective, types, ended))
        return blame.is_corrected(self.state, effective)

    def _all(self, instead: dict[str, tuple[Document, ...]] | None = None) -> list[Document]:
        offered = {**self._documents, **(instead or {})}
        return [document for source in self._documents for document in offered[source]]

    def _effective(self, snapshot: Snapshot) -> Admission | None:
        return next((effective for built, effective in self._built if built() is snapshot), None)

    def _become(self, new: State, *, quietly: bool = False) -> None:
        old, self.state = self.state, new
        if not self._holding:
            self._follow(old, quietly=quietly)

    def _follow(self, old: State, *, quietly: bool) -> None:
        """Derive what follows from the State, which was `old` when that was done last, and tell everybody."""
        new = self.state
        patch = self._derived.follow(new)
        if patch.set or patch.removed:
            self._outlets.publish(patch)
        self._tell(old, new, quietly)
        if (new.admission, new.refusals, new.health, new.started) != (
            old.admission,
            old.refusals,
            old.health,
            old.started,
        ):
            self._outlets.stale()
        for watcher in self._watchers:
            watcher()

    def _tell(self, old: State, new: State, quietly: bool) -> None:
        """One log line for each problem that is new and each event of an experiment, for those not if `quietly`."""
        if new.reports != old.reports:
            reports = frozenset(str(report) for report in new.reports)
            for report in sorted(reports - self._reported):
                log.warning("refused: %s", report)
            self._reported = reports
        fresh = self.chronicle.note(self._derived.tell(), self._outlets.now())
        if quietly:
            return
        if len(fresh) > LINES:
            counted = Counter(event.event for _, event in fresh)
            said = ", ".join(f"{event} {count}" for event, count in counted.items())
            level = logging.WARNING if any(event.worse for _, event in fresh) else logging.INFO
            log.log(level, "%d experiments at once: %s", len({name for name, _ in fresh}), said)
            return
        for name, event in fresh:
            parts = {"experiment": name, "event": event.event, "detail": event.detail}
            level = logging.WARNING if event.worse else logging.INFO
            log.log(level, "experiment %s: %s: %s", name, event.event, event.detail, extra=parts)
