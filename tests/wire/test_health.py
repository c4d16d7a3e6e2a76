"""Health checks as gRPC's own schema spells them on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.wire.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING, NotAHealthCheckRequest, read_service


@pytest.mark.parametrize(
    ("message", "service"),
    [(b"", ""), (b"\x0a\x00", ""), (b"\x0a\x01x", "x"), (b"\x0a\x01x\x10\x01", "x"), (b"\x0a\x02\xc3\xa9", "é")],
)
def test_the_service_is_field_1(message: bytes, service: str) -> None:
    assert read_service(message) == service


@pytest.mark.parametrize("message", [b"\xff", b"\x0a\x05x", b"\x0a\x01\xff"])
def test_garbage_is_refused(message: bytes) -> None:
    with pytest.raises(NotAHealthCheckRequest, match=f"these {len(message)} bytes are no HealthCheckRequest"):
        read_service(message)


@given(st.text())
def test_any_service_can_be_asked_for(service: str) -> None:
    encoded = service.encode()
    length = len(encoded)
    varint = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    assert read_service(b"\x0a" + varint + encoded) == service


def test_the_status_is_field_1() -> None:
    assert (SERVING, NOT_SERVING, SERVICE_UNKNOWN) == (b"\x08\x01", b"\x08\x02", b"\x08\x03")
