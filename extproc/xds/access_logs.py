"""Envoy's access log, streamed to extproc: how each request of an experiment, and each copy, has ended.

Must stay true: no request waits for the log, whatever extproc does, and Envoy keeps a bounded number of entries. Each
worker thread of Envoy fills a buffer, and sends it when a quarter of a second is over or the buffer is full. While
extproc is known to be away, or does not read, the buffer stays; once it is full, further entries are dropped, and
counted (access_logs.grpc_access_log.logs_dropped). Lost without a trace is what Envoy sends to an extproc that has just
died, until a health check fails (`bootstrap.xds`), and what is in the buffer of an Envoy that ends. A request is told
of once, at its end: however often Envoy tried, if its client went away, and if Envoy answered it. Tried with 1.40.
"""

from typing import Any, Final

from extproc import names
from extproc.xds.encode import Json, typed
from extproc.xds.world import Options

FLUSH_INTERVAL: Final = 0.25  # seconds

# Of one worker thread, in bytes as they are sent; in Envoy's memory they take a few times as much. An entry takes about
# 450, so that it holds some 7,000 requests: a restart of extproc at 1,000 requests a second on each thread. Sent in one
# message, it has to stay below the 4 MiB that the gRPC server takes.
BUFFER: Final = 3 * 1024 * 1024

# Routes of experiments alone say which one they are of (`model_routes.told`): other traffic costs no entry. Where a
# route has no metadata of ours the expression fails, which Envoy takes for a no; to ask first whether it has some takes
# as long again (4,600 of 11,000 instructions, 1.40).
_SET_METADATA: Final = "envoy.extensions.filters.http.set_metadata.v3.Config"
_OF_AN_EXPERIMENT: Final = f"'experiment' in xds.route_metadata.filter_metadata['{names.METADATA}']"

# What a user's filter answers (a 401, a 429) has a route already, and meets neither extproc nor a candidate: it is no
# outcome. Such a filter ends the way through the filters, so that what passed them all is what this one has marked.
_PASSED: Final = "extproc.passed"
_HAS_PASSED: Final = f"'{_PASSED}' in metadata.filter_metadata"


def passed() -> Json:
    """The filter behind the users' own that marks what they let through, for `logged`."""
    mark = {"metadata_namespace": _PASSED, "value": {"all": True}}
    return {"name": _PASSED, "typed_config": typed(_SET_METADATA, metadata=[mark])}


def logged(options: Options, *, marked: bool = False) -> dict[str, Any]:
    """The settings that make a connection manager log; none without outcomes.

    With `marked`, only what has met the filter `passed`. Both listeners log alike, since a route's name tells copies
    apart: so one stream of a thread carries both.
    """
    if not options.outcomes:
        return {}
    wanted = f"{_HAS_PASSED} && {_OF_AN_EXPERIMENT}" if marked else _OF_AN_EXPERIMENT
    return {"access_log": [_access_log(wanted, traced=options.tracing is not None)]}


def _access_log(wanted: str, *, traced: bool) -> Json:
    common = {
        "log_name": "experiments",
        "grpc_service": {"envoy_grpc": {"cluster_name": names.XDS_CLUSTER}},
        "transport_api_version": "V3",
        "buffer_flush_interval": f"{FLUSH_INTERVAL}s",
        "buffer_size_bytes": BUFFER,
    }
    return {
        "name": "envoy.access_loggers.http_grpc",
        "filter": {
            "extension_filter": {
                "name": "envoy.access_loggers.extension_filters.cel",
                "typed_config": typed(
                    "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter", expression=wanted
                ),
            }
        },
        "typed_config": typed(
            "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
            common_config=common,
            # How a gRPC call has ended stands in its trailers or, if it failed at once, in its headers. One name each,
            # which is what makes an entry quick to read (protos/extproc/slim/access_log.proto).
            additional_response_headers_to_log=["grpc-status"],
            additional_response_trailers_to_log=["grpc-status"],
            # The trace's id, and whether it is sampled.
            **({"additional_request_headers_to_log": ["traceparent"]} if traced else {}),
        ),
    }
