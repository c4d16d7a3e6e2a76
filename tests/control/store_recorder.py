"""A program that makes changes in a store until it is killed, and says so after each one that was acknowledged.

`change(n)` is the n-th change, so whoever kills it knows what must be there. Each line on stdin, `<state directory>
<first change> <pages>`, forks one recorder that checkpoints its log whenever that has `pages` pages; this program
lives on, for Python takes longer to start than the test may. On stdout: `recorder <pid>`, `done <n>` for each change,
and, when the recorder is no more, `gone <signal or exit code>`.
"""

import os
import sys
import traceback
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Final, NoReturn

from extproc.control.store import Action, Store
from extproc.core.resources import Candidate, Experiment

NAMES: Final = ("forgotten", "kept", "forgotten-too")
ACTIONS: Final = (Action.STARTED, Action.UPDATED, Action.ROLLED_BACK, Action.STOPPED, None)
START: Final = datetime(2025, 3, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Change:
    """What is recorded; an `action` of None forgets the name instead."""

    name: str
    action: Action | None
    spec: Experiment
    why: str
    at: datetime


def change(number: int) -> Change:
    """The `number`-th change, from 0; some fill a few bytes on disk and some a dozen pages."""
    name = NAMES[number % len(NAMES)]
    action = ACTIONS[number // len(NAMES) % len(ACTIONS)]
    if name == "kept" and action is None:
        action = Action.UPDATED
    spec = Experiment(name, (Candidate("a", number), Candidate("b", 1)), default="a")
    return Change(name, action, spec, "because " * (number * number % 61) * 100, START + timedelta(seconds=number))


def make(store: Store, change: Change) -> None:
    """Make one change in `store`."""
    if change.action is None:
        store.forget(change.name)
    else:
        store.record(change.name, change.action, change.spec, source="api", why=change.why, at=change.at)


def _record(state_dir: Path, first: int, pages: int) -> None:
    _say(f"recorder {os.getpid()}")
    store = Store.open(state_dir)
    store._database._connection.execute(f"PRAGMA wal_autocheckpoint = {pages}")
    for number in count(first):
        make(store, change(number))
        _say(f"done {number}")


def _say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # whole and at once, whenever the killer comes


def _recorder(state_dir: Path, first: int, pages: int) -> NoReturn:
    try:
        _record(state_dir, first, pages)
    finally:
        traceback.print_exc()
        os._exit(1)


def main() -> None:
    for line in sys.stdin:
        state_dir, first, pages = line.rstrip("\n").rsplit(" ", 2)
        pid = os.fork()
        if pid == 0:
            _recorder(Path(state_dir), int(first), int(pages))
        _, status = os.waitpid(pid, 0)
        _say(f"gone {os.waitstatus_to_exitcode(status)}")


if __name__ == "__main__":
    main()
