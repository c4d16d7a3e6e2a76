"""The stubs answer, remember, and misbehave as told."""

import http.client
from collections.abc import Callable

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.harness.client import fetch
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.load import Load, run_load
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually

Start = Callable[..., ModelServer]


def test_answers_the_protocol_and_names_itself(model_server: Start) -> None:
    stub = model_server("iris2", served="iris-v2")
    assert fetch(f"{stub.url}/v2/models/iris-v2/ready").json["ready"] is True
    assert fetch(f"{stub.url}/v2/models/iris-v2").json["name"] == "iris-v2"
    answer = fetch(f"{stub.url}/v2/models/iris-v2/versions/1/infer?x=1", body={"inputs": []})
    assert (answer.status, answer.json["outputs"][0]["data"]) == (200, ["iris2"])
    assert fetch(f"{stub.url}/v2/models/iris2/infer", body={}).status == 404
    assert fetch(f"{stub.url}/elsewhere", headers={"x-a": "b"}).json["headers"]["x-a"] == "b"


def test_remembers_requests_but_not_health_checks(model_server: Start) -> None:
    stub = model_server("iris")
    fetch(f"{stub.url}/v2/models/iris/infer", headers={"X-A": "b"}, body="12345")
    fetch(f"{stub.url}/v2/models/iris/ready", headers={"user-agent": "Envoy/HC"})
    (request,) = stub.requests
    assert (request.method, request.path, request.header("x-a"), request.body) == (
        "POST",
        "/v2/models/iris/infer",
        "b",
        b"12345",
    )
    assert stub.probes == 1
    stub.forget()
    assert (stub.requests, stub.probes) == ((), 0)


def test_not_ready_and_failing(model_server: Start) -> None:
    stub = model_server("iris")
    stub.ready(False)
    stub.fail(502)
    assert fetch(f"{stub.url}/v2/models/iris/ready").status == 503
    assert fetch(f"{stub.url}/v2/models/iris/infer", body={}).status == 502
    stub.resume()
    assert fetch(f"{stub.url}/v2/models/iris/ready").status == 200


def test_refuses_and_returns_on_the_same_port(model_server: Start) -> None:
    stub = model_server("iris")
    with Load(f"{stub.url}/v2/models/iris/infer", connections=2) as load:
        load.wait_for(10)
        stub.stop()
        eventually(lambda: load.so_far().errors, within=5, saying="open connections break")
        with pytest.raises(ConnectionRefusedError):
            fetch(stub.url)
        stub.resume()
        load.wait_for(10)


def test_hangs_without_an_answer(model_server: Start) -> None:
    stub = model_server("iris")
    stub.hang(probes=False)
    with pytest.raises(TimeoutError):
        fetch(f"{stub.url}/v2/models/iris/infer", body={}, within=0.1)
    assert len(stub.requests) == 1
    probe = {"user-agent": "Envoy/HC"}
    assert fetch(f"{stub.url}/v2/models/iris/ready", headers=probe).status == 200
    stub.hang()
    with pytest.raises(TimeoutError):
        fetch(f"{stub.url}/v2/models/iris/ready", headers=probe, within=0.1)
    with Load(f"{stub.url}/v2/models/iris/infer", count=1, connections=1) as load:
        eventually(lambda: stub.requests[1:], within=5, saying="the request has arrived")
        stub.resume()
        assert load.finish().errors == 1


def test_delays(model_server: Start) -> None:
    stub = model_server("iris")
    stub.delay(0.2)
    result = run_load(f"{stub.url}/v2/models/iris/infer", 3, connections=3)
    assert result.by_status == {200: 3}
    assert result.percentile(0) >= 0.2


def test_chunked_bodies_arrive_whole(model_server: Start) -> None:
    stub = model_server("iris")
    connection = http.client.HTTPConnection("127.0.0.1", stub.port, timeout=5)
    try:
        connection.request("POST", "/v2/models/iris/infer", body=iter([b"a" * 70_000, b"b"]), encode_chunked=True)
        assert connection.getresponse().status == 200
    finally:
        connection.close()
    assert stub.requests[0].body == b"a" * 70_000 + b"b"


def test_grpc_stub_answers_and_remembers() -> None:
    with GrpcModelServer("iris2", served="iris") as stub, grpc.insecure_channel(stub.endpoint) as channel:
        client = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        request = service_pb2.ModelInferRequest(model_name="iris", id="7")
        answer = client.ModelInfer(request, metadata=(("seldon-model", "iris"),), timeout=5)
        assert (answer.id, answer.parameters["stub"].string_param) == ("7", "iris2")
        (call,) = stub.calls
        assert (call.method, call.model, call.header("seldon-model")) == ("ModelInfer", "iris", "iris")
        streamed = list(client.ModelStreamInfer(iter([request, request]), timeout=5))
        assert [s.infer_response.id for s in streamed] == ["7", "7"]
        with pytest.raises(grpc.RpcError) as refused:
            client.ModelInfer(service_pb2.ModelInferRequest(model_name="other"), timeout=5)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_grpc_stub_health_and_return_on_the_same_port() -> None:
    with GrpcModelServer("iris", health=True) as stub, grpc.insecure_channel(stub.endpoint) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=5) == b"\x08\x01"
        stub.ready(False)
        assert check(b"", timeout=5) == b"\x08\x02"
        stub.stop()
        with pytest.raises(grpc.RpcError):
            check(b"", timeout=5)
        stub.resume()
        assert check(b"", timeout=10, wait_for_ready=True) == b"\x08\x01"
