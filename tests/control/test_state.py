"""What should run and what does, through events: offers, acceptance, refusals, health."""

import time
from dataclasses import replace
from typing import Any

import pytest

from extproc.control.blame import refused
from extproc.control.health import HealthView
from extproc.control.state import State, accepted, connected, healthy, offered
from extproc.control.status import ExperimentState, ExperimentStatus, model_statuses, statuses
from extproc.core.decide import decide
from extproc.core.matches import Match
from extproc.core.resources import (
    Candidate,
    Experiment,
    Kind,
    Mirror,
    Model,
    PassThrough,
    Resource,
    WhenUnavailable,
)
from extproc.core.table import Outcome
from extproc.names import decided_route
from tests.control.test_admission import invalid, model, valid

CLUSTERS = Kind.CLUSTER.value
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
ALL = frozenset(decided_route("iris-ab", c, "http") for c in ("iris", "iris2"))


def trial(iris: int = 1, iris2: int = 1, **fields: Any) -> Experiment:
    return Experiment("iris-ab", (Candidate("iris", iris), Candidate("iris2", iris2)), "iris", **fields)


def offer(state: State, *resources: Resource) -> State:
    return offered(state, [valid("a", *resources)], lambda _: ())


def run(*resources: Resource, decided: frozenset[str] = ALL, state: State | None = None) -> State:
    """A state in which Envoy runs what is offered."""
    after = offer(state or State(), *resources)
    return accepted(after, after.effective, decided)


def only(state: State) -> ExperimentStatus:
    (status,) = statuses(state)
    return status


def first(state: State, draw: int = 0) -> tuple[str, Outcome]:
    decision = decide(state.table(), "iris-ab/iris/fallback", {}, draw, 8)
    return decision.candidate, decision.outcome


MODELS = (model("iris"), model("iris2"))


def test_until_envoy_accepts_the_routes_the_draw_is_left_to_envoy() -> None:
    state = offer(State(), *MODELS, trial())
    assert first(state) == ("", Outcome.NOT_ACCEPTED)
    assert only(state).state is ExperimentState.PENDING
    assert "waiting for Envoy" in only(state).reason
    state = accepted(state, state.effective, ALL)
    assert first(state) == ("iris", Outcome.WEIGHTED)
    assert only(state).state is ExperimentState.ACTIVE


def test_a_weight_change_counts_at_once() -> None:
    state = offer(run(*MODELS, trial(1, 0)), *MODELS, trial(0, 1))
    assert first(state) == ("iris2", Outcome.WEIGHTED)


def test_a_candidate_without_a_model_is_waited_for_and_named() -> None:
    status = only(run(MODELS[0], trial()))
    assert (status.state, status.candidates_ready) == (ExperimentState.DEGRADED, False)
    assert status.reason == "running without iris2 (no Model defines iris2)"
    assert [c.share for c in status.candidates] == [1.0, 0.0]


def test_a_candidate_that_envoy_finds_down_is_out_of_the_draw_and_named() -> None:
    state = healthy(run(*MODELS, trial()), HealthView({"iris": True}))
    assert first(state, 255) == ("iris", Outcome.WEIGHTED)
    assert only(state).reason == "running without iris2 (Envoy finds iris2 not ready)"
    assert first(healthy(state, None), 255) == ("iris2", Outcome.WEIGHTED)


def test_default_only_waits_with_the_default() -> None:
    state = run(MODELS[0], trial(0, 1, when_unavailable=WhenUnavailable.DEFAULT_ONLY))
    assert first(state) == ("iris", Outcome.UNAVAILABLE)
    assert only(state).state is ExperimentState.PENDING
    assert only(state).reason == "waiting for iris2; iris answers alone (no Model defines iris2)"


@pytest.mark.parametrize(
    ("ready", "when_unavailable", "who"),
    [
        ({}, WhenUnavailable.AVAILABLE_CANDIDATES, "waiting for iris and iris2; nobody answers"),
        ({"iris2": True}, WhenUnavailable.DEFAULT_ONLY, "waiting for iris; nobody answers"),
        ({"iris": True}, WhenUnavailable.DEFAULT_ONLY, "waiting for iris2; iris answers alone"),
    ],
)
def test_who_answers_alone_is_somebody_who_can(
    ready: dict[str, bool], when_unavailable: WhenUnavailable, who: str
) -> None:
    state = healthy(run(*MODELS, trial(when_unavailable=when_unavailable)), HealthView(ready))
    assert only(state).state is ExperimentState.PENDING
    assert only(state).reason.partition(" (")[0] == who


def test_an_envoy_that_is_gone_is_said_until_one_is_back() -> None:
    state = run(*MODELS, trial())
    state = connected(replace(state, revisions={"iris-ab": 3}), False)
    assert (only(state).state, only(state).accepted) == (ExperimentState.PENDING, False)
    assert only(state).reason == "no Envoy is connected; the last one ran revision 3"
    assert first(state) == ("iris", Outcome.WEIGHTED), "an Envoy that is cut off may ask all the same"
    newer = offer(state, *MODELS, trial(9, 1))
    assert only(newer).reason == "no Envoy is connected; the last one ran an earlier version"
    state = connected(state, True)
    assert only(state).reason == "waiting for Envoy to accept the routes"
    assert not only(state).accepted, "who is back may have lost everything"
    state = accepted(state, state.effective, ALL)
    assert (only(state).state, only(state).accepted) == (ExperimentState.ACTIVE, True)


