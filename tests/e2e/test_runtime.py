"""Weights of Envoy's own split over RTDS: no routes are sent for them, and no old weight ever comes back.

extproc is a process of its own here, beside an Envoy started from the rendered bootstrap. All weight is on one of two
candidates, so each single answer tells by which weights it was decided.
"""

from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as read_metrics

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, url
from tests.harness.load import Load, Result, run_load
from tests.harness.waiting import eventually

IRIS, IRIS2 = ":iris_1:", ":iris2_2:"
TRIAL = experiment("iris-ab", {"iris": 100, "iris2": 0}, default="iris", mirror={"name": "iris3", "percent": 1})
OTHER = experiment("iris-ab", {"iris": 0, "iris2": 100}, default="iris", mirror={"name": "iris3", "percent": 100})


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write()
    stage.start("serve")
    return stage


@pytest.fixture
def beside(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """Both processes run, whatever the last test did to them, and Envoy has routes with all weight on `iris`."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    assert shared.envoy is not None
    if shared.extproc.exit_code is not None:
        shared.extproc.restart()
    shared.extproc.wait_ready()
    shared.envoy.wait_live()
    live(shared, TRIAL)
    shared.extproc.admin("/api/v1/experiments/unrelated", method="DELETE")
    live(shared, experiment("unrelated", {"iris2": 1}))  # which makes routes of what is in effect
    eventually(lambda: runtime(shared), within=10, saying="the runtime is empty", until=lambda held: held == {})
    shared.forget()
    return shared


def live(stage: Stage, trial: dict[str, Any]) -> None:
    """Change it over the API, and wait until Envoy has said that it runs what follows."""
    answer = stage.put(trial)
    assert answer.status in (200, 201), answer.text
    weights = [candidate["weight"] for candidate in trial["candidates"]]
    stage.wait_weights(trial["name"], weights)


def acks(stage: Stage) -> dict[str, float]:
    read = {metric.name: metric.samples for metric in read_metrics(stage.extproc.admin("/metrics").text)}
    return {sample.labels["type"]: sample.value for sample in read["extproc_xds_acks"]}


def runtime(stage: Stage) -> dict[str, Any]:
    """What Envoy's runtime holds."""
    assert stage.envoy is not None
    entries: dict[str, Any] = stage.envoy.admin("/runtime").json["entries"]
    return {key: value for key, value in entries.items() if key.startswith("extproc.")}


def test_routes_that_are_sent_for_something_else_carry_the_weights_of_then(beside: Stage) -> None:
    live(beside, OTHER)
    before = acks(beside)
    with Load(url(beside)) as load:
        load.wait_for(200)
        live(beside, experiment("unrelated", {"iris": 1}))
        eventually(lambda: runtime(beside), within=10, saying="the runtime is empty", until=lambda held: held == {})
        load.wait_for(400)
        only(IRIS2, load.stop())
    assert acks(beside)["RouteConfiguration"] > before["RouteConfiguration"]


def test_a_restarted_extproc_brings_no_old_weight_back(beside: Stage) -> None:
    live(beside, OTHER)
    with Load(url(beside)) as load:
        load.wait_for(200)
        beside.extproc.kill()
        load.wait_for(600)
        beside.extproc.restart()
        beside.extproc.wait_ready()
        beside.wait_weights("iris-ab", [0, 100])
        # What was in the runtime is in the routes now: there is nobody who would know what the keys were for.
        eventually(lambda: runtime(beside), within=10, saying="the runtime is empty", until=lambda held: held == {})
        load.wait_for(300)
        only(IRIS2, load.stop())


def test_a_change_of_weights_sends_no_routes_and_a_restarted_envoy_has_it_without_extproc(beside: Stage) -> None:
    before = acks(beside)
    live(beside, OTHER)
    after = acks(beside)
    assert after["Runtime"] > before["Runtime"]
    assert {**after, "Runtime": 0} == {**before, "Runtime": 0}, "something else was sent too"
    envoy = beside.envoy
    assert envoy is not None
    envoy.restart()
    envoy.wait_live()
    assert runtime(beside), "the routes were made anew"
    beside.extproc.kill()
    only(IRIS2, run_load(url(beside), 300))
    # The mirror's rate is a number as well, and lies in the interval of whoever is drawn.
    eventually(
        lambda: len(beside.iris3.requests), within=10, saying="every request is copied", until=lambda n: n == 300
    )


def test_both_restarted(beside: Stage) -> None:
    envoy = beside.envoy
    assert envoy is not None
    live(beside, OTHER)
    beside.extproc.kill()
    envoy.restart()
    beside.extproc.restart()
    beside.extproc.wait_ready()
    envoy.wait_live()
    beside.wait_weights("iris-ab", [0, 100])
    beside.extproc.kill()
    only(IRIS2, run_load(url(beside), 200))


def test_an_envoy_whose_bootstrap_has_no_place_for_a_runtime_gets_routes(
    open_stage: Callable[[], Stage], request: pytest.FixtureRequest
) -> None:
    stage = open_stage()
    show_on_failure(request.node, lambda: ("extproc and Envoy", stage.tail()))
    stage.write()
    stage.start("serve", runtime={"extproc.nothing": 1})  # in place of the rendered layers
    live(stage, TRIAL)
    before = acks(stage)
    live(stage, OTHER)
    after = acks(stage)
    assert after["RouteConfiguration"] > before["RouteConfiguration"]
    assert after["Runtime"] == 0
    assert "has no rtds_layer 'extproc'" in stage.extproc.log
    stage.extproc.kill()
    only(IRIS2, run_load(url(stage), 200))


def only(route: str, result: Result) -> None:
    assert result.failed == 0, str(result)
    assert set(result.by_route) == {route}, str(result)
