"""What is told of an experiment: each change once, in order, and no more than the last twenty."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from extproc.control.events import KEPT, Chronicle, changes
from extproc.control.standing import CandidateStatus, MirrorStatus
from extproc.control.status import ExperimentState, ExperimentStatus
from extproc.core.resources import Candidate, Experiment, Mirror

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = Experiment("x", (Candidate("iris", 1), Candidate("iris2", 3)), "iris", Mirror("iris3", 200_000))
UP = ExperimentStatus(
    "x",
    ExperimentState.ACTIVE,
    "all candidates ready",
    "a",
    accepted=True,
    candidates_ready=True,
    mirror_ready=True,
    candidates=(CandidateStatus("iris", 1, 0.25, True, ":iris_1:"), CandidateStatus("iris2", 3, 0.75, True, "")),
    mirrors=(MirrorStatus("iris3", 20, True),),
    spec=SPEC,
)
NEW = replace(UP, state=ExperimentState.PENDING, reason="waiting for Envoy", accepted=False)
DOWN = replace(
    UP,
    state=ExperimentState.DEGRADED,
    reason="running without iris2",
    candidates=(UP.candidates[0], replace(UP.candidates[1], ready=False)),
)
REJECTED = replace(UP, state=ExperimentState.REJECTED, reason="candidates: is empty", spec=None)


def told(before: ExperimentStatus | None, after: ExperimentStatus | None) -> list[str]:
    return [event for event, _ in changes(before, after)]


def test_each_change_has_its_event() -> None:
    assert list(changes(None, NEW)) == [
        ("created", "iris 1, iris2 3; mirror iris3 20 %"),
        ("pending", "waiting for Envoy"),
    ]
    assert told(NEW, UP) == ["accepted", "active"]
    assert list(changes(UP, DOWN)) == [("candidate_down", "iris2"), ("degraded", "running without iris2")]
    assert told(DOWN, UP) == ["candidate_back", "active"]
    assert told(UP, None) == ["stopped"]
    assert told(None, REJECTED) == ["rejected"]
    assert told(REJECTED, NEW) == ["created", "pending"]
    assert told(REJECTED, None) == []
    assert told(UP, UP) == []


def test_an_update_is_told_with_its_weights_and_again_when_envoy_runs_it() -> None:
    spec = replace(SPEC, candidates=(Candidate("iris", 9), Candidate("iris2", 3)))
    updated = replace(UP, spec=spec, accepted=False, candidates=(replace(UP.candidates[0], weight=9), UP.candidates[1]))
    assert list(changes(UP, updated)) == [("updated", "iris 9, iris2 3; mirror iris3 20 %")]
    assert told(updated, replace(updated, accepted=True)) == ["accepted"]


def test_a_mirror_that_goes_and_comes_back() -> None:
    gone = replace(UP, mirrors=(MirrorStatus("iris3", 20, False),), mirror_ready=False)
    assert told(UP, gone) == ["mirror_down"]
    assert told(gone, UP) == ["mirror_back"]


def test_readiness_is_told_only_once_it_runs() -> None:
    assert told(replace(DOWN, state=ExperimentState.PENDING), UP) == ["active"]


def test_the_chronicle_keeps_the_last_events_with_their_times() -> None:
    chronicle = Chronicle()
    for minute in range(30):
        chronicle.note({"x": UP if minute % 2 else DOWN}, NOON + timedelta(minutes=minute))
    kept = chronicle.of("x")
    assert len(kept) == KEPT
    assert [event.event for event in kept[-2:]] == ["candidate_back", "active"]
    assert kept[-1].at == NOON + timedelta(minutes=29)
    assert chronicle.note({"x": UP}, NOON) == []
    assert [(name, event.event) for name, event in chronicle.note({"x": None}, NOON)] == [("x", "stopped")]
    assert chronicle.note({"x": None}, NOON) == []
    chronicle.forget("x")
    assert chronicle.of("x") == ()
