"""What Envoy asks again is not read again: with thousands of experiments, and whatever else clients say."""

from collections.abc import Iterator

import pytest

from extproc import names
from extproc.wire import ext_proc
from extproc.wire.ext_proc import read
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    ext_proc._of_routes.clear()
    ext_proc._remembered.cache_clear()
    yield
    ext_proc._of_routes.clear()
    ext_proc._remembered.cache_clear()


def asked(route: str, token: str = "", other: str = "") -> bytes:
    request = pb.ProcessingRequest()
    request.attributes[names.EXT_PROC_FILTER].fields[names.ROUTE_NAME_ATTRIBUTE].string_value = route.encode()
    for name, value in ((names.ROUTE_HEADER, token), ("x-other", other)):
        if value:
            request.request_headers.headers.headers.add(key=name, raw_value=value.encode())
    request.request_headers.end_of_stream = False
    return request.SerializeToString()


def test_more_routes_are_remembered_than_clients_sayings() -> None:
    many = [asked(f"e{i}/a/fallback") for i in range(ext_proc._REMEMBERED + 100)]
    first = [read(message) for message in many]
    assert all(read(message) is found for message, found in zip(many, first, strict=True))
    assert [found.route_name for found in first] == [f"e{i}/a/fallback" for i in range(len(many))]


def test_what_clients_say_takes_no_route_s_place() -> None:
    route = read(asked("e/a/fallback"))
    for i in range(50):
        assert read(asked("e/a/fallback", token=f":gone{i}_1:")).headers == {names.ROUTE_HEADER: f":gone{i}_1:"}
        read(asked("e/a/fallback", other="x" * 300 + str(i)))  # from an Envoy that forwards more than ours
    assert len(ext_proc._of_routes) == 1
    assert read(asked("e/a/fallback")) is route


def test_no_more_routes_are_remembered_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ext_proc, "_ROUTES", 3)
    for i in range(20):
        assert read(asked(f"e{i}/a/fallback")).route_name == f"e{i}/a/fallback"
        assert len(ext_proc._of_routes) <= 3
