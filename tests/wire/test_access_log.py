"""Entries as a real Envoy sends them, read as the official schema reads them; and whatever else arrives."""

import dataclasses
from datetime import timedelta

import betterproto2
import pytest
from envoy_data_plane.envoy.config.core.v3 import Metadata
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogCommon, AccessLogType, ResponseFlags
from envoy_data_plane.envoy.data.accesslog.v3 import HttpAccessLogEntry as OfficialEntry
from envoy_data_plane.envoy.service.accesslog.v3 import StreamAccessLogsMessage as OfficialMessage
from envoy_data_plane.envoy.service.accesslog.v3 import StreamAccessLogsMessageHttpAccessLogEntries as OfficialEntries
from envoy_data_plane.google.protobuf import Struct, Value
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc import names
from extproc.wire import access_log
from extproc.wire.access_log import FLAGS, Entry, NotAnAccessLog, read
from extproc.wire.pb.extproc.slim import access_log_pb2 as pb
from tests.fixtures.access_log import captured
from tests.fixtures.access_log.capture import CASES, TRACE

NAMES = [name for name, *_ in CASES]
IRIS, GRPC = "iris-ab/iris", "iris-ab/iris/grpc"


def logged(*entries: OfficialEntry) -> bytes:
    """A message of these entries."""
    return bytes(OfficialMessage(http_logs=OfficialEntries(log_entry=list(entries))))


@pytest.mark.parametrize(
    ("name", "route_name", "outcome", "status", "flags"),
    [
        ("weighted", IRIS, "", 200, ()),
        ("sticky", IRIS, "sticky", 200, ()),
        ("fallback", "iris-ab/iris/fallback", "", 200, ()),
        ("failed", IRIS, "", 500, ()),
        ("refused", "iris-ab/gone", "", 503, ("UF", "URX")),
        ("gave-up", IRIS, "", 0, ("DC",)),
        ("traced", IRIS, "", 200, ()),
        ("grpc-ok", GRPC, "", 200, ()),
        ("grpc-not-found", GRPC, "", 404, ()),
        ("grpc-refused", "iris-ab/gone/grpc", "", 503, ("UF", "URX")),
        ("of-an-experiment", IRIS, "", 200, ()),
    ],
)
def test_an_entry_is_read_as_envoy_sends_it(
    name: str, route_name: str, outcome: str, status: int, flags: tuple[str, ...]
) -> None:
    (entry,) = read(captured(name))
    assert (entry.route_name, entry.outcome, entry.status, entry.flags) == (route_name, outcome, status, flags)
    answered_by_model = name not in {"refused", "grpc-refused", "gave-up"}
    assert 0 < entry.upstream < entry.duration < 10 if answered_by_model else entry.upstream == -1
    assert entry.received > 0
    assert entry.trace == (TRACE if name == "traced" else "")


def test_a_copy_is_an_entry_of_its_own() -> None:
    entries = {entry.route_name: entry for entry in read(captured("mirrored"))}
    assert set(entries) == {"copied/iris", "copied/third/mirror"}
    assert {entry.status for entry in entries.values()} == {200}


@pytest.mark.parametrize("name", NAMES)
def test_times_and_bytes_are_those_of_the_official_schema(name: str) -> None:
    official = OfficialMessage.parse(captured(name)).http_logs
    assert official is not None
    for entry, whole in zip(read(captured(name)), official.log_entry, strict=True):
        common, request, response = whole.common_properties, whole.request, whole.response
        assert common is not None and request is not None and response is not None
        assert common.start_time is not None and common.duration is not None
        assert entry.start == pytest.approx(common.start_time.timestamp(), abs=1e-6)
        assert entry.duration == pytest.approx(common.duration.total_seconds(), abs=1e-6)
        sent, received = common.time_to_first_upstream_tx_byte, common.time_to_last_upstream_rx_byte
        took = (received - sent).total_seconds() if sent is not None and received is not None else -1
        assert entry.upstream == pytest.approx(took, abs=2e-6)
        assert (entry.received, entry.sent) == (request.request_body_bytes, response.response_body_bytes)