def test_before_the_first_envoy_connects_one_is_waited_for() -> None:
    state = offer(State(), *MODELS, trial())
    assert only(state).reason == "waiting for Envoy to connect"
    assert only(connected(state, True)).reason == "waiting for Envoy to accept the routes"


def test_a_dead_mirror_degrades_and_touches_no_split() -> None:
    mirror = Mirror("iris3", 1_000_000)
    state = healthy(run(*MODELS, trial(mirror=mirror)), HealthView({"iris": True, "iris2": True}))
    assert only(state).reason == "running without its mirror iris3 (no Model defines iris3)"
    assert [c.share for c in only(state).candidates] == [0.5, 0.5]


def test_every_mirror_that_is_not_ready_is_named() -> None:
    mirrors = tuple(Mirror(name, 10_000) for name in ("iris3", "iris4", "iris5"))
    view = HealthView({"iris": True, "iris2": True, "iris4": True})
    state = healthy(run(*MODELS, model("iris4"), model("iris5"), trial(mirrors=mirrors)), view)
    assert only(state).state is ExperimentState.DEGRADED
    missing = "no Model defines iris3; Envoy finds iris5 not ready"
    assert only(state).reason == f"running without its mirrors iris3 and iris5 ({missing})"
    assert [(mirror.name, mirror.ready) for mirror in only(state).mirrors] == [
        ("iris3", False),
        ("iris4", True),
        ("iris5", False),
    ]
    assert not only(state).mirror_ready


def test_an_experiment_that_was_never_valid_is_rejected_with_its_reason() -> None:
    state = offered(State(), [invalid("a", "iris-ab")], lambda _: ())
    assert (only(state).state, only(state).reason, only(state).source) == (
        ExperimentState.REJECTED,
        "candidates: is empty",
        "a",
    )
    assert only(state).spec is None


def test_tokens_follow_the_models_version() -> None:
    state = run(model("iris"), model("iris2", version=7), trial())
    assert [c.route for c in only(state).candidates] == [":iris_1:", ":iris2_7:"]


def test_models_read_back_with_what_is_known_of_them() -> None:
    state = run(*MODELS)
    assert [(m.name, m.ready) for m in model_statuses(state)] == [("iris", None), ("iris2", None)]
    state = healthy(state, HealthView({"iris": True}))
    assert [(m.name, m.ready) for m in model_statuses(state)] == [("iris", True), ("iris2", False)]


def cluster(name: str, version: int = 1) -> PassThrough:
    return PassThrough(Kind.CLUSTER, name, {"name": name, "version": version})


def test_a_cluster_without_hosts_of_its_own_is_not_called_down() -> None:
    """Envoy lists no host of an aggregate cluster: what is not known is not "not ready"."""
    kinds: list[dict[str, Any]] = [{"cluster_type": {"name": "envoy.clusters.aggregate"}}, {"type": "ORIGINAL_DST"}]
    for kind in [*kinds, {"type": "EDS"}]:
        own = PassThrough(Kind.CLUSTER, "own", {"name": "own", **kind})
        state = healthy(run(own, Model("iris", cluster="own")), HealthView({"own": False}))
        assert [m.ready for m in model_statuses(state)] == [kind in kinds], kind
    assert [m.ready for m in model_statuses(offer(state, Model("iris", cluster="own")))] == [False]


def test_envoy_s_refusal_sets_aside_only_what_it_names() -> None:
    state = offer(run(*MODELS, trial()), *MODELS, trial(3, 4), cluster("own"), cluster("other"))
    state = refused(state, state.effective, CLUSTERS, "Error adding/updating cluster(s) own: no endpoints")
    assert (Kind.CLUSTER, "own") not in state.effective.admitted
    assert (Kind.CLUSTER, "other") in state.effective.admitted
    assert [c.weight for c in next(state.effective.experiments).candidates] == [3, 4]
    (report,) = state.reports
    assert (report.name, report.kept) == ("own", False)
    assert "Envoy refused it: Error adding" in str(report)


def test_a_refused_change_keeps_the_version_that_envoy_runs_until_it_is_changed_again() -> None:
    state = run(cluster("own", 1))
    state = offer(state, cluster("own", 2))
    state = refused(state, state.effective, CLUSTERS, "cluster own: bad")
    assert state.effective.admitted[Kind.CLUSTER, "own"].resource == cluster("own", 1)
    assert state.reports[0].kept
    state = offer(state, cluster("own", 2))
    assert state.effective.admitted[Kind.CLUSTER, "own"].resource == cluster("own", 1)
    state = offer(state, cluster("own", 3))
    assert state.effective.admitted[Kind.CLUSTER, "own"].resource == cluster("own", 3)
    assert state.reports == ()


