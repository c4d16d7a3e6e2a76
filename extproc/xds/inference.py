"""The listener that clients call: what is taken from a request before it is routed, and how extproc is asked."""

from collections.abc import Iterable
from typing import Final

from extproc import names
from extproc.xds import answers, json_bodies, memory, openai_answers, v2_bodies
from extproc.xds.access_logs import logged, passed
from extproc.xds.encode import Json, typed
from extproc.xds.http import filter_chain, socket_address
from extproc.xds.model_routes import seconds
from extproc.xds.tracing import traced
from extproc.xds.world import Options

STREAM_IDLE_TIMEOUT: Final = "300s"

# Before routing, and nowhere later: once a route is chosen, a client's own label would have chosen it.
_STRIP_CLIENT_HEADERS: Final = {
    "name": "envoy.http.early_header_mutation.header_mutation",
    "typed_config": typed(
        "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        mutations=[
            {"remove_on_match": {"key_matcher": {"prefix": names.INTERNAL_PREFIX}}},
            {"remove": names.INTERNAL_MODEL_HEADER},
        ],
    ),
}


def listener(options: Options, route_specifier: Json, filters: Iterable[Json] = ()) -> Json:
    """The inference listener. `filters` are the users' own, which come before all others."""
    # A body that there is no memory for is turned away as by a user's filter, before anybody is chosen.
    own = [*filters, *memory.gate(options)]
    marked = bool(own) and options.outcomes
    return {
        "name": names.INFERENCE_LISTENER,
        "address": socket_address(options.inference_host, options.inference_port),
        # Envoy's default, said aloud because its edge guide asks for 32 KiB: this is also how much of a body is kept
        # for a retry, and tensors are larger than that. Larger bodies than this pass, without a retry.
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [
            filter_chain(
                names.INFERENCE_LISTENER,
                route_specifier,
                [
                    *own,
                    *([passed()] if marked else ()),
                    json_bodies.reading(),
                    *v2_bodies.reading(),
                    _ext_proc(options),
                    # Behind ext_proc: they go by what it has decided.
                    json_bodies.writing(),
                    v2_bodies.writing(),
                ],
                codec_type="AUTO",
                early_header_mutation_extensions=[_STRIP_CLIENT_HEADERS],
                # https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge
                # The client's address is the connection's, and is appended to `x-forwarded-for`. A client's `x-envoy-*`
                # headers, which could set retries and timeouts, are dropped since no address counts as internal. That
                # is Envoy's default; an empty `internal_address_config` is not the same, it makes the loopback
                # address internal (tried with 1.40).
                use_remote_address=True,
                preserve_external_request_id=True,  # a client finds its request again in the model's log
                normalize_path=True,
                merge_slashes=True,
                # Names in a path may hold an escaped slash, and nothing here grants access by path.
                path_with_escaped_slashes_action="KEEP_UNCHANGED",
                # Says who answered: the model server's own name passes through.
                server_header_transformation="APPEND_IF_ABSENT",
                common_http_protocol_options={"idle_timeout": "3600s", "headers_with_underscores_action": "ALLOW"},
                http2_protocol_options={
                    "max_concurrent_streams": 1000,  # one gRPC channel carries all calls of a client
                    # A body of some megabytes from a distant client should not wait a round trip for every 64 KiB.
                    "initial_stream_window_size": 1_048_576,
                    "initial_connection_window_size": 16_777_216,
                },
                stream_idle_timeout=STREAM_IDLE_TIMEOUT,
                request_headers_timeout="30s",
                local_reply_config={"mappers": [*openai_answers.failures(), *answers.no_route()["mappers"]]},
                **traced(options.tracing),
                **logged(options, marked=marked),
            )
        ],
    }


def _ext_proc(options: Options) -> Json:
    return {
        "name": names.EXT_PROC_FILTER,
        "disabled": True,
        "typed_config": typed(
            "envoy.extensions.filters.http.ext_proc.v3.ExternalProcessor",
            grpc_service={"envoy_grpc": {"cluster_name": names.EXT_PROC_CLUSTER}},
            # Without an answer the request goes where Envoy's own split has sent it already.
            failure_mode_allow=True,
            message_timeout=seconds(options.message_timeout),
            request_attributes=[names.ROUTE_NAME_ATTRIBUTE],
            forward_rules={"allowed_headers": {"patterns": [{"exact": names.ROUTE_HEADER}]}},
            processing_mode={
                "request_header_mode": "SEND",
                "response_header_mode": "SKIP",
                "request_body_mode": "NONE",
                "response_body_mode": "NONE",
                "request_trailer_mode": "SKIP",
                "response_trailer_mode": "SKIP",
            },
            # All that extproc may do is to name a route: no other header, no answer of its own, no more of the body.
            mutation_rules={"disallow_all": True, "allow_expression": {"regex": names.LABEL_HEADER}},
            disable_immediate_response=True,
            allow_mode_override=False,
            # Envoy drops dynamic metadata of an answer unless its namespace is named here. It says why a request went
            # where it went, in Envoy's span and access log.
            metadata_options={"receiving_namespaces": {"untyped": [names.METADATA]}},
        ),
    }
