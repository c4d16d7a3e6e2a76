"""The acceptance cases from the field, each with the real Envoy, through the API: one test a case, named after it."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, model
from tests.harness.load import run_load
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

IRIS, IRIS2, IRIS3 = ":iris_1:", ":iris2_2:", ":iris3_1:"


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write()
    stage.start("up")
    return stage


@pytest.fixture
def field(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """Three models that are up, and no experiment that runs."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    shared.write()
    for server in (shared.iris, shared.iris2, shared.iris3):
        server.resume()
    for document in shared.extproc.admin("/api/v1/experiments").json["experiments"]:
        if document["state"] != "STOPPED":
            shared.stop(document["name"])
    eventually(
        lambda: [m["ready"] for m in shared.extproc.admin("/api/v1/models").json["models"]] == [True] * 3,
        within=15,
        saying="the three models are ready",
    )
    shared.forget()
    return shared


def start(stage: Stage, name: str, weights: dict[str, int], **fields: Any) -> None:
    answer = stage.put(experiment(name, weights, **fields))
    assert answer.status in {200, 201}, answer.text
    stage.wait_state(name)


def test_half_and_half_over_400_calls(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    result = run_load(f"{field.extproc.inference_url}/v2/models/iris/infer", 400)
    low, high = binomial_interval(400, 0.5, miss=1e-4)
    assert result.failed == 0
    assert low <= result.by_route[IRIS] <= high, str(result)
    assert result.by_route[IRIS] + result.by_route[IRIS2] == 400
    assert field.routes("iris2") == {IRIS2}


def test_updated_from_iris2_to_iris3_then_iris2_gets_nothing_from_the_next_call_on(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    assert field.put(experiment("ab", {"iris": 50, "iris3": 50}, default="iris")).json["changed"] is True
    field.forget()
    assert field.routes() == {IRIS, IRIS3}
    assert field.iris2.requests == ()


def test_a_default_that_changes_hands_answers_alone(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris3": 50}, default="iris")
    field.put(experiment("ab", {"iris": 50, "iris3": 50}, default="iris3"))
    assert field.routes("iris") == {IRIS}
    assert field.routes("iris3") == {IRIS, IRIS3}


def test_without_a_default_only_its_own_endpoint_is_split(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris2": 50})
    assert field.routes("ab.experiment") == {IRIS, IRIS2}
    assert field.routes("iris") == {IRIS}
    assert field.routes("iris2") == {IRIS2}


@pytest.mark.parametrize(
    ("policy", "state"), [("AVAILABLE_CANDIDATES", "DEGRADED"), ("DEFAULT_ONLY", "PENDING"), ("REJECT", "REJECTED")]
)
def test_a_candidate_s_model_is_missing_when_the_file_is_read_and_is_added_later(
    field: Stage, policy: str, state: str
) -> None:
    iris, _, iris3 = field.models
    trial = experiment("filed", {"iris": 50, "iris2": 50}, default="iris", when_unavailable=policy)
    field.write(trial, models=[iris, iris3])
    status = field.wait_state("filed", state)
    assert "iris2" in status["reason"], status
    assert field.routes() == {IRIS}
    field.write(trial)
    field.wait_state("filed", "ACTIVE")
    assert field.routes() == {IRIS, IRIS2}
    field.write()
    eventually(lambda: field.status("filed").get("state") == "STOPPED", within=5, saying="the file's experiment stops")


@pytest.mark.parametrize(("policy", "state"), [("AVAILABLE_CANDIDATES", "DEGRADED"), ("DEFAULT_ONLY", "PENDING")])
def test_a_candidate_is_defined_but_not_up_then_comes_up(field: Stage, policy: str, state: str) -> None:
    field.iris2.stop()
    eventually(
        lambda: field.extproc.admin("/api/v1/models").json["models"][1]["ready"] is False,
        within=10,
        saying="Envoy finds iris2 down",
    )
    field.put(experiment("ab", {"iris": 50, "iris2": 50}, default="iris", when_unavailable=policy))
    assert "iris2" in field.wait_state("ab", state)["reason"]
    assert field.routes() == {IRIS}
    field.iris2.resume()
    field.wait_state("ab", "ACTIVE")
    assert field.routes() == {IRIS, IRIS2}


def test_reject_refuses_to_start_and_names_those_not_ready(field: Stage) -> None:
    trial = experiment("ab", {"iris": 50, "iris2": 50}, default="iris", when_unavailable="REJECT")
    field.iris2.stop()
    eventually(
        lambda: field.extproc.admin("/api/v1/models").json["models"][1]["ready"] is False,
        within=10,
        saying="Envoy finds iris2 down",
    )
    refused = field.put(trial)
    assert refused.status == 409, refused.text
    assert "iris2" in refused.json["problems"][0]["message"]
    field.iris2.resume()
    eventually(lambda: field.put(trial).status in {200, 201}, within=10, saying="it starts once iris2 is ready")
    field.wait_state("ab")
    field.iris2.stop()
    field.wait_state("ab", "DEGRADED")
    assert field.routes() == {IRIS}


def test_mirror_only_trial(field: Stage) -> None:
    start(field, "ab", {"iris": 100}, default="iris", mirror={"name": "iris3", "percent": 100})
    assert field.routes(count=200) == {IRIS}
    eventually(lambda: len(field.iris3.requests), within=5, saying="200 copies", until=lambda n: n >= 200)
    assert len(field.iris3.requests) == len(field.iris.requests) == 200


def test_two_experiments_share_a_candidate_but_not_the_default(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    start(field, "cd", {"iris3": 50, "iris2": 50}, default="iris3")
    assert field.routes("iris") == {IRIS, IRIS2}
    assert field.routes("iris3") == {IRIS3, IRIS2}


def test_a_second_experiment_on_the_same_default_is_refused_and_the_owner_named(field: Stage) -> None:
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    refused = field.put(experiment("second", {"iris": 1, "iris3": 1}, default="iris"))
    assert refused.status == 409
    assert refused.json["problems"][0]["path"] == "default"
    assert "experiment ab" in refused.json["problems"][0]["message"]
    assert field.routes() == {IRIS, IRIS2}


def test_a_model_updated_to_a_new_version(field: Stage) -> None:
    iris, _, iris3 = field.models
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    assert field.routes(headers={"x-seldon-route": IRIS2}) == {IRIS2}
    newer = model("iris2", field.iris2.endpoint, served_name="iris-v2", version=3)
    field.write(models=[iris, newer, iris3])
    eventually(
        lambda: field.infer(headers={"x-seldon-route": ":iris2_3:"}).headers["x-seldon-route"] == ":iris2_3:",
        within=10,
        saying="answers carry the new version",
    )
    assert field.routes(headers={"x-seldon-route": IRIS2}) == {IRIS, ":iris2_3:"}


def test_a_freed_default_belongs_to_who_takes_it_next(field: Stage) -> None:
    first = experiment("ab", {"iris": 50, "iris2": 50}, default="iris")
    start(field, "ab", {"iris": 50, "iris2": 50}, default="iris")
    assert field.stop("ab").json["state"] == "STOPPED"
    start(field, "second", {"iris": 50, "iris3": 50}, default="iris")
    refused = field.put(first)
    assert refused.status == 409
    assert "experiment second" in refused.json["problems"][0]["message"]
    assert field.routes() == {IRIS, IRIS3}
