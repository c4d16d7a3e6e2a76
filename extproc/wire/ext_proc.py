"""The ext_proc exchange as bytes: what Envoy asks, read into core values, and every answer, serialised beforehand.

Reading raises nothing but `NotAProcessingRequest`. An answer is constant: a decision's label finds it, so that
answering a request builds no message. Messages: envoy/service/ext_proc/v3/external_processor.proto.
"""

from collections.abc import Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple, cast

from google.protobuf.message import DecodeError

from extproc.core.table import EMPTY, Decision, Key, Outcome, Patch, Table
from extproc.errors import ExtprocError
from extproc.names import EXT_PROC_FILTER, LABEL_HEADER, METADATA, PROTOCOLS, ROUTE_HEADER, ROUTE_NAME_ATTRIBUTE
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb
from extproc.wire.units import unit_of

Phase = Literal[
    "request_headers", "response_headers", "request_body", "response_body", "request_trailers", "response_trailers"
]

READ_HEADERS: Final = frozenset({ROUTE_HEADER})  # what `core.decide` reads


class NotAProcessingRequest(ExtprocError):
    """The bytes are no `ProcessingRequest`."""


class ProcessingRequest(NamedTuple):
    """What Envoy asks.

    `phase` is None for a message of none of the six phases. `route_name` and `headers` are filled for the phase
    `request_headers` alone, `route_name` from the attribute `xds.route_name`, empty where Envoy sent none. `headers`
    holds those of READ_HEADERS that were sent; names in lower case, several values of one name joined with a comma.
    `unit` is what the experiment assigns, where it assigns units and the request carries one. `bare` are those that
    say nothing in which a client has a say.
    """

    phase: Phase | None
    route_name: str
    headers: Mapping[str, str]
    unit: bytes = b""
    bare: bool = False


_NO_HEADERS: Final[Mapping[str, str]] = {}


# Messages differ in their route, and in what clients say, which differs without end: those that came last, each of at
# most so many bytes. What no client has a say in, `server.at_once` knows for longer.
_REMEMBERED: Final = 8192
_REMEMBERED_SIZE: Final = 512


def read(message: bytes) -> ProcessingRequest:
    """Read one serialised ProcessingRequest. Raises NotAProcessingRequest."""
    return _read(message) if len(message) > _REMEMBERED_SIZE else _remembered(message)


def _read(message: bytes) -> ProcessingRequest:
    try:
        request = pb.ProcessingRequest.FromString(message)
    except DecodeError as error:
        raise NotAProcessingRequest(f"these {len(message)} bytes are no ProcessingRequest: {error}") from error
    phase = cast("Phase | None", request.WhichOneof("request"))
    if phase != "request_headers":
        return ProcessingRequest(phase, "", _NO_HEADERS)
    # Indexing a protobuf map of messages makes a missing entry, so an absent attribute reads as "".
    fields = request.attributes[EXT_PROC_FILTER].fields
    route_name = fields[ROUTE_NAME_ATTRIBUTE].string_value.decode("latin-1")
    unit = unit_of(fields) if len(fields) > 1 else b""
    sent = request.request_headers.headers.headers
    return ProcessingRequest(phase, route_name, _headers(sent), unit, bare=len(fields) == 1 and not sent)


_remembered: Final = lru_cache(_REMEMBERED)(_read)


def _headers(sent: Iterable[pb.HeaderValue]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for header in sent:
        name = header.key.lower()
        if name in READ_HEADERS:
            # Envoy fills raw_value; Envoys before 1.27 and test tools fill value. A field value is octets (RFC 9110,
            # section 5.5): Latin-1 reads any of them and loses none.
            value = (header.raw_value or header.value).decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value  # RFC 9110, section 5.2
    return headers


def _neutral(phase: str) -> bytes:
    response = pb.ProcessingResponse()
    getattr(response, phase).SetInParent()  # an empty submessage is only sent when it is marked as present
    return response.SerializeToString()


# The answer to each phase that changes nothing: CommonResponse.status is CONTINUE by default.
NEUTRAL: Final[Mapping[Phase, bytes]] = {
    cast("Phase", answer.name): _neutral(answer.name)
    for answer in pb.ProcessingResponse.DESCRIPTOR.oneofs_by_name["response"].fields
}


def _decided(label: str) -> bytes:
    response = pb.ProcessingResponse()
    common = response.request_headers.response
    common.clear_route_cache = True  # Envoy matches again, and finds the route of this label
    option = common.header_mutation.set_headers.add()
    option.header.key = LABEL_HEADER
    option.header.raw_value = label.encode()
    option.append_action = pb.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    return response.SerializeToString()


def replies(table: Table) -> Mapping[str, bytes]:
    """The answer to `request_headers` for each decision of `table`, by its label."""
    return {
        "": NEUTRAL["request_headers"],
        **{label: _decided(label) for label in sorted(_labels(table, table.entries))},
    }


def _labels(table: Table, keys: Iterable[Key]) -> set[str]:
    """Every label that the entries of `keys` tell; those that are not in `table` have none."""
    entries = [table.entries[key] for key in keys if key in table.entries]
    return {decision.label for entry in entries for decision in entry.decisions() if decision.label}


def _outcome(outcome: Outcome) -> bytes:
    response = pb.ProcessingResponse()
    response.dynamic_metadata.fields[METADATA].struct_value.fields["outcome"].string_value = outcome.encode()
    return response.SerializeToString()


_OUTCOMES: Final = {outcome: _outcome(outcome) for outcome in Outcome}


def telling(reply: bytes, decision: Decision) -> bytes:
    """The reply to `decision`, with its outcome as dynamic metadata of the request, for Envoy's span and access log.

    A reply that decides nothing stays as it is: the intercept route, which serves then, has its own reason.
    """
    # Messages that are written one after the other are one message: https://protobuf.dev/programming-guides/encoding/
    return reply + _OUTCOMES[decision.outcome] if decision.label else reply


@dataclass(frozen=True, slots=True)
class Published:
    """A table and its replies, one value, so that a decision can never be answered with another table's reply."""

    table: Table = EMPTY
    replies: Mapping[str, bytes] = field(init=False)
    serialised: InitVar[Mapping[str, bytes] | None] = None  # the replies, where they are known already

    def __post_init__(self, serialised: Mapping[str, bytes] | None) -> None:
        object.__setattr__(self, "replies", replies(self.table) if serialised is None else serialised)

    def patched(self, patch: Patch) -> "Published":
        """What `patch` makes of it: equal to a Published of the patched table, and serialised where it is other."""
        table = self.table.patched(patch)
        # A label is told by both protocols of its experiment, so it is gone only when neither tells it any more.
        touched = {experiment for experiment, _ in (*patch.set, *patch.removed)}
        keys = [(experiment, protocol) for experiment in touched for protocol in PROTOCOLS]
        before, after = _labels(self.table, keys), _labels(table, keys)
        if before == after:
            return Published(table, self.replies)
        serialised = {**self.replies, **{label: _decided(label) for label in sorted(after - before)}}
        for label in before - after:
            del serialised[label]
        return Published(table, serialised)

    def reply(self, decision: Decision, *, traced: bool = False) -> bytes:
        """The answer to `request_headers` that tells Envoy of `decision`.

        The access log takes a decided request that says nothing for a weighted one: it is by far the most frequent
        outcome, and its reply stays short. A trace says it of each.
        """
        reply = self.replies[decision.label]
        return telling(reply, decision) if traced or decision.outcome is not Outcome.WEIGHTED else reply
