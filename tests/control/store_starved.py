"""A program that tells how a store fares while there is no room to write, or no leave to.

`store_starved full|limited|read-only <state directory>`: `full` and `read-only` want a small file system of their own
there, `limited` makes a file-size limit of the process do. Tells one JSON object.
"""

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

from extproc.control.store import Action, Store
from extproc.core.resources import Candidate, Experiment
from extproc.errors import StoreFailed

NAME: Final = "iris-ab"
PAGE: Final = 4096
ROOMS: Final = (0, 1, 2, 3, 5)  # pages; too few for one change, which fills a dozen
WHY: Final = "a long story " * 4000

Starving = Callable[[int], AbstractContextManager[None]]


def record(store: Store, weight: int) -> str:
    """Record one change; returns what went wrong, or nothing."""
    spec = Experiment(NAME, (Candidate("iris", weight), Candidate("iris2", 1)))
    try:
        store.record(NAME, Action.UPDATED, spec, source="api", why=WHY, at=datetime.now(UTC))
    except StoreFailed as error:
        return f"{type(error).__name__}: {error}"
    return ""


def numbers(store: Store) -> list[int]:
    """The numbers of all revisions, each of them whole."""
    history = store.history(NAME)
    assert all(r.why == WHY for r in history)
    assert store.current()[NAME] == history[-1]
    return [r.number for r in history]


@contextmanager
def full(state_dir: Path, pages: int) -> Iterator[None]:
    """Fill the file system of `state_dir` up to its last `pages`."""
    filler = state_dir / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(PAGE))
        except OSError:
            file.truncate(file.tell() - pages * PAGE)
    try:
        yield
    finally:
        filler.unlink()


@contextmanager
def limited(state_dir: Path, pages: int) -> Iterator[None]:
    """Let no file of this process grow past the store's log, and `pages` more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    size = (state_dir / "extproc.db-wal").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + pages * PAGE, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def starved(state_dir: Path, starving: Starving) -> dict[str, Any]:
    """A store is opened, starved more and less, and given room again each time; then restarted while it starves."""
    store = Store.open(state_dir)
    told: list[dict[str, Any]] = []
    made = [record(store, 1)]
    for pages in ROOMS:
        with starving(pages):
            failure = record(store, 2)
            told.append({"pages": pages, "failure": failure, "during": numbers(store)})
        made.append(record(store, 3))
    with starving(0):
        store.close()
        store = Store.open(state_dir)
        restarted = {"failure": record(store, 4), "during": numbers(store)}
    made.append(record(store, 5))
    store.close()
    with closing(Store.open(state_dir)) as store:
        return {"made": made, "starved": told, "restarted": restarted, "at the end": numbers(store)}


def read_only(state_dir: Path) -> dict[str, Any]:
    """A store is opened, closed, and opened again where it can't write."""
    opened = [opening(state_dir)]
    for mode in ("ro", "rw"):
        subprocess.run(["mount", "-o", f"remount,{mode}", state_dir], check=True)
        opened.append(opening(state_dir))
    return {"opened": opened}


def opening(state_dir: Path) -> str:
    """What goes wrong when a store is opened, or nothing."""
    try:
        Store.open(state_dir).close()
    except StoreFailed as error:
        return f"{type(error).__name__}: {error}"
    return ""


def main() -> None:
    how, state_dir = sys.argv[1], Path(sys.argv[2])
    match how:
        case "full":
            told = starved(state_dir, partial(full, state_dir))
        case "limited":
            told = starved(state_dir, partial(limited, state_dir))
        case _:
            told = read_only(state_dir)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
