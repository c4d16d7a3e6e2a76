"""Killed at any moment, the store keeps every change that was acknowledged, whole and in order."""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final

import pytest

from extproc.control.store import Revision, Store
from extproc.errors import StoreInUse
from tests.control.store_recorder import NAMES, change

KILLS: Final = 100
KILLS_A_STORE: Final = 10
ROOT: Final = Path(__file__).parents[2]

Histories = dict[str, tuple[Revision, ...]]


class Recorders:
    """The program that forks recorders, one at a time."""

    def __init__(self, stdin: IO[str], stdout: IO[str]) -> None:
        self._stdin: Final = stdin
        self._stdout: Final = stdout

    def start(self, state_dir: Path, first: int, pages: int) -> int:
        """Start a recorder; returns its process id."""
        self._stdin.write(f"{state_dir} {first} {pages}\n")
        self._stdin.flush()
        return self.next("recorder")

    def next(self, word: str) -> int:
        """The number that follows `word` on the next line."""
        said, _, number = self._stdout.readline().partition(" ")
        assert said == word, f"expected {word!r}, read {said!r} {number!r}"
        return int(number)

    def kill(self, pid: int, expected: int) -> int:
        """Kill a recorder, and return the change that it would have acknowledged next; `expected` or a later one."""
        os.kill(pid, signal.SIGKILL)
        for line in self._stdout:
            word, _, number = line.partition(" ")
            if word == "gone":
                assert int(number) == -signal.SIGKILL, "the recorder ended by itself"
                return expected
            assert (word, int(number)) == ("done", expected)
            expected += 1
        raise AssertionError("the program that forks recorders ended")


@contextmanager
def recorders() -> Iterator[Recorders]:
    program = subprocess.Popen(
        [sys.executable, "-m", "tests.control.store_recorder"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with program:
        try:
            assert program.stdin
            assert program.stdout
            yield Recorders(program.stdin, program.stdout)
        finally:
            os.killpg(program.pid, signal.SIGKILL)  # the last recorder too


class Expected:
    """What must be in a store after so many changes; `histories[n]` is what it was after n."""

    def __init__(self) -> None:
        self._last: Final = dict.fromkeys(NAMES, 0)
        self.histories: Final[list[Histories]] = [dict.fromkeys(NAMES, ())]

    def after(self, changes: int) -> Histories:
        while len(self.histories) <= changes:
            self.histories.append(self._changed(len(self.histories) - 1))
        return self.histories[changes]

    def _changed(self, number: int) -> Histories:
        made, before = change(number), self.histories[-1]
        if made.action is None:
            return {**before, made.name: ()}
        self._last[made.name] += 1
        revision = Revision(made.name, self._last[made.name], made.action, made.spec, "api", "", made.why, made.at)
        return {**before, made.name: (*before[made.name], revision)}


def reopened(state_dir: Path) -> Histories:
    with closing(Store.open(state_dir)) as store:
        found = {name: store.history(name) for name in NAMES}
        assert store.current() == {name: history[-1] for name, history in found.items() if history}
        return found


def told(histories: Histories) -> str:
    return ", ".join(f"{name}: {[r.number for r in history]}" for name, history in histories.items())


@pytest.mark.timeout(120)
def test_killed_at_random_moments_it_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    expected = Expected()
    moments = random.Random(seed := random.randrange(2**32))
    acknowledged = unacknowledged = made = 0
    with recorders() as program:
        for kill in range(KILLS):
            state_dir = tmp_path / f"state {kill // KILLS_A_STORE}" / "made by it"
            if kill % KILLS_A_STORE == 0:
                made = 0
            first = made
            # Every third is killed while it makes or opens its store, or soon after.
            enough = 0 if kill % 3 == 0 else moments.randrange(1, 20)
            pid = program.start(state_dir, first, pages=moments.choice((1, 5, 1000)))
            for number in range(first, first + enough):
                assert program.next("done") == number
            time.sleep(moments.uniform(0, 0.003 if enough else 0.015))  # a random moment, nothing is waited for
            made = program.kill(pid, first + enough)
            acknowledged += made - first

            found = reopened(state_dir)
            where = f"seed {seed}, kill {kill}: after {made} changes there is {told(found)}"
            if found != expected.after(made):
                assert found == expected.after(made + 1), f"{where}; expected {told(expected.after(made))}"
                made += 1
                unacknowledged += 1
    assert acknowledged > KILLS
    assert unacknowledged < KILLS


def test_a_second_process_is_kept_out_until_the_first_has_ended(tmp_path: Path) -> None:
    with recorders() as program:
        pid = program.start(tmp_path, 0, 1000)
        assert program.next("done") == 0
        with pytest.raises(StoreInUse, match=rf"{tmp_path} is in use by another process.*--state-dir"):
            Store.open(tmp_path)
        made = program.kill(pid, 1)
        with closing(Store.open(tmp_path)) as store:
            assert sum(len(store.history(name)) for name in NAMES) >= min(made, 3)
