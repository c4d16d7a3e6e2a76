"""Models that are named in gRPC messages: each server is called by its own name, and the client sees the one it said.

The stub servers know their own names alone, and answer NOT_FOUND to any other. The client is tritonclient's own.
"""

import gzip
import queue
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from struct import Struct
from typing import Any, Final

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2
from tritonclient.utils import InferenceServerException

from tests.e2e.stage import Stage, experiment, model
from tests.harness.client import fetch
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.waiting import eventually
from tests.test_packaging import ROOT

BOTH: Final = 60  # calls, of which one in half a million million million goes all to one of two
PREFIX: Final = Struct(">BI")
MEBIBYTE: Final = 1024 * 1024


class Scene:
    """An experiment between `iris` and `iris2`, copied to `iris3`; and `wine`. All but `iris` have servers' names."""

    def __init__(self, stage: Stage, *flags: str, topology: Any = "up") -> None:
        self.stage: Final = stage
        self.servers: Final[dict[str, GrpcModelServer]] = {
            name: stage.serve_grpc(name, served=served)
            for name, served in {"iris": "iris", "iris2": "iris-v2", "iris3": "third", "wine": "red"}.items()
        }
        stage.write(
            experiment("iris-ab", {"iris": 1, "iris2": 1}, default="iris", mirror={"name": "iris3", "percent": 100}),
            models=[
                model(name, grpc_endpoints=[server.endpoint], served_name=server.served)
                for name, server in self.servers.items()
            ],
        )
        stage.start(topology, *flags)
        stage.wait_state("iris-ab")
        self.target: Final = f"127.0.0.1:{stage.extproc.inference_port}"
        self.client: Final = triton.InferenceServerClient(self.target)

    def close(self) -> None:
        self.client.close()

    def forget(self) -> None:
        for server in self.servers.values():
            server.forget()

    def infer(self, called: str, headers: dict[str, str] | None = None, size: int = 4) -> Any:
        """The answer's message."""
        tensor = triton.InferInput("x", [1, size], "FP32")
        tensor.set_data_from_numpy(np.zeros((1, size), dtype=np.float32))
        return self.client.infer(called, [tensor], headers=headers, client_timeout=20).get_response()

    def raw(self, method: str, message: bytes, *metadata: tuple[str, str], **how: Any) -> bytes:
        """The answer to any bytes. Raises grpc.RpcError."""
        with grpc.insecure_channel(self.target) as channel:
            call: Any = channel.unary_unary(f"/inference.GRPCInferenceService/{method}")
            answer: bytes = call(message, metadata=metadata, timeout=10, **how)
            return answer

    def served_as(self, name: str) -> Counter[str]:
        """How a server was called, and how often."""
        return Counter(call.model for call in self.servers[name].calls)


def stub(answer: Any) -> str:
    """Which server gave an answer."""
    return str(answer.parameters["stub"].string_param)


@pytest.fixture(scope="module")
def scene(open_stage: Callable[[], Stage]) -> Iterator[Scene]:
    scene = Scene(open_stage())
    yield scene
    scene.close()


@pytest.fixture(autouse=True)
def fresh(scene: Scene) -> None:
    scene.forget()


HOW: Final = {"by header": {"seldon-model": "iris"}, "by message": {}}


@pytest.mark.parametrize("headers", HOW.values(), ids=HOW)
def test_every_server_is_called_by_its_own_name_and_the_client_sees_the_one_it_said(
    scene: Scene, headers: dict[str, str]
) -> None:
    answers = [scene.infer("iris", headers) for _ in range(BOTH)]
    assert {answer.model_name for answer in answers} == {"iris"}
    assert {stub(answer) for answer in answers} == {"iris", "iris2"}
    assert scene.served_as("iris").keys() == {"iris"}
    assert scene.served_as("iris2").keys() == {"iris-v2"}
    eventually(
        lambda: scene.served_as("iris3"),
        within=10,
        saying="the mirror has every copy under its name",
        until=lambda seen: seen == {"third": BOTH},
    )


