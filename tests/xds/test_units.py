"""Units on a real Envoy: what extproc gets to see of them, the cookie that Envoy issues, and Envoy's own split."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import pytest

from extproc import names
from extproc.core.resources import Readiness
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.wire.ext_proc import read
from extproc.xds.encode import plain
from extproc.xds.endpoints import splits
from extproc.xds.route_configurations import inference_routes
from tests.harness.client import Answer
from tests.harness.models import ModelServer
from tests.harness.statistics import binomial_interval
from tests.xds.decider import Decider
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving

UNCHECKED = Readiness(disabled=True)
USER = Stickiness(UnitSource.HEADER, "x-user")
# Its name is literal in a regular expression, and in a format string.
COOKIE = Stickiness(UnitSource.COOKIE, "u.id%START_TIME%", ttl=3_600_000)
UNIT = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
ODD = ("mine; Domain=example.com", '"mine"', "a,b", "a b", "zo\xeb")
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
USERS = [f"user-{i}" for i in range(300)]
SOURCES = {
    "header": USER,
    "cookie": replace(COOKIE, ttl=None),
    "issued": COOKIE,
    "query": Stickiness(UnitSource.QUERY, "user"),
    "address": Stickiness(UnitSource.SOURCE_IP),
    "claim": Stickiness(UnitSource.METADATA, 'a"b', ("jwt", "sub")),
    "none": None,
}
# Each has candidates of its own, so that one Envoy serves them all.
ALONE: dict[str, dict[str, Any]] = {
    "plain": {},
    "held": {"holdout": 300_000},
    "forced": {"overrides": (Override("forced-b", ("user-1", "qa 1")), Override("forced-a", ("user-2",)))},
    "strict": {"stickiness": replace(USER, on_missing=OnMissing.DEFAULT)},
    "low": {"layer": Layer("ranking", 0, 399)},
    "high": {"layer": Layer("ranking", 400, 999)},
    "middle": {"layer": Layer("ranking", 400, 599)},
    "dice": {"stickiness": None, "holdout": 300_000},
    "baked": {"stickiness": COOKIE},
}


@dataclass(frozen=True, slots=True)
class Scene:
    stage: Stage
    server: ModelServer

    def answers(self, experiment: str, user: str = "", **more: str) -> Answer:
        """How the experiment answers; its default is its first candidate."""
        headers = {"x-user": user, **more} if user else more
        return self.stage.infer(f"/v2/models/{experiment}-a/infer", headers)

    def serves(self, experiment: str, user: str = "", **more: str) -> str:
        route = self.answers(experiment, user, **more).headers["x-seldon-route"]
        return route.removeprefix(f":{experiment}-").removesuffix("_1:")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Envoy without an extproc."""
    with ModelServer("any") as server:
        models, experiments = [], []
        for name, fields in ALONE.items():
            models += [a_model(f"{name}-{candidate}", server.port, readiness=UNCHECKED) for candidate in "ab"]
            given = {"stickiness": USER, **fields}
            experiments.append(an_experiment(name, {f"{name}-a": 6, f"{name}-b": 4}, default=f"{name}-a", **given))
        with serving(a_world(models, experiments), tmp_path_factory.mktemp("units")) as stage:
            yield Scene(stage, server)


def near(count: int, of: int, share: float) -> bool:
    low, high = binomial_interval(of, share)  # misses once in a million choices of the hash, which is fixed
    return low <= count <= high


def test_envoy_keeps_the_units_of_a_header_together(alone: Scene) -> None:
    first = [alone.serves("plain", user) for user in USERS]
    assert [alone.serves("plain", user) for user in USERS] == first
    assert near(first.count("b"), len(USERS), 0.4)


def test_experiments_are_hashed_apart(alone: Scene) -> None:
    one, other = ([alone.serves(name, user) for user in USERS] for name in ("plain", "forced"))
    among = [o for o, p in zip(other, one, strict=True) if p == "b"]
    assert near(among.count("b"), len(among), 0.4)


def test_without_a_unit_it_draws(alone: Scene) -> None:
    drawn = Counter(alone.serves("plain") for _ in range(300))
    assert near(drawn["b"], 300, 0.4)


def test_without_a_unit_it_may_have_to_leave_it_to_the_default(alone: Scene) -> None:
    assert {alone.serves("strict") for _ in range(30)} == {"a"}
    assert near([alone.serves("strict", user) for user in USERS].count("b"), len(USERS), 0.4)


def test_an_empty_unit_is_none(alone: Scene) -> None:
    drawn = Counter(alone.serves("plain", **{"x-user": ""}) for _ in range(300))
    assert near(drawn["b"], 300, 0.4)
    assert {alone.serves("strict", **{"x-user": ""}) for _ in range(30)} == {"a"}


def test_it_knows_the_overrides(alone: Scene) -> None:
    assert [alone.serves("forced", user) for user in ("user-1", "qa 1", "user-2")] == ["b", "b", "a"]


@pytest.mark.parametrize("experiment", ["held", "dice"])
def test_it_knows_the_holdout(alone: Scene, experiment: str) -> None:
    """30 % stay with a, 40 % of the others go to b."""
    assert near([alone.serves(experiment, user) for user in USERS].count("b"), len(USERS), 0.28)


