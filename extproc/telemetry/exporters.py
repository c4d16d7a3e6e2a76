"""The SDK's exporter to a collector, over gRPC or HTTP, in the clear or encrypted."""

from opentelemetry.sdk.trace.export import SpanExporter

from extproc.collector import Tracing


def exporter(tracing: Tracing) -> SpanExporter:
    """The SDK's exporter; headers, timeout and compression are read by it from the OTEL_… variables."""
    tls = tracing.tls
    if tracing.http:
        import requests
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter

        # Its environment would take spans another way than Envoy's: through a proxy (HTTPS_PROXY), or to whoever
        # REQUESTS_CA_BUNDLE trusts instead of those whom we are told to trust.
        session = requests.Session()
        session.trust_env = False
        if tls is None:
            return HttpExporter(endpoint=tracing.url, session=session)
        certificate, key = (pem.path if pem else None for pem in (tls.certificate, tls.key))
        return HttpExporter(
            endpoint=tracing.url,
            certificate_file=tls.authorities.path,
            client_certificate_file=certificate,
            client_key_file=key,
            session=session,
        )
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter

    if tls is None:
        return GrpcExporter(endpoint=tracing.url, insecure=True)
    import grpc

    credentials = grpc.ssl_channel_credentials(
        *(pem.text.encode() if pem else None for pem in (tls.authorities, tls.key, tls.certificate))
    )
    return GrpcExporter(endpoint=tracing.url, insecure=False, credentials=credentials)
