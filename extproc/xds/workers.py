"""The cluster of the decisions: one endpoint for each worker process, served over CDS like every other cluster.

Apart from the cluster of ADS, so that neither's troubles are the other's. Must stay true: while no worker answers,
every call fails at once, and Envoy splits by itself.
"""

from typing import Final

from extproc import names
from extproc.core.resources import Endpoint
from extproc.xds.clusters import PROMPT, UNLIMITED, discovery
from extproc.xds.encode import Json
from extproc.xds.http import load_assignment, pipe, socket_address, upstream
from extproc.xds.world import Address, Options

CONNECT_TIMEOUT: Final = "0.5s"

# Header fields that differ from stream to stream, `traceparent` above all, are decoded in Python: as plain text that is
# half the work. It spares Envoy the encoding, and the bytes it costs go over a local socket.
# https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/protocol.proto#config-core-v3-http2protocoloptions
_HTTP2: Final[Json] = {"http2_protocol_options": {"enable_huffman_encoding": False}}


def cluster(options: Options) -> Json:
    """The cluster `extproc`.

    Envoy's round robin is meant: a worker that has just died has no request under way, so that LEAST_REQUEST would send
    it all of them until that is found out. And calls are not tried again: with `grpc_service.retry_policy` Envoy does
    so, but loses the message that belongs to the call, and the request waits for the message timeout (89 of 200,
    tried with 1.40).
    """
    hosts = [worker.host for worker in options.workers if isinstance(worker, Endpoint)]
    return {
        "name": names.EXT_PROC_CLUSTER,
        **discovery(hosts),
        "connect_timeout": CONNECT_TIMEOUT,
        "load_assignment": load_assignment(names.EXT_PROC_CLUSTER, [_address(worker) for worker in options.workers]),
        "typed_extension_protocol_options": upstream(_HTTP2),
        "circuit_breakers": UNLIMITED,
        # A worker that hangs costs every request that is sent to it the message timeout. With these checks that ends
        # after about a second: it is no host any more, and where it was the only one, the call fails at once.
        "health_checks": [
            {
                "timeout": "0.5s",
                "interval": "1s",
                "no_traffic_interval": "1s",
                "unhealthy_interval": "0.25s",  # while all are away, route tokens count for nothing: be soon back
                "unhealthy_threshold": 1,
                "healthy_threshold": 1,
                "grpc_health_check": {},
            }
        ],
        # The next check may be a second away, and until then a worker that has died would be handed its part of the
        # requests. Three that fail are enough; the first check that succeeds brings it back.
        "outlier_detection": {
            "consecutive_5xx": 3,  # a connection that is refused or lost counts as one
            "interval": "0.25s",
            "base_ejection_time": "0.25s",
            "max_ejection_time": "1s",
            "max_ejection_percent": 100,
            "enforcing_success_rate": 0,
        },
        "common_lb_config": PROMPT,
        "close_connections_on_host_health_failure": True,  # and so end the calls that wait for it
    }


def _address(worker: Address) -> Json:
    return socket_address(worker.host, worker.port) if isinstance(worker, Endpoint) else pipe(str(worker))
