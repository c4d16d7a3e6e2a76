"""Envoy's bootstrap: everything that Envoy has to know before it can ask extproc for the rest.

Either of the two may start first and either may restart: Envoy waits for its configuration, keeps the last one it
got, and comes back within a second.
"""

from typing import Final

from extproc import names
from extproc.xds.clusters import PROMPT, discovery
from extproc.xds.encode import Json, typed
from extproc.xds.http import ads, load_assignment, socket_address, upstream
from extproc.xds.memory import overload_manager
from extproc.xds.world import Options

CONNECT_TIMEOUT: Final = "0.5s"

# It is the window in which extproc may send, and also how much of a stream Envoy keeps that extproc does not read: by
# default 16 MiB of the access log of each worker thread, before it holds back any (tried with 1.40).
STREAM_BUFFER: Final = 1_048_576


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
        # The weights that changed since the routes were sent. Envoy waits for them before it asks for anything else.
        # The admin layer is what Envoy has by itself. It stands above ours: an operator has the last word.
        "layered_runtime": {
            "layers": [
                {
                    "name": names.RUNTIME_LAYER,
                    "rtds_layer": {"name": names.RUNTIME_LAYER, "rtds_config": ads()},
                },
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "static_resources": {"clusters": [xds(options)]},
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
        "overload_manager": overload_manager(options.heap_limit),
    }


def xds(options: Options) -> Json:
    """The cluster of the ADS stream and of the access log."""
    # Finds a connection whose other end went away without a word. Patient, because extproc may be at work on a large
    # change; until then nothing is lost, Envoy runs on what it has.
    keepalive = {"interval": "30s", "timeout": "15s"}
    return {
        "name": names.XDS_CLUSTER,
        **discovery([options.grpc_host]),
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": load_assignment(names.XDS_CLUSTER, [socket_address(options.grpc_host, options.grpc_port)]),
        "typed_extension_protocol_options": upstream(
            {
                "http2_protocol_options": {
                    "connection_keepalive": keepalive,
                    "initial_stream_window_size": STREAM_BUFFER,
                }
            }
        ),
        # For the access log: without a healthy host Envoy keeps its entries instead of taking them for sent as soon as
        # it has begun to connect, so that a restart of extproc loses none. (A retry policy of the log does not help:
        # what waits for a retry is lost when the host becomes unhealthy meanwhile.) The stream of ADS is left alone,
        # however the checks go.
        "health_checks": [
            {
                "timeout": "1s",
                "interval": "0.25s",
                "no_traffic_interval": "0.25s",
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        "common_lb_config": PROMPT,
    }
