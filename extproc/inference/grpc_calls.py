"""A Call over gRPC: `inference.GRPCInferenceService/ModelInfer`, on one channel, with the bytes that the Call holds."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

import grpc
import grpc.aio

from extproc.errors import ExtprocError
from extproc.inference.call import Answer, Ask, Call
from extproc.inference.headers import Headers
from extproc.inference.traces import TRACEPARENT, begin
from extproc.names import MODEL_HEADER, ROUTE_HEADER
from extproc.wire.inference import MODEL_INFER

_OPTIONS: Final = (
    ("grpc.enable_http_proxy", 0),  # the proxy of the environment is not asked: what is measured is Envoy
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
_BINARY: Final = "-bin"


class NoGrpcCallError(ExtprocError):
    """A Call has something that gRPC can't carry; the message says what."""


@asynccontextmanager
async def open_grpc(call: Call) -> AsyncIterator[Ask]:
    """Gives what sends `call`, on one channel, closed at the end. Raises NoGrpcCallError."""
    metadata = ((MODEL_HEADER, call.model), *_metadata(call.headers))
    async with _channel(call.url) as channel:
        # Without serialisers: bytes in, bytes out.
        infer: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(MODEL_INFER)

        async def ask(route: str) -> Answer:
            sent = (*metadata, (ROUTE_HEADER, route)) if route else metadata
            trace = ""
            if call.traced:
                trace, traceparent = begin()
                sent = (*sent, (TRACEPARENT, traceparent))
            begun = time.perf_counter()
            rpc = infer(call.body, metadata=sent, timeout=call.timeout)
            try:
                body = await rpc
            except grpc.aio.AioRpcError as error:
                seconds = time.perf_counter() - begun
                received = _texts((*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())))
                # In TRANSIENT_FAILURE there is no connection, so it was not Envoy who said UNAVAILABLE.
                reached = channel.get_state() is not grpc.ChannelConnectivity.TRANSIENT_FAILURE
                return Answer(
                    error.code().name,
                    False,
                    seconds,
                    _route(received),
                    reached,
                    error.details() or "",
                    sent=_texts(sent),
                    received=received,
                    trace=trace,
                )
            seconds = time.perf_counter() - begun
            received = _texts((*await rpc.initial_metadata(), *await rpc.trailing_metadata()))
            return Answer(
                "OK",
                True,
                seconds,
                _route(received),
                body=body,
                sent=_texts(sent),
                received=received,
                trace=trace,
            )

        yield ask


def _channel(url: str) -> grpc.aio.Channel:
    parts = urlsplit(url)
    if parts.path:
        raise NoGrpcCallError(f"{url} has a path, and a gRPC call can't be put behind one: leave out {parts.path}")
    if parts.scheme == "https":
        target = parts.netloc if parts.port else f"{parts.netloc}:443"
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=_OPTIONS)
    return grpc.aio.insecure_channel(parts.netloc if parts.port else f"{parts.netloc}:80", options=_OPTIONS)


def _metadata(headers: Headers) -> tuple[tuple[str, str | bytes], ...]:
    """https://grpc.io/docs/guides/metadata/: names in lower case; a value that is not ASCII only under `…-bin`."""
    pairs: list[tuple[str, str | bytes]] = []
    for name, value in headers:
        if name.startswith("grpc-") or set(name) & set("!#$%&'*+^`|~"):
            raise NoGrpcCallError(f"the header {name} can't be sent over gRPC: leave it out, or call without --grpc")
        if not name.endswith(_BINARY) and not value.isascii():
            raise NoGrpcCallError(f"the value of {name} is not ASCII, which gRPC can't carry: call it {name}{_BINARY}")
        pairs.append((name, value.encode() if name.endswith(_BINARY) else value))
    return tuple(pairs)


def _texts(metadata: Iterable[tuple[str, str | bytes]]) -> Headers:
    return tuple((key, value if isinstance(value, str) else value.hex()) for key, value in metadata)


def _route(headers: Headers) -> str:
    return ",".join(value for name, value in headers if name == ROUTE_HEADER)
