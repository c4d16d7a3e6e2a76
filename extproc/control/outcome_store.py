"""Outcomes on disk, in the file of the revisions they are of: one row for each revision with all that was counted.

Written in whole, at most every few seconds, so that a process that is killed loses the last few seconds and nothing
else. Must stay true: what can't be read back is left out and said, and never keeps extproc from starting; a row never
outlives its revision.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from extproc.control.database import Database
from extproc.control.outcomes import Role
from extproc.control.tallies import Tally
from extproc.control.terms import TERMS, Stratum, Term

log: Final = logging.getLogger(__name__)

_LOAD: Final = "SELECT name, revision, since, counts FROM outcome ORDER BY name, revision"
# Only of a revision that is still known: it may have been forgotten while this was on its way.
_SAVE: Final = """
    INSERT INTO outcome (name, revision, since, counts) SELECT ?, ?, ?, ?
    WHERE EXISTS (SELECT 1 FROM revision WHERE name = ? AND number = ?)
    ON CONFLICT (name, revision) DO UPDATE SET since = excluded.since, counts = excluded.counts
"""
_PRUNE: Final = """
    DELETE FROM outcome WHERE name = ? AND revision <= (
        SELECT revision FROM outcome WHERE name = ? ORDER BY revision DESC LIMIT 1 OFFSET ?
    )
"""
FORGET: Final = "DELETE FROM outcome WHERE name = ?"

UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError)

_encode: Final = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Row:
    """One term of the experiment `name`, as it was counted until then; `counts` is JSON."""

    name: str
    revision: int
    since: float
    counts: str

    @classmethod
    def of(cls, name: str, term: Term) -> "Row":
        """The row of a term that is recorded."""
        assert term.number is not None  # noqa: S101 - `Outcomes.changed` names no other
        counts: dict[str, Any] = {
            "candidates": {name: tally.row() for name, tally in term.candidates.items()},
            "mirrors": {name: tally.row() for name, tally in term.mirrors.items()},
            "strata": [{"shares": s.shares, "assigned": s.assigned} for s in term.strata],
            "untouched": {role.value: tally.row() for role, tally in term.untouched.items()},
        }
        return cls(name, term.number, term.since, _encode(counts))

    def term(self) -> Term:
        """The term that this is the row of. Raises one of UNREADABLE if it is none's."""
        counts = json.loads(self.counts)
        return Term(
            self.revision,
            None,
            self.since,
            {name: Tally.of_row(row) for name, row in counts["candidates"].items()},
            {name: Tally.of_row(row) for name, row in counts["mirrors"].items()},
            [Stratum(row["shares"], row["assigned"]) for row in counts["strata"]],
            {Role(role): Tally.of_row(row) for role, row in counts.get("untouched", {}).items()},
        )


class OutcomeStore:
    """The rows of the store's file; `lock` keeps apart whoever uses `database`. Every method may block."""

    def __init__(self, database: Database, lock: Lock) -> None:
        self._database: Final = database
        self._lock: Final = lock

    def save(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction, and drop those of revisions that are too many. Raises StoreUnwritable."""
        with self._lock, self._database.writing() as connection:
            for row in rows:
                key = (row.name, row.revision)
                connection.execute(_SAVE, (*key, row.since, row.counts, *key))
                connection.execute(_PRUNE, (row.name, row.name, TERMS))

    def load(self) -> dict[str, list[Term]]:
        """Every term that is kept, by experiment, oldest first. Raises StoreCorrupt when the file can't be read."""
        with self._lock:
            rows = self._database.read(_LOAD)
        terms: dict[str, list[Term]] = {}
        for name, revision, since, text in rows:
            try:
                terms.setdefault(name, []).append(Row(name, revision, since, text).term())
            except UNREADABLE as error:
                log.warning("outcomes of revision %s of %s can't be read, and are left out: %r", revision, name, error)
        return terms
