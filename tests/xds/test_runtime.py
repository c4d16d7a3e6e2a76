"""Which changes need no other routes, and that a runtime makes of the old routes exactly what the new ones would do.

Envoy's random value is played through: every place where anybody's part could end, and the millionth before it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import assume, given, settings

from extproc.core.matches import Match
from extproc.core.resources import MILLION, Candidate, Experiment, Mirror, WhenUnavailable
from extproc.core.units import OnMissing, Stickiness, UnitSource
from extproc.xds.encode import encode, plain
from extproc.xds.endpoints import Split, splits
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.runtime import alike, meanwhile, overrides, resource, settled
from extproc.xds.world import World
from tests.xds.given import a_cluster, a_model, a_world
from tests.xds.random_values import ends, fractions, goes, lists, without_numbers

NAMES = ("a", "b", "c")
MODELS = [
    a_model("a", 1, grpc=2),
    a_model("b", 3, grpc=4, version=2),
    a_model("c", 5),
    a_model("m", 6),
    a_model("n", 7),
]
CLUSTERS = [a_cluster(name) for name in (*NAMES, "m", "n")]
RATES = (0, 1, 10_000, 500_000, MILLION)
HEADER, QUERY = Stickiness(UnitSource.HEADER, "x-user"), Stickiness(UnitSource.QUERY, "user")


def matching(percent: int | None) -> Match | None:
    return None if percent is None else Match.of({"runtime_fraction": {"default_value": {"numerator": percent}}})


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    """Of few kinds, so that two of them often differ in numbers alone."""
    clusters = draw(st.sampled_from([False, False, True]))
    weights = draw(st.lists(st.integers(0, 3), min_size=2, max_size=3).filter(any))
    rates = draw(st.lists(st.sampled_from(RATES), max_size=2))
    stickiness = draw(st.sampled_from([None, None, HEADER, QUERY, replace(QUERY, on_missing=OnMissing.DEFAULT)]))
    match = matching(draw(st.sampled_from([None, None, 0, 5, 50, 100])))

    def name(name: str) -> tuple[str, str]:
        return ("", name) if clusters else (name, "")

    named = [(Candidate(name(n)[0], weight, name(n)[1])) for n, weight in zip(NAMES, weights, strict=False)]
    copied = [Mirror(name(n)[0], rate, name(n)[1]) for n, rate in zip("mn", rates, strict=False)]
    return Experiment(
        "e",
        tuple(named),
        default="a",
        mirrors=tuple(copied),
        stickiness=stickiness,
        holdout=draw(st.sampled_from([0, 0, 5, 300_000])),
        match=Match.of({"prefix": "/x", **(match.body if match else {})}) if clusters else match,
        when_unavailable=draw(st.sampled_from(WhenUnavailable)),
    )


DOWN = st.sets(st.sampled_from([*NAMES, "cluster/b"]), max_size=2)


@st.composite
def changes(draw: st.DrawFn) -> tuple[World, World]:
    """Mostly of numbers alone."""
    before, other = draw(experiments()), draw(experiments())
    mirrors = tuple(replace(mirror, millionths=draw(st.sampled_from(RATES))) for mirror in before.mirrors)
    weights = draw(st.lists(st.integers(0, 3), min_size=3, max_size=3).filter(lambda found: any(found[:2])))
    after = replace(
        before,
        candidates=tuple(replace(c, weight=w) for c, w in zip(before.candidates, weights, strict=False)),
        mirror=None,
        mirrors=mirrors,
        holdout=other.holdout if before.holdout else 0,
    )
    return world(before, draw(DOWN)), world(draw(st.sampled_from([after, after, other])), draw(DOWN))


WORLDS = st.tuples(experiments(), DOWN).map(lambda given: world(*given))


def world(experiment: Experiment, down: set[str]) -> World:
    return a_world(MODELS, [experiment], clusters=CLUSTERS, down=down)


def written(given: World) -> tuple[dict[str, Any], Split]:
    """All routes as JSON, and the split that they were written for."""
    running = splits(given)
    return plain([inference_routes(given, running), mirror_routes(running)]), running[0]


def flat(held: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {key: number for of_one in held.values() for key, number in of_one.items()}


@settings(max_examples=60)
@given(WORLDS)
def test_every_number_has_a_key_and_is_known_by_it(given: World) -> None:
    routes, split = written(given)
    for fraction in fractions(routes):
        number, key = fraction["default_value"]["numerator"], fraction.get("runtime_key")
        if key is None:
            assert number == MILLION, "only what is always the case has no key"
        else:
            assert split.numbers[key] == number


@settings(max_examples=100)
@given(changes())
def test_what_is_alike_has_the_same_routes_but_for_numbers_and_a_runtime_makes_up_for_these(
    change: tuple[World, World],
) -> None:
    before, after = change
    (old, one), (new, other) = written(before), written(after)
    assume(alike(one, other))
    assert without_numbers(old) == without_numbers(new)
    runtime = flat(overrides({"e": one}, {"e": other}, {}, {}))
    places = ends(old, new)
    for old_list, new_list in zip(lists(old), lists(new), strict=True):
        for random in places:
            assert goes(old_list, random, runtime) == goes(new_list, random, {})


@settings(max_examples=60)
@given(changes())
def test_what_has_other_routes_is_not_alike(change: tuple[World, World]) -> None:
    (old, one), (new, other) = map(written, change)
    if without_numbers(old) != without_numbers(new):
        assert settled({"e": one}, {}, [other]) == (other,)
        assert settled({"e": one}, {"e": other}, [other]) == (one,), "what was compared once is not compared again"


@pytest.mark.parametrize(
    ("change", "settles"),
    [
        ({"candidates": (Candidate("a", 1), Candidate("b", 99))}, True),
        ({"candidates": (Candidate("a", 0), Candidate("b", 1))}, True),
        ({"mirror": Mirror("m", 999_999)}, True),
        ({"holdout": 1}, True),
        ({"match": matching(6)}, True),
        ({"mirror": Mirror("m", 0)}, False),
        ({"mirror": Mirror("n", 100)}, False),
        ({"mirror": None}, False),
        ({"holdout": 0}, False),
        ({"match": matching(100)}, False),
        ({"match": matching(0)}, False),
        ({"match": None}, False),
        ({"match": Match.of({"headers": [{"name": "x"}], **matching(5).body})}, False),  # type: ignore[union-attr]
        ({"candidates": (Candidate("b", 1), Candidate("a", 1))}, False),
        ({"candidates": (Candidate("a", 1), Candidate("b", 1), Candidate("c", 0))}, False),
        ({"default": "b"}, False),
        ({"timeout": 5}, False),
        ({"stickiness": replace(QUERY, key="other")}, False),
    ],
    ids=str,
)
def test_what_settles(change: dict[str, Any], settles: bool) -> None:
    base = Experiment(
        "e",
        (Candidate("a", 1), Candidate("b", 1)),
        default="a",
        mirror=Mirror("m", 100),
        holdout=5,
        match=matching(5),
        stickiness=QUERY,
    )
    others: dict[str, Any] = {"mirrors": ()} if "mirror" in change else {}
    changed = replace(base, **others, **change)
    before, after = splits(world(base, set())), splits(world(changed, set()))
    assert (settled({"e": before[0]}, {}, after) == before) is settles


@pytest.mark.parametrize("down", [{"b"}, {"a"}, {"c"}])
def test_who_is_not_ready_is_a_number_too(down: set[str]) -> None:
    trial = Experiment("e", tuple(Candidate(name, 1) for name in NAMES), default="a")
    (before,), (after,) = splits(world(trial, set())), splits(world(trial, down))
    assert before is not after
    assert alike(before, after)


def test_nobody_ready_is_none() -> None:
    trial = Experiment("e", (Candidate("b", 1), Candidate("c", 1)))
    (before,), (after,) = splits(world(trial, set())), splits(world(trial, {"b", "c"}))
    assert not alike(before, after)


def test_units_of_a_header_are_shared_out_by_a_hash_which_no_runtime_changes() -> None:
    base = Experiment("e", (Candidate("a", 1), Candidate("b", 1)), mirror=Mirror("m", 5), stickiness=HEADER)
    (before,) = splits(world(base, set()))
    (weighed,) = splits(world(replace(base, candidates=(Candidate("a", 2), Candidate("b", 1))), set()))
    (copied,) = splits(world(replace(base, mirror=Mirror("m", 6), mirrors=()), set()))
    assert not alike(before, weighed)
    assert alike(before, copied)


@pytest.mark.parametrize("percent", [None, 100])
def test_what_shares_out_a_part_of_the_requests_has_other_keys_than_what_shares_out_all(percent: int | None) -> None:
    """Only the one has a number for its last route: mixed, the last candidate would get what nobody shall have."""
    base = Experiment("e", (Candidate("a", 7), Candidate("b", 3)), default="a", mirror=Mirror("m", 100), holdout=5)
    (whole,) = splits(world(replace(base, match=matching(percent)), set()))
    (part,) = splits(world(replace(base, match=matching(5)), set()))
    for old, new in ((whole, part), (part, whole)):
        assert not old.numbers.keys() & new.numbers.keys()
        assert meanwhile([{"e": old}], {"e": new}, {}, {}) == {}


def split(name: str, *weights: int, mirror: int = 0) -> Split:
    copied = Mirror("m", mirror) if mirror else None
    trial = Experiment(name, tuple(Candidate(n, w) for n, w in zip(NAMES, weights, strict=False)), mirror=copied)
    return splits(world(trial, set()))[0]


def test_while_routes_are_on_their_way_no_number_goes_back() -> None:
    """The old ones hold what is in effect now; and what is to go with them stays as it was to the end."""
    old, weighed, other = split("e", 1, 1), split("e", 3, 1), split("e", 1, 1, 2)
    gone, gone_weighed = split("gone", 1, 1), split("gone", 1, 3)
    held, sent = {"e": old, "gone": gone}, overrides({"gone": gone}, {"gone": gone_weighed}, {}, {})
    assert flat(sent) == {"extproc.gone.http.a,b.0": 250_000, "extproc.gone.grpc.a,b.0": 250_000}
    # An unrelated change sends routes that have the new weights in them, and those of `gone` no more.
    now = meanwhile([held], {"e": weighed}, {}, sent)
    assert flat(now) == {**flat(sent), "extproc.e.http.a,b.0": 750_000, "extproc.e.grpc.a,b.0": 750_000}
    # Another list has other keys: the old one goes on as it was.
    assert meanwhile([{"e": old}], {"e": other}, {}, {}) == {}
    # What is needed by the routes to come is there before them.
    assert meanwhile([], {"e": weighed}, {"e": {"k": 1}}, {}) == {"e": {"k": 1}}


def test_what_was_worked_out_before_is_not_worked_out_again() -> None:
    old, weighed = split("e", 1, 1), split("e", 3, 1)
    known = {"e": {"made up": 1}}
    assert overrides({"e": old}, {"e": weighed}, {"e": weighed}, known) == known
    assert overrides({"e": old}, {"e": old}, {"e": weighed}, known) == {}


@given(st.dictionaries(st.text("ab.,>é", min_size=1), st.integers(0, MILLION)))
def test_the_resource_is_a_runtime_of_fractional_percents(held: dict[str, int]) -> None:
    layer = {key: {"numerator": number, "denominator": "MILLION"} for key, number in held.items()}
    expected = encode("envoy.service.runtime.v3.Runtime", {"name": "extproc", "layer": layer})
    assert resource({key: {key: number} for key, number in held.items()}) == expected


def test_many_names_make_a_short_key() -> None:
    many = tuple(a_model(f"model-{i}") for i in range(300))
    trial = Experiment("e", tuple(Candidate(model.name, 1) for model in many), default="model-0")
    keys = splits(a_world(many, [trial]))[0].numbers.keys()
    assert len(keys) >= 299
    assert max(map(len, keys)) < 50
