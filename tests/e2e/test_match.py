"""`match` end to end: who takes part is decided by Envoy, who gets whom by extproc, with it and without it.

And an experiment that is about no model: between two clusters, sticky, with a mirror.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e.stage import TYPE, Stage, experiment
from tests.harness.client import Answer, fetch
from tests.harness.load import run_load
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
BETA = {"x-beta": "yes"}
IS_BETA = {"headers": [{"name": "x-beta", "string_match": {"exact": "yes"}}]}
MODELS = experiment(
    "iris-ab",
    {"iris": 0, "iris2": 1},
    default="iris",
    match=IS_BETA,
    stickiness={"header": "x-user"},
    overrides=[{"candidate": "iris", "units": ["qa"]}],
    mirror={"name": "iris3", "percent": 100},
)
HALF = experiment(
    "half",
    {"iris3": 0, "iris2": 1},
    default="iris3",
    match={"runtime_fraction": {"default_value": {"numerator": 50, "denominator": "HUNDRED"}}},
    mirror={"name": "iris", "percent": 50},
)
SHOP = {
    "@type": f"{TYPE}Experiment",
    "name": "checkout",
    "default": "checkout-v1",
    "candidates": [{"cluster": "checkout-v1", "weight": 50}, {"cluster": "checkout-v2", "weight": 50}],
    "match": {"path_separated_prefix": "/checkout", **IS_BETA},
    "mirror": {"cluster": "checkout-v3", "percent": 100},
}
COUNTED = {
    **SHOP,
    "name": "counted",
    "candidates": [{"cluster": "checkout-v1", "weight": 1}, {"name": "second", "cluster": "checkout-v2", "weight": 1}],
    "match": {"prefix": "/counted"},
}


def cluster(name: str, port: int) -> dict[str, Any]:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    check = {
        "timeout": "1s", "interval": "0.1s", "no_traffic_interval": "0.1s", "unhealthy_threshold": 1,
        "healthy_threshold": 1, "http_health_check": {"path": "/v2/health/ready"},
    }  # fmt: skip
    return {
        "@type": CLUSTER,
        "name": name,
        "type": "STATIC",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
        "health_checks": [check],
        # By its default Envoy holds changes of health back for a second, in which it answers for the cluster itself.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
    }


def routes(to: str) -> dict[str, Any]:
    host = {"name": "web", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": to}}]}
    return {"@type": ROUTES, "name": "web", "virtual_hosts": [host]}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("match"))
    try:
        stage.write(
            MODELS,
            HALF,
            SHOP,
            COUNTED,
            cluster("checkout-v1", stage.iris.port),
            cluster("checkout-v2", stage.iris2.port),
            cluster("checkout-v3", stage.iris3.port),
            routes("checkout-v1"),
        )
        stage.start("serve")
        stage.wait_state("iris-ab")
        stage.wait_state("half")
        stage.wait_state("checkout")
        stage.wait_state("counted")
        yield stage
    finally:
        stage.close()


@pytest.fixture(autouse=True)
def forgetful(stage: Stage) -> None:
    stage.forget()


def decided(answer: Answer) -> str:
    assert answer.status == 200, answer
    return answer.headers["x-seldon-route"]


def shop(stage: Stage, path: str = "/checkout/pay", **headers: str) -> Answer:
    return fetch(stage.extproc.inference_url + path, headers={**BETA, **headers})


def drawn(stage: Stage, count: int, headers: Mapping[str, str], path: str = "/checkout/pay") -> Mapping[str, int]:
    result = run_load(stage.extproc.inference_url + path, count, headers=headers)
    assert result.failed == 0, str(result)
    return result.by_route


def test_who_matches_is_decided_on_and_who_does_not_is_left_alone(stage: Stage) -> None:
    assert decided(stage.infer(headers={**BETA, "x-user": "qa"})) == ":iris_1:"  # which only extproc or its routes know
    assert drawn(stage, 60, BETA, "/v2/models/iris/infer") == {":iris2_2:": 60}
    eventually(lambda: len(stage.iris3.requests), within=10, saying="61 copies", until=lambda count: count == 61)
    assert asked(stage) >= 61
    before = asked(stage)
    assert drawn(stage, 60, {"x-user": "qa"}, "/v2/models/iris/infer") == {":iris_1:": 60}
    assert len(stage.iris3.requests) == 61
    assert asked(stage) == before


def test_of_a_fraction_the_mirror_gets_its_part(stage: Stage) -> None:
    """Half of the requests take part, and half of these are copied: of the others, none."""
    before = asked(stage)
    by_route = drawn(stage, 300, {}, "/v2/models/iris3/infer")
    low, high = binomial_interval(300, 0.5)  # misses once in a million runs
    assert by_route.keys() == {":iris3_1:", ":iris2_2:"}
    assert low <= by_route[":iris2_2:"] <= high
    assert asked(stage) - before == by_route[":iris2_2:"]
    low, high = binomial_interval(by_route[":iris2_2:"], 0.5)

    def copies() -> int:
        return sum(1 for request in stage.iris.requests if request.header("seldon-internal-model") == "iris_1")

    eventually(copies, within=10, saying=f"{low} to {high} copies", until=lambda count: low <= count <= high)


def asked(stage: Stage) -> int:
    """How often Envoy has asked extproc."""
    assert stage.envoy is not None
    (count,) = stage.envoy.stats("ext_proc.streams_started").values()
    return count


def test_clusters_are_split_and_copied_where_they_match(stage: Stage) -> None:
    by_route = drawn(stage, 60, BETA)
    assert set(by_route) == {":checkout-v1.cluster:", ":checkout-v2.cluster:"}
    eventually(lambda: len(stage.iris3.requests), within=10, saying="60 copies", until=lambda count: count == 60)
    assert {request.path for request in stage.iris2.requests + stage.iris3.requests} == {"/checkout/pay"}
    assert drawn(stage, 30, {}) == {"": 30}
    assert drawn(stage, 30, BETA, "/checkouts") == {"": 30}
    assert len(stage.iris2.requests) == by_route[":checkout-v2.cluster:"]


@pytest.mark.parametrize("candidate", ["checkout-v1", "checkout-v2"])
def test_a_token_keeps_a_client_with_its_cluster(stage: Stage, candidate: str) -> None:
    token = f":{candidate}.cluster:"
    assert drawn(stage, 40, {**BETA, "x-seldon-route": token}) == {token: 40}


def test_both_read_back_as_they_were_written(stage: Stage) -> None:
    assert stage.status("iris-ab")["spec"] == MODELS
    status = stage.status("checkout")
    assert status["spec"] == SHOP
    assert [
        {key: candidate[key] for key in ("name", "cluster", "share", "ready", "route")}
        for candidate in status["candidates"]
    ] == [
        {"name": name, "cluster": name, "share": 0.5, "ready": True, "route": f":{name}.cluster:"}
        for name in ("checkout-v1", "checkout-v2")
    ]
    assert (status["mirror"]["name"], status["mirror"]["cluster"], status["mirror"]["ready"]) == (
        "checkout-v3", "checkout-v3", True
    )  # fmt: skip


def test_outcomes_are_counted_by_candidate(stage: Stage) -> None:
    def counted() -> list[int]:
        document = stage.status("counted")
        return [c["requests"] for c in document["candidates"]] + [document["mirror"]["requests"]]

    by_route = drawn(stage, 40, BETA, "/counted")
    wanted = [by_route[":checkout-v1.cluster:"], by_route[":second.cluster:"], 40]
    eventually(counted, within=10, saying=f"counts are {wanted}", until=lambda now: now == wanted)


def test_a_cluster_that_is_down_gets_nothing(stage: Stage) -> None:
    stage.iris2.ready(False)
    status = stage.wait_state("checkout", "DEGRADED")
    assert "running without checkout-v2 (Envoy finds checkout-v2 not ready)" in status["reason"]
    assert drawn(stage, 30, BETA) == {":checkout-v1.cluster:": 30}
    stage.iris2.ready(True)
    for name in ("checkout", "half", "iris-ab"):  # the Model is served there too
        stage.wait_state(name)
    stage.wait_weights("iris-ab", [0, 1])


def test_a_bad_match_is_refused_with_its_path(stage: Stage) -> None:
    answer = stage.put({**experiment("bad", {"iris3": 1}), "match": {"safe_regex": {"regex": "("}}})
    assert (answer.status, [problem["path"] for problem in answer.json["problems"]]) == (
        422,
        ["match.safe_regex.regex"],
    )
    answer = stage.put({**experiment("bad", {"iris3": 1}), "match": {"filter_state": [], "prefix": "/", "path": "/"}})
    assert (answer.status, {problem["path"] for problem in answer.json["problems"]}) == (
        422, {"match.filter_state", "match.path"}
    )  # fmt: skip


def test_without_extproc_envoy_goes_on_by_the_same_match(stage: Stage) -> None:
    stage.extproc.kill()
    assert drawn(stage, 60, BETA, "/v2/models/iris/infer") == {":iris2_2:": 60}
    assert drawn(stage, 30, {"x-user": "qa", **BETA}, "/v2/models/iris/infer") == {":iris_1:": 30}
    assert drawn(stage, 30, {}, "/v2/models/iris/infer") == {":iris_1:": 30}
    assert set(drawn(stage, 60, BETA)) == {":checkout-v1.cluster:", ":checkout-v2.cluster:"}
    assert drawn(stage, 30, {}) == {"": 30}
