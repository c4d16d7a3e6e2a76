"""The resource file while everything runs: edits, mistakes, deletion, any order, and what Envoy refuses."""

import json
import os
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, model
from tests.harness.load import Load, run_load
from tests.harness.waiting import eventually

IRIS, IRIS2, IRIS3 = ":iris_1:", ":iris2_2:", ":iris3_1:"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def ab(iris: int, iris2: int, **fields: Any) -> dict[str, Any]:
    return experiment("iris-ab", {"iris": iris, "iris2": iris2}, default="iris", **fields)


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(ab(1, 0))
    stage.start("up")
    return stage


@pytest.fixture
def running(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """All traffic to iris, every model up, nothing refused."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    for server in (shared.iris, shared.iris2, shared.iris3):
        server.resume()
    shared.apply(ab(1, 0))
    eventually(lambda: problems(shared) == [], within=5, saying="nothing is refused")
    return shared


def routes(stage: Stage, count: int = 40, path: str = "/v2/models/iris/infer") -> set[str]:
    result = run_load(stage.extproc.inference_url + path, count)
    assert result.failed == 0, str(result)
    return set(result.by_route)


def problems(stage: Stage) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stage.extproc.admin("/api/v1/experiments").json["problems"]
    return found


def test_a_change_decides_within_100_ms_of_the_rename(running: Stage) -> None:
    """The bound is on the median of nine changes: one of them may meet a pause of the machine, five may not."""
    took = []
    with Load(f"{running.extproc.inference_url}/v2/models/iris/infer", connections=2) as load:
        for number in range(9):
            weights = (0, 1) if number % 2 == 0 else (1, 0)
            wanted = list(weights)
            running.write(ab(*weights))
            renamed = time.monotonic()
            eventually(
                lambda: [c["weight"] for c in running.status("iris-ab")["candidates"]],
                within=5,
                saying="the new weights are in force",
                until=wanted.__eq__,
            )
            took.append(time.monotonic() - renamed)
            running.wait_weights("iris-ab", wanted)
        assert load.stop().failed == 0
    assert sorted(took)[len(took) // 2] < 0.1, took


def test_an_invalid_resource_keeps_its_last_good_version_and_is_reported_by_name(running: Stage) -> None:
    other = experiment("other", {"iris3": 1}, default="iris3")
    running.write(ab(-1, 1), other)
    report = eventually(lambda: problems(running), within=5, saying="the problem is reported")
    assert (report[0]["kind"], report[0]["name"], report[0]["kept"]) == ("Experiment", "iris-ab", True)
    assert report[0]["problems"][0]["path"] == "candidates[0].weight"
    assert routes(running) == {IRIS}
    running.wait_state("other")
    running.write(ab(0, 1), other)
    running.wait_weights("iris-ab", [0, 1])
    assert problems(running) == []
    assert routes(running) == {IRIS2}


def test_a_file_that_is_no_json_changes_nothing(running: Stage) -> None:
    before = running.file.read_text()
    running.file.write_text(before[: len(before) // 2])
    report = eventually(lambda: problems(running), within=5, saying="the problem is reported")
    assert report[0]["kept"], report
    assert "line" in report[0]["problems"][0]["message"]
    assert routes(running) == {IRIS}


def test_a_deleted_file_stops_its_experiments(running: Stage) -> None:
    running.file.unlink()
    eventually(lambda: running.status("iris-ab").get("state") == "STOPPED", within=5, saying="it is stopped")
    eventually(lambda: running.infer().status == 404, within=5, saying="so is its model")
    running.write(ab(0, 1))
    running.wait_state("iris-ab")
    assert routes(running) == {IRIS2}


def test_an_experiment_that_leaves_the_file_gives_its_default_back(running: Stage) -> None:
    running.write(ab(0, 1))
    running.wait_weights("iris-ab", [0, 1])
    running.write()
    eventually(
        lambda: running.infer(headers={"x-seldon-route": IRIS2}).headers.get("x-seldon-route") == IRIS,
        within=5,
        saying="the default answers for itself, tokens or not",
    )
    assert routes(running) == {IRIS}
    assert running.infer("/v2/models/iris-ab.experiment/infer").status == 404


@pytest.mark.parametrize("wrong", ["no JSON", "an invalid resource"])
def test_a_control_process_that_dies_takes_along_nothing_that_is_in_force(running: Stage, wrong: str) -> None:
    """It finds a file that is wrong, of which the last good version is in force, and so it is when it is back."""
    before = running.file.read_text()
    with Load(f"{running.extproc.inference_url}/v2/models/iris/infer", rate=100) as load:
        if wrong == "no JSON":
            running.file.write_text(before[: len(before) // 2])
        else:
            running.write(ab(-1, 1), experiment("other", {"iris3": 1}, default="iris3"))
        eventually(lambda: problems(running), within=5, saying="the problem is reported")
        killed = running.extproc.processes["control"]
        os.kill(killed, signal.SIGKILL)
        eventually(
            lambda: running.extproc.processes.get("control", killed),
            within=10,
            saying="it is started again",
            until=lambda pid: pid != killed,
        )
        running.wait_state("iris-ab", within=30)
        if wrong == "an invalid resource":
            running.wait_state("other")
        load.wait_for(50)
        result = load.stop()
    assert result.failed == 0, str(result)
    assert set(result.by_route) == {IRIS}, str(result)
    assert problems(running)
    running.write(ab(0, 1))
    running.wait_weights("iris-ab", [0, 1])
    assert routes(running) == {IRIS2}


def test_a_file_that_is_removed_while_there_is_no_control_process_is_gone(running: Stage) -> None:
    os.kill(running.extproc.pid, signal.SIGSTOP)
    try:
        os.kill(running.extproc.processes["control"], signal.SIGKILL)
        running.file.unlink()
    finally:
        os.kill(running.extproc.pid, signal.SIGCONT)
    eventually(lambda: running.status("iris-ab").get("state") == "STOPPED", within=20, saying="it is stopped")
    running.file.write_text("{")
    eventually(lambda: "line" in json.dumps(problems(running)), within=5, saying="it is read")
    assert running.status("iris-ab")["state"] == "STOPPED"


def test_restarted_with_an_invalid_resource_the_valid_rest_runs(running: Stage) -> None:
    running.write(ab(-1, 1), experiment("other", {"iris3": 1}, default="iris3"))
    running.extproc.restart()
    running.extproc.wait_ready()
    running.wait_state("other")
    assert running.status("iris-ab")["state"] == "REJECTED"
    assert "weight" in running.status("iris-ab")["reason"]
    assert routes(running) == {IRIS}


def test_a_candidate_whose_model_comes_later(stage: Stage) -> None:
    """Resources may arrive in any order: the experiment runs without the candidate and says what it waits for."""
    iris, iris2, iris3 = stage.models
    stage.write(ab(1, 1, mirror={"name": "iris3", "percent": 100}), models=[iris])
    stage.start("up")
    status = stage.wait_state("iris-ab", "DEGRADED")
    assert "iris2" in status["reason"]
    assert "no Model defines" in status["reason"]
    assert routes(stage) == {IRIS}
    stage.write(ab(1, 1, mirror={"name": "iris3", "percent": 100}), models=[iris, iris2])
    assert "iris3" in stage.wait_state("iris-ab", "DEGRADED")["reason"]
    stage.write(ab(1, 1, mirror={"name": "iris3", "percent": 100}), models=[iris, iris2, iris3])
    stage.wait_state("iris-ab")
    assert routes(stage, 80) == {IRIS, IRIS2}
    eventually(lambda: stage.iris3.requests, within=5, saying="the mirror gets copies")


def test_a_candidate_that_is_down_is_out_of_the_draw_and_comes_back(running: Stage) -> None:
    running.write(ab(1, 1))
    running.wait_weights("iris-ab", [1, 1])
    running.wait_state("iris-ab")
    running.iris2.stop()
    status = running.wait_state("iris-ab", "DEGRADED")
    assert [c["share"] for c in status["candidates"]] == [1.0, 0.0]
    assert routes(running, 80) == {IRIS}
    assert running.infer(headers={"x-seldon-route": IRIS2}).headers["x-seldon-route"] == IRIS
    running.iris2.resume()
    running.wait_state("iris-ab")
    assert routes(running, 80) == {IRIS, IRIS2}


def test_what_envoy_refuses_is_named_and_set_aside_alone(running: Stage) -> None:
    """A Cluster that only Envoy itself can judge: valid by its type, refused with Envoy's own message."""
    bad = {
        "@type": CLUSTER,
        "name": "own",
        "type": "EDS",
        "load_assignment": {"cluster_name": "own"},
    }
    running.write(ab(1, 1), bad)
    report = eventually(lambda: problems(running), within=10, saying="the refusal is reported")
    assert (report[0]["kind"], report[0]["name"]) == ("Cluster", "own")
    assert "Envoy refused it" in report[0]["problems"][0]["message"]
    # The rest of the same change is in force, and so is the next one.
    running.wait_weights("iris-ab", [1, 1])
    running.wait_state("iris-ab")
    assert routes(running, 80) == {IRIS, IRIS2}
    running.write(ab(0, 1), bad)
    running.wait_weights("iris-ab", [0, 1])
    assert routes(running) == {IRIS2}
    good = {**bad, "type": "STATIC", "load_assignment": load_assignment("own", running.iris3.port)}
    running.write(
        experiment("iris-ab", {"iris": 0, "mine": 1}, default="iris"),
        good,
        models=[*running.models, model("mine", cluster="own", served_name="third")],
    )
    eventually(lambda: problems(running) == [], within=10, saying="nothing is refused any more")
    running.wait_state("iris-ab")
    assert routes(running) == {":mine_1:"}


def load_assignment(cluster: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}]}