def test_a_refusal_that_names_nobody_sets_aside_envoys_own_resources_first() -> None:
    state = offer(run(*MODELS, trial()), *MODELS, trial(3, 4), cluster("own"))
    state = refused(state, state.effective, CLUSTERS, "something is wrong somewhere")
    assert set(state.refusals) == {(Kind.CLUSTER, "own")}


def test_a_refusal_names_whole_names_only() -> None:
    state = offer(run(), cluster("own"), cluster("own-b"))
    state = refused(state, state.effective, CLUSTERS, "bad cluster own-b")
    assert set(state.refusals) == {(Kind.CLUSTER, "own-b")}


def test_a_refusal_that_no_resource_explains_is_shown_as_the_reason() -> None:
    state = run(*MODELS, decided=frozenset())
    state = offer(state, *MODELS, trial())
    state = accepted(state, state.effective, frozenset())
    state = refused(state, state.effective, LISTENER, "cannot bind '0.0.0.0:9000': Address already in use")
    assert state.refusals == {}
    assert "Address already in use" in only(state).reason


def test_a_listener_that_envoy_refuses_is_no_resource_s_fault() -> None:
    """Not even when nothing was accepted before, and Envoy's words happen to hold a model's name."""
    state = offer(State(), *MODELS, model("bind"), trial(), cluster("own"))
    state = refused(state, state.effective, LISTENER, "cannot bind '0.0.0.0:9000': Address already in use")
    assert state.refusals == {}
    assert state.complaint == "cannot bind '0.0.0.0:9000': Address already in use"


def test_only_what_a_type_is_built_from_can_be_refused_with_it() -> None:
    state = offer(State(), *MODELS, trial(), cluster("own"))
    state = refused(state, state.effective, Kind.ROUTES.value, "cluster own is not what iris-ab expects")
    assert set(state.refusals) == {(Kind.EXPERIMENT, "iris-ab")}


def test_the_work_for_all_statuses_grows_with_their_number_alone() -> None:
    """They are made at every event, in the thread that decides: eight times as many may not take sixty times."""

    def took(number: int) -> float:
        names = [f"m{i}" for i in range(number)]
        trials = [Experiment(f"x-{name}", (Candidate(name, 1),), name) for name in names]
        state = run(*(model(name) for name in names), *trials)
        began = time.perf_counter()
        assert len(list(statuses(state))) == number
        return time.perf_counter() - began

    small, large = (min(took(number) for _ in range(3)) for number in (200, 1600))
    assert large < 30 * small


SHOP = Experiment(
    "shop",
    (Candidate("", 1, "v1"), Candidate("iris", 1, "v2")),
    mirrors=(Mirror("", 1, "v3"),),
    match=Match.of({"prefix": "/shop"}),
)
SHOP_ROUTES = frozenset(decided_route("shop", name, "http") for name in ("v1", "iris"))


def test_clusters_are_drawn_as_models_are_and_a_model_of_the_same_name_is_not_meant() -> None:
    state = run(model("iris"), cluster("v1"), cluster("v3"), SHOP, decided=SHOP_ROUTES)
    assert only(state).state is ExperimentState.DEGRADED
    assert only(state).reason == "running without iris (no Cluster defines v2)"
    assert [(c.name, c.share, c.ready, c.route, c.cluster) for c in only(state).candidates] == [
        ("v1", 1.0, True, ":v1.cluster:", "v1"),
        ("iris", 0.0, False, "", "v2"),
    ]
    state = run(cluster("v1"), cluster("v2"), cluster("v3"), SHOP, decided=SHOP_ROUTES)
    assert (only(state).state, only(state).accepted) == (ExperimentState.ACTIVE, True)
    assert [m.cluster for m in only(state).mirrors] == ["v3"]
    assert [candidate.route for candidate in only(state).candidates] == [":v1.cluster:", ":iris.cluster:"]
    assert {decision.label for decision in state.table().entries["shop", "http"].sticky.values()} == {
        "shop/v1", "shop/iris"
    }  # fmt: skip


def test_a_cluster_that_envoy_finds_down_is_out_of_the_draw() -> None:
    state = run(cluster("v1"), cluster("v2"), cluster("v3"), SHOP, decided=SHOP_ROUTES)
    state = healthy(state, HealthView({"v1": True, "v2": False, "v3": False, "iris": True}))
    assert [c.share for c in only(state).candidates] == [1.0, 0.0]
    assert only(state).reason == "running without iris (Envoy finds iris and v3 not ready)"
    assert [d.candidate for d in state.table().entries["shop", "http"].afresh] == ["v1"]
    assert [d.outcome for d in state.table().entries["shop", "grpc"].afresh] == [Outcome.UNAVAILABLE]


def test_one_that_may_refuse_to_start_waits_for_its_clusters() -> None:
    reluctant = replace(SHOP, when_unavailable=WhenUnavailable.REJECT)
    state = run(cluster("v1"), reluctant, decided=SHOP_ROUTES)
    assert only(state).state is ExperimentState.REJECTED
    assert "not ready: iris" in only(state).reason
