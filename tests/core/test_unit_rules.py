"""The rules of units, each at its edges, with the path as the user spelled it."""

from typing import Any

import pytest

from extproc.core.resources import Candidate, Experiment, Mirror
from extproc.core.unit_rules import TTL_MAX, UNIT_MAX, UNITS_MAX
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.errors import InvalidResource

USER = Stickiness(UnitSource.HEADER, "x-user")


def experiment(**fields: Any) -> Experiment:
    given = {"default": "iris", "stickiness": USER, **fields}
    return Experiment("ab", (Candidate("iris", 1), Candidate("iris2", 1)), **given)


def problems(**fields: Any) -> list[str]:
    with pytest.raises(InvalidResource) as raised:
        experiment(**fields)
    return [problem.path for problem in raised.value.problems]


def unit(source: UnitSource, key: str = "", **fields: Any) -> dict[str, Stickiness]:
    return {"stickiness": Stickiness(source, key, **fields)}


@pytest.mark.parametrize(
    "fields",
    [
        unit(UnitSource.HEADER, "x-user"),
        unit(UnitSource.HEADER, "authorization"),
        unit(UnitSource.COOKIE, "uid"),
        unit(UnitSource.COOKIE, "uid", ttl=1000),
        unit(UnitSource.COOKIE, "uid", ttl=TTL_MAX),
        unit(UnitSource.QUERY, "user[id]"),
        unit(UnitSource.METADATA, "envoy.filters.http.jwt_authn", path=("jwt", "sub")),
        unit(UnitSource.SOURCE_IP, on_missing=OnMissing.DEFAULT),
        {"holdout": 1_000_000},
        {"holdout": 1, "stickiness": None},
        {"overrides": (Override("iris", ("a" * UNIT_MAX,)), Override("iris2", ("b", "c")))},
        {"overrides": (Override("iris", tuple(map(str, range(UNITS_MAX)))),)},
        {"layer": Layer("ranking")},
        {"layer": Layer("ranking", 999, 999)},
        {"mirrors": tuple(Mirror(f"m{i}", 1) for i in range(4))},
    ],
)
def test_what_is_allowed(fields: dict[str, Any]) -> None:
    assert experiment(**fields).name == "ab"


@pytest.mark.parametrize(
    ("fields", "paths"),
    [
        (unit(UnitSource.HEADER, ""), ["stickiness.header"]),
        (unit(UnitSource.HEADER, "x user"), ["stickiness.header"]),
        (unit(UnitSource.HEADER, "X-User"), ["stickiness.header"]),
        (unit(UnitSource.HEADER, ":path"), ["stickiness.header"]),
        (unit(UnitSource.HEADER, "x-extproc-route"), ["stickiness.header"]),
        (unit(UnitSource.HEADER, "x-envoy-anything"), ["stickiness.header"]),
        (unit(UnitSource.HEADER, "seldon-internal-model"), ["stickiness.header"]),
        (unit(UnitSource.COOKIE, "u=d"), ["stickiness.cookie.name"]),
        (unit(UnitSource.COOKIE, "u" * 65, ttl=1000), ["stickiness.cookie.name"]),
        (unit(UnitSource.COOKIE, "uid", ttl=999), ["stickiness.cookie.ttl"]),
        (unit(UnitSource.COOKIE, "uid", ttl=TTL_MAX + 1), ["stickiness.cookie.ttl"]),
        (unit(UnitSource.QUERY, "a&b"), ["stickiness.query"]),
        (unit(UnitSource.METADATA, ""), ["stickiness.metadata.namespace", "stickiness.metadata.path"]),
        (unit(UnitSource.METADATA, "jwt", path=("a", "")), ["stickiness.metadata.path"]),
        ({"default": "", **unit(UnitSource.HEADER, "u", on_missing=OnMissing.DEFAULT)}, ["stickiness.on_missing"]),
        ({"holdout": -1}, ["holdout"]),
        ({"holdout": 1_000_001}, ["holdout"]),
        ({"holdout": 1, "default": ""}, ["holdout"]),
        ({"overrides": (Override("iris", ("a",)),), "stickiness": None}, ["overrides"]),
        ({"overrides": (Override("iris3", ("a",)),)}, ["overrides[0].candidate"]),
        ({"overrides": (Override("iris", ()),)}, ["overrides[0].units"]),
        ({"overrides": (Override("iris", ("", "a" * (UNIT_MAX + 1))),)}, [f"overrides[0].units[{i}]" for i in (0, 1)]),
        ({"overrides": (Override("iris", ("a", "b")), Override("iris2", ("b",)))}, ["overrides[1].units[0]"]),
        ({"overrides": (Override("iris", tuple(map(str, range(UNITS_MAX + 1)))),)}, ["overrides"]),
        ({"layer": Layer("ranking"), "stickiness": None}, ["layer"]),
        ({"layer": Layer("ranking"), "default": ""}, ["layer"]),
        ({"layer": Layer("Ranking")}, ["layer.name"]),
        ({"layer": Layer("ranking", 0, 1000)}, ["layer.last_slot"]),
        ({"layer": Layer("ranking", 2, 1)}, ["layer.last_slot"]),
        ({"mirrors": tuple(Mirror(f"m{i}", 1) for i in range(5))}, ["mirrors"]),
        ({"mirrors": (Mirror("a", 1), Mirror("a", 1))}, ["mirrors[1].name"]),
        ({"mirrors": (Mirror("a", 1), Mirror("iris", 1_000_001))}, ["mirrors[1].name", "mirrors[1].percent"]),
    ],
)
def test_what_is_not(fields: dict[str, Any], paths: list[str]) -> None:
    assert problems(**fields) == paths


def test_one_mirror_is_the_same_in_both_forms() -> None:
    short, long = experiment(mirror=Mirror("m", 5)), experiment(mirrors=(Mirror("m", 5),))
    assert short == long
    assert short.mirrors == (short.mirror,)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [
        (Layer("a", 0, 499), Layer("a", 500, 999), False),
        (Layer("a", 0, 500), Layer("a", 500, 999), True),
        (Layer("a", 0, 999), Layer("a", 7, 7), True),
        (Layer("a", 0, 999), Layer("b", 0, 999), False),
    ],
)
def test_layers_overlap(one: Layer, other: Layer, overlap: bool) -> None:
    assert one.overlaps(other) is other.overlaps(one) is overlap
