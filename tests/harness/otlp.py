"""An OpenTelemetry collector: a real OTLP receiver, over gRPC or HTTP, that keeps every span it is sent.

Messages and service are the official ones of opentelemetry-proto.
"""

import ssl
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

import grpc
import trustme
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

from tests.harness.background import background
from tests.harness.closing import Closing
from tests.harness.ports import free_port

PATH: Final = "/v1/traces"


@dataclass(frozen=True, slots=True)
class Span:
    """One span; ids in hexadecimal, times in nanoseconds since the epoch, `parent` empty for a root."""

    trace: str
    id: str
    parent: str
    service: str
    name: str
    kind: str
    start: int
    end: int
    tags: Mapping[str, Any]
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ServerTls:
    """The server's certificate, and the authority whose clients alone it takes; None for any client."""

    certificate: trustme.LeafCert
    clients: trustme.CA | None = None

    def grpc(self) -> grpc.ServerCredentials:
        chain = b"".join(pem.bytes() for pem in self.certificate.cert_chain_pems)
        return grpc.ssl_server_credentials(
            [(self.certificate.private_key_pem.bytes(), chain)],
            self.clients.cert_pem.bytes() if self.clients else None,
            self.clients is not None,
        )

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.certificate.configure_cert(context)
        if self.clients:
            self.clients.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        return context


class Collector(Closing):
    """A receiver on 127.0.0.1:`port`, from the start until `close`; in the clear without `tls`."""

    def __init__(self, protocol: Literal["grpc", "http"] = "grpc", tls: ServerTls | None = None) -> None:
        self.port: Final = free_port()
        self._spans: list[Span] = []
        self._headers: list[dict[str, str]] = []
        self._answering: Final = threading.Event()
        self._answering.set()
        self._server = _Grpc(self, tls) if protocol == "grpc" else _Http(self, tls)

    @property
    def spans(self) -> tuple[Span, ...]:
        return tuple(self._spans)

    @property
    def headers(self) -> tuple[Mapping[str, str], ...]:
        """The headers, or gRPC metadata, of each batch."""
        return tuple(self._headers)

    def trace(self, trace: str) -> tuple[Span, ...]:
        return tuple(span for span in self._spans if span.trace == trace)

    def hang(self) -> None:
        """Take batches from now on and never answer them (gRPC alone)."""
        self._answering.clear()

    def close(self) -> None:
        self._answering.set()
        self._server.close()

    def received(self, request: ExportTraceServiceRequest, headers: Mapping[str, str]) -> None:
        self._answering.wait()
        self._headers.append(dict(headers))
        self._spans.extend(_spans(request))


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for group in request.resource_spans:
        resource = _tags(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Span(
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    str(resource.get("service.name", "")),
                    span.name,
                    Message.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _tags(span.attributes),
                    resource,
                )


def _tags(attributes: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value") for pair in attributes}


class _Grpc(TraceServiceServicer):
    def __init__(self, collector: Collector, tls: ServerTls | None) -> None:
        self._collector = collector
        self._server = grpc.server(ThreadPoolExecutor(4))
        add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        address = f"127.0.0.1:{collector.port}"
        bound = self._server.add_secure_port(address, tls.grpc()) if tls else self._server.add_insecure_port(address)
        assert bound == collector.port
        self._server.start()

    def Export(  # noqa: N802 - the service's own name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        self._collector.received(request, metadata)
        return ExportTraceServiceResponse()

    def close(self) -> None:
        self._server.stop(None).wait()


class _Http:
    def __init__(self, collector: Collector, tls: ServerTls | None) -> None:
        async def take(request: web.Request) -> web.Response:
            headers = {name.lower(): value for name, value in request.headers.items()}
            collector.received(ExportTraceServiceRequest.FromString(await request.read()), headers)
            return web.Response(
                body=ExportTraceServiceResponse().SerializeToString(), content_type="application/x-protobuf"
            )

        application = web.Application()
        application.router.add_post(PATH, take)
        self._runner = web.AppRunner(application, access_log=None)
        background().run(self._start(collector.port, tls.context() if tls else None))

    async def _start(self, port: int, context: ssl.SSLContext | None) -> None:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port, ssl_context=context).start()

    def close(self) -> None:
        background().run(self._runner.cleanup())
