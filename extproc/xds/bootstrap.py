"""Envoy's bootstrap: everything that Envoy has to know before it can ask extproc for the rest.

Either of the two may start first and either may restart: Envoy waits for its configuration, keeps the last one it
got, and comes back within a second.
"""

from typing import Final

from extproc import names
from extproc.xds.clusters import HTTP2, PROMPT, UNLIMITED, discovery
from extproc.xds.encode import Json, typed
from extproc.xds.http import ads, load_assignment, socket_address, upstream
from extproc.xds.world import Options

# https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge asks for a limit; Envoy has none.
DOWNSTREAM_CONNECTIONS: Final = 50_000


def bootstrap(options: Options) -> Json:
    """The bootstrap of an Envoy that takes its configuration from extproc over ADS."""
    return {
        **common(options),
        "dynamic_resources": {
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [
                    {
                        "envoy_grpc": {
                            "cluster_name": names.XDS_CLUSTER,
                            # Envoy's default grows to 30 s between two attempts: so long would a restarted extproc be
                            # without its Envoy.
                            "retry_policy": {"retry_back_off": {"base_interval": "0.25s", "max_interval": "1s"}},
                        }
                    }
                ],
            },
            "lds_config": ads(),
            "cds_config": ads(),
        },
        "static_resources": {"clusters": [_xds(options), ext_proc(options)]},
    }


def common(options: Options) -> Json:
    """The parts of a bootstrap that do not depend on where the configuration comes from."""
    return {
        "node": {"id": "extproc", "cluster": "extproc"},
        "admin": {
            "address": socket_address(options.envoy_admin_host, options.envoy_admin_port),
            "ignore_global_conn_limit": True,  # it has to answer most of all when the limit is reached
        },
        "bootstrap_extensions": [
            {
                "name": "envoy.bootstrap.internal_listener",
                "typed_config": typed("envoy.extensions.bootstrap.internal_listener.v3.InternalListener"),
            }
        ],
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": typed(
                        "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        max_active_downstream_connections=DOWNSTREAM_CONNECTIONS,
                    ),
                }
            ]
        },
    }


def _xds(options: Options) -> Json:
    """The cluster of the ADS stream."""
    # Finds a connection whose other end went away without a word. Patient, because extproc may be at work on a large
    # change; until then nothing is lost, Envoy runs on what it has.
    keepalive = {"interval": "30s", "timeout": "15s"}
    return {
        **_extproc_cluster(names.XDS_CLUSTER, options),
        "typed_extension_protocol_options": upstream({"http2_protocol_options": {"connection_keepalive": keepalive}}),
    }


def ext_proc(options: Options) -> Json:
    """The cluster of the decisions, apart from that of ADS so that neither's troubles are the other's."""
    return {
        **_extproc_cluster(names.EXT_PROC_CLUSTER, options),
        "typed_extension_protocol_options": upstream(HTTP2),
        "circuit_breakers": UNLIMITED,
        # An extproc that hangs costs every request the message timeout. With these checks that ends after about a
        # second: no host is healthy, so the call fails at once and Envoy splits by itself.
        "health_checks": [
            {
                "timeout": "0.5s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_interval": "0.25s",  # while it is away, route tokens count for nothing: be soon back
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "common_lb_config": PROMPT,
        "close_connections_on_host_health_failure": True,  # and so end the calls that wait for it
    }


def _extproc_cluster(name: str, options: Options) -> Json:
    return {
        "name": name,
        **discovery([options.grpc_host]),
        "connect_timeout": "0.5s",
        "load_assignment": load_assignment(name, [socket_address(options.grpc_host, options.grpc_port)]),
    }
