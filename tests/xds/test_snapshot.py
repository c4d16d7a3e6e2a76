"""The snapshot as a whole: deterministic, complete, and stable where nothing changed."""

import dataclasses
import hashlib
import os
import subprocess
import sys

import pytest

from extproc.core.resources import Candidate
from extproc.xds.snapshot import CLUSTER, LISTENER, REMEMBERED, ROUTES, Snapshot, build
from extproc.xds.world import Options, World
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
    assert set(built.resources) == {LISTENER, CLUSTER, ROUTES}
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
