"""One world of each kind, for what has to hold for all of them."""

from typing import Final

from extproc.core.matches import Match
from extproc.core.resources import Api, Model, ResourceType, Retry
from extproc.core.units import Stickiness, UnitSource
from extproc.xds.world import World
from tests.xds.given import a_cluster, a_model, a_world, an_experiment, between_clusters, some_routes

IRIS: Final = (
    a_model("iris", 8081),
    a_model("iris2", 8082, served_name="iris-v2", version=2),
    a_model("iris3", 8083, served_name="third"),
)
CHATS: Final = (
    a_model("llama", 8084, served_name="meta-llama/Llama-3.1:8b", api=Api.OPENAI),
    a_model("qwen", 8085, version=3, api=Api.OPENAI),
    a_model("mini", 8086, api=Api.OPENAI),
)
BOTH: Final = (a_model("g1", 8091, grpc=8191), a_model("g2", grpc=8192), a_model("g3", 8093, grpc=8193))

WORLDS: Final[dict[str, World]] = {
    "nothing": a_world(),
    "plain": a_world(IRIS),
    "split": a_world(IRIS, [an_experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris")]),
    "mirror": a_world(
        IRIS, [an_experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris", mirror=("iris3", 100_000))]
    ),
    "policies": a_world(
        IRIS,
        [
            an_experiment(
                "iris-ab",
                {"iris": 2**32 - 1, "iris2": 1, "iris3": 0},
                timeout=1500,
                retry=Retry(3, ("5xx", "unavailable"), 250),
            )
        ],
    ),
    "grpc": a_world(BOTH, [an_experiment("g", {"g1": 1, "g2": 1}, default="g1", mirror=("g3", 1))]),
    "pipeline": a_world(
        IRIS, [an_experiment("p", {"iris": 1, "iris2": 1}, default="iris", resource_type=ResourceType.PIPELINE)]
    ),
    "openai": a_world(
        [*CHATS, *IRIS],
        [
            an_experiment("chat", {"llama": 70, "qwen": 30, "iris": 5}, default="llama", mirror=("mini", 100_000)),
            an_experiment("alone", {"mini": 1, "nobody": 1}, default="mini"),
        ],
        routes=[some_routes("web", {"match": {"prefix": "/"}, "direct_response": {"status": 204}})],
    ),
    "waiting": a_world(IRIS, [an_experiment("later", {"iris": 1, "nobody": 1}, mirror=("no-one", 5))], down=["iris"]),
    "matched": a_world(
        IRIS,
        [
            an_experiment(
                "iris-ab",
                {"iris": 70, "iris2": 30},
                default="iris",
                mirror=("iris3", 100_000),
                match=Match.of(
                    {
                        "prefix": "/v2",
                        "headers": [{"name": "x-user", "string_match": {"safe_regex": {"regex": "a|b"}}}],
                        "runtime_fraction": {"default_value": {"numerator": 5}},
                    }
                ),
                stickiness=Stickiness(UnitSource.HEADER, "x-user"),
                holdout=10_000,
            ),
            an_experiment("trial", {"iris": 1}, match=Match.of({"grpc": {}})),
        ],
    ),
    "clusters": a_world(
        IRIS,
        [
            between_clusters("shop", {"a": 1, "b": 1}, {"prefix": "/shop"}, default="a", mirror=("c", 5), holdout=5),
            between_clusters("later", {"missing": 1}, {}),
        ],
        clusters=[a_cluster(name) for name in "abc"],
        routes=[some_routes("web", {"match": {"path": "/"}, "direct_response": {"status": 204}})],
    ),
    "own": a_world(
        [Model("iris", cluster="mine", grpc_cluster="missing")],
        [an_experiment("e", {"iris": 1})],
        clusters=[a_cluster("mine")],
        routes=[some_routes("web", {"match": {"path": "/"}, "direct_response": {"status": 204}})],
    ),
}
