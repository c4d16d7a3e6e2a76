"""What Envoy answers by itself, to HTTP and to gRPC clients."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.harness.models import ModelServer
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with ModelServer("iris2") as server:
        models = [a_model("iris2", server.port), a_model("rpc", grpc=1), a_model("down")]
        experiments = [
            an_experiment("later", {"down": 1, "nobody": 1}),
            an_experiment("never", {"nobody": 1, "no-one": 1}, default="nobody"),
            an_experiment("http", {"iris2": 1}),
        ]
        world = a_world(models, experiments, down=["down"])
        with serving(world, tmp_path_factory.mktemp("answers")) as running:
            yield running


def unknown(name: str) -> dict[str, Any]:
    error = f"model '{name}' is unknown: no Model and no Experiment has this name"
    return {"error": error, "model": name, "code": 404}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v2/models/iris/infer", "iris"),
        ("/v2/models/iris", "iris"),
        ("/v2/models/iris?x=y/z", "iris"),
        ("/v2/models/iris2x/infer", "iris2x"),  # begins with the name of a model
        ("/v2/models/iris2.experiment", "iris2.experiment"),
        ("/v2/models/nobody/infer", "nobody"),  # an experiment's default that no Model defines
        ("/v2/models/fo%22o/infer", "fo%22o"),
        ("/v2/models/a%2Fb/infer", "a%2Fb"),
        (f"/v2/models/{'x' * 8000}/infer", "x" * 8000),
    ],
)
def test_an_unknown_model_in_the_path(stage: Stage, path: str, name: str) -> None:
    for answer in (stage.get(path), stage.infer(path)):
        assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
        assert answer.json == unknown(name)


def test_several_models_in_the_header(stage: Stage) -> None:
    connection = http.client.HTTPConnection(urlsplit(stage.url).netloc, timeout=10)
    connection.putrequest("POST", "/v2/models/iris2/infer")
    for name in ("iris2", "other"):
        connection.putheader("seldon-model", name)
    connection.endheaders()
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    assert (answer.status, told["code"]) == (400, 400)
    assert told["error"].endswith("names more than one model: send it once, with one name")


def test_an_upgrade(stage: Stage) -> None:
    answer = stage.infer("/v2/models/iris2/infer", {"connection": "upgrade", "upgrade": "websocket"})
    assert (answer.status, answer.headers["content-type"]) == (403, "application/json")
    assert "WebSocket" in answer.json["error"]


@pytest.mark.parametrize("name", ["iris", "", 'a"b\\c', "iris2 ", "IRIS2", "%25", "x" * 8000])
def test_an_unknown_model_in_the_header(stage: Stage, name: str) -> None:
    answer = stage.infer("/v2/models/iris2/infer", {"seldon-model": name})
    if name.strip() == "iris2":  # HTTP drops the blanks around a value
        assert answer.status == 200
        return
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json == unknown(name)


@pytest.mark.parametrize("path", ["/", "/v2", "/v2/models", "/v2/models/", "/v2/models/?a=b", "/foo", "/v3/models/x"])
def test_nothing_is_there(stage: Stage, path: str) -> None:
    answer = stage.get(path)
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    assert answer.json == {
        "error": "nothing is served at this path: models are called at /v2/models/<name>/infer",
        "code": 404,
    }


@pytest.mark.parametrize(
    ("experiment", "reasons"),
    [
        ("later", "model 'nobody' to be defined, model 'down' to be ready"),
        ("never", "model 'nobody' to be defined, model 'no-one' to be defined"),
    ],
)
def test_an_experiment_that_waits(stage: Stage, experiment: str, reasons: str) -> None:
    for path, headers in (
        (f"/v2/models/{experiment}.experiment/infer", {}),
        ("/anything", {"seldon-model": f"{experiment}.experiment"}),
    ):
        answer = stage.infer(path, headers)
        assert answer.status == 503
        assert answer.json == {
            "error": f"experiment '{experiment}' has no candidate that can answer: waiting for {reasons}",
            "experiment": experiment,
            "code": 503,
        }


def test_a_model_that_is_only_served_over_grpc(stage: Stage) -> None:
    answer = stage.infer("/v2/models/rpc/infer")
    assert (answer.status, answer.json["model"]) == (404, "rpc")
    assert "is not served over HTTP" in answer.json["error"]
    assert "endpoints" in answer.json["error"]


@pytest.mark.parametrize(
    ("endpoint", "code", "text"),
    [
        ("iris", grpc.StatusCode.UNIMPLEMENTED, "model 'iris' is unknown"),
        ("iris2", grpc.StatusCode.UNIMPLEMENTED, "'iris2' is not served over gRPC"),
        ("http.experiment", grpc.StatusCode.UNIMPLEMENTED, "'http.experiment' is not served over gRPC"),
        ("never.experiment", grpc.StatusCode.UNAVAILABLE, "experiment 'never' has no candidate that can answer"),
    ],
)
def test_grpc_clients_get_a_status(stage: Stage, endpoint: str, code: grpc.StatusCode, text: str) -> None:
    with grpc.insecure_channel(stage.grpc_target) as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as raised:
            stub.ModelInfer(
                service_pb2.ModelInferRequest(model_name=endpoint), metadata=(("seldon-model", endpoint),), timeout=10
            )
    assert raised.value.code() == code
    assert text in (raised.value.details() or "")
