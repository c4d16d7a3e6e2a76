"""`match` on a real Envoy, without extproc: who is split, and who is left to the default."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from extproc.core.matches import Match
from extproc.core.resources import Api, Readiness, ResourceType
from extproc.core.units import Stickiness, UnitSource
from tests.harness.client import Answer
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving

UNCHECKED = Readiness(disabled=True)
BETA = {"headers": [{"name": "x-beta", "string_match": {"exact": "yes"}}]}
YES = {"x-beta": "yes"}


def fraction(percent: int) -> dict[str, Any]:
    return {"runtime_fraction": {"default_value": {"numerator": percent, "denominator": "HUNDRED"}}}


# Each has models of its own, `<name>-a`, which is its default, and `<name>-b`, which gets all that is split.
MATCHED: dict[str, dict[str, Any]] = {
    "header": {"match": Match.of(BETA)},
    "parameter": {"match": Match.of({"query_parameters": [{"name": "beta", "present_match": True}]})},
    "path": {"match": Match.of({"path": "/v2/models/path-a/infer"})},
    "prefix": {"match": Match.of({"prefix": "/V2/models/prefix-", "case_sensitive": False})},
    "regex": {"match": Match.of({"safe_regex": {"regex": "/v2/models/[^/]+/infer"}})},
    "elsewhere": {"match": Match.of({"prefix": "/v2/models/regex-a"})},
    "both": {"match": Match.of({**BETA, "path_separated_prefix": "/v2/models/both-a/infer"})},
    "none": {"match": Match.of(fraction(0))},
    "all": {"match": Match.of(fraction(100))},
    "half": {"match": Match.of(fraction(50)), "mirror": ("copied", 500_000)},
    "units": {"match": Match.of(fraction(50)), "stickiness": Stickiness(UnitSource.HEADER, "x-user")},
    "pipe": {"match": Match.of(BETA), "resource_type": ResourceType.PIPELINE},
    "rpc": {"match": Match.of(BETA)},
    "calls": {"match": Match.of({"grpc": {}})},
    "waits": {"match": Match.of(BETA)},
}


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    models: ModelServer

    def infer(self, experiment: str, suffix: str = "/infer", **headers: str) -> Answer:
        return self.stage.infer(
            f"/v2/models/{experiment}-a{suffix}", {k.replace("_", "-"): v for k, v in headers.items()}
        )


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ModelServer("models", served="m") as server, GrpcModelServer("rpc", served="m") as rpc:
        names = [f"{name}-{which}" for name in MATCHED for which in "ab"] + ["copied"]
        models = [a_model(name, server.port, grpc=rpc.port, served_name="m", readiness=UNCHECKED) for name in names]
        experiments = [
            an_experiment(name, {f"{name}-a": 0, f"{name}-b": 1}, default=f"{name}-a", **fields)
            for name, fields in MATCHED.items()
        ]
        experiments += [
            an_experiment("no-default", {"half-b": 1}, match=Match.of(BETA)),
            an_experiment("undefined", {"nobody": 0, "half-b": 1}, default="nobody", match=Match.of(BETA)),
        ]
        world = a_world(models, experiments, down=["waits-a", "waits-b"])
        with serving(world, tmp_path_factory.mktemp("match_routes")) as stage:
            yield Scene(stage, server)


def served(answer: Answer) -> str:
    assert answer.status == 200, answer.text
    return answer.headers["x-seldon-route"]


def test_who_does_not_match_gets_the_default_as_if_there_were_no_experiment(scene: Scene) -> None:
    assert served(scene.infer("header", x_beta="yes")) == ":header-b_1:"
    assert served(scene.infer("header")) == served(scene.infer("header", x_beta="no")) == ":header-a_1:"
    assert scene.models.requests[-1].path == "/v2/models/m/infer"
    assert scene.models.requests[-1].header("seldon-internal-model") == "header-a_1"
    called = {"seldon-model": "header-a"}
    assert served(scene.stage.infer("/v2/models/x/infer", called)) == ":header-a_1:"
    assert served(scene.stage.infer("/v2/models/x/infer", called | YES)) == ":header-b_1:"
    by_name = {"seldon-model": "header.experiment"}
    assert served(scene.stage.infer("/v2/models/x/infer", by_name)) == ":header-a_1:"
    assert served(scene.stage.infer("/v2/models/x/infer", by_name | YES)) == ":header-b_1:"
    assert served(scene.stage.infer("/v2/models/header.experiment/infer")) == ":header-a_1:"


@pytest.mark.parametrize(
    ("experiment", "matching", "others"),
    [
        ("parameter", ["/infer?beta", "/infer?a=b&beta=1"], ["/infer", "/infer?a=beta"]),
        ("path", ["/infer", "/infer?a=b"], ["", "/ready", "/infer/x", "/versions/1/infer"]),
        ("prefix", ["", "/infer", "?a=b"], []),
        ("regex", ["/infer", "/infer?a=b"], ["/infer/", "", "?x=/infer"]),
        ("elsewhere", [], ["/infer", "", "/ready?a=/v2/models/regex-a"]),
    ],
)
def test_the_path_and_the_query_are_those_that_the_client_sent(
    scene: Scene, experiment: str, matching: list[str], others: list[str]
) -> None:
    for suffix in matching:
        assert served(scene.infer(experiment, suffix)) == f":{experiment}-b_1:", suffix
        assert scene.models.requests[-1].path == f"/v2/models/m{suffix}"
    for suffix in others:
        assert served_or_missing(scene.infer(experiment, suffix)) == f":{experiment}-a_1:", suffix
        assert scene.models.requests[-1].path == f"/v2/models/m{suffix}"


def served_or_missing(answer: Answer) -> str:
    """The stub has no such path, and answers in the name of its route all the same."""
    assert answer.status in (200, 404), answer.text
    return answer.headers["x-seldon-route"]


def test_a_path_is_matched_whatever_the_model_is_called_by(scene: Scene) -> None:
    headers = {"seldon-model": "path-a"}
    assert served(scene.stage.infer("/v2/models/path-a/infer", headers)) == ":path-b_1:"
    assert scene.models.requests[-1].path == "/v2/models/m/infer"
    assert served(scene.stage.infer("/v2/models/other/infer", headers)) == ":path-a_1:"


def test_a_path_that_only_begins_like_an_endpoint_s_is_another_one(scene: Scene) -> None:
    for path in ("/v2/models/prefix-ax/infer", "/v2/models/prefix-a-/infer", "/v2/models/prefix-a.b"):
        answer = scene.stage.infer(path)
        assert (answer.status, "x-seldon-route" in answer.headers) == (404, False), path


def test_all_that_is_asked_for_has_to_match(scene: Scene) -> None:
    assert served(scene.infer("both", "/infer?a=b", x_beta="yes")) == ":both-b_1:"
    assert served(scene.infer("both")) == ":both-a_1:"
    assert served(scene.infer("both", "", x_beta="yes")) == ":both-a_1:"


def test_a_fraction_of_nothing_and_of_everything(scene: Scene) -> None:
    assert {served(scene.infer("none")) for _ in range(30)} == {":none-a_1:"}
    assert {served(scene.infer("all")) for _ in range(30)} == {":all-b_1:"}


def test_of_a_fraction_the_mirror_gets_its_part(scene: Scene) -> None:
    """Half of the requests take part, and half of these are copied: of the others, none."""
    scene.models.forget()
    drawn = Counter(served(scene.infer("half")) for _ in range(300))
    low, high = binomial_interval(300, 0.5)  # misses once in a million runs
    assert low <= drawn[":half-b_1:"] <= high
    low, high = binomial_interval(300, 0.25)

    def copies() -> int:
        return sum(1 for request in scene.models.requests if request.header("seldon-internal-model") == "copied_1")

    eventually(copies, within=10, saying=f"between {low} and {high} copies", until=lambda count: low <= count <= high)


def test_of_a_fraction_units_are_hashed(scene: Scene) -> None:
    drawn = Counter(served(scene.infer("units", x_user=f"u{i}")) for i in range(200))
    low, high = binomial_interval(200, 0.5)
    assert low <= drawn[":units-b_1:"] <= high
    assert drawn.keys() == {":units-a_1:", ":units-b_1:"}


def test_pipelines_keep_their_tokens(scene: Scene) -> None:
    called = {"seldon-model": "pipe.experiment"}
    assert served(scene.stage.infer("/v2/models/x/infer", called)) == ":pipe-a.pipeline:"
    assert served(scene.stage.infer("/v2/models/x/infer", called | YES)) == ":pipe-b.pipeline:"
    assert served(scene.stage.infer("/v2/models/x/infer", {"seldon-model": "pipe-a.pipeline"})) == ":pipe-a.pipeline:"
    assert served(scene.infer("pipe")) == ":pipe-a_1:"


def test_models_that_bodies_name_are_matched_as_others_are(tmp_path: Path) -> None:
    with ModelServer("chat") as server:
        models = [a_model(name, server.port, api=Api.OPENAI, readiness=UNCHECKED) for name in ("llama", "phi")]
        match = Match.of({**BETA, "path": "/v1/chat/completions"})
        chat = an_experiment("chat", {"llama": 0, "phi": 1}, default="llama", match=match)
        with serving(a_world(models, [chat]), tmp_path) as stage:

            def answers(model: str, path: str = "/v1/chat/completions", **headers: str) -> tuple[str, str]:
                body = json.dumps({"model": model}).encode()
                route = served(stage.infer(path, {"content-type": "application/json", **headers}, body))
                return route, json.loads(server.requests[-1].body)["model"]

            for model in ("llama", "chat.experiment"):
                assert answers(model, **YES) == (":phi_1:", "phi")
                assert answers(model) == answers(model, "/v1/completions", **YES) == (":llama_1:", "llama")


def test_calls_are_matched_as_requests_are(scene: Scene) -> None:
    def called(model: str = "m", **metadata: str) -> str:
        with grpc.insecure_channel(scene.stage.grpc_target) as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            sent = tuple((key.replace("_", "-"), value) for key, value in metadata.items())
            _, call = stub.ModelInfer.with_call(
                service_pb2.ModelInferRequest(model_name=model), metadata=sent, timeout=10
            )
            return str(dict(call.initial_metadata())["x-seldon-route"])

    for name in ("rpc-a", "rpc.experiment"):
        assert called(seldon_model=name, x_beta="yes") == ":rpc-b_1:"
        assert called(seldon_model=name) == ":rpc-a_1:"
    assert (called("rpc-a", x_beta="yes"), called("rpc-a")) == (":rpc-b_1:", ":rpc-a_1:")  # the message says which
    assert called(seldon_model="calls-a") == ":calls-b_1:"
    assert served(scene.infer("calls")) == ":calls-a_1:"


def test_without_a_default_who_does_not_match_is_told_so(scene: Scene) -> None:
    headers = {"seldon-model": "no-default.experiment"}
    assert served(scene.stage.infer("/x", headers | YES)) == ":half-b_1:"
    answer = scene.stage.infer("/x", headers)
    assert (answer.status, answer.json["error"]) == (
        404,
        "the request does not match experiment 'no-default', and it has no default",
    )
    assert scene.stage.infer("/v2/models/nobody/infer").json["error"].endswith("its default 'nobody' is not defined")
    assert served(scene.stage.infer("/v2/models/nobody/infer", YES)) == ":half-b_1:"


def test_the_default_answers_while_nobody_else_can(scene: Scene) -> None:
    assert served(scene.infer("waits")) == ":waits-a_1:"