def test_each_of_its_routes_says_by_its_name_why_a_request_is_left_to_the_default() -> None:
    """Of these requests nobody else tells the access log."""
    everything: dict[str, Any] = {"stickiness": replace(USER, on_missing=OnMissing.DEFAULT), "holdout": 300_000}
    experiment = an_experiment("ab", {"a": 1, "b": 1}, default="a", layer=Layer("ranking", 0, 399), **everything)
    world = a_world([a_model("a"), a_model("b")], [experiment])
    text = json.dumps(plain(inference_routes(world, splits(world))))
    found = {name for name in re.findall(r'"name": "ab/(\.[^"]*)"', text) if not name.endswith("/grpc")}
    assert found == {".holdout/fallback", ".other_slot/fallback", ".no_unit/fallback", ".default"}


def test_layers_do_not_overlap_there_either(alone: Scene) -> None:
    moved = {name: {user for user in USERS if alone.serves(name, user) == "b"} for name in ("low", "middle", "high")}
    assert not moved["low"] & (moved["middle"] | moved["high"])
    assert near(len(moved["low"]), len(USERS), 0.16)
    assert near(len(moved["middle"]), len(USERS), 0.08)
    assert near(len(moved["high"]), len(USERS), 0.24)


def test_a_cookie_is_issued_once(alone: Scene) -> None:
    answer = alone.answers("baked", cookie=f"a{COOKIE.key}=1; {COOKIE.key.replace('.', 'x')}=2; {COOKIE.key}=")
    issued, *rest = answer.headers["set-cookie"].split("; ")
    assert re.fullmatch(re.escape(f"{COOKIE.key}=") + UUID, issued), issued
    assert rest == ["Max-Age=3600", "Path=/", "HttpOnly", "SameSite=Lax"]
    for sent in (issued, f"a=1; {issued}", f"a=1;{issued}; b=2"):
        assert "set-cookie" not in alone.answers("baked", cookie=sent).headers
    assert {alone.serves("baked") for _ in range(60)} == {"a", "b"}


def test_no_odd_characters_are_issued(alone: Scene) -> None:
    for said in ODD:
        assert "set-cookie" not in alone.answers("baked", **{"x-request-id": said}).headers
    told = alone.answers("baked", **{"x-request-id": UNIT}).headers["set-cookie"]
    assert told.startswith(f"{COOKIE.key}={UNIT}; Max-Age")
    assert {alone.serves("baked", **{"x-request-id": ODD[0]}) for _ in range(60)} == {"a", "b"}


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Decider]]:
    """Envoy with an extproc that only listens."""
    with ExitStack() as stack:
        decider, server = stack.enter_context(Decider()), stack.enter_context(ModelServer("any"))
        models = [a_model(name, server.port, served_name="any", readiness=UNCHECKED) for name in SOURCES]
        experiments = [
            an_experiment(f"{name}-x", {name: 1}, default=name, stickiness=stickiness)
            for name, stickiness in SOURCES.items()
        ]
        world = a_world(models, experiments)
        stage = stack.enter_context(serving(world, tmp_path_factory.mktemp("asking"), worker_port=decider.port))
        yield stage, decider


def test_it_decides_on_the_unit_that_is_issued(asking: tuple[Stage, Decider]) -> None:
    stage, decider = asking
    answer = stage.infer("/v2/models/issued/infer")
    cookie = answer.headers["set-cookie"].partition(";")[0]
    request = read(decider.requests[-1].SerializeToString())
    assert f"{COOKIE.key}={request.unit.decode()}" == cookie
    assert re.fullmatch(UUID, request.unit.decode())


@pytest.mark.parametrize(
    ("name", "path", "headers", "unit"),
    [
        ("header", "", {"x-user": "zo\xeb"}, b"zo\xeb"),
        ("header", "?user=bob", {}, b""),
        ("cookie", "", {"cookie": f"a=1; {COOKIE.key}=7"}, b"7"),
        ("cookie", "", {}, b""),
        ("issued", "", {"cookie": f"{COOKIE.key}=7"}, b"7"),
        ("issued", "", {"x-request-id": UNIT}, UNIT.encode()),
        *(("issued", "", {"x-request-id": odd}, b"") for odd in ODD),
        ("query", "?a=1&user=b%20b", {}, b"b b"),
        ("query", "", {}, b""),
        ("address", "", {}, b"127.0.0.1"),
        ("claim", "", {}, b""),
        ("none", "?user=bob", {"x-user": "alice", "cookie": "u.id=7"}, b""),
    ],
)
def test_extproc_sees_the_unit(
    asking: tuple[Stage, Decider], name: str, path: str, headers: dict[str, str], unit: bytes
) -> None:
    stage, decider = asking
    assert stage.infer(f"/v2/models/{name}/infer{path}", headers).status == 200
    request = read(decider.requests[-1].SerializeToString())
    assert (request.unit, request.route_name) == (unit, names.intercept_route(f"{name}-x", name, "http"))
    sent = decider.requests[-1].attributes[names.EXT_PROC_FILTER].fields
    stickiness = SOURCES[name]
    assert len(sent) <= (1 if stickiness is None else 3)
