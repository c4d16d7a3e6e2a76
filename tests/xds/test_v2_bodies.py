"""Where messages are renamed, and that nothing is on where nothing is to be renamed. What is done is in tests/e2e."""

from collections.abc import Iterator
from typing import Any, Final

import pytest

from extproc import names
from extproc.core.resources import Model, ResourceType
from extproc.xds import v2_bodies
from extproc.xds.encode import plain
from extproc.xds.endpoints import splits
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.world import World
from tests.xds.given import a_model, a_world, an_experiment

MILLION: Final = 1_000_000


def routes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every Route in a RouteConfiguration."""
    if isinstance(tree, dict):
        if "match" in tree and "name" in tree:
            yield tree
        for value in tree.values():
            yield from routes(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from routes(value)


def all_routes(world: World) -> list[dict[str, Any]]:
    running = splits(world)
    return [*routes(plain(inference_routes(world, running))), *routes(plain(mirror_routes(running)))]


def renaming(world: World) -> set[str]:
    """The names of the routes on which messages are renamed; each has the room for it."""
    on = [route for route in all_routes(world) if names.V2_WRITER in route.get("typed_per_filter_config", {})]
    assert all("request_body_buffer_limit" in route for route in on)
    return {route["name"] for route in on}


SAME: Final = [a_model(name, grpc=8190 + number, served_name="iris") for number, name in enumerate(("iris", "b", "c"))]
OTHERS: Final = [a_model(name, grpc=8190 + number, served_name=f"{name}-1") for number, name in enumerate("abc")]


def test_nothing_is_on_where_no_model_speaks_grpc() -> None:
    world = a_world([a_model("a", 8081, served_name="x"), a_model("b", 8082)], [an_experiment("e", {"a": 1, "b": 1})])
    configured = str(all_routes(world))
    assert not any(name in configured for name in (names.V2_GUARD, names.V2_READER, names.V2_NAMER, names.V2_WRITER))


def test_where_all_servers_know_the_name_that_is_called_messages_pass() -> None:
    experiment = an_experiment("e", {"iris": 1, "b": 1}, default="iris", mirror=("c", MILLION))
    on = renaming(a_world(SAME, [experiment]))
    # What is called by other names: the experiment by its own, the models b and c, and whoever no header names.
    assert on == {"message", "e/iris/grpc/fallback", "e/b/grpc/fallback", "endpoint.b/grpc", "endpoint.c/grpc"}
    tree = plain(inference_routes(a_world(SAME, [experiment]), splits(a_world(SAME, [experiment]))))
    (by_default,) = [
        found["iris"] for found in maps(tree, names.MODEL_HEADER) if "iris" in found and "e.experiment" in found
    ]
    assert not any(names.V2_WRITER in route.get("typed_per_filter_config", {}) for route in routes(by_default))


def maps(tree: Any, header: str) -> Iterator[dict[str, Any]]:
    """The maps in which a header is looked up."""
    if isinstance(tree, dict):
        looked_up = tree.get("matcher_tree")
        if looked_up and looked_up["input"]["name"] == header:
            yield looked_up["exact_match_map"]["map"]
        for value in tree.values():
            yield from maps(value, header)
    elif isinstance(tree, list):
        for value in tree:
            yield from maps(value, header)


def test_where_the_names_differ_every_first_route_renames_and_every_last_one_says_how() -> None:
    world = a_world(OTHERS, [an_experiment("e", {"a": 1, "b": 1}, default="a", mirror=("c", MILLION))])
    assert renaming(world) == {
        "message",
        *("e/a/grpc/fallback", "e/b/grpc/fallback", "e/c/grpc/mirror"),
        *("endpoint.b/grpc", "endpoint.c/grpc"),
    }
    said = {
        route["name"]: route["metadata"]["filter_metadata"][names.V2_WRITER]["model"]
        for route in all_routes(world)
        if names.V2_WRITER in route.get("metadata", {}).get("filter_metadata", {})
    }
    assert said == {
        "e/a/grpc": "a-1",
        "e/b/grpc": "b-1",
        "e/a/grpc/fallback": "a-1",
        "e/b/grpc/fallback": "b-1",
        "e/c/grpc/mirror": "c-1",
        "endpoint.b/grpc": "b-1",
        "endpoint.c/grpc": "c-1",
    }


@pytest.mark.parametrize(
    ("called", "served", "is_needed"),
    [
        ("iris", "iris", False),
        ("iris.pipeline", "iris", False),
        ("iris", "other", True),
        ("e.experiment", "e", True),
        ("e.experiment", "e.experiment", True),
    ],
)
def test_a_rename_is_needed_where_the_server_knows_another_name(called: str, served: str, is_needed: bool) -> None:
    assert v2_bodies.needed(called, [a_model("x", grpc=8191, served_name=served)]) is is_needed


def test_without_grpc_no_rename_is_needed() -> None:
    assert not v2_bodies.needed("iris", [a_model("x", 8081, served_name="other")])


def test_a_pipeline_is_renamed_as_a_model_is() -> None:
    world = a_world(OTHERS, [an_experiment("e", {"a": 1, "b": 1}, default="a", resource_type=ResourceType.PIPELINE)])
    assert {"e/a/grpc/fallback", "endpoint.b.pipeline/grpc"} <= renaming(world)


def test_extproc_is_not_asked_about_a_model_that_a_message_names() -> None:
    world = a_world([Model("a", grpc_cluster="mine", served_name="x")])
    (route,) = [route for route in all_routes(world) if route["name"] == "endpoint.a/grpc"]
    assert route["typed_per_filter_config"][names.EXT_PROC_FILTER]["config"]["disabled"] is True
