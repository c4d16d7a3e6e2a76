"""Routes as clients and models see them: every way to call an endpoint, and what arrives."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from extproc.core.resources import Model, ResourceType
from tests.harness.load import Load
from tests.harness.models import ModelServer, Request
from tests.harness.statistics import binomial_interval
from tests.xds.given import a_cluster, a_model, a_world, an_experiment, some_routes
from tests.xds.stage import Stage, serving


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    servers: dict[str, ModelServer]

    def last(self, name: str) -> Request:
        return self.servers[name].requests[-1]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    served = {"iris": "iris", "iris2": "iris-v2", "a": "a", "b": "b", "c": "c", "own": "own"}
    servers = {name: ModelServer(name, served=known_as) for name, known_as in served.items()}
    port = {name: server.port for name, server in servers.items()}
    models = [
        a_model("iris", port["iris"]),
        a_model("iris2", port["iris2"], served_name="iris-v2", version=2),
        *(a_model(name, port[name]) for name in "abc"),
        Model("own", cluster="mine"),
        a_model("down"),
    ]
    experiments = [
        an_experiment("iris-ab", {"iris": 0, "iris2": 1}, default="iris"),
        an_experiment("pipe", {"own": 1, "a": 0}, default="own", resource_type=ResourceType.PIPELINE),
        an_experiment("abc", {"a": 50, "b": 30, "c": 20}),
        an_experiment("dead", {"down": 1}, default="down"),
    ]
    ping = {"match": {"prefix": "/ping"}, "direct_response": {"status": 200, "body": {"inline_string": "pong"}}}
    world = a_world(
        models,
        experiments,
        clusters=[a_cluster("mine", port["own"])],
        routes=[some_routes("web", ping)],
        down=["down"],
    )
    try:
        with serving(world, tmp_path_factory.mktemp("endpoint_routes")) as stage:
            yield Scene(stage, servers)
    finally:
        for server in servers.values():
            server.close()


FORMS = ["", "?a=b", "/infer", "/ready", "/ready?x=/v2/models/iris", "/versions/7/infer", "/versions/7?a=b"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("endpoint", ["iris2", "iris", "iris-ab.experiment"])
@pytest.mark.parametrize("by", ["path", "header"])
def test_every_form_of_path_gets_the_served_name(scene: Scene, form: str, endpoint: str, by: str) -> None:
    """iris2 is plain; the other two are intercepted, and iris2 is the only candidate that is drawn."""
    called, headers = (endpoint, {}) if by == "path" else ("whatever", {"seldon-model": endpoint})
    answer = scene.stage.get(f"/v2/models/{called}{form}", headers)
    assert answer.status == 200, answer.text
    assert answer.headers["x-seldon-route"] == ":iris2_2:"
    request = scene.last("iris2")
    assert request.path == f"/v2/models/iris-v2{form}"
    assert request.header("seldon-internal-model") == "iris2_2"


def test_the_header_wins_over_the_path(scene: Scene) -> None:
    assert scene.stage.infer("/v2/models/a/infer", {"seldon-model": "b"}).headers["x-seldon-route"] == ":b_1:"
    assert scene.last("b").path == "/v2/models/b/infer"


def test_a_path_without_a_model_goes_through_as_it_is(scene: Scene) -> None:
    answer = scene.stage.get("/v2/health/ready", {"seldon-model": "iris2"})
    assert (answer.status, scene.last("iris2").path) == (200, "/v2/health/ready")


@pytest.mark.parametrize(
    ("endpoint", "token"),
    [("own", ":own.pipeline:"), ("own.pipeline", ":own.pipeline:"), ("a.pipeline", ":a.pipeline:"), ("a", ":a_1:")],
)
def test_pipelines_have_names_of_their_own(scene: Scene, endpoint: str, token: str) -> None:
    answer = scene.stage.infer(f"/v2/models/{endpoint}/infer")
    assert (answer.status, answer.headers["x-seldon-route"]) == (200, token)
    name = endpoint.removesuffix(".pipeline")
    assert scene.last(name).path == f"/v2/models/{name}/infer"
    assert scene.last(name).header("seldon-internal-model") == token.strip(":")


def test_the_user_s_own_routes(scene: Scene) -> None:
    assert scene.stage.get("/ping").text == "pong"


def test_a_client_can_steer_nothing(scene: Scene) -> None:
    sent = {
        "x-extproc-route": "iris-ab/iris",
        "X-Extproc-Mirror": "iris-ab",
        "x-extproc-anything": "1",
        "seldon-internal-model": "forged",
        "x-seldon-route": ":iris_1:",  # without extproc nobody reads it
        "x-envoy-retry-on": "5xx",
        "x-envoy-upstream-rq-timeout-ms": "1",
    }
    for path in ("/v2/models/iris/infer", "/v2/models/iris-ab.experiment/infer", "/v2/models/iris2/infer"):
        answer = scene.stage.infer(path, {**sent, "x-request-id": "mine", "under_score": "kept"})
        assert answer.headers["x-seldon-route"] == ":iris2_2:"
        seen = dict(scene.last("iris2").headers)
        assert not {name for name in seen if name.startswith("x-extproc-")}
        assert seen["seldon-internal-model"] == "iris2_2"
        assert "x-seldon-route" not in seen
        assert "x-envoy-expected-rq-timeout-ms" not in seen
        assert (seen["x-request-id"], seen["under_score"]) == ("mine", "kept")


def test_a_client_can_t_have_a_request_repeated(scene: Scene) -> None:
    server = scene.servers["a"]
    server.forget()
    server.fail(500)
    try:
        headers = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3"}
        assert scene.stage.infer("/v2/models/a/infer", headers).status == 500
        assert len(server.requests) == 1
    finally:
        server.resume()


def test_envoy_s_own_answers_name_the_route_too(scene: Scene) -> None:
    for endpoint in ("down", "dead.experiment"):
        answer = scene.stage.infer(f"/v2/models/{endpoint}/infer")
        assert (answer.status, answer.headers["x-seldon-route"]) == (503, ":down_1:")


def test_a_model_that_is_gone_for_a_moment_is_tried_again(scene: Scene) -> None:
    """A refused connection runs no model, so the retry is safe; here it meets a server that is back."""
    server = scene.servers["b"]
    server.stop()
    before = scene.stage.envoy.stats("cluster.b.upstream_rq_retry").get("cluster.b.upstream_rq_retry", 0)
    assert scene.stage.infer("/v2/models/b/infer").status == 503
    server.resume()
    after = scene.stage.envoy.stats("cluster.b.upstream_rq_retry")["cluster.b.upstream_rq_retry"]
    assert after - before == 2


def test_large_bodies_pass(scene: Scene) -> None:
    body = b"x" * 5_000_000
    for endpoint, name in (("iris", "iris2"), ("abc.experiment", ""), ("own", "own")):
        for server in scene.servers.values():
            server.forget()
        assert scene.stage.infer(f"/v2/models/{endpoint}/infer", body=body).status == 200
        seen = {n: r for n, server in scene.servers.items() for r in server.requests}
        assert [len(r.body) for r in seen.values()] == [len(body)]
        assert not name or list(seen) == [name]


def test_envoy_splits_by_weight_without_extproc(scene: Scene) -> None:
    count = 4000
    result = Load(f"{scene.stage.url}/v2/models/abc.experiment/infer", count=count).finish()
    assert result.failed == 0
    for name, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        low, high = binomial_interval(count, share)  # misses once in a million runs
        assert low <= result.by_route[f":{name}_1:"] <= high
