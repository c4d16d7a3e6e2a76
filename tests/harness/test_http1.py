"""Messages come out the same however the bytes were cut."""

import pytest

from tests.harness.http1 import Reader, encode

_STREAM = (
    encode("POST /a HTTP/1.1", (("Host", "x"), ("accept", "1"), ("accept", "2")), b"body")
    + b"POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nbo\r\n\r\n3;x=y\r\ndy!\r\n0\r\n\r\n"
    + b"GET /c HTTP/1.1\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 50, 1000])
def test_any_cut_gives_the_same_messages(size: int) -> None:
    reader = Reader()
    messages = [m for i in range(0, len(_STREAM), size) for m in reader.feed(_STREAM[i : i + size])]
    assert [(m.start, m.body) for m in messages] == [
        ("POST /a HTTP/1.1", b"body"),
        ("POST /b HTTP/1.1", b"bo\r\ndy!"),
        ("GET /c HTTP/1.1", b""),
    ]
    assert messages[0].header("host") == "x"
    assert messages[0].header("accept") == "1,2"
    assert messages[2].header("accept") is None
    assert not reader.amid


def test_garbage_is_an_error() -> None:
    with pytest.raises(ValueError, match="no header line"):
        Reader().feed(b"GET / HTTP/1.1\r\nnonsense\r\n\r\n")
