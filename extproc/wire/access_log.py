"""Envoy's access log as bytes, read into values: one for each request that an experiment's route has served.

Reading raises nothing but `NotAnAccessLog`. It sees every answer, so what few entries differ in is read once and
remembered. Messages: envoy/service/accesslog/v3/als.proto, envoy/data/accesslog/v3/accesslog.proto.
"""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from google.protobuf.message import DecodeError

from extproc.core.table import Outcome
from extproc.errors import ExtprocError
from extproc.names import METADATA
from extproc.wire.pb.extproc.slim import access_log_pb2 as pb

REMEMBERED: Final = 1024  # different texts, at most, of each kind that is remembered

_OUTCOMES: Final = frozenset(Outcome)

_ENDED: Final = (6, 0)  # AccessLogType's DownstreamEnd, and NotSet of Envoys before 1.26

# A `traceparent` whose lowest flag says that the trace is kept: https://www.w3.org/TR/trace-context/#traceparent-header
_SAMPLED: Final = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f][13579bdf](-|$)")

# Short names: https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage#response-flags
FLAGS: Final = {
    "failed_local_healthcheck": "LH",
    "no_healthy_upstream": "UH",
    "upstream_request_timeout": "UT",
    "local_reset": "LR",
    "upstream_remote_reset": "UR",
    "upstream_connection_failure": "UF",
    "upstream_connection_termination": "UC",
    "upstream_overflow": "UO",
    "no_route_found": "NR",
    "delay_injected": "DI",
    "fault_injected": "FI",
    "rate_limited": "RL",
    "unauthorized_details": "UAEX",
    "rate_limit_service_error": "RLSE",
    "downstream_connection_termination": "DC",
    "upstream_retry_limit_exceeded": "URX",
    "stream_idle_timeout": "SI",
    "invalid_envoy_request_headers": "IH",
    "downstream_protocol_error": "DPE",
    "upstream_max_stream_duration_reached": "UMSDR",
    "response_from_cache_filter": "RFCF",
    "no_filter_config_found": "NFCF",
    "duration_timeout": "DT",
    "upstream_protocol_error": "UPE",
    "no_cluster_found": "NC",
    "overload_manager": "OM",
    "dns_resolution_failure": "DF",
    "downstream_remote_reset": "DR",
}

# In a Metadata: the tag of an entry of its map (https://protobuf.dev/programming-guides/encoding/#maps), and how that
# of our namespace begins.
_FILTER_METADATA: Final = 0x0A
_OWN: Final = b"\n" + bytes([len(METADATA)]) + METADATA.encode() + b"\x12"

# The HTTP status that stands for each status of gRPC, as Envoy's own gRPC to JSON transcoding has it.
# https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_HTTP_STATUS: Final = {
    b"0": 200,  # OK
    b"1": 499,  # CANCELLED, by the client
    b"2": 500,  # UNKNOWN
    b"3": 400,  # INVALID_ARGUMENT
    b"4": 504,  # DEADLINE_EXCEEDED
    b"5": 404,  # NOT_FOUND
    b"6": 409,  # ALREADY_EXISTS
    b"7": 403,  # PERMISSION_DENIED
    b"8": 429,  # RESOURCE_EXHAUSTED
    b"9": 400,  # FAILED_PRECONDITION
    b"10": 409,  # ABORTED
    b"11": 400,  # OUT_OF_RANGE
    b"12": 501,  # UNIMPLEMENTED
    b"13": 500,  # INTERNAL
    b"14": 503,  # UNAVAILABLE
    b"15": 500,  # DATA_LOSS
    b"16": 401,  # UNAUTHENTICATED
}


class NotAnAccessLog(ExtprocError):
    """The bytes are no `StreamAccessLogsMessage`."""


class Entry(NamedTuple):
    """One request, at its end.

    `outcome` is what extproc told of its decision, empty where it told nothing. `start` is when its first byte arrived
    (seconds, Unix time), `duration` how long it took from there to its end, and `upstream` how long the model took,
    from the first byte sent to it to the last one received, -1 where none was (all in seconds). `status` is its HTTP
    status, 0 without an answer; for a gRPC call the HTTP status that its own stands for. `flags` are short names of
    response flags, `received` and `sent` bytes of bodies. `trace` is the id of its trace when that is sampled.
    """

    route_name: str
    outcome: str
    start: float
    duration: float
    upstream: float
    status: int
    flags: tuple[str, ...]
    received: int
    sent: int
    trace: str


