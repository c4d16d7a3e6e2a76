"""The whole configuration of Envoy, derived from the resources and encoded for ADS.

Pure and deterministic: equal worlds give equal bytes in every process, so a version can be a hash of content.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain
from typing import Any, Final

from extproc import names
from extproc.core.differences import differing
from extproc.core.resources import Kind, Model, PassThrough
from extproc.xds import (
    clusters,
    endpoint_routes,
    endpoints,
    inference,
    mirrors,
    passthrough,
    runtime,
    schema,
    shapes,
    tracing,
    workers,
)
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.encode import Encoded, encode
from extproc.xds.endpoints import Split, splits
from extproc.xds.filling import Filling
from extproc.xds.http import rds
from extproc.xds.matching import Leaf
from extproc.xds.model_routes import speaks
from extproc.xds.remembered import Remembered
from extproc.xds.route_configurations import inference_routes, mirror_routes
from extproc.xds.runtime import Overrides, Splits
from extproc.xds.vast import Vast
from extproc.xds.world import Options, World
from extproc.xds.writers import entry

__all__ = ["CLUSTER", "LISTENER", "ROUTES", "RUNTIME", "Options", "Snapshot", "World", "build"]

PASSING_AFTER: Final = 512  # entries; what their routes share is by far the largest part of a build

LISTENER: Final = TYPE_URL + "envoy.config.listener.v3.Listener"
CLUSTER: Final = Kind.CLUSTER.value
RUNTIME: Final = TYPE_URL + "envoy.service.runtime.v3.Runtime"
ROUTES: Final = Kind.ROUTES.value


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Snapshot:
    """One consistent configuration.

    `resources` holds, by type URL and name, each resource as its serialised message (not wrapped in an Any).
    `decided` holds the names of all decided routes that are in it (`names.decided_route`). `running` are the splits in
    effect, and `written` those that its routes were written for: where they differ, `overrides` makes up for it.
    """

    resources: Mapping[str, Mapping[str, bytes]]
    decided: frozenset[str]
    running: Splits = field(default_factory=dict, repr=False, compare=False)
    written: Splits = field(default_factory=dict, repr=False, compare=False)
    overrides: Overrides = field(default_factory=dict)
    made_of: tuple[object, ...] = field(default=(), repr=False, compare=False)
    moves: Mapping[str, object] | None = field(default=None, repr=False, compare=False)
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


def build(world: World, options: Options, served: Snapshot | None = None) -> Snapshot:
    """The configuration for `world`. Raises InvalidResource for a resource that `passthrough.problems` objects to.

    `served` is what Envoy was sent last, where it takes a runtime too: if only numbers are others than in that, it is
    what is sent again, with a runtime that makes up for them. Else all numbers are in the routes; what did not change
    since the last time is remembered as bytes, and the rest of a build is to put them together.
    """
    running = splits(world, unmoved(world, served))
    made_of = (options, world.models, world.clusters, world.routes, world.filters)
    if served is not None and served.made_of == made_of:
        written = runtime.settled(served.written, served.running, running)
        if written == tuple(served.written.values()):
            for function in endpoints.REMEMBERED:
                function.end_round()
            return _resettled(served, running, world.moves)
    return _built(world, options, running, made_of)


def unmoved(world: World, served: Snapshot | None) -> Splits:
    """The splits that are as they were served."""
    if served is None or served.moves is None or world.moves is None:
        return {}
    moved = set(differing(served.moves, world.moves))
    return {name: split for name, split in served.running.items() if name not in moved}


def _resettled(served: Snapshot, running: tuple[Split, ...], moves: Mapping[str, object] | None) -> Snapshot:
    """The same routes for other numbers."""
    now = {split.experiment.name: split for split in running}
    needed = runtime.overrides(served.written, now, served.running, served.overrides)
    resources = {**served.resources, RUNTIME: {names.RUNTIME_LAYER: runtime.resource(needed)}}
    settled = replace(served, resources=resources, running=now, overrides=needed, moves=moves)
    settled._versions.update({url: served.version(url) for url in resources if url != RUNTIME})  # noqa: SLF001
    settled.version(RUNTIME)
    return settled


def _built(world: World, options: Options, running: tuple[Split, ...], made_of: tuple[object, ...]) -> Snapshot:
    by_name = {split.experiment.name: split for split in running}
    routes = [inference_routes(world, running, _remembered), mirror_routes(running, _remembered)]
    built = Snapshot(
        {
            CLUSTER: dict(sorted(_clusters(world, options))),
            ROUTES: {r["name"]: encode("envoy.config.route.v3.RouteConfiguration", r) for r in routes},
            LISTENER: dict(_listeners(options, world.filters)),
            RUNTIME: {names.RUNTIME_LAYER: runtime.resource({})},
        },
        frozenset(chain.from_iterable(map(_decided, running))),
        running=by_name,
        written=by_name,
        made_of=made_of,
        moves=world.moves,
    )
    for url in built.resources:
        built.version(url)  # now, beside the event loop
    for function in REMEMBERED:
        function.end_round()
    _forget_passing()
    for passing in shapes.PASSING:
        passing.forget()
    return built


def _remembered(found: Iterable[Leaf]) -> Vast | None:
    """The map of a tree as bytes, each entry made once."""
    entries: dict[str, bytes] = {}
    for leaf in found:
        entries[leaf[0]] = _entry(*leaf)
        if len(entries) % PASSING_AFTER == 0:
            _forget_passing()
    return Vast([entries[key] for key in sorted(entries)]) if entries else None


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
