"""Units as Envoy's attributes hold them: found, decoded, or absent, whatever the bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import names
from extproc.wire.ext_proc import read
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb
from extproc.wire.units import cookie, parameter, unit_of

COOKIE = names.UNIT_COOKIE_ATTRIBUTE + "uid"
QUERY = names.UNIT_QUERY_ATTRIBUTE + "user"


def value(given: bytes | float) -> pb.Value:
    return pb.Value(string_value=given) if isinstance(given, bytes) else pb.Value(number_value=given)


@pytest.mark.parametrize(
    ("attributes", "unit"),
    [
        ({}, b""),
        ({names.UNIT_ATTRIBUTE: b"alice"}, b"alice"),
        ({names.UNIT_ATTRIBUTE: b""}, b""),
        ({names.UNIT_ATTRIBUTE: b"\xff\x00"}, b"\xff\x00"),
        ({names.UNIT_ATTRIBUTE: 42.0}, b"42"),
        ({names.UNIT_ATTRIBUTE: -3.0}, b"-3"),
        ({names.UNIT_ATTRIBUTE: 0.5}, b"0.5"),
        ({names.UNIT_ATTRIBUTE: float("nan")}, b"nan"),
        ({names.UNIT_ATTRIBUTE: float("inf")}, b"inf"),
        ({COOKIE: b"a=1; uid=u7"}, b"u7"),
        ({COOKIE: b"a=1", names.UNIT_ISSUED_ATTRIBUTE: b"new"}, b"new"),
        ({names.UNIT_ISSUED_ATTRIBUTE: b"new", COOKIE: b"uid=u7"}, b"u7"),
        ({COOKIE: b"uid=", names.UNIT_ISSUED_ATTRIBUTE: b"new"}, b"new"),
        ({names.UNIT_ISSUED_ATTRIBUTE: b"new; Domain=example.com"}, b""),
        ({names.UNIT_ISSUED_ATTRIBUTE: b"new\n"}, b""),
        ({QUERY: b"x=1&user=bob"}, b"bob"),
        ({names.UNIT_ADDRESS_ATTRIBUTE: b"10.0.0.1:4711"}, b"10.0.0.1"),
        ({names.UNIT_ADDRESS_ATTRIBUTE: b"[::1]:4711"}, b"[::1]"),
        ({"something.else": b"x"}, b""),
    ],
)
def test_each_source_has_its_attribute(attributes: dict[str, bytes | float], unit: bytes) -> None:
    assert unit_of({name: value(given) for name, given in attributes.items()}) == unit


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (b"uid=1", b"1"),
        (b"xuid=0;uid=1;uid=2", b"1"),
        (b" uid=1 ; b=2", b"1"),
        (b'uid="1"', b"1"),
        (b'uid="', b'"'),
        (b"uid=a=b", b"a=b"),
        (b"uid", b""),
        (b"UID=1", b""),
        (b"", b""),
    ],
)
def test_cookies(header: bytes, found: bytes) -> None:
    assert cookie(header, b"uid") == found


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"user=1", b"1"),
        (b"user=&user=2", b"2"),
        (b"a=user&user=zo%C3%AB+x", "zoë x".encode()),
        (b"us%65r=1", b"1"),
        (b"user=%zz", b"%zz"),
        (b"user", b""),
        (b"", b""),
    ],
)
def test_query_parameters(query: bytes, found: bytes) -> None:
    assert parameter(query, b"user") == found


@given(st.binary(), st.binary(), st.sampled_from([COOKIE, QUERY, names.UNIT_ADDRESS_ATTRIBUTE, names.UNIT_ATTRIBUTE]))
def test_any_bytes_have_a_reading(data: bytes, issued: bytes, name: str) -> None:
    assert isinstance(unit_of({name: value(data), names.UNIT_ISSUED_ATTRIBUTE: value(issued)}), bytes)


def test_a_request_is_read_with_its_unit() -> None:
    message = pb.ProcessingRequest(request_headers=pb.HttpHeaders())
    fields = message.attributes[names.EXT_PROC_FILTER].fields
    fields[names.ROUTE_NAME_ATTRIBUTE].string_value = b"ab/iris/fallback"
    assert read(message.SerializeToString()).unit == b""
    fields[names.UNIT_ATTRIBUTE].string_value = b"\xe9"
    request = read(message.SerializeToString())
    assert (request.route_name, request.unit) == ("ab/iris/fallback", b"\xe9")
    fields[names.UNIT_ATTRIBUTE].string_value = b""
    request = read(message.SerializeToString())
    assert (request.unit, request.bare) == (b"", False), "a client has its say, even where it has no unit"
