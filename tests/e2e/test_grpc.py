"""gRPC inference through a real client: split to `grpc_endpoints` by the `seldon-model` metadata."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.e2e.stage import Stage, experiment, model
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

MISS = 1e-9


class Client:
    """A plain grpcio client of the inference service."""

    def __init__(self, port: int) -> None:
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub = service_pb2_grpc.GRPCInferenceServiceStub(self.channel)

    def infer(self, called: str, **metadata: str) -> tuple[Any, dict[str, str]]:
        """The answer and the response's metadata."""
        sent = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
        answer, call = self.stub.ModelInfer.with_call(
            service_pb2.ModelInferRequest(model_name=called), metadata=sent, timeout=10
        )
        return answer, dict(call.initial_metadata())


@pytest.fixture
def client(stage: Stage) -> Iterator[Client]:
    servers = {name: stage.serve_grpc(name, served="iris") for name in ("iris", "iris2", "iris3")}
    stage.write(
        experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris", mirror={"name": "iris3", "percent": 100}),
        models=[
            model("iris", stage.iris.endpoint, grpc_endpoints=[servers["iris"].endpoint]),
            model("iris2", grpc_endpoints=[servers["iris2"].endpoint], served_name="iris", version=2),
            model("iris3", grpc_endpoints=[servers["iris3"].endpoint], served_name="iris"),
        ],
    )
    stage.start("up")
    stage.wait_state("iris-ab")
    built = Client(stage.extproc.inference_port)
    yield built
    built.channel.close()


def test_calls_are_split_labelled_sticky_and_mirrored(stage: Stage, client: Client) -> None:
    total = 400
    answers: Counter[str] = Counter()
    for _ in range(total):
        answer, metadata = client.infer("iris", seldon_model="iris")
        answers[metadata["x-seldon-route"]] += 1
        served_by = answer.parameters["stub"].string_param
        assert metadata["x-seldon-route"] == {"iris": ":iris_1:", "iris2": ":iris2_2:"}[served_by]
    low, high = binomial_interval(total, 0.7, miss=MISS)
    assert low <= answers[":iris_1:"] <= high, answers
    for _ in range(40):
        answer, _ = client.infer("iris", seldon_model="iris", x_seldon_route=":iris2_2:")
        assert answer.parameters["stub"].string_param == "iris2"


def test_the_mirror_gets_the_calls_under_its_own_name(stage: Stage) -> None:
    mirror = stage.serve_grpc("iris3", served="iris")
    first = stage.serve_grpc("iris")
    stage.write(
        experiment("iris-ab", {"iris": 1}, default="iris", mirror={"name": "iris3", "percent": 100}),
        models=[
            model("iris", grpc_endpoints=[first.endpoint]),
            model("iris3", grpc_endpoints=[mirror.endpoint], served_name="iris"),
        ],
    )
    stage.start("up")
    stage.wait_state("iris-ab")
    client = Client(stage.extproc.inference_port)
    try:
        client.infer("iris", seldon_model="iris")
        copy = eventually(lambda: mirror.calls, within=5, saying="the copy arrives")
    finally:
        client.channel.close()
    assert [call.method for call in copy] == ["ModelInfer"]
    assert copy[0].header("seldon-internal-model") == "iris3_1"
    assert copy[0].header("x-extproc-mirror") is None
    assert first.calls[0].header("seldon-internal-model") == "iris_1"


def test_an_unknown_model_is_a_grpc_error_that_names_it(client: Client) -> None:
    with pytest.raises(grpc.RpcError) as error:
        client.infer("wine", seldon_model="wine")
    assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "wine" in str(error.value.details())


def test_a_protocol_that_a_model_does_not_serve_is_refused_in_words(stage: Stage, client: Client) -> None:
    answer = stage.infer("/v2/models/iris2/infer")
    assert answer.status == 404
    assert "HTTP" in answer.json["error"]


def test_a_stream_of_inferences_goes_to_one_candidate(client: Client) -> None:
    requests = iter([service_pb2.ModelInferRequest(model_name="iris", id=str(n)) for n in range(5)])
    answers = list(client.stub.ModelStreamInfer(requests, metadata=(("seldon-model", "iris"),), timeout=10))
    assert [a.infer_response.id for a in answers] == [str(n) for n in range(5)]
    assert len({a.infer_response.parameters["stub"].string_param for a in answers}) == 1
