"""How a real Envoy asks for a decision, what the answer may do, and what it may not."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from extproc import names
from extproc.core.resources import MILLION, ResourceType
from extproc.settings import MESSAGE_TIMEOUT
from extproc.xds import inference
from extproc.xds.http import rds
from extproc.xds.world import Options
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually
from tests.xds.decider import Decider, setting
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    decider: Decider
    servers: dict[str, ModelServer]
    grpc_servers: dict[str, GrpcModelServer]

    def forget(self) -> None:
        self.decider.requests.clear()
        self.decider.reply = setting().SerializeToString()
        for server in self.servers.values():
            server.forget()
        for grpc_server in self.grpc_servers.values():
            grpc_server.forget()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    servers = {"iris": ModelServer("iris"), "iris2": ModelServer("iris2", served="iris-v2"), "m": ModelServer("m")}
    rpc = {"iris": GrpcModelServer("iris"), "iris2": GrpcModelServer("iris2", served="iris-v2")}
    models = [
        a_model("iris", servers["iris"].port, grpc=rpc["iris"].port),
        a_model("iris2", servers["iris2"].port, grpc=rpc["iris2"].port, served_name="iris-v2", version=2),
        a_model("m", servers["m"].port),
    ]
    experiments = [
        # Envoy alone would never choose iris2.
        an_experiment("ab", {"iris": 1, "iris2": 0}, default="iris", mirror=("m", MILLION)),
        an_experiment("pipe", {"m": 1, "iris2": 0}, default="m", resource_type=ResourceType.PIPELINE),
    ]
    with Decider() as decider:
        try:
            where = tmp_path_factory.mktemp("inference")
            world, timeout = a_world(models, experiments), MESSAGE_TIMEOUT
            with serving(world, where, worker_port=decider.port, message_timeout=timeout) as stage:
                eventually(lambda: stage.envoy.healthy("extproc"), within=10, saying="Envoy knows extproc to be well")
                yield Scene(stage, decider, servers, rpc)
        finally:
            for server in servers.values():
                server.close()
            for grpc_server in rpc.values():
                grpc_server.close()


def test_the_user_s_filters_come_first_and_the_router_last() -> None:
    """What they find out is there when extproc is asked."""
    mine = [{"name": "mine", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}}]
    (chain,) = inference.listener(Options(), rds("inference"), mine)["filter_chains"]
    filters = [each["name"] for each in chain["filters"][0]["typed_config"]["http_filters"]]
    assert filters[0] == "mine"
    assert filters.index(names.EXT_PROC_FILTER) > 0
    assert filters[-1] == "envoy.filters.http.router"


def test_how_long_a_request_waits_for_its_decision() -> None:
    (chain,) = inference.listener(Options(message_timeout=50), rds("inference"))["filter_chains"]
    filters = {each["name"]: each for each in chain["filters"][0]["typed_config"]["http_filters"]}
    assert filters[names.EXT_PROC_FILTER]["typed_config"]["message_timeout"] == "0.050s"


@pytest.mark.parametrize(("filters", "outcomes"), [(0, True), (0, False), (1, False), (1, True)])
def test_what_the_user_s_filters_let_through_is_marked_where_it_is_logged(filters: int, outcomes: bool) -> None:
    mine = [{"name": "mine", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}}]
    listener = inference.listener(Options(outcomes=outcomes), rds("inference"), mine[:filters])
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    marked = filters > 0 and outcomes
    found = [each["name"] for each in manager["http_filters"]]
    assert found[: filters + 1].count("extproc.passed") == found.count("extproc.passed") == marked
    assert ("extproc.passed" in str(manager.get("access_log"))) is marked


@pytest.fixture
def scene(running: Scene) -> Scene:
    running.forget()
    return running


def test_it_is_asked_for_intercepted_requests_alone_and_told_just_what_it_needs(scene: Scene) -> None:
    headers = {"x-seldon-route": ":iris_1:", "x-own": "secret", "authorization": "secret"}
    for endpoint in ("iris2", "unknown", "iris"):
        scene.stage.infer(f"/v2/models/{endpoint}/infer", headers)
    (request,) = scene.decider.requests
    attributes = request.attributes[names.EXT_PROC_FILTER].fields
    assert {name: value.string_value.decode() for name, value in attributes.items()} == {
        names.ROUTE_NAME_ATTRIBUTE: "ab/iris/fallback"
    }
    sent = {header.key: header.raw_value for header in request.request_headers.headers.headers}
    assert sent == {"x-seldon-route": b":iris_1:"}
    # Its copy shall not be taken for that of a later test.
    eventually(lambda: scene.servers["m"].requests, within=10, saying="the copy")


@pytest.mark.parametrize(
    ("path", "headers"),
    [("/v2/models/iris/infer?a=b", {}), ("/v2/models/ab.experiment/infer?a=b", {}), ("/x", {"seldon-model": "iris"})],
)
def test_a_decision_leads_to_its_route(scene: Scene, path: str, headers: dict[str, str]) -> None:
    scene.decider.reply = setting((names.LABEL_HEADER, "ab/iris2")).SerializeToString()
    answer = scene.stage.infer(path, headers)
    assert answer.headers["x-seldon-route"] == ":iris2_2:"
    (request,) = scene.servers["iris2"].requests
    assert request.path == path.replace("/iris/", "/iris-v2/").replace("/ab.experiment/", "/iris-v2/")
    assert request.header("seldon-internal-model") == "iris2_2"
    assert request.header(names.LABEL_HEADER) is None
    # Its mirror is that of the experiment.
    (copy,) = eventually(lambda: scene.servers["m"].requests, within=10, saying="the copy")
    assert copy.header(names.LABEL_HEADER) is None
    assert copy.header("seldon-internal-model") == "m_1"


def test_a_decision_for_a_pipeline(scene: Scene) -> None:
    scene.decider.reply = setting((names.LABEL_HEADER, "pipe/iris2")).SerializeToString()
    assert scene.stage.infer("/v2/models/m.pipeline/infer").headers["x-seldon-route"] == ":iris2.pipeline:"


def test_a_decision_for_grpc(scene: Scene) -> None:
    scene.decider.reply = setting((names.LABEL_HEADER, "ab/iris2")).SerializeToString()
    with grpc.insecure_channel(scene.stage.grpc_target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        sent = service_pb2.ModelInferRequest(model_name="iris")
        answer, call = stub.ModelInfer.with_call(sent, metadata=(("seldon-model", "iris"),), timeout=10)
    assert answer.parameters["stub"].string_param == "iris2"
    assert dict(call.initial_metadata())["x-seldon-route"] == ":iris2_2:"
    (seen,) = scene.grpc_servers["iris2"].calls
    assert seen.header("seldon-internal-model") == "iris2_2"
    (request,) = scene.decider.requests
    route = request.attributes[names.EXT_PROC_FILTER].fields[names.ROUTE_NAME_ATTRIBUTE].string_value.decode()
    assert route == "ab/iris/grpc/fallback"


def test_envoy_alone_splits_grpc_too(scene: Scene) -> None:
    with grpc.insecure_channel(scene.stage.grpc_target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        sent = service_pb2.ModelInferRequest(model_name="iris")
        answer = stub.ModelInfer(sent, metadata=(("seldon-model", "ab.experiment"),), timeout=10)
    assert answer.parameters["stub"].string_param == "iris"


GARBAGE = b"\xff" * 20
IMMEDIATE = bytes.fromhex("3a050a03089303")  # immediate_response { status { code: Forbidden } }


@pytest.mark.parametrize(
    "reply",
    [
        setting((names.LABEL_HEADER, "ab/nobody")).SerializeToString(),
        setting((names.LABEL_HEADER, "")).SerializeToString(),
        setting((names.LABEL_HEADER, "x" * 3000)).SerializeToString(),
        setting(
            (":path", "/v2/models/m/infer"), (":authority", "elsewhere"), ("seldon-model", "m")
        ).SerializeToString(),
        setting(("x-envoy-upstream-rq-timeout-ms", "1"), ("x-added", "1")).SerializeToString(),
        GARBAGE,
        IMMEDIATE,
        b"",
    ],
    ids=["unknown label", "no label", "long label", "path", "other headers", "garbage", "own answer", "nothing"],
)
def test_no_answer_can_harm_a_request(scene: Scene, reply: bytes) -> None:
    scene.decider.reply = reply

    def asked() -> int:
        answer = scene.stage.infer("/v2/models/iris/infer")
        assert (answer.status, answer.headers["x-seldon-route"]) == (200, ":iris_1:")
        return len(scene.decider.requests)

    # On a busy machine a question may take longer than Envoy waits, and then it asks nobody for a moment.
    eventually(asked, within=10, saying="it was asked indeed", until=lambda times: times > 0)
    for request in scene.servers["iris"].requests:
        assert request.path == "/v2/models/iris/infer"
        assert request.header("host") == scene.stage.grpc_target
        added = ("x-added", "seldon-model", "x-envoy-expected-rq-timeout-ms", names.LABEL_HEADER)
        assert [request.header(name) for name in added] == [None] * 4


def test_an_extproc_that_hangs_costs_a_request_the_message_timeout_and_soon_nothing(scene: Scene) -> None:
    def asked() -> tuple[float, int]:
        """How long one request takes, and whether extproc was asked."""
        before = len(scene.decider.requests)
        begun = time.monotonic()
        answer = scene.stage.infer("/v2/models/iris/infer")
        took = time.monotonic() - begun
        assert (answer.status, answer.headers["x-seldon-route"]) == (200, ":iris_1:")
        return took, len(scene.decider.requests) - before

    longest = MESSAGE_TIMEOUT / 1000
    scene.decider.hang()
    try:
        took, times = asked()
        assert times == 1
        assert took > longest / 2  # it has waited
        eventually(asked, within=10, saying="it is not asked any more", until=lambda s: s[1] == 0 and s[0] < longest)
    finally:
        scene.decider.proceed()
    eventually(asked, within=10, saying="it is asked again", until=lambda seen: seen[1] == 1)
