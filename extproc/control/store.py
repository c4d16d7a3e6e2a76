"""The durable store: every accepted change of every experiment, as revisions that outlive the process.

Of the control layer, only this module and `database` touch a disk, each call when it is made and to its end: the one
rule that a change is on disk before it is live is kept by whoever calls `record` first and acts after. They know no
event loop; a caller that has one gives them a thread. Must stay true: a revision that was returned is never lost, one
that was refused is never seen, and a number is never given twice.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, Final, Self

from extproc.control import outcome_store
from extproc.control.complaints import corrupt
from extproc.control.database import Database
from extproc.control.outcome_store import OutcomeStore
from extproc.control.revisions import Action, Change, Revision
from extproc.core.differences import amended
from extproc.core.layered import Layered
from extproc.core.resources import Experiment
from extproc.errors import InvalidResource
from extproc.wire import manifests

__all__ = ["Action", "Change", "Revision", "Store"]

# Each query lists the fields of a Revision in their order.
_LATEST: Final = """
    SELECT name, number, action, spec, source, caller, why, at FROM revision AS r
    WHERE number = (SELECT max(number) FROM revision WHERE name = r.name) ORDER BY name
"""
_HISTORY: Final = """
    SELECT name, number, action, spec, source, caller, why, at FROM revision WHERE name = ? ORDER BY number
"""
_INSERT: Final = """
    INSERT INTO revision (name, number, action, spec, source, caller, why, at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_FORGET: Final = "DELETE FROM revision WHERE name = ?"
_LAST_NUMBER: Final = "SELECT last FROM numbering WHERE name = ?"
_COUNT: Final = "INSERT INTO numbering (name, last) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET last = excluded.last"


class Store:
    """The revisions under one state directory, and their `outcomes`; this process alone has them open.

    Every method may be called from any thread. `current` never waits; the others wait for each other and for the disk.
    """

    def __init__(self, database: Database, latest: Mapping[str, Revision]) -> None:
        self._database: Final = database
        self._latest = latest
        self._lock: Final = Lock()
        self.outcomes: Final = OutcomeStore(database, self._lock)

    @classmethod
    def open(cls, state_dir: Path) -> Self:
        """Open the store in `state_dir`, which is made (mode 0700) when it is missing, as is the store.

        Raises StoreInUse, StoreUnwritable, StoreCorrupt or StoreTooNew; whatever is there is then left as it is.
        """
        database = Database.open(state_dir)
        try:
            latest = {row[0]: _revision(database.file, row) for row in database.read(_LATEST)}
        except BaseException:
            database.close()
            raise
        return cls(database, Layered(latest))

    def record(
        self,
        name: str,
        action: Action,
        spec: Experiment,
        *,
        source: str,
        caller: str = "",
        why: str = "",
        at: datetime,
    ) -> Revision:
        """Add a revision of `name`; it is on the disk when this returns. `at` is in UTC.

        Raises StoreUnwritable with the reason; then there is no such revision, and the next call may succeed.
        """
        (revision,) = self.record_all([Change(name, action, spec, source, caller, why)], at)
        return revision

    def record_all(self, changes: Sequence[Change], at: datetime) -> tuple[Revision, ...]:
        """Add a revision for each of `changes`, in their order: all of them or, when this raises, none.

        Ten thousand of them wait for the disk once. Raises as `record` does.
        """
        revisions: list[Revision] = []
        with self._lock:
            with self._database.writing() as connection:
                for change in changes:
                    last = connection.execute(_LAST_NUMBER, (change.name,)).fetchone()
                    revision = change.numbered(last[0] + 1 if last else 1, at)
                    connection.execute(_COUNT, (revision.name, revision.number))
                    connection.execute(_INSERT, _row(revision))
                    revisions.append(revision)
            self._latest = amended(self._latest, {revision.name: revision for revision in revisions})
        return tuple(revisions)

    def current(self) -> Mapping[str, Revision]:
        """The last revision of each name: an immutable value that later changes don't touch."""
        return self._latest

    def history(self, name: str) -> tuple[Revision, ...]:
        """Every revision of `name`, oldest first; none for a name that is not known. Raises StoreCorrupt."""
        with self._lock:
            rows = self._database.read(_HISTORY, name)
        return tuple(_revision(self._database.file, row) for row in rows)

    def forget(self, name: str) -> None:
        """Drop every revision of a stopped experiment and its outcomes, on the disk too; an unknown name is fine.

        Raises StoreUnwritable, and ValueError for an experiment that runs.
        """
        with self._lock:
            latest = self._latest.get(name)
            if latest is None:
                return
            if latest.action is not Action.STOPPED:
                raise ValueError(f"{name} was {latest.action}, not stopped: it can't be forgotten")
            with self._database.writing() as connection:
                connection.execute(_FORGET, (name,))
                connection.execute(outcome_store.FORGET, (name,))
            self._latest = amended(self._latest, {name: None})

    def close(self) -> None:
        """Let go of the state directory; a second call does nothing."""
        with self._lock:
            self._database.close()


def _row(revision: Revision) -> tuple[str | int, ...]:
    spec = json.dumps(manifests.write(revision.spec), separators=(",", ":"))
    at = revision.at.isoformat(timespec="microseconds")
    who = (revision.source, revision.caller, revision.why)
    return (revision.name, revision.number, revision.action.value, spec, *who, at)


def _revision(file: Path, row: tuple[Any, ...]) -> Revision:
    name, number, action, spec, source, caller, why, at = row
    try:
        return Revision(
            name, number, Action(action), _experiment(spec), source, caller, why, datetime.fromisoformat(at)
        )
    except (ValueError, TypeError, InvalidResource) as error:
        raise corrupt(file, f"revision {number} of {name}: {error}") from error


def _experiment(text: str) -> Experiment:
    document = manifests.read(text, "spec.json")
    problems = [*document.problems, *(problem for offer in document.offers for problem in offer.problems)]
    if problems:
        raise InvalidResource(problems)
    specs = [offer.resource for offer in document.offers]
    if len(specs) != 1 or not isinstance(specs[0], Experiment):
        raise ValueError("its spec is no Experiment")
    return specs[0]
