"""OpenAI's API on a real Envoy that is alone: whose `/v1/` is, what it lists, and what it survives."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from extproc.core.resources import Api
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.client import Answer, fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.openai_server import OpenAIServer
from tests.harness.ports import free_port
from tests.xds.given import a_model, a_world, an_experiment, some_routes
from tests.xds.stage import Stage, serving

CHAT = "/v1/chat/completions"
OWN = some_routes(
    "web",
    {"match": {"prefix": "/v1/mine"}, "direct_response": {"status": 200, "body": {"inline_string": "mine"}}},
    {"match": {"path": "/v1/models"}, "direct_response": {"status": 200, "body": {"inline_string": "my list"}}},
    {"match": {"path": CHAT}, "direct_response": {"status": 200, "body": {"inline_string": "my chat"}}},
)


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    server: OpenAIServer

    def post(self, body: bytes, path: str = CHAT, **headers: str) -> Answer:
        return self.stage.infer(path, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with OpenAIServer("served/llama") as server:
        models = [
            a_model("llama", server.port, served_name="served/llama", api=Api.OPENAI),
            a_model("down", api=Api.OPENAI),
            *(a_model(f"other-{i}", server.port, api=Api.OPENAI) for i in range(100)),
        ]
        experiments = [
            an_experiment("dead", {"down": 1, "nobody": 1, "iris": 1}),
            an_experiment("ab", {"other-0": 1, "llama": 0}, default="other-0", timeout=1500),
        ]
        world = a_world([*models, a_model("iris", 1)], experiments, routes=[OWN], down=["down"])
        with serving(world, tmp_path_factory.mktemp("openai_routes")) as stage:
            yield Scene(stage, server)


def error_of(answer: Answer) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


def test_the_paths_of_the_api_come_before_the_users_own_routes_and_the_rest_after(scene: Scene) -> None:
    assert scene.post(b'{"model": "llama"}').json["model"] == "served/llama"
    assert scene.post(b'{"model": "llama"}', "/v1/mine").body == b"mine"
    assert scene.post(b'{"model": "llama"}', "/v1/rerank?x=y").json["model"] == "served/llama"
    assert scene.stage.get("/v1/files").status == 404
    assert error_of(scene.stage.get("/v1/files"))["message"].startswith("Nothing is served here")


def test_without_a_model_of_the_api_all_of_it_is_the_users(tmp_path: Path) -> None:
    with serving(a_world([a_model("iris", 1)], routes=[OWN]), tmp_path) as stage:
        assert stage.get("/v1/models").body == b"my list"
        assert stage.infer(CHAT, body=b'{"model": "iris"}').body == b"my chat"
        assert stage.get("/v1/files").json["error"].startswith("nothing is served at this path")


def test_a_list_may_be_long(scene: Scene) -> None:
    answer = scene.stage.get("/v1/models")
    assert answer.headers["content-type"] == "application/json"
    assert len(answer.body) > 4096
    listed = [model["id"] for model in answer.json["data"]]
    assert listed == sorted(["llama", "down", *(f"other-{i}" for i in range(100)), "dead.experiment", "ab.experiment"])
    for name in ("llama", "ab.experiment"):
        assert scene.stage.get(f"/v1/models/{name}").json == next(m for m in answer.json["data"] if m["id"] == name)


@pytest.mark.parametrize("unknown", ["gpt", "llama2", "llama/x", "iris"])
def test_what_is_not_listed_is_not_found(scene: Scene, unknown: str) -> None:
    answer = scene.stage.get(f"/v1/models/{unknown}")
    assert answer.status == 404
    error_of(answer)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("DELETE", "", 405), ("POST", "", 405), ("GET", "/", 404), ("DELETE", "/x", 404), ("HEAD", "", 200)],
)
def test_a_model_can_only_be_read(scene: Scene, method: str, path: str, status: int) -> None:
    answer = fetch(f"{scene.stage.url}/v1/models/llama{path}", method=method)
    assert answer.status == status
    if status != 200:
        assert error_of(answer)["message"].endswith("read a model with GET /v1/models/llama")
    assert answer.headers.get("allow") == ("GET, HEAD" if status == 405 else None)


def test_several_models_in_the_header(scene: Scene) -> None:
    answer = scene.post(b"{}", seldon_model="llama,ab")
    assert answer.status == 400
    assert error_of(answer)["message"].endswith("names more than one model: send it once, with one name")


@pytest.mark.parametrize("named", [{}, {"seldon_model": "llama"}])
def test_an_upgrade_is_told_that_there_is_none(scene: Scene, named: dict[str, str]) -> None:
    answer = scene.post(b"", connection="upgrade", upgrade="websocket", **named)
    assert answer.status == 403
    assert "WebSocket" in error_of(answer)["message"]


def test_who_has_nobody_to_answer_says_so(scene: Scene) -> None:
    answer = scene.post(b'{"model": "dead.experiment"}')
    assert answer.status == 503
    assert error_of(answer)["message"] == (
        "Experiment 'dead' has no candidate that can answer: waiting for model 'nobody' to be defined, model 'iris' to"
        " speak the same API as the others, model 'down' to be ready"
    )


def test_what_goes_wrong_on_the_way_has_the_shape_too(scene: Scene) -> None:
    answer = scene.post(b'{"model": "down"}')
    assert answer.status == 503
    assert error_of(answer)["type"] == "server_error"
    answer = scene.stage.infer("/v2/models/llama/infer")
    assert answer.json["error"] == (
        '\'llama\' speaks OpenAI\'s API: call /v1/chat/completions, with "model": "llama" in the body'
    )


def test_a_client_cant_say_what_was_read(scene: Scene) -> None:
    for header in ("x-extproc-model", "x-extproc-problem"):
        answer = scene.post(b'{"model": "llama"}', **{header: "other-1"})
        assert answer.json["model"] == "served/llama"


def resident(stage: Stage) -> int:
    """MiB of memory that Envoy holds."""
    status = Path(f"/proc/{stage.envoy.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))) // 1024


def test_large_bodies_are_let_go(scene: Scene) -> None:
    text = b'{"x": "' + b"x" * 30_000_000 + b'", "model": "llama"}'
    arrays = b'{"x": [' + b"[]," * 10_000_000 + b'0], "model": "gpt"}'  # for Envoy alone
    before = resident(scene.stage)
    assert scene.post(arrays).status == 404
    assert [scene.post(text).status for _ in range(7)] == [200] * 7
    # A few of them, and not the two hundred MiB of these eight, nor the gigabyte that a tree of the arrays takes.
    assert resident(scene.stage) - before < 200


def test_a_broken_script_takes_nothing_else_down(tmp_path: Path) -> None:
    port = free_port()
    with OpenAIServer("llama") as server:
        world = a_world([a_model("llama", server.port, api=Api.OPENAI)])
        config = json.dumps(static_config(world, Options(inference_host="127.0.0.1", inference_port=port)))
        begin = "function envoy_on_request(handle)\\n"
        assert begin in config
        broken = json.loads(config.replace(begin, f'{begin} error(\\"broken\\")\\n'))
        with RunningEnvoy.start(broken, tmp_path):
            for _ in range(2):
                url = f"http://127.0.0.1:{port}"
                assert fetch(url + CHAT, body=b'{"model": "llama"}').status == 503
                assert fetch(url + CHAT, body=b'{"model": "llama"}', headers={"seldon-model": "llama"}).status == 200
