"""The schema of the store's file: every version there ever was, as the SQL that leads from one to the next.

Must stay true: a script that was released is never changed; what is to be different becomes a script of its own at the
end. `tests/fixtures/store/` holds a file of each earlier version.
"""

from typing import Final

# "extp". Tells our files from any other's (https://www.sqlite.org/pragma.html#pragma_application_id).
APPLICATION_ID: Final = 0x65787470

# MIGRATIONS[n] leads from version n to version n + 1; the file says in `user_version` which one it is.
MIGRATIONS: Final = (
    f"""
    PRAGMA application_id = {APPLICATION_ID};
    -- The last number given to a revision of each name. Outlives the revisions, so that no number is given twice.
    CREATE TABLE numbering (
        name TEXT NOT NULL PRIMARY KEY,
        last INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE revision (
        name TEXT NOT NULL,
        number INTEGER NOT NULL,
        action TEXT NOT NULL,
        spec TEXT NOT NULL,  -- the canonical JSON of an extproc.v1.Experiment
        source TEXT NOT NULL,
        caller TEXT NOT NULL,
        at TEXT NOT NULL,  -- ISO 8601 with microseconds, in UTC
        PRIMARY KEY (name, number)
    );
    """,
    """
    ALTER TABLE revision ADD COLUMN why TEXT NOT NULL DEFAULT '';
    """,
    """
    -- What became of the requests of a revision.
    CREATE TABLE outcome (
        name TEXT NOT NULL,
        revision INTEGER NOT NULL,
        since REAL NOT NULL,  -- when it was in force first: Unix time, in seconds
        counts TEXT NOT NULL,  -- JSON, as control/outcome_store.py writes it
        PRIMARY KEY (name, revision)
    );
    """,
)
VERSION: Final = len(MIGRATIONS)
