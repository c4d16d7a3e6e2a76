"""Waiting for a state, on a clock of its own: each change told once, and an end in time."""

from collections.abc import Iterator

import pytest

from extproc.cli.admin_errors import AdminRefusedError, AdminUnreachableError
from extproc.cli.experiment_watch import LOOK_WITHIN, NotReachedError, wait_for
from tests.cli.documents import a_document

WAITS = a_document(state="PENDING", reason="waiting for iris2")
RUNS = a_document()
DOWN = AdminUnreachableError("http://h", "connection refused")
FAULT = AdminRefusedError(503, "starting", "", ())


class Clock:
    """Time that passes only while something sleeps; `looks` is how long each look was allowed to take."""

    def __init__(self, *seen: dict[str, object] | Exception) -> None:
        self.now = 100.0
        self.looks: list[float] = []
        self.told: list[str] = []
        self._seen: Iterator[dict[str, object] | Exception] = iter(seen)
        self._last: dict[str, object] | Exception = {}

    def look(self, within: float) -> dict[str, object]:
        self.looks.append(within)
        self._last = next(self._seen, self._last)
        if isinstance(self._last, Exception):
            raise self._last
        return self._last

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds

    def wait(self, wanted: str = "ACTIVE", within: float = 10) -> object:
        return wait_for(
            "iris-ab", wanted, within, self.look, self.told.append, clock=lambda: self.now, sleep=self.sleep
        )


def test_what_is_so_already_is_not_waited_for() -> None:
    clock = Clock(RUNS)
    assert clock.wait() == RUNS
    assert (clock.told, clock.now) == ([], 100.0)


def test_each_change_is_told_once() -> None:
    other = a_document(state="PENDING", reason="waiting for Envoy")
    clock = Clock(WAITS, WAITS, WAITS, other, other, RUNS)
    assert clock.wait() == RUNS
    assert clock.told == ["PENDING: waiting for iris2", "PENDING: waiting for Envoy"]


def test_another_state_may_be_wanted() -> None:
    stopped = a_document(state="STOPPED")
    assert Clock(RUNS, WAITS, stopped).wait("STOPPED") == stopped


def test_the_time_ends_with_the_reason() -> None:
    clock = Clock(WAITS)
    with pytest.raises(NotReachedError, match="iris-ab is not ACTIVE after 10 s: PENDING: waiting for iris2\n"):
        clock.wait()
    assert clock.now == pytest.approx(110.0)


def test_a_look_takes_no_longer_than_there_is_time() -> None:
    clock = Clock(WAITS)
    with pytest.raises(NotReachedError):
        clock.wait()
    assert max(clock.looks) == LOOK_WITHIN
    assert all(0 < within <= max(110.0 - 100.0, 0.1) for within in clock.looks)
    assert clock.looks[-1] == pytest.approx(0.1, abs=0.1)


def test_without_a_limit_it_goes_on() -> None:
    assert Clock(*[WAITS] * 400, RUNS).wait(within=0) == RUNS


def test_that_extproc_does_not_answer_is_one_more_thing_to_wait_for() -> None:
    clock = Clock(DOWN, DOWN, FAULT, WAITS, DOWN, RUNS)
    assert clock.wait() == RUNS
    assert clock.told == [
        "extproc does not answer: connection refused",
        "starting",
        "PENDING: waiting for iris2",
        "extproc does not answer: connection refused",
    ]


def test_an_extproc_that_never_answers_ends_the_wait_in_time() -> None:
    with pytest.raises(NotReachedError, match="extproc does not answer: connection refused"):
        Clock(DOWN).wait()


def test_a_name_that_is_not_known_is_not_waited_for() -> None:
    clock = Clock(WAITS, AdminRefusedError(404, "unknown experiment", "", ()))
    with pytest.raises(AdminRefusedError, match="unknown experiment"):
        clock.wait()