def test_the_metadata_and_the_readiness_are_asked_for_by_name_too(scene: Scene) -> None:
    for _ in range(BOTH // 4):
        metadata = scene.client.get_model_metadata("iris", client_timeout=10)
        assert metadata.name == "iris"
        assert scene.client.is_model_ready("iris", client_timeout=10)
    assert {call.method for call in scene.servers["iris2"].calls} == {"ModelReady", "ModelMetadata"}


def test_an_experiment_is_called_by_its_own_name(scene: Scene) -> None:
    for headers in ({"seldon-model": "iris-ab.experiment"}, {}):
        answers = [scene.infer("iris-ab.experiment", headers) for _ in range(BOTH)]
        assert {answer.model_name for answer in answers} == {"iris-ab.experiment"}
        assert {stub(answer) for answer in answers} == {"iris", "iris2"}


@pytest.mark.parametrize("headers", [{"seldon-model": "wine"}, {}], ids=HOW)
def test_a_model_without_an_experiment(scene: Scene, headers: dict[str, str]) -> None:
    answer = scene.infer("wine", headers)
    assert (stub(answer), answer.model_name) == ("wine", "wine")
    assert scene.served_as("wine") == {"red": 1}
    assert scene.client.get_model_metadata("wine", headers=headers, client_timeout=10).name == "wine"


@pytest.mark.parametrize("headers", HOW.values(), ids=HOW)
def test_a_token_leads_to_its_candidate(scene: Scene, headers: dict[str, str]) -> None:
    answers = [scene.infer("iris", {**headers, "x-seldon-route": ":iris2_1:"}) for _ in range(20)]
    assert {(stub(answer), answer.model_name) for answer in answers} == {("iris2", "iris")}


@pytest.mark.parametrize("headers", HOW.values(), ids=HOW)
def test_of_a_stream_every_message_is_renamed_as_it_comes(scene: Scene, headers: dict[str, str]) -> None:
    answers: queue.Queue[Any] = queue.Queue()
    with triton.InferenceServerClient(scene.target) as client:
        client.start_stream(
            lambda result, error: answers.put(error or result.get_response()),
            headers={**headers, "x-seldon-route": ":iris2_1:"},
            stream_timeout=20,
        )
        for number in range(4):
            # Each is only sent when the one before was answered: nothing waits for the stream's end.
            tensor = triton.InferInput("x", [1, 100_000], "FP32")
            tensor.set_data_from_numpy(np.zeros((1, 100_000), dtype=np.float32))
            client.async_stream_infer("iris", [tensor], request_id=str(number))
            answer = answers.get(timeout=10)
            assert not isinstance(answer, Exception), answer
            assert (answer.id, answer.model_name, stub(answer)) == (str(number), "iris", "iris2")
        client.stop_stream()
    assert scene.served_as("iris2") == {"iris-v2": 4}


def test_a_stream_without_any_message_is_answered(scene: Scene) -> None:
    with grpc.insecure_channel(scene.target) as channel:
        call: Any = channel.stream_stream("/inference.GRPCInferenceService/ModelStreamInfer")
        with pytest.raises(grpc.RpcError) as error:
            list(call(iter(()), timeout=10))
        assert error.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert list(call(iter(()), metadata=(("seldon-model", "iris"),), timeout=10)) == []


@pytest.mark.parametrize("headers", HOW.values(), ids=HOW)
def test_large_tensors(scene: Scene, headers: dict[str, str]) -> None:
    request = {"x-seldon-route": ":iris2_1:", "x-request-id": f"large-{len(headers)}"}
    answer = scene.infer("iris", {**headers, **request}, size=30 * MEBIBYTE // 4)
    assert (stub(answer), answer.model_name) == ("iris2", "iris")
    mirror = scene.servers["iris3"]
    copies = eventually(
        lambda: [call.model for call in mirror.calls if call.header("x-request-id") == request["x-request-id"]],
        within=10,
        saying="the copy has arrived",
    )
    assert copies == ["third"]


@pytest.mark.parametrize(("how", "said"), [("by header", "Payload Too Large"), ("by message", "FAILED_PRECONDITION")])
def test_what_is_too_large_is_refused(scene: Scene, how: str, said: str) -> None:
    with pytest.raises(InferenceServerException, match=said):
        scene.infer("iris", HOW[how], size=65 * MEBIBYTE // 4)


def message(name: str, **fields: Any) -> bytes:
    return bytes(service_pb2.ModelInferRequest(model_name=name, **fields).SerializeToString())


def framed(body: bytes, flags: int = 0, length: int | None = None) -> bytes:
    return PREFIX.pack(flags, len(body) if length is None else length) + body


# The rows of the table in docs/bodies.md.
SENT: Final = {
    "is as any serialiser writes it": framed(message("iris", id="1")),
    "names its model after other fields": framed(b"\x1a\x011" + message("iris")),
    "names no model": framed(message("", id="1")),
    "names one in bytes that are no UTF-8": framed(b"\x0a\x04\xff\xfe\xfd\xfc"),
    "names one of more than 100 bytes": framed(message("x" * 200)),
    "names one of more than 2,000 bytes": framed(message("x" * 3000)),
    "names two: the last one counts": framed(message("iris") + message("wine")),
    "is compressed (`grpc-encoding`)": framed(gzip.compress(message("iris")), flags=1),
    "has flags that gRPC does not know": framed(message("iris"), flags=9),
    "ends before it is complete": framed(message("iris"), length=100),
    "is one of several, in a call that takes one": 2 * framed(message("iris")),
    "is missing": b"",
    "is no protobuf": framed(b"\xff" * 50),
}
RENAMED: Final = "renamed"
PASSED_ON: Final = "passed on"
SAID: Final = r"(renamed|passed on|`[A-Z_]+`)"
TOLD: Final = {
    what: dict(zip(HOW, said, strict=True))
    for what, *said in re.findall(
        rf"^\| (.+?) \| {SAID} \| {SAID} \|$", (ROOT / "docs" / "bodies.md").read_text(), re.MULTILINE
    )
}


def test_the_page_tells_of_these() -> None:
    assert TOLD.keys() == SENT.keys()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("what", SENT)
def test_what_the_page_says_is_what_happens(scene: Scene, what: str, how: str) -> None:
    told = TOLD[what][how]
    headers = {"content-type": "application/grpc", "te": "trailers", "x-seldon-route": ":iris2_1:", **HOW[how]}
    url = f"http://{scene.target}/inference.GRPCInferenceService/ModelInfer"
    answer = fetch(url, method="POST", headers=headers, body=SENT[what])
    status = answer.headers.get("grpc-status")  # which is a trailer where there was an answer, and lost in HTTP/1.1
    if told == RENAMED:
        assert (answer.headers["x-seldon-route"], status) == (":iris2_1:", None)
        assert scene.served_as("iris2") == {"iris-v2": 1}
    elif told == PASSED_ON:
        assert "x-seldon-route" in answer.headers, answer
        assert "iris-v2" not in scene.served_as("iris2")
    else:
        assert status == str(grpc.StatusCode[told.strip("`")].value[0]), answer
        assert not any(scene.served_as(name) for name in ("iris", "iris2", "wine"))


def test_a_compressed_message_passes_where_the_name_is_right(scene: Scene) -> None:
    sent = message("iris", raw_input_contents=[bytes(1000)])
    metadata = (("seldon-model", "iris"), ("x-seldon-route", ":iris_1:"))
    answer = scene.raw("ModelInfer", sent, *metadata, compression=grpc.Compression.Gzip)
    assert service_pb2.ModelInferResponse.FromString(answer).model_name == "iris"


def test_without_a_name_at_all_the_answer_says_what_to_give(scene: Scene) -> None:
    with pytest.raises(grpc.RpcError) as error:
        scene.raw("ModelInfer", b"")
    assert "model_name" in str(error.value.details())
    assert "seldon-model" in str(error.value.details())


def test_a_model_that_nobody_knows(scene: Scene) -> None:
    with pytest.raises(InferenceServerException, match="unknown"):
        scene.infer("nobody")


def test_no_script_has_failed_in_all_this(scene: Scene) -> None:
    assert "script log" not in scene.stage.extproc.log


def test_without_extproc_every_candidate_goes_on_under_its_own_name(open_stage: Callable[[], Stage]) -> None:
    scene = Scene(open_stage(), "--transport", "grpc", topology="serve")
    try:
        sticky = scene.infer("iris", {"x-seldon-route": ":iris2_1:"})
        assert (stub(sticky), sticky.model_name) == ("iris2", "iris")
        answers: list[Any] = []
        enough = threading.Event()

        def go_on() -> None:
            while not enough.is_set():
                answers.append(scene.infer("iris"))

        with ThreadPoolExecutor() as pool:
            going = pool.submit(go_on)
            try:
                eventually(lambda: len(answers), within=20, saying="calls are answered", until=lambda n: n > 20)
                scene.stage.extproc.kill()
                before = len(answers)
                eventually(lambda: len(answers), within=20, saying="they go on", until=lambda n: n > before + 2 * BOTH)
            finally:
                enough.set()
            assert going.result() is None, "no call failed"
        assert {answer.model_name for answer in answers} == {"iris"}
        assert {stub(answer) for answer in answers[-BOTH:]} == {"iris", "iris2"}
    finally:
        scene.close()
