"""A stub gRPC model server: `inference.GRPCInferenceService` over grpcio, which names itself and remembers.

The messages are tritonclient's (as are those of the client in the tests): a second copy of the protocol's messages,
MLServer's, can't be loaded into the same process.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.harness.closing import Closing
from tests.harness.http1 import Headers, Message
from tests.harness.ports import free_port

# The protocol of health checks: https://github.com/grpc/grpc/blob/master/doc/health-checking.md
_SERVING: Final = b"\x08\x01"
_NOT_SERVING: Final = b"\x08\x02"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as it arrived: the method's bare name, the metadata, the model that the message names."""

    method: str
    headers: Headers
    model: str

    def header(self, name: str) -> str | None:
        """The value of a metadata key, several joined with a comma; None when it is absent."""
        return Message("", self.headers, b"").header(name)


class GrpcModelServer(Closing):
    """A stub gRPC server of one model, called `name`; it listens from the start until `close`.

    It answers ServerLive, ServerReady, ModelReady, ModelMetadata, ModelInfer and ModelStreamInfer; a model of another
    name than `served` is NOT_FOUND. With `health=True` it serves `grpc.health.v1.Health` too, as Triton does.
    """

    def __init__(self, name: str, *, served: str = "", health: bool = False) -> None:
        self.name: Final = name
        self.served: Final = served or name
        self.port: Final = free_port()
        self._health = health
        self._calls: list[Call] = []
        self._ready = True
        self._server: grpc.Server | None = None
        self.resume()

    @property
    def endpoint(self) -> str:
        """`host:port`, as a Model's `grpc_endpoints` wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def calls(self) -> tuple[Call, ...]:
        """Every call since the start or `forget`, but health checks."""
        return tuple(self._calls)

    def forget(self) -> None:
        self._calls = []

    def ready(self, is_ready: bool) -> None:
        self._ready = is_ready

    def stop(self) -> None:
        """Close the port and every connection: from now on connections are refused."""
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def resume(self) -> None:
        """Be as at the start: listening and ready."""
        self._ready = True
        if self._server is not None:
            return
        # Without this option two servers on one port share its connections in silence.
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", -1)]
        server = grpc.server(ThreadPoolExecutor(8), options=options)
        service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(_Service(self), server)
        if self._health:
            methods: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
                "Check": grpc.unary_unary_rpc_method_handler(self._check)
            }
            handler = grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)
            server.add_generic_rpc_handlers((handler,))
        if server.add_insecure_port(self.endpoint) != self.port:
            raise AssertionError(f"the gRPC stub {self.name} got no port {self.port}")
        server.start()
        self._server = server

    def close(self) -> None:
        self.stop()

    def _check(self, _request: bytes, _context: grpc.ServicerContext) -> bytes:
        return _SERVING if self._ready else _NOT_SERVING

    def _note(self, method: str, model: str, context: grpc.ServicerContext) -> None:
        pairs = (
            (key, value if isinstance(value, str) else value.decode("latin-1")) for key, value in _metadata(context)
        )
        self._calls.append(Call(method, tuple(pairs), model))
        if model and model != self.served:
            context.abort(grpc.StatusCode.NOT_FOUND, f"{self.name} serves no model {model!r}")


def _metadata(context: grpc.ServicerContext) -> tuple[tuple[str, str | bytes], ...]:
    return tuple(context.invocation_metadata() or ())


class _Service(service_pb2_grpc.GRPCInferenceServiceServicer):  # type: ignore[misc]  # tritonclient has no types
    def __init__(self, stub: GrpcModelServer) -> None:
        self._stub = stub
        self._note: Callable[[str, str, grpc.ServicerContext], None] = stub._note

    def ServerLive(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802 - the protocol's name
        return service_pb2.ServerLiveResponse(live=True)

    def ServerReady(self, _request: Any, _context: grpc.ServicerContext) -> Any:  # noqa: N802
        return service_pb2.ServerReadyResponse(ready=self._stub._ready)

    def ModelReady(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._note("ModelReady", request.name, context)
        return service_pb2.ModelReadyResponse(ready=self._stub._ready)

    def ModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._note("ModelMetadata", request.name, context)
        return service_pb2.ModelMetadataResponse(name=self._stub.served, versions=["1"], platform=self._stub.name)

    def ModelInfer(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self._note("ModelInfer", request.model_name, context)
        return self._inferred(request)

    def ModelStreamInfer(self, request_iterator: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        for request in request_iterator:
            self._note("ModelStreamInfer", request.model_name, context)
            yield service_pb2.ModelStreamInferResponse(infer_response=self._inferred(request))

    def _inferred(self, request: Any) -> Any:
        answer = service_pb2.ModelInferResponse(model_name=self._stub.served, model_version="1", id=request.id)
        answer.parameters["stub"].string_param = self._stub.name
        return answer
