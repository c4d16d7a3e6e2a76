"""extproc dead, hung, restarted or reloading, and Envoy restarted: no request is lost, and the split stays right.

extproc is a process of its own here, beside an Envoy started from the rendered bootstrap.
"""

import re
import socket
from collections.abc import Callable

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import AS_IN_PRODUCTION, Stage, experiment, url
from tests.harness.load import Load, Result, run_load
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

MISS = 1e-9
IRIS, IRIS2 = ":iris_1:", ":iris2_2:"


TRIAL = experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris")


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(TRIAL)
    stage.start("serve", *AS_IN_PRODUCTION)
    return stage


@pytest.fixture
def beside(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """Both processes run, whatever the last test did to them, and the split is 70/30."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    assert shared.envoy is not None
    if shared.extproc.exit_code is not None:
        shared.extproc.restart()
    else:
        shared.extproc.proceed()
    shared.extproc.wait_ready()
    shared.envoy.wait_live()
    shared.apply(TRIAL)
    envoy = shared.envoy
    eventually(lambda: envoy.healthy("extproc"), within=10, saying="Envoy finds extproc healthy")
    shared.forget()
    return shared


def check_split(result: Result, share: float = 0.7) -> None:
    assert result.failed == 0, str(result)
    low, high = binomial_interval(result.total, share, miss=MISS)
    assert low <= result.by_route[IRIS] <= high, str(result)
    assert set(result.by_route) == {IRIS, IRIS2}, str(result)


def test_killed_under_load_and_restarted(beside: Stage) -> None:
    with Load(url(beside)) as load:
        load.wait_for(500)
        beside.extproc.kill()
        load.wait_for(1500)
        beside.extproc.restart()
        beside.extproc.wait_ready()
        beside.wait_state("iris-ab")
        load.wait_for(500)
        check_split(load.stop())


def test_while_it_is_dead_the_split_goes_on_and_tokens_are_only_not_kept(beside: Stage) -> None:
    beside.extproc.kill()
    check_split(run_load(url(beside), 2000))


def test_hung_under_load(beside: Stage) -> None:
    with Load(url(beside)) as load:
        load.wait_for(500)
        beside.extproc.pause()
        load.wait_for(1500)
        beside.extproc.proceed()
        load.wait_for(500)
        check_split(load.stop())


def test_a_hung_extproc_stops_costing_time_once_envoy_has_noticed(beside: Stage) -> None:
    """Until the health check fails each request waits for message_timeout; after it, none does."""
    assert beside.envoy is not None
    envoy = beside.envoy
    beside.extproc.pause()
    eventually(lambda: not envoy.healthy("extproc"), within=10, saying="Envoy finds extproc unhealthy")
    before = envoy.stats("ext_proc")
    check_split(run_load(url(beside), 500))
    timeouts = {
        name: value - before.get(name, 0) for name, value in envoy.stats("ext_proc").items() if "timeout" in name
    }
    assert timeouts, "Envoy has no such counter any more"
    assert set(timeouts.values()) == {0}, timeouts


def test_restarted_with_other_weights_while_it_was_down(beside: Stage) -> None:
    beside.extproc.kill()
    beside.write(experiment("iris-ab", {"iris": 10, "iris2": 90}, default="iris"))
    with Load(url(beside)) as load:
        beside.extproc.restart()
        beside.extproc.wait_ready()
        beside.wait_weights("iris-ab", [10, 90])
        assert load.stop().failed == 0
    check_split(run_load(url(beside), 1000), 0.1)


def test_restarted_without_a_model_that_the_routes_in_force_still_name(beside: Stage) -> None:
    """The cluster goes only when no route names it any more, also for an extproc that did not make that route."""
    iris, _, iris3 = beside.models
    with Load(url(beside), connections=16) as load:
        for candidate, kept in (("iris3", [iris, iris3]), ("iris2", beside.models)):
            load.wait_for(200)
            beside.extproc.kill()
            beside.write(experiment("iris-ab", {"iris": 10, candidate: 90}, default="iris"), models=kept)
            beside.extproc.restart()
            beside.extproc.wait_ready()
            beside.wait_weights("iris-ab", [10, 90], within=30)
            load.wait_for(200)
        result = load.stop()
    assert result.failed == 0, str(result)


def test_sticky_again_after_a_restart_without_any_change_in_envoy(beside: Stage) -> None:
    """The versions are content hashes: an Envoy that runs the same configuration is sent nothing.

    As long as the routes say all: weights that changed since they were sent are in them after a restart (test_runtime).
    """
    assert beside.envoy is not None
    envoy = beside.envoy
    beside.apply(TRIAL, experiment("unrelated", {"iris2": 1}))  # which sends routes
    before = envoy.stats("update_success")
    beside.extproc.kill()
    beside.extproc.restart()
    beside.extproc.wait_ready()
    beside.wait_state("iris-ab")
    eventually(lambda: envoy.healthy("extproc"), within=10, saying="Envoy finds extproc healthy")
    kept = run_load(url(beside), 200, headers={"x-seldon-route": IRIS2})
    assert kept.by_route == {IRIS2: 200}, str(kept)
    assert envoy.stats("update_success") == before


def test_envoy_restarted(beside: Stage) -> None:
    assert beside.envoy is not None
    beside.envoy.restart()
    beside.envoy.wait_live()
    check_split(run_load(url(beside), 1000))
    kept = run_load(url(beside), 100, headers={"x-seldon-route": IRIS2})
    assert kept.by_route == {IRIS2: 100}, str(kept)


def test_an_envoy_that_is_gone_is_said(beside: Stage) -> None:
    assert beside.envoy is not None
    beside.envoy.kill()
    status = beside.wait_state("iris-ab", "PENDING")
    assert re.fullmatch(r"no Envoy is connected; the last one ran revision \d+", status["reason"].partition(" (")[0])
    assert status["conditions"]["accepted"] is False
    assert "no Envoy is connected: 1 experiment(s) wait for one" in beside.extproc.log
    beside.envoy.restart()
    beside.envoy.wait_live()
    beside.wait_state("iris-ab")


def test_a_port_that_is_taken_is_told_and_costs_no_resource(stage: Stage) -> None:
    """Envoy refuses the listener. The port is free again when Envoy is started anew, and all is as it was written."""
    stage.write(TRIAL)
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 (where the listener is)
        stage.start("serve", "--inference-port", str(taken.getsockname()[1]), live=False)
        eventually(
            lambda: stage.status("iris-ab")["reason"],
            within=20,
            saying="the reason is Envoy's own",
            until=lambda reason: "Address already in use" in reason,
        )
        assert stage.status("iris-ab")["state"] == "PENDING"
        assert len(stage.extproc.admin("/api/v1/models").json["models"]) == 3
    assert stage.envoy is not None
    stage.envoy.restart()
    stage.envoy.wait_live()
    stage.wait_state("iris-ab")
    assert run_load(url(stage), 100).failed == 0


def test_envoy_may_start_first(stage: Stage) -> None:
    stage.write(experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris"))
    stage.start("serve", envoy_first=True)
    stage.wait_state("iris-ab")
    check_split(run_load(url(stage), 1000))


def test_reloaded_under_load(beside: Stage) -> None:
    """Twenty changes of weights, candidates and mirror during at least ten thousand requests, and not one fails."""
    shapes = [
        experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris"),
        experiment("iris-ab", {"iris": 50, "iris3": 50}, default="iris"),
        experiment("iris-ab", {"iris": 1, "iris2": 1}, default="iris", mirror={"name": "iris3", "percent": 50}),
        experiment("iris-ab", {"iris": 0, "iris2": 7, "iris3": 3}, default="iris"),
    ]
    with Load(url(beside)) as load:
        for number in range(20):
            shape = shapes[number % len(shapes)]
            beside.write(shape)
            beside.wait_weights("iris-ab", [c["weight"] for c in shape["candidates"]])
            load.wait_for(400)
        load.wait_for(10_000 - load.so_far().answers)
        result = load.stop()
    assert result.failed == 0, str(result)
    assert set(result.by_route) <= {IRIS, IRIS2, ":iris3_1:"}, str(result)


def test_the_split_never_lags_behind_what_was_acknowledged(beside: Stage) -> None:
    """Once a change is reported as live, not one request goes by the old weights: 50/50, 0/100, 30/70."""
    for weights, allowed in (([50, 50], {IRIS, IRIS2}), ([0, 100], {IRIS2}), ([30, 70], {IRIS, IRIS2})):
        beside.write(experiment("iris-ab", dict(zip(("iris", "iris2"), weights, strict=True)), default="iris"))
        beside.wait_weights("iris-ab", weights)
        result = run_load(url(beside), 400)
        assert (set(result.by_route), result.failed) == (allowed, 0), str(result)


@pytest.mark.parametrize("extproc_is", ["up", "dead", "hung"])
def test_a_client_cannot_steer_itself(beside: Stage, extproc_is: str) -> None:
    """Internal headers of a client have no effect and are not seen upstream, whatever extproc is doing."""
    if extproc_is == "dead":
        beside.extproc.kill()
    elif extproc_is == "hung":
        beside.extproc.pause()
    evil = {
        "x-extproc-route": "iris-ab/iris2",
        "x-extproc-mirror": "iris-ab",
        "X-Extproc-Anything": "1",
        "seldon-internal-model": "iris3_1",
    }
    result = run_load(url(beside), 600, headers=evil)
    check_split(result)
    for server in (beside.iris, beside.iris2):
        for request in server.requests:
            seen = {name for name, _ in request.headers if name.startswith("x-extproc-")}
            assert not seen, request
            assert request.header("seldon-internal-model") in {"iris_1", "iris2_2"}
