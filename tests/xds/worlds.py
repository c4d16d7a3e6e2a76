"""One world of each kind, for what has to hold for all of them."""

from typing import Final

from extproc.core.resources import Model, ResourceType, Retry
from extproc.xds.world import World
from tests.xds.given import a_cluster, a_model, a_world, an_experiment, some_routes

IRIS: Final = (
    a_model("iris", 8081),
    a_model("iris2", 8082, served_name="iris-v2", version=2),
    a_model("iris3", 8083, served_name="third"),
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
    "waiting": a_world(IRIS, [an_experiment("later", {"iris": 1, "nobody": 1}, mirror=("no-one", 5))], down=["iris"]),
    "own": a_world(
        [Model("iris", cluster="mine", grpc_cluster="missing")],
        [an_experiment("e", {"iris": 1})],
        clusters=[a_cluster("mine")],
        routes=[some_routes("web", {"match": {"path": "/"}, "direct_response": {"status": 204}})],
    ),
}
