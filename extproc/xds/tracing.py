"""Tracing by Envoy: one request is one trace, whose spans go to an OpenTelemetry collector.

Envoy alone decides which requests are traced, and every listener that a request passes follows the first one. What must
stay true: no request waits for the collector, whatever the collector does. Envoy keeps a bounded number of spans, and
drops the rest (counted in tracing.opentelemetry.*).
"""

from typing import Any, Final

from extproc import names
from extproc.collector import Tracing
from extproc.xds.clusters import CONNECT_TIMEOUT, HTTP1, HTTP2, discovery, is_address
from extproc.xds.encode import Json, typed
from extproc.xds.http import load_assignment, socket_address, upstream

# Of the export of one batch; the default of OTEL_EXPORTER_OTLP_TIMEOUT. With the cluster's default circuit breaker it
# limits what a collector that hangs can hold.
TIMEOUT: Final = "10s"

_SAMPLERS: Final = "envoy.extensions.tracers.opentelemetry.samplers.v3."
_MILLION: Final = 1_000_000


def traced(tracing: Tracing | None) -> dict[str, Any]:
    """The settings that make a connection manager trace; none without `tracing`."""
    if tracing is None:
        return {}
    return {
        "tracing": {
            "provider": {
                "name": "envoy.tracers.opentelemetry",
                "typed_config": typed(
                    "envoy.config.trace.v3.OpenTelemetryConfig",
                    service_name=tracing.envoy_service,
                    sampler=_sampler(tracing.ratio),
                    **_exporter(tracing),
                    **_resource(tracing),
                ),
            },
            "spawn_upstream_span": True,
            "custom_tags": _TAGS,
        },
        # By default Envoy samples by the x-request-id, writes its decision into it, and samples nothing whose id, given
        # by the client, is no UUID. Here the sampler decides, by the trace.
        "request_id_extension": {
            "typed_config": typed(
                "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                pack_trace_reason=False,
                use_request_id_for_trace_sampling=False,
            )
        },
    }


def clusters(tracing: Tracing | None) -> list[Json]:
    """The cluster of the collector; none without `tracing`."""
    if tracing is None:
        return []
    return [
        {
            "name": names.OTLP_CLUSTER,
            **discovery([tracing.host]),
            "connect_timeout": CONNECT_TIMEOUT,
            "load_assignment": load_assignment(names.OTLP_CLUSTER, [socket_address(tracing.host, tracing.port)]),
            "typed_extension_protocol_options": upstream(HTTP1 if tracing.http else HTTP2),
            **_encrypted(tracing),
        }
    ]


def _encrypted(tracing: Tracing) -> Json:
    """TLS to the collector as the SDK has it: to nobody but `host`, as one of the authorities confirms."""
    tls = tracing.tls
    if tls is None:
        return {}
    # By itself Envoy takes a certificate that an authority signed for anybody.
    kind, name = ("IP_ADDRESS", {}) if is_address(tracing.host) else ("DNS", {"sni": tracing.host})
    ours = (
        {
            "tls_certificates": [
                {
                    "certificate_chain": {"inline_string": tls.certificate.text},
                    "private_key": {"inline_string": tls.key.text},
                }
            ]
        }
        if tls.certificate and tls.key
        else {}
    )
    context = typed(
        "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        **name,  # an IP address is no name: RFC 6066, section 3
        common_tls_context={
            **ours,
            "validation_context": {
                "trusted_ca": {"inline_string": tls.authorities.text},
                "match_typed_subject_alt_names": [{"san_type": kind, "matcher": {"exact": tracing.host}}],
            },
            "alpn_protocols": ["http/1.1" if tracing.http else "h2"],
        },
    )
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": context}}


def _of_route(tag: str, key: str) -> Json:
    return {
        "tag": f"experiment.{tag}",
        "metadata": {"kind": {"route": {}}, "metadata_key": {"key": names.METADATA, "path": [{"key": key}]}},
    }


# A tag without a value is left out, so requests of no experiment have none of these.
_TAGS: Final = [
    _of_route("name", "experiment"),
    _of_route("candidate", "candidate"),
    _of_route("route", "route"),
    _of_route("mirror", "mirror"),
    # Only one of the two has a value: the intercept route's "fallback", or the outcome that extproc told.
    {
        "tag": "experiment.reason",
        "value": f"%METADATA(ROUTE:{names.METADATA}:reason)%%DYNAMIC_METADATA({names.METADATA}:outcome)%",
    },
]


def _sampler(ratio: float) -> Json:
    by_trace = {
        "name": "envoy.tracers.opentelemetry.samplers.trace_id_ratio_based",
        "typed_config": typed(
            _SAMPLERS + "TraceIdRatioBasedSamplerConfig",
            sampling_percentage={"numerator": round(ratio * _MILLION), "denominator": "MILLION"},
        ),
    }
    return {
        "name": "envoy.tracers.opentelemetry.samplers.parent_based",
        "typed_config": typed(_SAMPLERS + "ParentBasedSamplerConfig", wrapped_sampler=by_trace),
    }


def _exporter(tracing: Tracing) -> Json:
    headers = [{"key": key, "value": value} for key, value in tracing.headers]
    if not tracing.http:
        grpc = {"envoy_grpc": {"cluster_name": names.OTLP_CLUSTER}, "timeout": TIMEOUT, "initial_metadata": headers}
        return {"grpc_service": grpc}
    uri = {"uri": tracing.url, "cluster": names.OTLP_CLUSTER, "timeout": TIMEOUT}
    return {"http_service": {"http_uri": uri, "request_headers_to_add": [{"header": header} for header in headers]}}


def _resource(tracing: Tracing) -> Json:
    if not tracing.attributes:
        return {}
    detector = {
        "name": "envoy.tracers.opentelemetry.resource_detectors.static_config",
        "typed_config": typed(
            "envoy.extensions.tracers.opentelemetry.resource_detectors.v3.StaticConfigResourceDetectorConfig",
            attributes=dict(tracing.attributes),
        ),
    }
    return {"resource_detectors": [detector]}
