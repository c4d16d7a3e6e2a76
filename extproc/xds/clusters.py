"""One Envoy cluster for each model and protocol, with Envoy's own checks of whether the model answers."""

import ipaddress
from functools import cache
from typing import Final

from extproc import names
from extproc.core.resources import Endpoint, Model
from extproc.names import Protocol
from extproc.xds.encode import Json, once, pack
from extproc.xds.http import load_assignment, socket_address, upstream
from extproc.xds.model_routes import seconds

CONNECT_TIMEOUT: Final = "1s"

# uvicorn, which serves MLServer, closes a connection that was idle for 5 s. A request that Envoy sends at that moment
# is lost and can't be retried safely, since it may have been read. So Envoy closes first.
IDLE_TIMEOUT: Final = "4s"

# How long a readiness check may take. A model server that computes on its event loop answers late, not never: with
# two failures needed, it has to be silent for about five seconds to count as down.
CHECK_TIMEOUT: Final = "2s"
_FAILURES_UNTIL_DOWN: Final = 2

# Envoy's default of 1024 requests and connections is for services that answer in milliseconds. Here a queue is the
# model server's to keep; Envoy's limit only has to be there.
_MANY: Final = 1_000_000
UNLIMITED: Final = {
    "thresholds": [
        {
            "max_connections": _MANY,
            "max_pending_requests": _MANY,
            "max_requests": _MANY,
            # Of retries a limit is wanted: while everything fails, at most a fifth more load.
            "retry_budget": {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 10},
        }
    ]
}

# With no endpoint up, Envoy's default (a panic threshold of 50 %) would send requests to all of them, to fail slowly
# and each in its own way. And it holds changes of health back from its workers for a second, to merge them
# (update_merge_window): so long would a candidate that /clusters calls healthy be answered for with 503.
PROMPT: Final[Json] = {"healthy_panic_threshold": {"value": 0.0}, "update_merge_window": "0s"}

HTTP2: Final[Json] = {"http2_protocol_options": {}}
HTTP1: Final[Json] = {"http_protocol_options": {}}


def clusters(model: Model) -> tuple[Json, ...]:
    """The clusters that a model's endpoints make; none for a protocol it has a cluster of the user's own for."""
    given: tuple[tuple[Protocol, tuple[Endpoint, ...]], ...] = (
        ("http", model.endpoints),
        ("grpc", model.grpc_endpoints),
    )
    return tuple(_cluster(model, protocol, endpoints) for protocol, endpoints in given if endpoints)


def discovery(hosts: list[str]) -> Json:
    """How Envoy finds a cluster's hosts: STATIC when all are IP addresses, else STRICT_DNS."""
    if all(is_address(host) for host in hosts):
        return {"type": "STATIC"}
    return {
        "type": "STRICT_DNS",
        # Envoy's default takes IPv6 alone where a name has both, and `localhost` has: most model servers listen on
        # IPv4.
        "dns_lookup_family": "V4_PREFERRED",
    }


def _cluster(model: Model, protocol: Protocol, endpoints: tuple[Endpoint, ...]) -> Json:
    name = names.model_cluster(model.name, protocol)
    return {
        "name": name,
        **discovery([endpoint.host for endpoint in endpoints]),
        "connect_timeout": CONNECT_TIMEOUT,
        # Inference times differ by orders of magnitude; a turn at a time would queue behind the slow ones.
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": load_assignment(name, [socket_address(e.host, e.port) for e in endpoints]),
        # A gRPC server says in HTTP/2 when it closes a connection, and its clients know what it had not begun.
        **_shared(protocol),
        # A host that DNS no longer names is gone, even if something there still answers.
        "ignore_health_on_host_removal": True,
        **({} if model.readiness.disabled else {"health_checks": [_health_check(model, protocol)]}),
    }


@cache
def _shared(protocol: Protocol) -> Json:
    """What all clusters of one protocol have in common, encoded once: most of a cluster."""
    options = upstream(HTTP2) if protocol == "grpc" else upstream(HTTP1, idle_timeout=IDLE_TIMEOUT)
    packed = {name: pack(name, {k: v for k, v in body.items() if k != "@type"}) for name, body in options.items()}
    return {
        "typed_extension_protocol_options": packed,
        "circuit_breakers": once("envoy.config.cluster.v3.CircuitBreakers", UNLIMITED),
        "common_lb_config": once("envoy.config.cluster.v3.ClusterCommonLbConfig", PROMPT),
    }


def _health_check(model: Model, protocol: Protocol) -> Json:
    interval = seconds(model.readiness.interval)
    return {
        "timeout": CHECK_TIMEOUT,
        "interval": interval,
        # Else a minute, for a cluster that has had no traffic: a model that comes up would wait for it.
        "no_traffic_interval": interval,
        "unhealthy_threshold": _FAILURES_UNTIL_DOWN,
        "healthy_threshold": 1,
        **_probe(model, protocol),
    }


def _probe(model: Model, protocol: Protocol) -> Json:
    if protocol == "http":
        return {"http_health_check": {"path": model.readiness_path}}
    # The gRPC inference protocol has a call of its own for readiness, ModelReady, that Envoy can't make, and model
    # servers need not know grpc.health.v1. What Envoy can tell is whether the port is open.
    return {"tcp_health_check": {}}


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
