"""Copies for mirrors: the policy that makes them, and the way they take to the mirror's model.

A mirror policy may not touch `:path`, so a copy goes through an internal listener of the same Envoy, whose route gives
it the mirror's own path and headers. What must stay true: no client waits for a mirror, whatever the mirror does.
"""

from collections.abc import Iterable
from typing import Final

from extproc import names
from extproc.core.resources import Experiment, Model, ResourceType
from extproc.core.tokens import served_as, token
from extproc.core.upstreams import Server
from extproc.xds import answers, json_bodies, v2_bodies
from extproc.xds.access_logs import logged
from extproc.xds.chains import Copy
from extproc.xds.encode import Encoded, Json, once, typed
from extproc.xds.http import filter_chain, load_assignment, upstream
from extproc.xds.intervals import Threshold, fraction
from extproc.xds.lua_filters import switched_on
from extproc.xds.matching import Maps, always, ending, tree, written_out
from extproc.xds.model_routes import ROUTE, host, matching, mirror_end_route, overwrite, speaks, speaks_openai
from extproc.xds.remembered import Remembered
from extproc.xds.tracing import traced
from extproc.xds.world import Options

# A copy is given up after this time, so that a mirror that hangs holds a bounded number of them.
TIMEOUT: Final = "60s"

# Copies under way at one time, of all mirrors together. Further ones are dropped and counted
# (cluster.mirrors.upstream_rq_pending_overflow). A copy stays in Envoy's memory for as long as its mirror does not
# read it: a mirror that hangs without reading costs at most this number times the size of a body.
COPIES: Final = 512

# Envoy passes a copy's back pressure on to the client: with the default window a mirror that accepts connections and
# does not read stops clients that send 30 MB (tried with 1.40). With the largest window it never comes to that.
_LARGEST_WINDOW: Final = 2**31 - 1  # RFC 9113, section 6.9.1

# At the other end a window for one copy, and one for all together that COPIES stuck ones can't use up: copies share
# connections, and without this rule a mirror that hangs would stop the copies of all others.
_WINDOW: Final = 65_536
_WINDOWS: Final = COPIES * _WINDOW


def policies(experiment: Experiment, wanted: Iterable[Copy]) -> list[Encoded]:
    """The RequestMirrorPolicies of a route."""
    return [_policy(names.label(experiment.name, mirror), threshold) for mirror, threshold in wanted]


@Remembered
def _policy(label: str, threshold: Threshold) -> Encoded:
    policy = {
        "cluster": names.MIRRORS,
        "runtime_fraction": fraction(threshold),
        "disable_shadow_host_suffix_append": True,
        "request_headers_mutations": [{"append": overwrite(names.MIRROR_HEADER, label)}],
    }
    return once("envoy.config.route.v3.RouteActionRequestMirrorPolicy", policy)


def routes(mirrored: Iterable[tuple[str, Server, ResourceType, tuple[str, ...]]], maps: Maps = written_out) -> Json:
    """The RouteConfiguration of the internal listener.

    `mirrored` are experiments, each with one of its mirrors; a copy of any other gets a 404.
    """
    found = maps((names.label(each[0], each[1].name), way, each) for each in mirrored)
    matcher = tree(names.MIRROR_HEADER, "exact_match_map", found, always(ending([answers.nothing_here()])))
    return {"name": names.MIRRORS, "virtual_hosts": [host(names.MIRRORS, matcher, names.MIRROR_HEADER)]}


def way(experiment: str, mirror: Server, resource_type: ResourceType, named: tuple[str, ...] = ()) -> Encoded:
    """The way of one experiment's copies to its mirror; `named` is how the messages of gRPC call the model."""
    served = served_as(mirror, resource_type)
    ways = [
        mirror_end_route(
            names.mirror_route(experiment, mirror.name, protocol),
            matching(protocol, prefix="/"),
            mirror,
            protocol,
            resource_type=resource_type,
            metadata={"experiment": experiment, "mirror": mirror.name, ROUTE: token(served)},
            timeout=TIMEOUT,
            filters=switched_on(names.BODY_WRITER) if speaks_openai(mirror) else {},
        )
        for protocol in names.PROTOCOLS
        if speaks(mirror, protocol)
    ]
    other = isinstance(mirror, Model) and any(name != mirror.served_name for name in named)
    return ending(v2_bodies.renaming(ways) if other else ways)


def listener(options: Options, route_specifier: Json) -> Json:
    """The internal listener. It has no address: only the cluster `mirrors` leads here."""
    return {
        "name": names.MIRRORS,
        "internal_listener": {},
        "ignore_global_conn_limit": True,
        "filter_chains": [
            filter_chain(
                names.MIRRORS,
                route_specifier,
                [json_bodies.writing(), v2_bodies.writing()],
                codec_type="HTTP2",
                http2_protocol_options={
                    "max_concurrent_streams": COPIES,
                    "initial_stream_window_size": _WINDOW,
                    "initial_connection_window_size": _WINDOWS,
                },
                stream_idle_timeout=TIMEOUT,
                # The copy is already as its original was: nothing is added or taken on this stretch.
                skip_xff_append=True,
                generate_request_id=False,
                **traced(options.tracing),
                **logged(options),
            )
        ],
    }


def cluster() -> Json:
    """The cluster that leads to the internal listener."""
    raw = {
        "name": "envoy.transport_sockets.raw_buffer",
        "typed_config": typed("envoy.extensions.transport_sockets.raw_buffer.v3.RawBuffer"),
    }
    internal = typed(
        "envoy.extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport", transport_socket=raw
    )
    address = {"envoy_internal_address": {"server_listener_name": names.MIRRORS}}
    return {
        "name": names.MIRRORS,
        "type": "STATIC",
        "load_assignment": load_assignment(names.MIRRORS, [address]),
        "transport_socket": {"name": "envoy.transport_sockets.internal_upstream", "typed_config": internal},
        "typed_extension_protocol_options": upstream(
            {
                "http2_protocol_options": {
                    "initial_stream_window_size": _LARGEST_WINDOW,
                    "initial_connection_window_size": _LARGEST_WINDOW,
                }
            }
        ),
        "circuit_breakers": {"thresholds": [{"max_requests": COPIES, "max_pending_requests": COPIES}]},
    }


PASSING: Final = (_policy,)
