"""What a route to a model does: cluster, path, headers in both directions, timeout, retries.

Every route to a model, whatever chose it, is made here, so that they can't differ in anything but what is an argument.
"""

from functools import lru_cache
from typing import Final, TypeGuard

from extproc import names
from extproc.core.resources import Model, ResourceType, Retry
from extproc.core.tokens import served_as
from extproc.core.upstreams import Server, Upstream
from extproc.names import Protocol
from extproc.xds import json_bodies
from extproc.xds.encode import Encoded, Json, once, typed
from extproc.xds.remembered import Remembered

# `[^/?]+`: the name ends at the next slash, or with the path in `/v2/models/iris` and `/v2/models/iris?x=y`.
NAME_IN_PATH: Final = "^/v2/models/[^/?]+"
MODELS_PATH: Final = "/v2/models/"

# Keys of a route's metadata that its host reads: what answers are marked with, and what the model is told it is.
ROUTE: Final = "route"
PLAIN_ROUTE: Final = "token"  # apart, so that a span of no experiment bears no tag of one
SERVED: Final = "served"

# None of the three can run a model twice: the connection was never made, the server said that it did not begin
# (RFC 9113 section 8.7), or the request's headers were not yet sent. What comes later is the user's to allow.
# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
SAFE_RETRY: Final = Retry(attempts=2, retry_on=("connect-failure", "refused-stream", "reset-before-request"))


def speaks(model: Server, protocol: Protocol) -> bool:
    return model.speaks_grpc if protocol == "grpc" else model.speaks_http


def speaks_openai(model: Server) -> TypeGuard[Model]:
    return isinstance(model, Model) and model.speaks_openai


def cluster_of(model: Server, protocol: Protocol) -> str:
    """The cluster that serves a model: the user's own, or the one that is generated from its endpoints."""
    if isinstance(model, Upstream):
        return model.cluster
    own = model.grpc_cluster if protocol == "grpc" else model.cluster
    return own or names.model_cluster(model.name, protocol)


Where = dict[str, str]  # the path specifier of a RouteMatch


def found_at(where: Where) -> str:
    """The path that requests of a route begin with; empty for any."""
    return where.get("path_separated_prefix", "")


def matching(protocol: Protocol, **where: str) -> Json:
    """A RouteMatch for one protocol. `where` is its path specifier."""
    # `grpc: {}` is true for `content-type: application/grpc…` alone, so the route for gRPC has to stand before the
    # one for HTTP, which takes everything.
    return {**where, "grpc": {}} if protocol == "grpc" else dict(where)


def to_model(
    model: Server,
    protocol: Protocol,
    at: str = "",
    *,
    resource_type: ResourceType = ResourceType.MODEL,
    metadata: dict[str, str],
    timeout: int = 0,
    retry: Retry | None = None,
    mirrors: list[Encoded] | None = None,
) -> Json:
    """All of a Route to `model` but its name and its match, so that routes which differ in these can share it.

    `at` is the path that its requests begin with, empty where that may be any; `timeout` is in milliseconds, 0 for
    none; `mirrors` are RequestMirrorPolicies.
    """
    action = {
        **_destination(model, protocol, at),
        # Models may think for minutes. A request that no longer moves is ended by the stream idle timeout.
        "timeout": seconds(timeout),
        **({"retry_policy": _retry_policy(retry)} if retry else {}),  # else the host's
        **({"request_mirror_policies": mirrors} if mirrors else {}),
    }
    return {
        "route": once("envoy.config.route.v3.RouteAction", action),
        **_told_of(model, protocol, resource_type, metadata),
    }


def _told_of(model: Server, protocol: Protocol, resource_type: ResourceType, facts: dict[str, str]) -> Json:
    """The metadata of a route to `model`, and the room for bodies that one needs which is named in them."""
    known = (*facts.items(), *_served(model, resource_type))
    if protocol == "grpc" and isinstance(model, Model):
        return {"metadata": told_with(model.served_name, *known)}
    if not speaks_openai(model):
        return {"metadata": told(*known)}
    return {
        "metadata": {"filter_metadata": {names.METADATA: dict(known), **json_bodies.known_as(model.served_name)}},
        "request_body_buffer_limit": json_bodies.LIMIT,
    }


def _served(model: Server, resource_type: ResourceType) -> tuple[tuple[str, str], ...]:
    """What the model is told that it is; what is no model is told nothing."""
    return () if isinstance(model, Upstream) else ((SERVED, served_as(model, resource_type)),)