def test_routes_for_traffic_that_is_not_a_model_s(running: Stage) -> None:
    mine = {
        "@type": ROUTES,
        "name": "mine",
        "virtual_hosts": [
            {
                "name": "all",
                "domains": ["*"],
                "routes": [
                    {"match": {"path": "/ping"}, "direct_response": {"status": 200, "body": {"inline_string": "pong"}}},
                    {"match": {"prefix": "/own"}, "route": {"cluster": "own"}},
                ],
            }
        ],
    }
    own = {"@type": CLUSTER, "name": "own", "load_assignment": load_assignment("own", running.iris3.port)}
    running.write(ab(1, 1), mine, own)
    eventually(lambda: running.infer("/ping").text == "pong", within=10, saying="the user's route answers")
    eventually(lambda: running.infer("/own/x").status == 200, within=10, saying="the user's cluster answers")
    assert running.infer("/nobody").status == 404
    running.wait_state("iris-ab")
    assert routes(running, 80) == {IRIS, IRIS2}
    running.write(
        ab(1, 1), json.loads(json.dumps(mine).replace('{"path": "/ping"}', '{"safe_regex": {"regex": "["}}')), own
    )
    report = eventually(lambda: problems(running), within=10, saying="the refusal is reported")
    assert (report[0]["kind"], report[0]["name"], report[0]["kept"]) == ("RouteConfiguration", "mine", True)
    assert running.infer("/ping").text == "pong"
