"""Outcomes as they run: told what is in force, fed by the access log, written to disk every few seconds.

A restart loses nothing: Envoy keeps what ends meanwhile until somebody listens again, as far as its buffer reaches. A
process that is killed loses what it has counted since the last time it wrote, at most SAVE seconds (as many times that
as it takes, where more than ROWS experiments have requests all the time), and what Envoy sends in the half second until
it notices. An Envoy that is killed takes along what it has not sent, a quarter of a second (`xds/access_logs.py` says
why). A disk that is full costs nothing until the next restart.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Final

from extproc import names
from extproc.control.accumulator import Outcomes
from extproc.control.lifecycle import Lifecycle
from extproc.control.outcome_store import OutcomeStore, Row
from extproc.control.plane import Plane
from extproc.control.revisions import Action
from extproc.control.store import Store
from extproc.control.terms import Term
from extproc.core.differences import differing
from extproc.core.resources import Experiment
from extproc.core.table import EMPTY, Entry, Outcome, Table
from extproc.errors import StoreFailed, StoreUnwritable
from extproc.server.access_log import AccessLogService

log: Final = logging.getLogger(__name__)

SAVE: Final = 5.0  # seconds between two writes
ROWS: Final = 500  # experiments that are written each time: a hundredth of the time, or two, however many there are
PART: Final = 50  # of them at once: a change of an experiment waits for the disk until they are written


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """What was in force when it was last looked at."""

    table: Table
    experiments: Mapping[str, Experiment]
    revisions: Mapping[str, int]


class OutcomeKeeper:
    """`outcomes` and everything around them; `service` belongs to the gRPC server.

    Made before the first resource is offered. `run` until the end, then `stop` once nothing is counted any more, while
    `store` is open.
    """

    def __init__(self, store: Store, plane: Plane, lifecycle: Lifecycle, now: Callable[[], datetime]) -> None:
        self.outcomes: Final = Outcomes()
        self.service: Final = AccessLogService(self.outcomes.account)
        self._store: Final[OutcomeStore] = store.outcomes
        self._plane = plane
        self._lifecycle = lifecycle
        self._now = now
        self._seen = _Seen(EMPTY, {}, {})
        self._saving: asyncio.Task[None] | None = None
        self._unwritable = False
        self._taken = False
        self._restore(store)
        plane.watch(self._follow)

    def taken(self) -> None:
        """Workers have their first table of this process; until now they drew by that of the one before it."""
        self._taken = True
        self.outcomes.drawn_since(self._now().timestamp())

    async def run(self) -> None:
        """Write what was counted, and drop what is gone, every few seconds, until cancelled."""
        while True:
            await asyncio.sleep(SAVE)
            self._drop()
            self._saving = asyncio.create_task(self._save(ROWS))
            await asyncio.shield(self._saving)

    async def stop(self) -> None:
        """Write the last of it."""
        if self._saving is not None:
            await self._saving  # or it might write older rows after these
        await self._save()

    def _restore(self, store: Store) -> None:
        try:
            kept = self._store.load()
        except StoreFailed as error:
            log.warning("outcomes begin anew: %s", error)
            kept = {}
        for name, revision in store.current().items():
            terms = kept.get(name, [])
            if revision.action is not Action.STOPPED:
                if not terms or terms[-1].number != revision.number:
                    # It has had no requests yet, or none that were written.
                    terms.append(Term.begun(revision.number, revision.spec, revision.at.timestamp()))
                terms[-1].of(revision.spec)
            self.outcomes.restore(name, terms)

    def _follow(self) -> None:
        """What is in force may be something else."""
        table, state = self._plane.table, self._plane.state
        before, self._seen = self._seen, _Seen(table, state.effective.experiments_by_name, state.revisions)
        now = self._seen
        if all(getattr(before, part) is getattr(now, part) for part in ("table", "experiments", "revisions")):
            return
        changed = {
            *differing(before.experiments, now.experiments),
            *differing(before.revisions, now.revisions),
            *(name for name, _ in differing(before.table.entries, now.table.entries)),
        }
        at = self._now().timestamp()
        for name in filter(now.experiments.__contains__, changed):
            entries = {protocol: table.entries.get((name, protocol)) for protocol in names.PROTOCOLS}
            shares = {protocol: _shares(entry) for protocol, entry in entries.items() if entry}
            self.outcomes.in_force(now.revisions.get(name), now.experiments[name], shares, at)
        if not self._taken:
            self.outcomes.drawn_since(inf)

    def _drop(self) -> None:
        """Keep nothing of experiments that are gone, and listed no more."""
        for name in self.outcomes.experiments - self._plane.state.admission.experiment_names:
            if self._lifecycle.revision(name) is None:
                self.outcomes.drop(name)

    async def _save(self, most: int | None = None) -> None:
        terms = self.outcomes.changed(most)
        for i in range(0, len(terms), PART):
            if not await self._write(terms[i : i + PART]):
                self.outcomes.unsaved(terms[i:])
                return

    async def _write(self, terms: Sequence[tuple[str, Term]]) -> bool:
        rows = [Row.of(name, term) for name, term in terms]  # counting goes on while the disk works
        try:
            await asyncio.to_thread(self._store.save, rows)
        except StoreUnwritable as error:
            if not self._unwritable:
                log.warning("outcomes are not kept on disk for now, they are counted on: %s", error)
            self._unwritable = True
        else:
            self._unwritable = False
        return not self._unwritable


def _shares(entry: Entry) -> dict[str, float]:
    """The shares of fresh weighted assignments; none while nothing is drawn by weight."""
    return {decision.candidate: decision.share for decision in entry.afresh if decision.outcome is Outcome.WEIGHTED}
