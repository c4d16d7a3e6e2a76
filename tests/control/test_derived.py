"""The Table and the statuses, followed event by event: what they would be if they were made from the State anew."""

from dataclasses import replace
from unittest.mock import patch as patched

from hypothesis import given
from hypothesis import strategies as st

from extproc.control.blame import refused
from extproc.control.derived import Derived
from extproc.control.health import HealthView
from extproc.control.in_force import Report
from extproc.control.readmission import readmit
from extproc.control.standing import Standing
from extproc.control.state import State, accepted, admitted, connected, healthy
from extproc.control.status import ExperimentStatus, status, statuses
from extproc.core.offers import Document
from extproc.core.resources import Candidate, Experiment, Kind, PassThrough, Resource
from extproc.core.table import EMPTY
from extproc.names import decided_route
from extproc.wire.ext_proc import Published
from extproc.xds.endpoints import splits
from extproc.xds.snapshot import CLUSTER, ROUTES, Snapshot, unmoved
from tests.control.changing import CLUSTERS, EXPERIMENTS, MODELS, documents, objections
from tests.control.test_admission import model, shop, valid

EVENTS = ["offer", "offer", "offer", "healthy", "unknown", "accepted", "refused", "recorded", "connected"]
LABELS = [decided_route(e, m, p) for e in EXPERIMENTS for m in {*MODELS, *CLUSTERS} for p in ("http", "grpc")]


@st.composite
def _health(draw: st.DrawFn) -> HealthView:
    clusters = [*MODELS, *(f"{name}/grpc" for name in MODELS), "own"]
    return HealthView({name: draw(st.booleans()) for name in draw(st.sets(st.sampled_from(clusters)))})


@st.composite
def _after(draw: st.DrawFn, state: State, before: tuple[Document, ...]) -> tuple[State, tuple[Document, ...]]:
    """`state`, after something has happened."""
    match draw(st.sampled_from(EVENTS)):
        case "offer":
            offered = draw(documents(before))
            return admitted(state, readmit(state.admission, before, offered, objections)), offered
        case "healthy":
            return healthy(state, draw(_health())), before
        case "unknown":
            return healthy(state, None), before
        case "accepted":
            return accepted(state, state.effective, frozenset(draw(st.sets(st.sampled_from(LABELS))))), before
        case "refused":
            url, name = draw(st.sampled_from([CLUSTER, ROUTES, "other"])), draw(st.sampled_from([*MODELS, "e0", ""]))
            return refused(state, state.effective, url, f"what is {name}?"), before
        case "recorded":
            names = draw(st.sets(st.sampled_from(EXPERIMENTS)))
            return replace(state, revisions={name: draw(st.integers(1, 3)) for name in names}), before
    return connected(state, draw(st.booleans())), before


@given(st.data())
def test_whatever_happens_they_are_those_of_the_state(data: st.DataObject) -> None:
    followed, state, before, published = Derived(), State(), tuple[Document, ...](), Published()
    served = Snapshot({}, frozenset(), moves=followed.moves)
    for _ in range(data.draw(st.integers(1, 15))):
        state, before = data.draw(_after(state, before))
        patch = followed.follow(state)
        published = published.patched(patch)
        assert followed.table == published.table == state.table()
        assert published == Published(state.table())
        world = state.world(followed.moves)
        running = splits(world, unmoved(world, served))
        assert running == splits(state.world())
        if data.draw(st.booleans()):  # Envoy too
            by_name = {split.experiment.name: split for split in running}
            served = Snapshot({}, frozenset(), running=by_name, moves=followed.moves)
        if data.draw(st.booleans()):  # the statuses may lag behind by some events
            others = followed.tell()
            assert followed.statuses == {one.name: one for one in statuses(state)}
            assert all(followed.statuses.get(name) == one for name, one in others.items())


def many(count: int) -> State:
    """So many experiments, which Envoy runs."""
    trials = [Experiment(f"e{i}", (Candidate(f"m{i}", 1), Candidate("iris", 1))) for i in range(count)]
    offered = [valid("a", *trials, *map(model, ("iris", *(f"m{i}" for i in range(count)))))]
    state = admitted(State(), readmit(State().admission, (), offered))
    decided = [decided_route(trial.name, c.name, "http") for trial in trials for c in trial.candidates]
    return accepted(state, state.effective, frozenset(decided))


def test_what_an_event_does_not_concern_is_left_alone() -> None:
    followed = Derived()
    state = many(200)
    followed.follow(state)
    followed.tell()
    looked_at = list[str]()
    weights = replace(state.admission.experiments_by_name["e0"], candidates=(Candidate("m0", 9), Candidate("iris", 1)))
    key = next(key for key in state.admission.admitted if key[1] == "e0")
    held = replace(state.admission.admitted[key], resource=weights)
    state = admitted(state, state.admission.amended({key: held}))
    patch = followed.follow(state)
    assert {name for name, _ in patch.set} == {"e0"}

    def look(of: State, name: str, about: tuple[Report, ...], known: Standing | None) -> ExperimentStatus | None:
        looked_at.append(name)
        return status(of, name, about, known)

    with patched("extproc.control.derived.status", look):
        assert followed.tell().keys() == {"e0"}
    assert looked_at == ["e0"]
    assert followed.follow(state) == EMPTY_PATCH


EMPTY_PATCH = Derived().follow(State())


def test_nothing_follows_from_nothing() -> None:
    assert (EMPTY_PATCH.set, EMPTY_PATCH.removed) == ({}, ())
    assert EMPTY.patched(EMPTY_PATCH) == EMPTY


def test_an_experiment_follows_its_clusters() -> None:
    def offer(state: State, *resources: Resource) -> State:
        return admitted(state, readmit(state.admission, (), (valid("a", shop("x"), *resources),)))

    def shares(state: State) -> list[float]:
        followed.follow(state)
        followed.tell()
        assert followed.statuses == {one.name: one for one in statuses(state)}
        return [candidate.share for candidate in followed.statuses["x"].candidates]

    v1, v2 = (PassThrough(Kind.CLUSTER, name, {"name": name}) for name in ("v1", "v2"))
    followed = Derived()
    assert shares(state := offer(State(), v1)) == [1.0, 0.0]
    assert shares(state := offer(state, v1, v2)) == [0.5, 0.5]
    assert shares(state := healthy(state, HealthView({"v1": True, "v2": True}))) == [0.5, 0.5]
    assert shares(healthy(state, HealthView({"v1": False, "v2": True}))) == [0.0, 1.0]