def read(message: bytes) -> Iterator[Entry]:
    """The entries of one serialised StreamAccessLogsMessage.

    Raises NotAnAccessLog, before the first entry or, where only a part of one is broken, instead of that one.
    """
    try:
        yield from _entries(pb.StreamAccessLogsMessage.FromString(message).http_logs.log_entry)
    except DecodeError as error:
        raise NotAnAccessLog(f"these {len(message)} bytes are no StreamAccessLogsMessage: {error}") from error


def _entries(logged: Iterable[pb.HTTPAccessLogEntry]) -> Iterator[Entry]:
    new = tuple.__new__  # at half the price of Entry's own
    for entry in logged:
        common, request, response = entry.common_properties, entry.request, entry.response
        if common.access_log_type not in _ENDED:  # the request goes on, and is logged again at its end
            continue
        begun, took = common.start_time, common.duration
        sent, received = common.time_to_first_upstream_tx_byte, common.time_to_last_upstream_rx_byte
        waited = received.seconds - sent.seconds + (received.nanos - sent.nanos) * 1e-9
        metadata, flags, header = common.metadata, common.response_flags, request.request_headers
        grpc = response.response_trailers or response.response_headers
        yield new(
            Entry,
            (
                common.route_name,
                _outcome(_own(metadata)) if metadata else "",
                begun.seconds + begun.nanos * 1e-9,
                took.seconds + took.nanos * 1e-9,
                waited if waited > 0 else -1.0,
                _grpc_status(grpc) if grpc else _status(response.response_code),
                _flags(flags) if flags else (),
                request.request_body_bytes,
                response.response_body_bytes,
                _trace(header) if header else "",
            ),
        )


def _own(metadata: bytes) -> bytes:
    """A Metadata with nothing in it but our own namespace, as that stands there; empty where it does not.

    Envoy's gRPC log sends all that filters have found out about a request (1.40 has no setting for less), such as a
    token's claims: they are not read, and above all not remembered.
    """
    at, end = 0, len(metadata)
    if metadata.startswith(_OWN, 2) and metadata[1] == end - 2:  # the most frequent case, at a sixth of the price
        return metadata
    while at < end:
        begun, field = at, metadata[at]
        length, at = _varint(metadata, at + 1)
        if field == _FILTER_METADATA and metadata.startswith(_OWN, at):
            return metadata[begun : at + length]
        at += length
    return b""


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and the place after it (https://protobuf.dev/programming-guides/encoding/#varints); total."""
    number = shift = 0
    for place in range(at, len(data)):
        number |= (data[place] & 0x7F) << shift
        if data[place] < 0x80:
            return number, place + 1
        shift += 7
    return 0, len(data)


@lru_cache(REMEMBERED)
def _outcome(metadata: bytes) -> str:
    """What extproc told of its decision, as dynamic metadata; empty for an outcome that there is not."""
    told = pb.Metadata.FromString(metadata).filter_metadata[METADATA].fields["outcome"].string_value
    return told if told in _OUTCOMES else ""


@lru_cache(REMEMBERED)
def _status(code: bytes) -> int:
    return pb.UInt32Value.FromString(code).value


@lru_cache(REMEMBERED)
def _grpc_status(header: bytes) -> int:
    """The HTTP status that stands for a gRPC status."""
    return _HTTP_STATUS.get(pb.Header.FromString(header).value, 500)


@lru_cache(REMEMBERED)
def _flags(flags: bytes) -> tuple[str, ...]:
    return tuple(FLAGS[field.name] for field, _ in pb.ResponseFlags.FromString(flags).ListFields())


def _trace(header: bytes) -> str:
    sampled = _SAMPLED.match(pb.Header.FromString(header).value)
    return sampled[1].decode() if sampled else ""
