"""A line for each decision at debug level, its parts for machines, and nothing at all at any other level."""

import io
import json
import logging
from collections.abc import Iterator, Sequence

import pytest

from extproc.core.table import Decision, Outcome
from extproc.telemetry.decision_log import logged
from extproc.telemetry.logs import Format, configure

STICKY = Decision("iris-ab", "iris2", Outcome.STICKY, "iris-ab/iris2", revision=3, share=0.3)
LEFT = Decision("iris-ab", "", Outcome.NOT_ACCEPTED)


class Counter:
    """A meter that keeps what it was told."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.nanoseconds: list[tuple[int | None, int]] = []

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        self.decisions += decisions
        self.nanoseconds.append((nanoseconds, len(decisions)))


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(form: Format) -> list[str]:
    """What two decisions write at debug level; both are counted as ever."""
    stream, counter = io.StringIO(), Counter()
    configure("debug", form, stream)
    meter = logged(counter)
    meter.count([STICKY, LEFT], 800)
    assert (counter.decisions, counter.nanoseconds) == ([STICKY, LEFT], [(800, 2)])
    return stream.getvalue().splitlines()


def test_each_decision_is_a_json_object_at_debug_level() -> None:
    sticky, left = map(json.loads, lines("json"))
    assert sticky.pop("timestamp")
    assert sticky == {
        "severity": "DEBUG",
        "logger": "extproc.decisions",
        "message": "experiment iris-ab, revision 3: iris2, sticky",
        "experiment": "iris-ab",
        "candidate": "iris2",
        "outcome": "sticky",
        "revision": 3,
    }
    assert (left["candidate"], left["outcome"], left["revision"]) == ("", "not_accepted", None)


def test_each_decision_is_a_line_for_people() -> None:
    sticky, left = lines("text")
    assert sticky.endswith("DEBUG   extproc.decisions: experiment iris-ab, revision 3: iris2, sticky")
    assert left.endswith("experiment iris-ab, revision none: left to Envoy, not_accepted")


@pytest.mark.parametrize("level", ["info", "warning", "error"])
def test_at_any_other_level_the_meter_is_the_same_object(level: str) -> None:
    configure(level, "text", io.StringIO())
    counter = Counter()
    assert logged(counter) is counter
