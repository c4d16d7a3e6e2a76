"""What Envoy asks again is not read again, unless it is long."""

from collections.abc import Iterator

import pytest

from extproc import names
from extproc.wire import ext_proc
from extproc.wire.ext_proc import read
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    ext_proc._remembered.cache_clear()
    yield
    ext_proc._remembered.cache_clear()


def asked(route: str, token: str = "", other: str = "") -> bytes:
    request = pb.ProcessingRequest()
    request.attributes[names.EXT_PROC_FILTER].fields[names.ROUTE_NAME_ATTRIBUTE].string_value = route.encode()
    for name, value in ((names.ROUTE_HEADER, token), ("x-other", other)):
        if value:
            request.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    request.request_headers.end_of_stream = False
    return request.SerializeToString()


def test_a_message_that_comes_again_is_read_once() -> None:
    first = [read(asked("e/a/fallback", token)) for token in ("", ":a_1:")]
    assert all(read(asked("e/a/fallback", token)) is found for token, found in zip(("", ":a_1:"), first, strict=True))
    assert [found.headers.get(names.ROUTE_HEADER, "") for found in first] == ["", ":a_1:"]


def test_long_messages_are_not_kept() -> None:
    for i in range(50):  # from an Envoy that forwards more than ours
        assert read(asked("e/a/fallback", other="x" * 600 + str(i))).route_name == "e/a/fallback"
    assert ext_proc._remembered.cache_info().currsize == 0
