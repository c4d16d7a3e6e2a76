"""Experiments between clusters on a real Envoy, without extproc: what is split, and what goes on as without them."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest

from extproc.core.resources import Readiness
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.xds.cluster_routes import ROUTES
from extproc.xds.clusters import HTTP2
from extproc.xds.http import upstream
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.client import Answer
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.models import ModelServer
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually
from tests.xds.given import a_cluster, a_model, a_world, between_clusters, some_routes
from tests.xds.stage import Stage, serving

BETA = {"headers": [{"name": "x-beta", "string_match": {"exact": "yes"}}]}
HALF = {"runtime_fraction": {"default_value": {"numerator": 50, "denominator": "HUNDRED"}}}
USER = Stickiness(UnitSource.HEADER, "x-user")
UNITS: dict[str, dict[str, Any]] = {
    "one": {"stickiness": USER, "overrides": (Override("old", ("qa",)), Override("new", ("demo",)))},
    "two": {"stickiness": USER},
    "device": {"stickiness": Stickiness(UnitSource.HEADER, "x-device", on_missing=OnMissing.DEFAULT)},
}


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    new: ModelServer
    copies: ModelServer

    def shop(self, path: str = "/shop/cart", **headers: str) -> Answer:
        return self.stage.get(path, {k.replace("_", "-"): v for k, v in headers.items()})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with ExitStack() as stack:
        old, new, copies = (stack.enter_context(ModelServer(name)) for name in ("old", "new", "copies"))
        rpc = stack.enter_context(GrpcModelServer("rpc", health=True))
        experiments = [
            between_clusters("a-shop", {"new": 1}, {"prefix": "/shop", **BETA}, mirror=("copies", 1_000_000)),
            between_clusters("b-shop", {"old": 0, "new": 1}, {"prefix": "/half", **HALF}, default="old"),
            between_clusters("c-shop", {"missing": 1}, {"prefix": "/shop"}),
            between_clusters("calls-shop", {"calls": 1}, {"prefix": "/grpc.health.", "grpc": {}, **BETA}),
            between_clusters("d-shop", {"old": 1, "new": 3}, {"prefix": "/held"}, default="old", holdout=500_000),
        ]
        experiments += [
            between_clusters(
                f"{name}-units", {"old": 1, "new": 1}, {"prefix": f"/units/{name}", **BETA}, default="old", **fields
            )
            for name, fields in UNITS.items()
        ]
        clusters = [a_cluster("old", old.port), a_cluster("new", new.port), a_cluster("copies", copies.port)]
        clusters += [a_cluster("calls", rpc.port, typed_extension_protocol_options=upstream(HTTP2))]
        own = ({"match": {"prefix": path}, "route": {"cluster": "old"}} for path in ("/shop", "/half"))
        models = [a_model("iris", old.port, readiness=Readiness(disabled=True))]
        world = a_world(models, experiments, clusters=clusters, routes=[some_routes("web", *own)])
        stage = stack.enter_context(serving(world, tmp_path_factory.mktemp("cluster_routes")))
        yield Scene(stage, new, copies)


def served(answer: Answer) -> str:
    assert answer.status == 200, answer.text
    return answer.headers["x-seldon-route"]


def test_clusters_get_what_matches_and_the_rest_goes_on(scene: Scene) -> None:
    answer = scene.shop("/shop/cart?a=b", x_beta="yes", host="shop.example", seldon_internal_model="x")
    assert (served(answer), answer.headers["x-stub"]) == (":new.cluster:", "new")
    request = scene.new.requests[-1]
    assert (request.path, request.header("host")) == ("/shop/cart?a=b", "shop.example")
    assert not [name for name, _ in request.headers if name.startswith(("x-extproc", "seldon"))], request.headers
    copies = eventually(
        lambda: scene.copies.requests, within=10, saying="a copy arrives", until=lambda requests: len(requests) == 1
    )
    assert (copies[0].path, copies[0].header("host")) == ("/shop/cart?a=b", "shop.example")
    answer = scene.shop()
    assert (answer.status, answer.headers["x-stub"], "x-seldon-route" in answer.headers) == (200, "old", False)


def test_of_clusters_a_fraction_takes_part(scene: Scene) -> None:
    drawn = Counter(scene.shop("/half").headers.get("x-seldon-route") for _ in range(200))
    low, high = binomial_interval(200, 0.5)
    assert low <= drawn[":new.cluster:"] <= high
    assert drawn.keys() == {":new.cluster:", None}  # the others took the user's own route


def test_held_out_requests_of_clusters_stay_with_the_default(scene: Scene) -> None:
    drawn = Counter(served(scene.shop("/held")) for _ in range(200))
    low, high = binomial_interval(200, 0.5 + 0.5 / 4)
    assert low <= drawn[":old.cluster:"] <= high


def test_units_stay_with_their_cluster(scene: Scene) -> None:
    def serves(path: str, **headers: str) -> str:
        return served(scene.shop(f"/units/{path}", x_beta="yes", **headers))

    users = [f"u{i}" for i in range(60)]
    for path, header in (("one", "x_user"), ("two", "x_user"), ("device", "x_device")):
        by_user = {user: serves(path, **{header: user}) for user in users}
        assert set(by_user.values()) == {":old.cluster:", ":new.cluster:"}
        assert by_user == {user: serves(path, **{header: user}) for user in users}, path
    both = Counter((serves("one", x_user=user), serves("two", x_user=user)) for user in users)
    assert len(both) == 4, "two experiments assign alike"
    assert {serves("one", x_user="qa") for _ in range(20)} == {":old.cluster:"}
    assert {serves("one", x_user="demo") for _ in range(20)} == {":new.cluster:"}
    assert {serves("one") for _ in range(60)} == {":old.cluster:", ":new.cluster:"}  # without a unit
    assert {serves("device") for _ in range(20)} == {":old.cluster:"}
    assert scene.shop("/units/one", x_user="qa").status == 404  # which does not match


def test_of_a_layer_only_the_slots_that_are_owned(tmp_path: Path) -> None:
    with ModelServer("old") as old, ModelServer("new") as new:
        few = between_clusters(
            "shop", {"old": 0, "new": 1}, {"prefix": "/"}, default="old", stickiness=USER, layer=Layer("shop", 0, 199)
        )
        world = a_world([], [few], clusters=[a_cluster("old", old.port), a_cluster("new", new.port)])
        with serving(world, tmp_path) as stage:
            answers = Counter(served(stage.get("/", {"x-user": f"u{i}"})) for i in range(200))
            assert served(stage.get("/")) == ":new.cluster:"  # no unit, no slot
    low, high = binomial_interval(200, 0.2)
    assert low <= answers[":new.cluster:"] <= high
    assert answers.total() == answers[":new.cluster:"] + answers[":old.cluster:"]


def test_units_that_would_take_too_many_routes_are_drawn_for() -> None:
    def lists(units: int) -> int:
        override = Override("old", tuple(f"u{i}" for i in range(units)))
        experiment = between_clusters("shop", {"old": 1, "new": 1}, {}, stickiness=USER, overrides=(override,))
        world = a_world([], [experiment], clusters=[a_cluster("old"), a_cluster("new")])
        return json.dumps(static_config(world, Options())).count("envoy.config.route.v3.RouteList")

    few = lists(1)
    assert lists(2) == few + 1  # for one more unit
    assert lists(ROUTES) == lists(2 * ROUTES) < few


def test_calls_are_split_as_requests_are(scene: Scene) -> None:
    with grpc.insecure_channel(scene.stage.grpc_target) as channel:
        check: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/grpc.health.v1.Health/Check")
        _, call = check.with_call(b"", metadata=(("x-beta", "yes"),), timeout=10)
        assert dict(call.initial_metadata())["x-seldon-route"] == ":calls.cluster:"


def test_models_come_first(scene: Scene) -> None:
    assert scene.shop("/shop", seldon_model="iris").headers["x-seldon-route"] == ":iris_1:"
    assert scene.shop("/shop", seldon_model="a-shop.experiment").status == 404
