"""The one writer: what it logs of what happens, and how loudly."""

import logging
from datetime import UTC, datetime

import pytest

from extproc.control.health import HealthView
from extproc.control.plane import Outlets, Plane
from extproc.control.status import ExperimentState
from extproc.core.resources import Candidate, Experiment
from extproc.core.table import Patch
from extproc.xds.snapshot import Snapshot
from tests.control.test_admission import model, valid
from tests.control.test_state import ALL

AB = Experiment("iris-ab", (Candidate("iris", 1), Candidate("iris2", 1)), "iris")
OTHER = Experiment("other", (Candidate("iris", 1),))


@pytest.fixture
def plane(caplog: pytest.LogCaptureFixture) -> Plane:
    """Two experiments that an Envoy runs; what was logged until then is forgotten."""
    caplog.set_level(logging.INFO, "extproc")
    outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    made = Plane(("files",), lambda _: (), outlets)
    made.offer("files", [valid("a.json", model("iris"), model("iris2"), AB, OTHER)])
    assert {record.levelname for record in caplog.records} == {"INFO"}, "to wait for Envoy at first is no news"
    made.connected(True)
    accept(made)
    caplog.clear()
    return made


def accept(plane: Plane) -> None:
    """An Envoy takes everything."""
    snapshot = Snapshot({}, frozenset())
    plane.built(snapshot, plane.state.effective)
    plane.accepted(snapshot, ALL | {"other/iris"})


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [(record.levelname, record.getMessage().removeprefix("experiment iris-ab: ")) for record in caplog.records]
    caplog.clear()
    return found


def test_what_is_worse_than_before_is_a_warning(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    plane.saw(HealthView({"iris": True}))
    assert logged(caplog) == [
        ("WARNING", "candidate_down: iris2"),
        ("WARNING", "degraded: running without iris2 (Envoy finds iris2 not ready)"),
    ]
    plane.saw(HealthView({"iris": True, "iris2": True}))
    assert logged(caplog) == [("INFO", "candidate_back: iris2"), ("INFO", "active: all candidates ready")]
    plane.saw(HealthView({}))
    said = "pending: waiting for iris and iris2; nobody answers (Envoy finds iris and iris2 not ready)"
    assert ("WARNING", said) in logged(caplog)


def test_an_envoy_that_goes_is_one_warning_and_an_event_of_each_experiment(
    plane: Plane, caplog: pytest.LogCaptureFixture
) -> None:
    plane.connected(False)
    assert logged(caplog) == [("WARNING", "no Envoy is connected: 2 experiment(s) wait for one")]
    for name in ("iris-ab", "other"):
        last = plane.chronicle.of(name)[-1]
        assert (last.event, last.worse, "no Envoy is connected" in last.detail) == ("pending", True, True)
    plane.connected(True)
    assert logged(caplog) == []
    accept(plane)
    assert [event.event for event in plane.chronicle.of("other")][-2:] == ["accepted", "active"]
    assert {status.state for status in plane.statuses.values()} == {ExperimentState.ACTIVE}


def test_of_many_events_at_once_their_number_is_one_line(plane: Plane, caplog: pytest.LogCaptureFixture) -> None:
    """A start with ten thousand experiments, or the loss of the one cluster behind them all."""
    many = [Experiment(f"e{i}", (Candidate("iris", 1), Candidate("iris2", 1))) for i in range(300)]
    plane.offer("files", [valid("a.json", model("iris"), model("iris2"), AB, OTHER, *many)])
    assert logged(caplog) == [("INFO", "300 experiments at once: created 300, pending 300")]
    snapshot = Snapshot({}, frozenset())
    plane.built(snapshot, plane.state.effective)
    plane.accepted(snapshot, ALL | {"other/iris"} | {f"e{i}/{name}" for i in range(300) for name in ("iris", "iris2")})
    assert logged(caplog) == [("INFO", "300 experiments at once: accepted 300, active 300")]
    plane.saw(HealthView({"iris": True}))
    assert logged(caplog) == [("WARNING", "301 experiments at once: candidate_down 301, degraded 301")]
    assert plane.chronicle.of("e7")[-1].event == "degraded"


def test_what_happens_as_one_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    published, stale, told = list[Patch](), list[None](), list[int]()
    outlets = Outlets(published.append, lambda: stale.append(None), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    made = Plane(("files",), lambda _: (), outlets)
    made.watch(lambda: told.append(len(made.statuses)))
    caplog.set_level(logging.INFO, "extproc")
    with made.as_one():
        made.offer("files", [valid("a.json", model("iris"), model("iris2"), OTHER)])
        made.offer("files", [valid("a.json", model("iris"), model("iris2"), AB)])
        made.recorded({"iris-ab": 7})
        made.saw(HealthView({"iris": True}))
        assert not (published or stale or told or made.statuses or caplog.records)
    (patch,) = published
    assert {name for name, _ in patch.set} == {"iris-ab"}
    assert made.table == made.state.table()
    assert {decision.revision for entry in made.table.entries.values() for decision in entry.afresh} == {7}
    assert told == [1]
    assert len(stale) == 1
    assert [event for _, event in logged(caplog)] == [
        "created: iris 1, iris2 1",
        "pending: waiting for Envoy to connect (Envoy finds iris2 not ready)",
    ]
    made.saw(HealthView({"iris": True, "iris2": True}))
    assert len(told) == 2
