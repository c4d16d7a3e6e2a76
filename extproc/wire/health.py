"""The gRPC health check as bytes: which service is asked for, and the constant answers.

Spoken through a schema of our own, because the ready-made servicer (grpcio-health-checking) demands a newer protobuf
than MLServer allows. Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

from typing import Final

from google.protobuf.message import DecodeError

from extproc.errors import ExtprocError
from extproc.wire.pb.extproc.slim import health_pb2 as pb


class NotAHealthCheckRequest(ExtprocError):
    """The bytes are no `HealthCheckRequest`."""


def read_service(message: bytes) -> str:
    """The service that a serialised HealthCheckRequest asks for; "" is the whole server.

    Raises NotAHealthCheckRequest.
    """
    try:
        return pb.HealthCheckRequest.FromString(message).service
    except DecodeError as error:
        raise NotAHealthCheckRequest(f"these {len(message)} bytes are no HealthCheckRequest: {error}") from error


def _answer(status: pb.HealthCheckResponse.ServingStatus) -> bytes:
    return pb.HealthCheckResponse(status=status).SerializeToString()


SERVING: Final = _answer(pb.HealthCheckResponse.SERVING)
NOT_SERVING: Final = _answer(pb.HealthCheckResponse.NOT_SERVING)
SERVICE_UNKNOWN: Final = _answer(pb.HealthCheckResponse.SERVICE_UNKNOWN)
