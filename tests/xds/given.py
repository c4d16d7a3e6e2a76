"""Worlds for tests, in few words."""

from collections.abc import Iterable, Mapping
from typing import Any

from extproc import names
from extproc.core.matches import Match
from extproc.core.resources import Candidate, Endpoint, Experiment, Kind, Mirror, Model, PassThrough
from extproc.names import Protocol
from extproc.xds.model_routes import speaks
from extproc.xds.world import World


def a_model(name: str, *ports: int, grpc: int = 0, **fields: Any) -> Model:
    """A Model on 127.0.0.1; without any port it is served on one that nobody listens on."""
    return Model(
        name,
        endpoints=tuple(Endpoint("127.0.0.1", port) for port in ports or ((1,) if not grpc else ())),
        grpc_endpoints=(Endpoint("127.0.0.1", grpc),) if grpc else (),
        **fields,
    )


def an_experiment(
    name: str, weights: Mapping[str, int], *, mirror: tuple[str, int] | None = None, **fields: Any
) -> Experiment:
    """`mirror` is its name and millionths."""
    candidates = tuple(Candidate(candidate, weight) for candidate, weight in weights.items())
    return Experiment(name, candidates, mirror=Mirror(*mirror) if mirror else None, **fields)


def between_clusters(
    name: str,
    weights: Mapping[str, int],
    match: Mapping[str, Any],
    *,
    mirror: tuple[str, int] | None = None,
    **fields: Any,
) -> Experiment:
    """`weights` are by cluster, `mirror` is a cluster and millionths."""
    candidates = tuple(Candidate("", weight, cluster) for cluster, weight in weights.items())
    copied = Mirror("", mirror[1], mirror[0]) if mirror else None
    return Experiment(name, candidates, mirror=copied, match=Match.of(match), **fields)


def a_cluster(name: str, port: int = 1, **more: Any) -> PassThrough:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    body = {
        "name": name,
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        **more,
    }
    return PassThrough(Kind.CLUSTER, name, body)


def some_routes(name: str, *routes: dict[str, Any]) -> PassThrough:
    host = {"name": name, "domains": ["*"], "routes": list(routes)}
    return PassThrough(Kind.ROUTES, name, {"name": name, "virtual_hosts": [host]})


def a_world(
    models: Iterable[Model] = (),
    experiments: Iterable[Experiment] = (),
    *,
    clusters: Iterable[PassThrough] = (),
    routes: Iterable[PassThrough] = (),
    down: Iterable[str] = (),
) -> World:
    """Every model is usable but those in `down`."""
    by_name = {model.name: model for model in models}
    not_usable = frozenset(down)
    own = {c.name: c for c in clusters}

    def usable(name: str, protocol: Protocol) -> bool:
        if name in not_usable:
            return False
        cluster = names.backend_cluster(name)
        return cluster in own if cluster else name in by_name and speaks(by_name[name], protocol)

    return World(tuple(experiments), by_name, own, tuple(routes), usable)