def test_several_messages_are_one() -> None:
    assert len(list(read(b"".join(map(captured, NAMES))))) == len(NAMES) + 1  # a copy among them


def test_a_request_that_goes_on_is_no_entry_yet() -> None:
    common = AccessLogCommon(route_name=IRIS, access_log_type=AccessLogType.DownstreamPeriodic)
    assert list(read(logged(OfficialEntry(common_properties=common)))) == []


def test_an_entry_that_says_nothing_is_read() -> None:
    assert list(read(logged(OfficialEntry()))) == [Entry("", "", 0.0, 0.0, -1.0, 0, (), 0, 0, "")]


def test_an_upstream_that_never_answered_took_no_time() -> None:
    common = AccessLogCommon(time_to_first_upstream_tx_byte=timedelta(milliseconds=3))
    (entry,) = read(logged(OfficialEntry(common_properties=common)))
    assert entry.upstream == -1


def test_every_flag_of_envoy_has_its_short_name() -> None:
    slim = {field.name: field.number for field in pb.ResponseFlags.DESCRIPTOR.fields}
    official = {field.name: betterproto2.FieldMetadata.get(field).number for field in dataclasses.fields(ResponseFlags)}
    assert set(FLAGS) == set(slim)
    assert slim == official
    assert len(set(FLAGS.values())) == len(FLAGS)


@pytest.mark.parametrize(
    "traceparent",
    [
        *("", "00", "00-1-2-01", f"00-{TRACE}-b7ad6b7169203331-00", f"00-{TRACE}-b7ad6b7169203331-"),
        f'00-{TRACE[:-1]}"-b7ad6b7169203331-01',
    ],
)
def test_a_trace_that_nobody_keeps_is_none(traceparent: str) -> None:
    official = OfficialMessage.parse(captured("traced"))
    assert official.http_logs is not None
    request = official.http_logs.log_entry[0].request
    assert request is not None
    request.request_headers["traceparent"] = traceparent
    assert [entry.trace for entry in read(bytes(official))] == [""]


@settings(max_examples=300)
@given(st.sampled_from(NAMES), st.integers(0, 2000), st.binary(max_size=6))
def test_no_message_makes_reading_raise_anything_else(name: str, at: int, garbage: bytes) -> None:
    message = captured(name)
    for spoilt in (message[:at], message[:at] + garbage + message[at + len(garbage) :], garbage):
        try:
            entries = list(read(spoilt))
        except NotAnAccessLog as error:
            assert "StreamAccessLogsMessage" in str(error)
        else:
            assert all(isinstance(entry, Entry) for entry in entries)


def told(**namespaces: dict[str, str]) -> bytes:
    """An entry whose request has this metadata, by namespace."""
    structs = {
        name: Struct(fields={key: Value(string_value=text) for key, text in fields.items()})
        for name, fields in namespaces.items()
    }
    common = AccessLogCommon(
        route_name=IRIS, metadata=Metadata(filter_metadata=structs), access_log_type=AccessLogType.DownstreamEnd
    )
    return logged(OfficialEntry(common_properties=common))


def test_of_what_filters_found_out_nothing_is_remembered() -> None:
    """Such as the claims of each subject, which would also be another text each time."""
    access_log._outcome.cache_clear()
    for subject in range(50):
        for first in ({"envoy.filters.http.jwt_authn": {"sub": f"user-{subject}" * 30}}, {}):
            namespaces = {**first, names.METADATA: {"outcome": "sticky"}, "later": {"sub": f"user-{subject}"}}
            (entry,) = read(told(**namespaces))
            assert entry.outcome == "sticky"
    assert access_log._outcome.cache_info().misses == 1


def test_no_claim_passes_for_ours() -> None:
    ours = bytes(Metadata(filter_metadata={names.METADATA: Struct(fields={"outcome": Value(string_value="sticky")})}))
    (entry,) = read(told(other={"sub": ours.decode("latin-1"), names.METADATA: "sticky"}))
    assert entry.outcome == ""


@given(st.binary(max_size=200))
def test_any_metadata_is_read_to_its_end(metadata: bytes) -> None:
    assert access_log._own(metadata) in (b"", metadata) or access_log._own(metadata) in metadata
