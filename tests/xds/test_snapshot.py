"""The snapshot as a whole: deterministic, complete, and stable where nothing changed."""

import dataclasses
import hashlib
import os
import subprocess
import sys
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.control.health import HealthView
from extproc.control.readmission import readmit
from extproc.control.state import State, admitted, healthy
from extproc.core.offers import Document
from extproc.core.resources import Candidate, Model
from extproc.xds.encode import encode
from extproc.xds.endpoint_routes import by_path
from extproc.xds.endpoints import splits
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.snapshot import CLUSTER, LISTENER, REMEMBERED, ROUTES, RUNTIME, Snapshot, build, version_of
from extproc.xds.world import Options, World
from tests.control.changing import documents
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.worlds import IRIS, WORLDS

AB = an_experiment("ab", {"iris": 1, "iris2": 1}, default="iris", mirror=("iris3", 1000))

DIGEST = """
from tests.xds.test_snapshot import digest
print(digest())
"""


def digest() -> str:
    """A hash over the snapshots of all worlds."""
    summed = hashlib.sha256()
    for world in WORLDS.values():
        built = build(world, Options())
        for resources in built.resources.values():
            for name, body in resources.items():
                summed.update(name.encode() + b"\0" + body)
        summed.update("\0".join(sorted(built.decided)).encode())
    return summed.hexdigest()


def test_equal_worlds_have_equal_bytes_in_every_process() -> None:
    environment = {**os.environ, "PYTHONHASHSEED": "1"}  # this process has another one
    done = subprocess.run(
        [sys.executable, "-c", DIGEST], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == digest()


def reordered(world: World) -> World:
    return dataclasses.replace(
        world,
        experiments=world.experiments[::-1],
        models=dict(reversed(list(world.models.items()))),
        clusters=dict(reversed(list(world.clusters.items()))),
        routes=world.routes[::-1],
    )


def test_the_order_of_arrival_does_not_matter() -> None:
    world = a_world(IRIS, [AB, an_experiment("other", {"iris2": 1})])
    assert build(world, Options()) == build(reordered(world), Options())


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_remembered_is_what_would_be_built(name: str) -> None:
    remembered = build(WORLDS[name], Options())
    for function in REMEMBERED:
        function.forget()
    assert build(WORLDS[name], Options()) == remembered


@given(st.data())
def test_what_was_built_piece_by_piece_is_what_is_built_at_once(data: st.DataObject) -> None:
    """However the resources came to be what they are."""
    state, before = State(), tuple[Document, ...]()
    for _ in range(data.draw(st.integers(1, 6))):
        offered = data.draw(documents(before))
        state, before = admitted(state, readmit(state.admission, before, offered)), offered
        state = healthy(state, data.draw(st.sampled_from([None, HealthView({"m0": True}), HealthView({"m1": True})])))
        world = state.world()
        built = build(world, Options())
        running = splits(world)
        for routes in (inference_routes(world, running), mirror_routes(running)):
            assert built.resources[ROUTES][routes["name"]] == encode("envoy.config.route.v3.RouteConfiguration", routes)
    for function in REMEMBERED:
        function.forget()
    assert build(world, Options()) == built


@given(st.data())
def test_routes_that_were_served_are_served_again_as_long_as_numbers_make_up_for_all(data: st.DataObject) -> None:
    state, before = State(), tuple[Document, ...]()
    served: Snapshot | None = None
    for _ in range(data.draw(st.integers(1, 6))):
        offered = data.draw(documents(before))
        state, before = admitted(state, readmit(state.admission, before, offered)), offered
        state = healthy(state, data.draw(st.sampled_from([None, HealthView({"m0": True}), HealthView({"m1": True})])))
        world, last = state.world(), served
        served = build(world, Options(), last)
        running = splits(world)
        for split in running:
            name = split.experiment.name
            assert {**served.written[name].numbers, **served.overrides.get(name, {})} == split.numbers
        fresh = build(world, Options())
        if last is None or served.resources[ROUTES] != last.resources[ROUTES]:
            assert served == fresh
        written = tuple(served.written.values())
        for routes in (inference_routes(world, written), mirror_routes(written)):
            body = encode("envoy.config.route.v3.RouteConfiguration", routes)
            assert served.resources[ROUTES][routes["name"]] == body
        for url in (CLUSTER, LISTENER):
            assert served.resources[url] == fresh.resources[url]
        for url in served.resources:
            assert served.version(url) == version_of(served.resources[url])


def test_a_weight_touches_only_the_runtime_of_who_takes_one() -> None:
    before = build(a_world(IRIS, [AB]), Options())
    weighted = dataclasses.replace(AB, candidates=(Candidate("iris", 9), Candidate("iris2", 1)))
    after = build(a_world(IRIS, [weighted]), Options(), before)
    assert changed(before, after) == {"extproc"}
    assert after.resources[ROUTES] is before.resources[ROUTES]
    assert changed(before, build(a_world(IRIS, [AB]), Options(), after)) == set()


def test_a_version_is_that_of_the_content() -> None:
    built = build(WORLDS["mirror"], Options())
    for url, resources in built.resources.items():
        assert built.version(url) == version_of(dict(reversed(list(resources.items()))))


def test_many_candidates_are_no_more_than_many() -> None:
    """What one experiment's routes are made of is not gone through again for each of them."""
    candidates = 200
    models = [a_model(f"m{i}", 1) for i in range(candidates)]
    trial = an_experiment("many", {model.name: 1 for model in models}, default="m0")
    split = splits(a_world(models, [trial]))[0]
    looked_at = 0

    def counted(model: Model) -> bool:
        nonlocal looked_at
        looked_at += 1
        return bool(model.endpoints)

    with patch.object(Model, "speaks_http", property(counted)):
        by_path("m0", split)
    assert looked_at < 10 * candidates


def changed(one: Snapshot, other: Snapshot) -> set[str]:
    return {
        name
        for url, resources in one.resources.items()
        for name, body in resources.items()
        if other.resources[url].get(name) != body
    }


def test_a_weight_touches_only_the_routes() -> None:
    before = build(a_world(IRIS, [AB]), Options())
    weighted = dataclasses.replace(AB, candidates=(Candidate("iris", 9), Candidate("iris2", 1)))
    after = build(a_world(IRIS, [weighted]), Options())
    assert changed(before, after) == {"inference"}
    assert before.resources[CLUSTER] == after.resources[CLUSTER]
    assert before.decided == after.decided


def test_what_is_in_it() -> None:
    built = build(a_world([*IRIS, a_model("g", grpc=5)], [AB]), Options())
    assert set(built.resources) == {LISTENER, CLUSTER, ROUTES, RUNTIME}
    assert list(built.resources[LISTENER]) == ["inference", "mirrors"]
    assert list(built.resources[ROUTES]) == ["inference", "mirrors"]
    assert list(built.resources[CLUSTER]) == ["extproc", "g/grpc", "iris", "iris2", "iris3", "mirrors"]


def test_decided_routes_are_those_of_defined_candidates_for_what_they_speak() -> None:
    models = [a_model("a", 1), a_model("b", 1, grpc=2), a_model("c", grpc=3), a_model("m", 1)]
    experiment = an_experiment("x", {"a": 1, "b": 0, "c": 1, "gone": 1}, mirror=("m", 1))
    built = build(a_world(models, [experiment], down=["a"]), Options())
    assert built.decided == {"x/a", "x/b", "x/b/grpc", "x/c/grpc"}
    for name in built.decided:
        assert name.encode() in built.resources[ROUTES]["inference"]
    assert b"x/gone" not in built.resources[ROUTES]["inference"]
