"""Changes judged, recorded and applied, over a real store; time is the test's."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from extproc.control.drafts import API, Author, Draft, Unchanged
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Action, Store
from extproc.core.layered import Layered
from extproc.core.matches import Match
from extproc.core.resources import Candidate, Experiment, Kind, WhenUnavailable
from extproc.errors import Conflict, InvalidResource, StaleRevision, UnknownExperiment
from tests.control.changing import UNTAKEN, objections
from tests.control.test_admission import model, valid
from tests.harness.unwalked import unwalked

FILES = "files"
NOBODY = Author()


class Stage:
    """A lifecycle over a plane of two sources; `at` is the time."""

    def __init__(self, directory: Path) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.directory = directory
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.directory)
        outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: self.at)
        self.plane = Plane((API, FILES), objections, outlets)
        self.lifecycle = Lifecycle(self.store, self.plane, lambda: self.at)
        self.lifecycle.resume()
        self.plane.offer(FILES, [valid("models.json", model("iris"), model("iris2"))])

    def reopen(self) -> None:
        self.store.close()
        self.open()

    def make(self, draft: Draft | Unchanged) -> None:
        assert isinstance(draft, Draft)
        self.lifecycle.apply(self.lifecycle.record(draft))

    def start(self, experiment: Experiment) -> None:
        self.make(self.lifecycle.start(experiment, NOBODY))

    def running(self) -> set[str]:
        return {e.name for e in self.plane.state.admission.experiments}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    built = Stage(tmp_path)
    yield built
    built.store.close()


def trial(name: str = "ab", default: str = "iris", *, weight: int = 1, reject: bool = False) -> Experiment:
    policy = WhenUnavailable.REJECT if reject else WhenUnavailable.AVAILABLE_CANDIDATES
    return Experiment(
        name, (Candidate(default, weight), Candidate("iris2", 1)), default, when_unavailable=policy
    )  # fmt: skip


def test_judging_changes_nothing(stage: Stage) -> None:
    draft = stage.lifecycle.start(trial(), NOBODY)
    assert isinstance(draft, Draft)
    assert draft.action is Action.STARTED
    assert stage.running() == set()
    assert stage.store.current() == {}


def test_what_was_applied_runs_again_after_a_restart(stage: Stage) -> None:
    stage.start(trial())
    stage.start(trial("cd", "wine"))
    stage.make(stage.lifecycle.stop("cd", NOBODY))
    stage.reopen()
    assert stage.running() == {"ab"}
    assert isinstance(stage.lifecycle.start(trial(), NOBODY), Unchanged)


def test_stop_start_and_roll_back_are_revisions(stage: Stage) -> None:
    stage.start(trial())
    stage.start(trial(weight=9))
    stage.make(stage.lifecycle.stop("ab", NOBODY))
    assert isinstance(stage.lifecycle.stop("ab", NOBODY), Unchanged)
    stage.make(stage.lifecycle.roll_back("ab", 1, Author("alice", "worse")))
    assert [(r.number, r.action) for r in stage.lifecycle.history("ab")] == [
        (1, Action.STARTED),
        (2, Action.UPDATED),
        (3, Action.STOPPED),
        (4, Action.ROLLED_BACK),
    ]
    assert next(stage.plane.state.admission.experiments) == trial()
    assert stage.lifecycle.history("ab")[-1].caller == "alice"
    with pytest.raises(UnknownExperiment, match="no revision 7"):
        stage.lifecycle.roll_back("ab", 7, NOBODY)


def test_who_has_not_seen_the_current_revision_is_refused(stage: Stage) -> None:
    stage.start(trial())
    with pytest.raises(StaleRevision, match="is at revision 1, not 0"):
        stage.lifecycle.start(trial(weight=2), NOBODY, expected=0)
    assert isinstance(stage.lifecycle.start(trial(weight=2), NOBODY, expected=1), Draft)


def test_a_default_that_is_taken_is_refused_and_the_owner_named(stage: Stage) -> None:
    stage.start(trial())
    with pytest.raises(Conflict, match="experiment ab"):
        stage.lifecycle.start(trial("second"), NOBODY)
    stage.make(stage.lifecycle.stop("ab", NOBODY))
    stage.start(trial("second"))
    with pytest.raises(Conflict, match="experiment second"):
        stage.lifecycle.start(trial(), NOBODY)
    with pytest.raises(Conflict, match="experiment second"):
        stage.lifecycle.roll_back("ab", 1, NOBODY)


def test_reject_refuses_only_to_start(stage: Stage) -> None:
    missing = Experiment("ab", (Candidate("iris", 1), Candidate("gone", 1)), "iris")
    reject = Experiment("ab", missing.candidates, "iris", when_unavailable=WhenUnavailable.REJECT)
    with pytest.raises(Conflict, match="not ready: gone"):
        stage.lifecycle.start(reject, NOBODY)
    stage.start(missing)
    assert isinstance(stage.lifecycle.start(reject, NOBODY), Draft)


def test_what_a_file_owns_is_refused_and_the_file_named(stage: Stage) -> None:
    stage.plane.offer(FILES, [valid("trials.json", trial())])
    with pytest.raises(Conflict, match=r"trials\.json"):
        stage.lifecycle.start(trial(weight=3), NOBODY)
    with pytest.raises(Conflict, match=r"trials\.json"):
        stage.lifecycle.stop("ab", NOBODY)
    with pytest.raises(Conflict, match=r"trials\.json"):
        stage.lifecycle.roll_back("ab", 1, NOBODY)


def test_the_changes_of_files_are_observed_once(stage: Stage) -> None:
    stage.plane.offer(FILES, [valid("trials.json", trial())])
    (draft,) = stage.lifecycle.observe()
    assert (draft.action, draft.source) == (Action.STARTED, "trials.json")
    stage.make(draft)
    assert stage.lifecycle.observe() == []
    stage.plane.offer(FILES, [valid("trials.json", trial(weight=5))])
    (draft,) = stage.lifecycle.observe()
    assert draft.action is Action.UPDATED
    stage.make(draft)
    stage.plane.offer(FILES, [])
    (draft,) = stage.lifecycle.observe()
    assert draft.action is Action.STOPPED
    stage.make(draft)
    assert stage.lifecycle.observe() == []
    assert stage.running() == set()


def test_what_a_file_has_just_given_up_is_started_not_unchanged(stage: Stage) -> None:
    stage.plane.offer(FILES, [valid("trials.json", trial())])
    (draft,) = stage.lifecycle.observe()
    stage.make(draft)
    stage.plane.offer(FILES, [])
    assert isinstance(stage.lifecycle.roll_back("ab", 1, NOBODY), Draft)
    stage.start(trial())
    assert stage.running() == {"ab"}
    assert stage.lifecycle.observe() == []


def test_an_api_experiment_beats_a_file_s_claim_also_after_a_restart(stage: Stage) -> None:
    stage.start(trial())
    stage.plane.offer(FILES, [valid("trials.json", trial(weight=7))])
    stage.reopen()
    stage.plane.offer(FILES, [valid("trials.json", trial(weight=7))])
    assert stage.plane.state.admission.origin(Kind.EXPERIMENT, "ab") == API


def test_a_stopped_experiment_is_listed_for_its_time_and_then_forgotten(stage: Stage) -> None:
    stage.start(trial())
    stage.make(stage.lifecycle.stop("ab", NOBODY))
    stage.at += timedelta(hours=23)
    assert stage.lifecycle.expired() == []
    assert set(stage.lifecycle.stopped()) == {"ab"}
    stage.at += timedelta(hours=2)
    (name,) = stage.lifecycle.expired()
    stage.lifecycle.forget(name)
    stage.lifecycle.drop(name)
    assert stage.lifecycle.stopped() == {}
    assert stage.lifecycle.history("ab") == ()
    assert stage.lifecycle.revision("ab") is None
    stage.start(trial())
    assert stage.lifecycle.history("ab")[0].number == 3  # numbers never repeat


def test_an_unknown_name_is_answered_with_the_closest(stage: Stage) -> None:
    stage.start(trial("iris-ab"))
    with pytest.raises(UnknownExperiment, match="did you mean iris-ab"):
        stage.lifecycle.stop("iris-abc", NOBODY)


def test_what_envoy_would_not_take_is_invalid_and_no_conflict(stage: Stage) -> None:
    with pytest.raises(InvalidResource) as raised:
        stage.lifecycle.start(replace(trial(), match=Match.of({"prefix": UNTAKEN})), NOBODY)
    assert [problem.path for problem in raised.value.problems] == ["match.prefix"]
    assert stage.running() == set()


def test_a_change_of_a_weight_goes_through_nothing_else(stage: Stage) -> None:
    others = [trial(f"e{i}", f"m{i}") for i in range(300)]
    models = [model(f"m{i}") for i in range(300)]
    stage.plane.offer(FILES, [valid("models.json", model("iris"), model("iris2"), *models, *others)])
    stage.start(trial())
    stage.lifecycle.apply(*stage.lifecycle.record_all(stage.lifecycle.observe()))
    assert stage.lifecycle.observe() == []
    before, table = stage.plane.state, stage.plane.table.entries
    with unwalked():
        stage.start(trial(weight=5))
        assert stage.lifecycle.observe() == []
        assert stage.lifecycle.expired() == []
    after = stage.plane.state
    assert isinstance(table, Layered)
    now = stage.plane.table.entries
    assert isinstance(now, Layered)
    assert set(now.other_than(table) or ()) == {("ab", "http"), ("ab", "grpc")}
    assert now.below is table.below, "the entries of all others are shared"
    assert after.revisions["ab"] == before.revisions["ab"] + 1
    assert after.effective.experiments_by_name["e7"] is before.effective.experiments_by_name["e7"]


def test_each_change_of_a_file_is_seen_once_whatever_was_recorded_before(stage: Stage) -> None:
    def offered(*experiments: Experiment) -> list[tuple[str, Action]]:
        stage.plane.offer(FILES, [valid("models.json", model("iris"), model("iris2"), *experiments)])
        return [(draft.name, draft.action) for draft in stage.lifecycle.observe()]

    def recorded() -> None:
        stage.lifecycle.apply(*stage.lifecycle.record_all(stage.lifecycle.observe()))
        assert stage.lifecycle.observe() == []

    one, two = trial("one", "wine"), trial("two", "beer")
    assert offered(one) == [("one", Action.STARTED)]
    assert offered(one, two) == [("one", Action.STARTED), ("two", Action.STARTED)], "the first was not recorded yet"
    recorded()
    stage.start(trial())
    assert stage.lifecycle.observe() == [], "the API records its own"
    assert offered(replace(one, mirrors=()), trial("two", "beer", weight=3)) == [("two", Action.UPDATED)]
    recorded()
    assert offered(one) == [("two", Action.STOPPED)]
    recorded()
    assert offered(one, two) == [("two", Action.STARTED)]
