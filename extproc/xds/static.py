"""The whole configuration as one static file: to be read, to be validated, to be run without a control plane.

It is the same configuration that ADS serves, built by the same functions; only the way it is delivered differs. Run
without extproc it splits by itself, since that is what the intercept routes do when extproc does not answer.
"""

from typing import Any

from extproc.xds import clusters, inference, mirrors, passthrough, tracing, workers
from extproc.xds.bootstrap import common, xds
from extproc.xds.encode import Json, plain
from extproc.xds.endpoints import splits
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.world import Options, World


def static_config(world: World, options: Options) -> dict[str, Any]:
    """An Envoy bootstrap with everything in it, in proto3 JSON. Raises as `snapshot.build` does."""
    running = splits(world)
    generated = [cluster for model in world.models.values() for cluster in clusters.clusters(model)]
    given = [passthrough.body(resource) for resource in world.clusters.values()]
    config = {
        **common(options),
        "static_resources": {
            "listeners": [
                inference.listener(
                    options, _inline(inference_routes(world, running)), passthrough.filters(world.filters)
                ),
                mirrors.listener(options, _inline(mirror_routes(running))),
            ],
            "clusters": [
                workers.cluster(options),
                *([xds(options)] if options.outcomes else []),
                mirrors.cluster(),
                *tracing.clusters(options.tracing),
                *sorted([*generated, *given], key=lambda cluster: cluster["name"]),
            ],
        },
    }
    return plain(config)  # type: ignore[no-any-return]


def _inline(routes: Json) -> Json:
    # Over ADS a route may name a cluster that is still to come, and is served as soon as it does. The same holds here.
    return {"route_config": {**routes, "validate_clusters": False}}
