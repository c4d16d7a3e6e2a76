"""`extproc infer` as users call it: arguments, bodies, both protocols, and how it exits."""

import json
import os
from pathlib import Path

import pytest

from tests.cli.infer.conftest import EXPERIMENT, Envoy, Run
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.inference.stand_ins import Told, grpc_stand_in

BODY = '{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [0.5]}]}'


def test_one_request_prints_the_answer_and_on_stderr_who_gave_it(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris2_2:", body=b'{"model_name":"iris-v2","outputs":[]}'))
    result = run("iris", BODY, "--inference", front.url)
    assert (result.code, result.err) == (0, "x-seldon-route: :iris2_2:\n")
    assert result.out == '{\n  "model_name": "iris-v2",\n  "outputs": []\n}\n'
    assert [(got.path, got.body) for got in front.got] == [("/v2/models/iris/infer", BODY.encode())]
    assert front.got[0].headers["seldon-model"] == "iris"


@pytest.mark.parametrize("model", ["iris-ab.experiment", "p.pipeline"])
def test_experiments_and_pipelines_are_called_by_their_endpoint(run: Run, envoy: Envoy, model: str) -> None:
    front = envoy()
    assert run(model, "--inference", front.url).code == 0
    assert (front.got[0].path, front.got[0].headers["seldon-model"]) == (f"/v2/models/{model}/infer", model)


def test_without_data_a_valid_body_is_sent(run: Run, envoy: Envoy) -> None:
    front = envoy()
    assert run("iris", "--inference", front.url).code == 0
    (tensor,) = json.loads(front.got[0].body)["inputs"]
    assert len(tensor["data"]) == tensor["shape"][0] * tensor["shape"][1]
    assert {"name", "datatype"} < tensor.keys()


def test_the_body_comes_from_a_file_or_from_stdin(run: Run, envoy: Envoy, tmp_path: Path) -> None:
    front = envoy()
    file = tmp_path / "body.json"
    file.write_text(BODY)
    assert run("iris", "-f", str(file), "--inference", front.url).code == 0
    assert run("iris", "-f", "-", "--inference", front.url, stdin=BODY.encode()).code == 0
    assert [got.body for got in front.got] == [BODY.encode()] * 2


def test_the_addresses_come_from_the_environment_too(run: Run, envoy: Envoy, monkeypatch: pytest.MonkeyPatch) -> None:
    front = envoy()
    front.experiments = [EXPERIMENT]
    monkeypatch.setenv("EXTPROC_INFERENCE", front.url)
    monkeypatch.setenv("EXTPROC_ADMIN", front.url)
    assert "iris-ab" in run("iris", "-i", "2").out


def test_one_failed_request_shows_the_answer_and_says_what_to_do(run: Run) -> None:
    with ModelServer("iris") as server:
        result = run("wine", "--inference", server.url)
    assert result.code == 1
    assert json.loads(result.out)["error"] == "Model wine not found"
    assert result.err == (
        f"extproc: 404 from {server.url} (Model wine not found): nothing is called wine there:"
        f" `extproc experiment list` and {os.environ['EXTPROC_ADMIN']}/api/v1/models show what there is\n"
    )


def test_a_slow_answer_is_a_timeout(run: Run) -> None:
    with ModelServer("iris") as server:
        server.hang()
        result = run("iris", "--inference", server.url, "--timeout", "0.1")
    assert result.code == 1
    assert "--timeout" in result.err


def test_grpc_takes_the_same_body_and_prints_the_answer_as_json(run: Run) -> None:
    with GrpcModelServer("iris") as server:
        url = f"http://{server.endpoint}"
        result = run("iris", BODY, "--grpc", "--inference", url)
        assert (result.code, json.loads(result.out)["parameters"]) == (0, {"stub": "iris"})
        other = run("wine", BODY, "--grpc", "--inference", url)
        assert (other.code, other.out) == (1, "")
        assert "NOT_FOUND" in other.err
        several = run("iris", "--grpc", "-i", "50", "--concurrency", "5", "--inference", url, "-o", "json")
        assert (several.code, json.loads(several.out)["requests"], json.loads(several.out)["protocol"]) == (
            0,
            50,
            "grpc",
        )
        assert len(server.calls) == 52


def test_grpc_is_sticky_shows_headers_and_counts_status_codes(run: Run) -> None:
    with grpc_stand_in(Told("OK", ":iris2_2:", b""), Told("UNAVAILABLE", ":iris_1:", b"no healthy host")) as front:
        first = run("iris", "--grpc", "--sticky", "--show-headers", "--inference", front.url)
        assert first.code == 0
        assert first.err.splitlines() == [
            "> /inference.GRPCInferenceService/ModelInfer",
            "> seldon-model: iris",
            "< OK",
            "< x-seldon-route: :iris2_2:",
            "x-seldon-route: :iris2_2:",
        ]
        several = run("iris", "--grpc", "-i", "4", "--inference", front.url)
        assert several.code == 1
        assert "failed: 2 with UNAVAILABLE" in several.out
        assert "no healthy host" in several.err
        run("iris", "--grpc", "--sticky", "--inference", front.url)
    assert [got.headers.get("x-seldon-route") for got in front.got] == [None, *[None] * 4, ":iris2_2:"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "Missing argument 'MODEL'"),
        (("a/b",), "can't stand in a path"),
        (("iris", "{}", "-f", "-"), "leave one out"),
        (("iris", "-f", "/nowhere.json"), "No such file"),
        (("iris", "-i", "0"), "-i"),
        (("iris", "-s", "nan"), "no number of seconds"),
        (("iris", "-s", "0"), "-s"),
        (("iris", "--timeout", "inf"), "--timeout"),
        (("iris", "--concurrency", "4"), "needs -i N or --seconds S"),
        (("iris", "--concurrency", "0", "-i", "1"), "--concurrency"),
        (("iris", "--inference", "localhost:9000"), "is no URL"),
        (("iris", "--inference", "http://me:hunter2@host"), "credentials with --header"),
        (("iris", "--header", "hunter2"), "name: value"),
        (("iris", "--sticky", "--header", "X-Seldon-Route: :a_1:"), "--sticky sends x-seldon-route itself"),
    ],
)
def test_wrong_usage_is_exit_2(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run(*arguments)
    assert result.code == 2
    assert says in " ".join(result.err.split())
    assert "hunter2" not in result.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("{",), "the body can't be sent: line 1, column 2"),
        (("\udcff",), "save it as UTF-8"),
        (("[]",), 'must be an object like {"inputs"'),
        (('{"inputs": [{"data": [1], "datatype": "FP16"}]}', "--grpc"), "inputs[0].datatype: 'FP16'"),
    ],
)
def test_a_wrong_body_is_exit_1(run: Run, arguments: tuple[str, ...], says: str) -> None:
    result = run("iris", *arguments)
    assert (result.code, says in result.err) == (1, True), result.err
