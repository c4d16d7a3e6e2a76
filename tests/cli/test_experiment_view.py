"""REST documents as values: what the contract has is read, and whatever else comes is a misfit and nothing worse."""

from typing import Any

import pytest
from hypothesis import given, settings

from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_view import (
    CandidateView,
    EventView,
    ExperimentView,
    MirrorView,
    RefusedView,
    SpecView,
    UntouchedView,
    listed,
    revisions,
)
from extproc.errors import Problem
from tests.cli.documents import a_document, a_history, a_list, broken
from tests.wire.given import an_experiment


def test_an_experiment() -> None:
    spec = SpecView("iris", {"iris": 70, "iris2": 30}, (("iris3", 12.5),), {"timeout": "1.5s"})
    assert ExperimentView.of(a_document()) == ExperimentView(
        name="iris-ab",
        state="ACTIVE",
        reason="all candidates ready",
        source="api",
        revision=3,
        conditions={"accepted": True, "candidatesReady": True, "mirrorReady": False},
        candidates=(
            CandidateView("iris", 70, 0.7, True, ":iris_1:", 1234),
            CandidateView("iris2", 30, 0.3, False, ":iris2_2:", 567),
        ),
        mirrors=(MirrorView("iris3", 12.5, False, 120),),
        problems=(),
        events=(EventView("2025-03-01T12:00:00.000Z", "created", "iris 70, iris2 30"),),
        spec=spec,
    )


def test_several_mirrors_and_what_is_left_to_the_default() -> None:
    several = [{"name": "m", "percent": 1}, {"name": "n", "percent": 2.5, "ready": True, "requests": 7}]
    left = [{"name": "holdout", "model": "iris", "percent": 5, "requests": 3}, {"name": "no_unit", "model": "iris"}]
    shown = ExperimentView.of(
        a_document(mirror=several[0], mirrors=several, untouched=left, spec=an_experiment(mirrors=several))
    )
    assert shown.mirrors == (MirrorView("m", 1, None, None), MirrorView("n", 2.5, True, 7))
    assert shown.untouched == (UntouchedView("holdout", "iris", 5, 3), UntouchedView("no_unit", "iris", None, None))
    assert shown.spec is not None
    assert shown.spec.mirrors == (("m", 1), ("n", 2.5))


def test_what_could_never_be_read_and_what_an_older_extproc_does_not_say() -> None:
    problems = [{"path": "name", "message": "is missing"}]
    document = {"name": "x", "state": "REJECTED", "spec": None, "revision": None, "problems": problems}
    shown = ExperimentView.of(document)
    assert (shown.spec, shown.revision, shown.candidates, shown.events) == (None, None, (), ())
    assert shown.problems == (Problem("name", "is missing"),)


def test_a_list() -> None:
    experiments, refused = listed(a_list())
    assert [shown.name for shown in experiments] == ["iris-ab"]
    problem = Problem("candidates[0].weight", "must be a whole number")
    assert refused == (RefusedView("ab.json", "Experiment", "other", True, (problem,)),)


def test_a_revision_without_a_caller_was_its_sources() -> None:
    assert [(one.number, one.action, one.who) for one in revisions(a_history())] == [
        (1, "started", "ada"),
        (2, "updated", "ada"),
        (3, "stopped", "api"),
    ]


@pytest.mark.parametrize(
    ("read", "said"),
    [(listed, "experiments is no list"), (revisions, "revisions is no list"), (ExperimentView.of, "state is missing")],
)
def test_what_lacks_the_main_thing_is_a_misfit(read: Any, said: str) -> None:
    with pytest.raises(MisfitError, match=said):
        read({"name": "x"})


@settings(max_examples=50)
@given(broken(a_document()))
def test_no_experiment_ends_worse_than_in_a_misfit(document: Any) -> None:
    try:
        assert isinstance(ExperimentView.of(document).name, str)
    except MisfitError as misfit:
        assert str(misfit).isprintable()


@settings(max_examples=50)
@given(broken(a_list()))
def test_no_list_does(document: Any) -> None:
    try:
        assert len(listed(document)) == 2
    except MisfitError as misfit:
        assert str(misfit).isprintable()


@settings(max_examples=50)
@given(broken(a_history()))
def test_no_history_does(document: Any) -> None:
    try:
        assert all(one.number >= 0 for one in revisions(document))
    except MisfitError as misfit:
        assert str(misfit).isprintable()
