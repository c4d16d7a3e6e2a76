"""Filling in: whatever an experiment is like, its routes are what they would be if each were written by itself."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain, product
from typing import Any

import pytest

from extproc.core.matches import Match
from extproc.core.resources import Api, Candidate, Endpoint, Experiment, Mirror, ResourceType, Retry, WhenUnavailable
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.xds import filling, shapes
from extproc.xds.encode import Encoded, once
from extproc.xds.endpoints import splits
from extproc.xds.filling import Filling
from extproc.xds.matching import Leaf
from extproc.xds.remembered import Remembered
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.snapshot import REMEMBERED
from extproc.xds.world import World
from tests.xds.given import a_cluster, a_model, a_world
from tests.xds.worlds import WORLDS

# Lengths below and above those at which the length of a message around a name takes a byte more.
NAMES = ("x", "ab", "a-longer-one", "n" * 55)
HEADER = Stickiness(UnitSource.HEADER, "x-user")

EXPERIMENTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "called by its name alone": {"default": ""},
    "one mirror": {"mirror": ("m", 100_000)},
    "a mirror without copies": {"mirror": ("m", 0)},
    "two mirrors": {"mirrors": (("m", 100_000), ("n", 500_000))},
    "a mirror that is not defined": {"mirror": ("nobody", 5)},
    "timeout": {"timeout": 1500},
    "retry": {"retry": Retry(3, ("5xx", "unavailable"), 250)},
    "default only": {"when_unavailable": WhenUnavailable.DEFAULT_ONLY},
    "reject": {"when_unavailable": WhenUnavailable.REJECT},
    "pipeline": {"resource_type": ResourceType.PIPELINE},
    "header": {"stickiness": HEADER},
    "header, else the default": {"stickiness": replace(HEADER, on_missing=OnMissing.DEFAULT)},
    "seed": {"stickiness": replace(HEADER, seed="other")},
    "cookie": {"stickiness": Stickiness(UnitSource.COOKIE, "user")},
    "cookie that is issued": {"stickiness": Stickiness(UnitSource.COOKIE, "user", ttl=60_000)},
    "query": {"stickiness": Stickiness(UnitSource.QUERY, "user")},
    "address": {"stickiness": Stickiness(UnitSource.SOURCE_IP)},
    "metadata": {"stickiness": Stickiness(UnitSource.METADATA, "auth", path=("sub",))},
    "holdout": {"stickiness": HEADER, "holdout": 100_000},
    "layer": {"stickiness": HEADER, "layer": Layer("checkout", 100, 299)},
    "match": {"match": Match.of({"headers": [{"name": "x-tier", "string_match": {"exact": "gold"}}]})},
    "a part of all": {"match": Match.of({"runtime_fraction": {"default_value": {"numerator": 10}}})},
    "overrides": {"stickiness": HEADER, "overrides": (Override("b", ("qa", "demo")),)},
}
MODELS: dict[str, dict[str, Any]] = {
    "http": {},
    "both protocols": {"grpc_endpoints": (Endpoint("127.0.0.1", 9),)},
    "gRPC": {"endpoints": (), "grpc_endpoints": (Endpoint("127.0.0.1", 9),)},
    "own cluster": {"endpoints": (), "cluster": "theirs", "grpc_cluster": "grpc.theirs"},
    "an unusual cluster": {"endpoints": (), "cluster": "outbound|80||a.b"},
    "version": {"version": 3},
    "served as the other": {"served_name": "b"},
    "served as something": {"served_name": "Some_Thing.v2"},
    "OpenAI's API": {"api": Api.OPENAI},
    "OpenAI's API, served as something": {"api": Api.OPENAI, "served_name": "some/Thing:8b"},
}
READY: dict[str, frozenset[str]] = {"all": frozenset(), "not b": frozenset("b"), "nobody": frozenset("abmn")}


def alike(
    experiment: dict[str, Any], model: dict[str, Any], down: Iterable[str], weights: tuple[int, int] = (70, 30)
) -> World:
    """As many experiments as there are NAMES, which differ in these alone."""
    trials, models, unready = [], [], set[str]()
    for stem in NAMES:

        def called(letter: str, stem: str = stem) -> str:
            return letter if letter == "nobody" else f"{stem}-{letter}"

        given = dict(experiment)
        if "mirror" in given:
            given["mirror"] = Mirror(called(given["mirror"][0]), given["mirror"][1])
        if "mirrors" in given:
            given["mirrors"] = tuple(Mirror(called(name), rate) for name, rate in given["mirrors"])
        if "overrides" in given:
            given["overrides"] = tuple(replace(o, candidate=called(o.candidate)) for o in given["overrides"])
        if "layer" in given:
            given["layer"] = replace(given["layer"], name=called("layer"))
        given.setdefault("default", "a")
        given["default"] = given["default"] and called(given["default"])
        candidates = tuple(Candidate(called(name), w) for name, w in zip("ab", weights, strict=True))
        trials.append(Experiment(called("e"), candidates, **given))
        models += [replace(a_model(called("a"), 1), **_served(model, called)), a_model(called("b"), 1)]
        models += [a_model(called("m"), 1), replace(a_model(called("n"), 1), **_served(model, called))]
        unready |= {called(name) for name in down}
    return a_world(models, trials, down=unready, clusters=[a_cluster("theirs")])


def _served(model: dict[str, Any], called: Callable[[str], str]) -> dict[str, Any]:
    return {**model, "served_name": called(model["served_name"])} if model.get("served_name") == "b" else model


def leaves(world: World) -> list[Leaf]:
    """All that look-ups end in."""
    found: list[Leaf] = []
    running = splits(world)

    def keep(some: Iterable[Leaf]) -> None:
        found.extend(some)

    inference_routes(world, running, keep)
    mirror_routes(running, keep)
    return found


@pytest.fixture(autouse=True)
def _forgetful() -> None:
    _forget((*REMEMBERED, *shapes.PASSING))


def _forget(functions: Iterable[Remembered[*tuple[Any, ...], Any]]) -> None:
    for function in functions:
        function.forget()


CASES = [
    pytest.param(alike(experiment, model, down, weights), id=f"{kind}, {served}, {ready}, {weights}")
    for (kind, experiment), (served, model), (ready, down), weights in chain(
        product(EXPERIMENTS.items(), [("http", {})], READY.items(), [(70, 30)]),
        product(
            [(kind, EXPERIMENTS[kind]) for kind in ("plain", "two mirrors", "reject", "pipeline", "header")],
            MODELS.items(),
            [("all", frozenset[str]())],
            [(1, 0)],
        ),
    )
]


@pytest.mark.parametrize("world", CASES)
def test_what_is_filled_in_is_what_is_written(world: World) -> None:
    some = Filling()
    for key, made, given in leaves(world):
        assert some.write(made, given) == made(*given).value, key


def test_one_filling_serves_all() -> None:
    """However unlike they are, and in whatever order they come."""
    some = Filling()
    worlds = [case.values[0] for case in CASES[::7]] + list(WORLDS.values())
    for world in (*worlds, *reversed(worlds)):
        assert isinstance(world, World)
        for key, made, given in leaves(world):
            assert some.write(made, given) == made(*given).value, key


class Counted:
    """Something that makes an OnMatch, and how often it has."""

    def __init__(self, made: Callable[..., Encoded]) -> None:
        self.made, self.times = made, 0

    def __call__(self, *given: Any) -> Encoded:
        self.times += 1
        return self.made(*given)


def made_of(world: World) -> tuple[int, int]:
    """How many look-ups end somewhere, and how often what they end in was made."""
    some, counted, number = Filling(), dict[Any, Counted](), 0
    for _, made, given in leaves(world):
        some.write(counted.setdefault(made, Counted(made)), given)
        number += 1
    return number, sum(each.times for each in counted.values())


def numbered(count: int, **fields: Any) -> World:
    names = [(f"a{i}", f"b{i}") for i in range(count)]
    trials = [Experiment(f"e{i}", (Candidate(a, 70), Candidate(b, 30)), a, **fields) for i, (a, b) in enumerate(names)]
    return a_world([a_model(name, 1) for name in chain(*names)], trials)


def test_of_each_shape_few_are_made() -> None:
    _, few = made_of(numbered(5))
    number, many = made_of(numbered(50))
    assert many == few < number / 5


def test_what_depends_on_hashes_of_names_is_always_made() -> None:
    number, made = made_of(numbered(10, stickiness=HEADER))
    plain, _ = made_of(a_world([a_model(name, 1) for i in range(10) for name in (f"a{i}", f"b{i}")]))
    assert made > number - plain


def test_no_more_shapes_than_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filling, "SEEN", 3)
    some = Filling()
    for key, made, given in leaves(alike(EXPERIMENTS["one mirror"], MODELS["http"], ())) * 2:
        assert some.write(made, given) == made(*given).value, key


def test_a_template_that_says_something_else_is_not_used() -> None:
    """The name stands in the route otherwise than as it is."""

    def shouted(name: str) -> Encoded:
        routes = {"routes": [{"name": name.upper(), "match": {"prefix": "/"}, "direct_response": {"status": 204}}]}
        typed = {"@type": "type.googleapis.com/envoy.config.route.v3.RouteList", **routes}
        return once(filling.ON_MATCH, {"action": {"name": "routes", "typed_config": typed}})

    some = Filling()
    for name in ("one", "two", "three", "four"):
        assert some.write(shouted, (name,)) == shouted(name).value
