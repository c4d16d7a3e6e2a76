"""The whole configuration of Envoy, derived from the resources and encoded for ADS.

Pure and deterministic: equal worlds give equal bytes in every process, so a version can be a hash of content.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from extproc import names
from extproc.core.resources import Kind, Model
from extproc.xds import clusters, endpoint_routes, inference, mirrors, passthrough, tracing
from extproc.xds.encode import encode
from extproc.xds.endpoints import Split, splits
from extproc.xds.http import rds
from extproc.xds.model_routes import speaks
from extproc.xds.remembered import Remembered
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.schema import TYPE_URL
from extproc.xds.world import Options, World

__all__ = ["CLUSTER", "LISTENER", "ROUTES", "Options", "Snapshot", "World", "build"]

LISTENER: Final = TYPE_URL + "envoy.config.listener.v3.Listener"
CLUSTER: Final = Kind.CLUSTER.value
ROUTES: Final = Kind.ROUTES.value


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One consistent configuration.

    `resources` holds, by type URL and name, each resource as its serialised message (not wrapped in an Any).
    `decided` holds the names of all decided routes that are in it (`names.decided_route`).
    """

    resources: Mapping[str, Mapping[str, bytes]]
    decided: frozenset[str]


def build(world: World, options: Options) -> Snapshot:
    """The configuration for `world`. Raises InvalidResource for a resource that `passthrough.problems` objects to.

    What did not change since the last time is remembered, and a new endpoint takes about half a millisecond.
    """
    running = splits(world)
    routes = [inference_routes(world, running), mirror_routes(running)]
    built = Snapshot(
        {
            CLUSTER: dict(sorted(_clusters(world, options))),
            ROUTES: {r["name"]: encode("envoy.config.route.v3.RouteConfiguration", r) for r in routes},
            LISTENER: dict(_listeners(options)),
        },
        frozenset(_decided(running)),
    )
    for function in REMEMBERED:
        function.end_round()
    return built


def _clusters(world: World, options: Options) -> Iterator[tuple[str, bytes]]:
    for name, resource in world.clusters.items():
        yield name, passthrough.encoded(resource)
    for model in world.models.values():
        yield from _model_clusters(model)
    for own in (mirrors.cluster(), *tracing.clusters(options.tracing)):
        yield own["name"], encode("envoy.config.cluster.v3.Cluster", own)


@Remembered
def _model_clusters(model: Model) -> tuple[tuple[str, bytes], ...]:
    return tuple((c["name"], encode("envoy.config.cluster.v3.Cluster", c)) for c in clusters.clusters(model))


REMEMBERED: Final[tuple[Remembered[*tuple[Any, ...], Any], ...]] = (
    *endpoint_routes.REMEMBERED,
    mirrors.way,
    _model_clusters,
)


@lru_cache(maxsize=8)
def _listeners(options: Options) -> tuple[tuple[str, bytes], ...]:
    listeners = (
        inference.listener(options, rds(names.INFERENCE_ROUTES)),
        mirrors.listener(options, rds(names.MIRRORS)),
    )
    return tuple((each["name"], encode("envoy.config.listener.v3.Listener", each)) for each in listeners)


def _decided(running: tuple[Split, ...]) -> Iterator[str]:
    for split in running:
        for model in split.candidates:
            for protocol in names.PROTOCOLS:
                if speaks(model, protocol):
                    yield names.decided_route(split.experiment.name, model.name, protocol)
