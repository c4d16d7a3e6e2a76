"""The whole configuration of Envoy, derived from the resources and encoded for ADS.

Pure and deterministic: equal worlds give equal bytes in every process, so a version can be a hash of content.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from extproc import names
from extproc.core.resources import Kind, Model, PassThrough
from extproc.xds import (
    clusters,
    endpoint_routes,
    endpoints,
    inference,
    mirrors,
    passthrough,
    schema,
    shapes,
    tracing,
    workers,
)
from extproc.xds.encode import Encoded, encode
from extproc.xds.endpoints import Split, splits
from extproc.xds.filling import Filling
from extproc.xds.http import rds
from extproc.xds.matching import Leaf
from extproc.xds.model_routes import speaks
from extproc.xds.remembered import Remembered
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.schema import TYPE_URL
from extproc.xds.world import Options, World
from extproc.xds.writers import entry

__all__ = ["CLUSTER", "LISTENER", "ROUTES", "Options", "Snapshot", "World", "build"]

PASSING_AFTER: Final = 512  # entries; what their routes share is by far the largest part of a build

LISTENER: Final = TYPE_URL + "envoy.config.listener.v3.Listener"
CLUSTER: Final = Kind.CLUSTER.value
ROUTES: Final = Kind.ROUTES.value


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Snapshot:
    """One consistent configuration.

    `resources` holds, by type URL and name, each resource as its serialised message (not wrapped in an Any).
    `decided` holds the names of all decided routes that are in it (`names.decided_route`).
    """

    resources: Mapping[str, Mapping[str, bytes]]
    decided: frozenset[str]
    _versions: dict[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)

    def version(self, url: str) -> str:
        """The version of all resources of one type; hashed when it is first asked for."""
        if url not in self._versions:
            self._versions[url] = version_of(self.resources.get(url, {}))
        return self._versions[url]


def version_of(resources: Mapping[str, bytes]) -> str:
    """A content hash: the same resources have the same version in every process."""
    parts = [part for name, body in sorted(resources.items()) for part in (name.encode(), body)]
    # In one go: a hundred MiB are hashed beside the other threads, and ten thousand small parts would be with them.
    hashed = hashlib.sha256(b"".join([piece for part in parts for piece in (len(part).to_bytes(8, "big"), part)]))
    return hashed.hexdigest()[:16]


def build(world: World, options: Options) -> Snapshot:
    """The configuration for `world`. Raises InvalidResource for a resource that `passthrough.problems` objects to.

    What did not change since the last time is remembered as bytes; the rest of a build is to put them together.
    """
    running = splits(world)
    routes = [inference_routes(world, running, _remembered), mirror_routes(running, _remembered)]
    built = Snapshot(
        {
            CLUSTER: dict(sorted(_clusters(world, options))),
            ROUTES: {r["name"]: encode("envoy.config.route.v3.RouteConfiguration", r) for r in routes},
            LISTENER: dict(_listeners(options, world.filters)),
        },
        frozenset(chain.from_iterable(map(_decided, running))),
    )
    for url in built.resources:
        built.version(url)  # now, beside the event loop
    for function in REMEMBERED:
        function.end_round()
    _forget_passing()
    for passing in shapes.PASSING:
        passing.forget()
    return built


def _remembered(found: Iterable[Leaf]) -> Encoded | None:
    """The map of a tree as bytes, each entry made once."""
    entries: dict[str, bytes] = {}
    for leaf in found:
        entries[leaf[0]] = _entry(*leaf)
        if len(entries) % PASSING_AFTER == 0:
            _forget_passing()
    return Encoded({}, b"".join([entries[key] for key in sorted(entries)])) if entries else None


def _forget_passing() -> None:
    for function in endpoint_routes.PASSING:
        function.forget()


@Remembered
def _entry(key: str, made: Callable[..., Encoded], given: tuple[Any, ...]) -> bytes:
    return entry(schema.fields(schema.find(_MATCH_MAP))["map"].number, key, FILLING.write(made, given))


FILLING: Final = Filling()


def _clusters(world: World, options: Options) -> Iterator[tuple[str, bytes]]:
    for name, resource in world.clusters.items():
        yield name, passthrough.encoded(resource)
    for model in world.models.values():
        yield from _model_clusters(model)
    for own in (workers.cluster(options), mirrors.cluster(), *tracing.clusters(options.tracing)):
        yield own["name"], encode("envoy.config.cluster.v3.Cluster", own)


@Remembered
def _model_clusters(model: Model) -> tuple[tuple[str, bytes], ...]:
    return tuple((c["name"], encode("envoy.config.cluster.v3.Cluster", c)) for c in clusters.clusters(model))


@Remembered
def _decided(split: Split) -> tuple[str, ...]:
    return tuple(
        names.decided_route(split.experiment.name, name, protocol)
        for name, model in split.decisions
        for protocol in names.PROTOCOLS
        if speaks(model, protocol)
    )


_MATCH_MAP: Final = "xds.type.matcher.v3.MatcherMatcherTreeMatchMap"
REMEMBERED: Final[tuple[Remembered[*tuple[Any, ...], Any], ...]] = (
    _entry,
    _model_clusters,
    _decided,
    *endpoints.REMEMBERED,
)


@lru_cache(maxsize=8)
def _listeners(options: Options, filters: tuple[PassThrough, ...]) -> tuple[tuple[str, bytes], ...]:
    listeners = (
        inference.listener(options, rds(names.INFERENCE_ROUTES), passthrough.filters(filters)),
        mirrors.listener(options, rds(names.MIRRORS)),
    )
    return tuple((each["name"], encode("envoy.config.listener.v3.Listener", each)) for each in listeners)
