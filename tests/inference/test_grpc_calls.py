"""A Call over gRPC, against real servers: metadata, route tokens, status codes."""

import pytest

from extproc.inference.call import Answer, Call
from extproc.inference.grpc_calls import NoGrpcCallError, open_grpc
from extproc.wire.inference import model_infer_request, response_json
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.inference.stand_ins import Told, grpc_stand_in

BODY = model_infer_request({"inputs": [], "id": "7"}, "iris")


async def ask(call: Call, route: str = "") -> Answer:
    async with open_grpc(call) as send:
        return await send(route)


async def test_a_real_server_is_called_and_its_answer_read() -> None:
    with GrpcModelServer("iris") as server:
        answer = await ask(Call(f"http://{server.endpoint}", "iris", BODY, (("x-team", "a"),)), ":iris_1:")
        (call,) = server.calls
    assert (call.method, call.model) == ("ModelInfer", "iris")
    assert [call.header(name) for name in ("seldon-model", "x-seldon-route", "x-team")] == ["iris", ":iris_1:", "a"]
    assert (answer.code, answer.ok, answer.seconds > 0) == ("OK", True, True)
    assert response_json(answer.body) == {
        "model_name": "iris",
        "model_version": "1",
        "id": "7",
        "parameters": {"stub": "iris"},
        "outputs": [],
    }
    assert answer.sent == (("seldon-model", "iris"), ("x-team", "a"), ("x-seldon-route", ":iris_1:"))


async def test_the_route_token_is_read_from_headers_and_from_trailers() -> None:
    with grpc_stand_in(Told("OK", ":iris2_2:", b""), Told("UNAVAILABLE", ":iris_1:", b"no healthy upstream")) as envoy:
        async with open_grpc(Call(envoy.url, "iris", BODY)) as send:
            answer, unavailable = await send(""), await send("")
    assert (answer.code, answer.route) == ("OK", ":iris2_2:")
    assert ("x-seldon-route", ":iris2_2:") in answer.received
    assert (unavailable.code, unavailable.ok, unavailable.route) == ("UNAVAILABLE", False, ":iris_1:")
    assert (unavailable.reached, unavailable.detail) == (True, "no healthy upstream")
    assert [got.headers.get("x-seldon-route") for got in envoy.got] == [None, None]


async def test_the_model_server_s_refusal() -> None:
    with GrpcModelServer("wine") as server:
        answer = await ask(Call(f"http://{server.endpoint}", "iris", BODY))
    assert (answer.code, answer.ok, answer.reached) == ("NOT_FOUND", False, True)
    assert "no model 'iris'" in answer.detail


async def test_nobody_there() -> None:
    answer = await ask(Call(f"http://127.0.0.1:{free_port()}", "iris", BODY))
    assert (answer.code, answer.ok, answer.reached) == ("UNAVAILABLE", False, False)
    assert "refused" in answer.detail


async def test_no_answer_in_time() -> None:
    with ModelServer("iris") as server:  # speaks no HTTP/2, so the call gets nowhere
        answer = await ask(Call(server.url, "iris", BODY, timeout=0.2))
    assert answer.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    assert not answer.ok


async def test_the_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with GrpcModelServer("iris") as server:
        assert (await ask(Call(f"http://{server.endpoint}", "iris", BODY))).ok


async def test_binary_metadata_is_sent_as_such() -> None:
    with GrpcModelServer("iris") as server:
        assert (await ask(Call(f"http://{server.endpoint}", "iris", BODY, (("x-id-bin", "é"),)))).ok
        assert server.calls[0].header("x-id-bin") == "é".encode().decode("latin-1")


@pytest.mark.parametrize(
    ("url", "headers", "says"),
    [
        ("http://127.0.0.1:1/envoy", (), "leave out /envoy"),
        ("http://127.0.0.1:1", (("grpc-timeout", "1S"),), "grpc-timeout"),
        ("http://127.0.0.1:1", (("x!y", "1"),), "x!y"),
        ("http://127.0.0.1:1", (("x-y", "hunter2é"),), "call it x-y-bin"),
    ],
)
async def test_what_grpc_can_t_carry_is_said_before_anything_is_sent(
    url: str, headers: tuple[tuple[str, str], ...], says: str
) -> None:
    with pytest.raises(NoGrpcCallError, match=says) as refused:
        await ask(Call(url, "iris", BODY, headers))
    assert "hunter2" not in str(refused.value)