def mirror_end_route(
    name: str,
    match: Json,
    model: Server,
    protocol: Protocol,
    *,
    resource_type: ResourceType,
    metadata: dict[str, str],
    timeout: str,
    filters: Json,
) -> Json:
    """The Route by which a copy reaches the mirror's model; nobody waits for its answer, so it is never retried.

    `filters` are what is on for it.
    """
    return {
        "name": name,
        "match": match,
        "route": {**_destination(model, protocol), "timeout": timeout},
        **({"typed_per_filter_config": filters} if filters else {}),
        **_told_of(model, protocol, resource_type, metadata),
    }


def host(name: str, matcher: Json, *internal: str, filters: Json | None = None) -> Json:
    """The one VirtualHost of a RouteConfiguration, with what it does to the headers of all requests to models.

    Said once, since Envoy needs as long to take it in as for all the rest of a route. Who serves stands in the route's
    metadata, so a route without (Envoy's own answers, a user's route) sets neither header. `internal` are the names of
    request headers that end here; `filters` is what its routes say of filters where they say nothing themselves.
    """
    return {
        "name": name,
        "domains": ["*"],
        "matcher": matcher,
        # Names removed here are missing from the mirror's copy as well.
        "request_headers_to_remove": list(internal),
        "request_headers_to_add": [overwrite(names.INTERNAL_MODEL_HEADER, _from_metadata(SERVED))],
        # Envoy sets it on its own answers too (a 503 when no endpoint is up), since they are this route's answers.
        # An experiment's route has the one, a plain endpoint's the other.
        "response_headers_to_add": [overwrite(names.ROUTE_HEADER, _from_metadata(ROUTE) + _from_metadata(PLAIN_ROUTE))],
        "retry_policy": _retry_policy(SAFE_RETRY),
        **({"typed_per_filter_config": filters} if filters else {}),
    }


def _from_metadata(key: str) -> str:
    return f"%METADATA(ROUTE:{names.METADATA}:{key})%"


@Remembered
def told(*facts: tuple[str, str]) -> Encoded:
    """A route's metadata: what is known of each request that takes it, for tracing tags and access logs to read."""
    return once("envoy.config.core.v3.Metadata", {"filter_metadata": {names.METADATA: dict(facts)}})


@Remembered
def told_with(served: str, *facts: tuple[str, str]) -> Encoded:
    """Likewise, and what the messages of a gRPC call shall call the model."""
    metadata = {names.METADATA: dict(facts), names.V2_WRITER: {"model": served}}
    return once("envoy.config.core.v3.Metadata", {"filter_metadata": metadata})


def overwrite(header: str, value: str) -> Encoded:
    """A HeaderValueOption that replaces what anybody else set."""
    option = {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return once("envoy.config.core.v3.HeaderValueOption", option)


def seconds(milliseconds: int) -> str:
    """A Duration in proto3 JSON."""
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}s" if milliseconds % 1000 else f"{milliseconds // 1000}s"


def _destination(model: Server, protocol: Protocol, at: str = "") -> Json:
    if isinstance(model, Upstream):
        return {"cluster": model.cluster}
    served = MODELS_PATH + model.served_name
    # Of gRPC and of OpenAI's API the model's name stands in the body, not in the path.
    if protocol == "grpc" or model.speaks_openai or at == served:
        return {"cluster": cluster_of(model, protocol)}
    if at:
        return {"cluster": cluster_of(model, protocol), "prefix_rewrite": served}
    return {
        "cluster": cluster_of(model, protocol),
        "regex_rewrite": _renamed(served),
    }


@Remembered
def _renamed(served: str) -> Encoded:
    # A path without the name in it (`/v2/health/ready`, called with `seldon-model`) stays as it is.
    rewrite = {"pattern": {"regex": NAME_IN_PATH}, "substitution": served}
    return once("envoy.type.matcher.v3.RegexMatchAndSubstitute", rewrite)


@lru_cache(maxsize=256)
def _retry_policy(retry: Retry) -> Encoded:
    policy = {
        "retry_on": ",".join(retry.retry_on),
        "num_retries": retry.attempts,
        **({"per_try_timeout": seconds(retry.per_try_timeout)} if retry.per_try_timeout else {}),
        # Try another endpoint than the one that failed, when the model has another.
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": typed("envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"),
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }
    return once("envoy.config.route.v3.RetryPolicy", policy)


PASSING: Final = (told, told_with, _renamed)
