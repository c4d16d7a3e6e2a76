"""Many large bodies at once against a small limit of Envoy's memory: some have to come again, all else goes on."""

import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final

import grpc
import pytest
import urllib3
from tritonclient.grpc import service_pb2, service_pb2_grpc

from extproc.xds.memory import TOO_MANY
from tests.conftest import show_on_failure
from tests.e2e.chats import CHAT, Chats
from tests.e2e.stage import model
from tests.harness.client import fetch
from tests.harness.load import Load
from tests.harness.waiting import eventually
from tests.server.embedded import runs

LIMIT: Final = 160  # MiB; an eighth of it is what is held of large bodies
SMALL: Final = 1000
LARGE: Final = 12_000_000  # bytes, so that one is held at a time
AT_ONCE: Final = 12


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chats]:
    stage = Chats(tmp_path_factory.mktemp("large"))
    try:
        stage.open("up", "--envoy-heap-limit", str(LIMIT))
        rpc = stage.serve_grpc("rpc", served="red")
        stage.write(*stage.written, model("rpc", grpc_endpoints=[rpc.endpoint], served_name="red"))
        eventually(lambda: call(stage, SMALL), within=15, saying="gRPC is served", until="OK".__eq__)
        yield stage
    finally:
        stage.close()


@pytest.fixture
def chats(request: pytest.FixtureRequest, running: Chats) -> Chats:
    show_on_failure(request.node, lambda: ("extproc and Envoy", running.tail()))
    return running


def envoy_pid(chats: Chats) -> int:
    return next(pid for pid, name in chats.extproc.children.items() if name == "envoy")


def most_memory(pid: int) -> int:
    """The most that a process ever had, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def upload(chats: Chats, *, length_told: bool = True) -> urllib3.BaseHTTPResponse:
    body = b'{"messages": "' + b"x" * LARGE + b'", "model": "qwen"}'
    pieces = (body[at : at + 65536] for at in range(0, len(body), 65536))
    with urllib3.PoolManager() as client:
        url = chats.extproc.inference_url + CHAT
        return client.request("POST", url, body=body if length_told else pieces, retries=False)


def test_of_many_at_once_some_are_told_to_come_again(chats: Chats) -> None:
    pid = envoy_pid(chats)
    small = f"{chats.extproc.inference_url}/v2/models/iris/infer"
    with Load(small, rate=50) as load, ThreadPoolExecutor(AT_ONCE) as threads:
        load.wait_for(10)
        answers = list(threads.map(lambda _: upload(chats), range(AT_ONCE)))
        load.wait_for(10)
        result = load.stop()
    assert result.failed == 0, str(result)
    codes = Counter(answer.status for answer in answers)
    assert set(codes) == {200, 503}, codes
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.json()["error"]["type"] == "server_error"
    assert "large bodies" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"] == "1"
    assert runs(pid)
    assert most_memory(pid) < LIMIT + 80, "with what is no heap: the program, stacks, Lua"


@pytest.mark.parametrize("length_told", [True, False])
def test_what_a_client_took_with_it_is_given_back(chats: Chats, length_told: bool) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", chats.extproc.inference_port)) as client:
            length = f"content-length: {LARGE}" if length_told else "transfer-encoding: chunked"
            client.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\n{length}\r\n\r\n".encode())
            if not length_told:
                client.sendall(b"200000\r\n" + b"x" * 0x200000)
    answer = eventually(
        lambda: upload(chats, length_told=length_told),
        within=20,
        saying="there is room again",
        until=lambda answer: answer.status == 200,
        not_yet=(OSError, urllib3.exceptions.HTTPError),
    )
    assert answer.json()["model"]


def call(chats: Chats, size: int) -> str:
    """How a gRPC call with so many bytes ends."""
    message = service_pb2.ModelInferRequest(model_name="rpc", raw_input_contents=[b"x" * size])
    with grpc.insecure_channel(f"127.0.0.1:{chats.extproc.inference_port}") as channel:
        try:
            service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=20)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    return "OK"


def test_grpc_calls_whose_length_nobody_tells_are_turned_away_for_what_is_there(chats: Chats) -> None:
    pid = envoy_pid(chats)
    with ThreadPoolExecutor(AT_ONCE) as threads:
        ends = Counter(threads.map(lambda _: call(chats, LARGE), range(3 * AT_ONCE)))
    assert ends["OK"] > 0
    # Envoy's own limit, of all its heap, is reached first where what came before was not given back yet.
    assert ends.keys() <= {"OK", f"UNAVAILABLE: {TOO_MANY}", "UNAVAILABLE: envoy overloaded"}, ends
    assert runs(pid)
    eventually(lambda: call(chats, LARGE), within=20, saying="there is room again", until="OK".__eq__)


def test_a_stream_of_messages_keeps_nobody_out_however_much_has_passed(chats: Chats) -> None:
    message = service_pb2.ModelInferRequest(model_name="rpc", raw_input_contents=[b"x" * LARGE])
    messages: SimpleQueue[Any] = SimpleQueue()
    with grpc.insecure_channel(f"127.0.0.1:{chats.extproc.inference_port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        answers = stub.ModelStreamInfer(iter(messages.get, None), metadata=(("seldon-model", "rpc"),), timeout=30)
        for _ in range(3):
            messages.put(message)
            assert next(answers)
        assert call(chats, SMALL) == "OK"
        messages.put(None)
        assert list(answers) == []


def test_small_bodies_do_not_count(chats: Chats) -> None:
    with socket.create_connection(("127.0.0.1", chats.extproc.inference_port)) as client:
        client.sendall(f"POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {5 * LARGE}\r\n\r\n".encode())
        for _ in range(20):
            assert fetch(chats.extproc.inference_url + CHAT, body={"model": "qwen"}).status == 200
