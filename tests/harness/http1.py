"""HTTP/1.1 messages off a byte stream (RFC 9112), for the stub servers and the load generator.

Small and fast instead of complete: it reads what Envoy and ordinary clients send, and anything else is an error.
"""

from dataclasses import dataclass
from typing import Final

Headers = tuple[tuple[str, str], ...]

_END_OF_HEAD: Final = b"\r\n\r\n"
_CRLF: Final = b"\r\n"


@dataclass(frozen=True, slots=True)
class Message:
    """One request or response; the names of `headers` are in lower case, a repeated name stands there repeatedly."""

    start: str
    headers: Headers
    body: bytes

    def header(self, name: str) -> str | None:
        """The value of a header, several joined with a comma (RFC 9110, 5.3); None when it is absent."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


class Reader:
    """Bytes in, whole messages out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._head: tuple[str, Headers] | None = None
        self._length = 0
        self._chunked = False
        self._chunks = bytearray()

    @property
    def amid(self) -> bool:
        """Whether a message has begun and not ended."""
        return self._head is not None or bool(self._buffer)

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes. Raises ValueError for what is no HTTP/1.1."""
        self._buffer += data
        messages = []
        while self._begin() and (body := self._finish()) is not None:
            assert self._head is not None
            messages.append(Message(*self._head, body))
            self._head = None
        return messages

    def _begin(self) -> bool:
        if self._head is not None:
            return True
        end = self._buffer.find(_END_OF_HEAD)
        if end < 0:
            return False
        start, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        del self._buffer[: end + len(_END_OF_HEAD)]
        headers = []
        for line in lines:
            name, colon, value = line.partition(":")
            if not colon:
                raise ValueError(f"no header line: {line!r}")
            headers.append((name.lower(), value.strip(" \t")))
        fields = dict(headers)
        self._head = (start, tuple(headers))
        self._length = int(fields.get("content-length", "0"))
        self._chunked = "chunked" in fields.get("transfer-encoding", "")
        self._chunks = bytearray()
        return True

    def _finish(self) -> bytes | None:
        if self._chunked:
            return self._dechunk()
        if len(self._buffer) < self._length:
            return None
        body = bytes(self._buffer[: self._length])
        del self._buffer[: self._length]
        return body

    def _dechunk(self) -> bytes | None:
        while (end := self._buffer.find(_CRLF)) >= 0:
            size = int(self._buffer[:end].split(b";")[0], 16)
            begin = end + len(_CRLF)
            if len(self._buffer) < begin + size + len(_CRLF):
                return None
            self._chunks += self._buffer[begin : begin + size]
            if size:
                del self._buffer[: begin + size + len(_CRLF)]
                continue
            if self._buffer[begin : begin + 2] != _CRLF:
                raise ValueError("trailers are not read here")
            del self._buffer[: begin + len(_CRLF)]
            return bytes(self._chunks)
        return None


def encode(start: str, headers: Headers, body: bytes) -> bytes:
    """A message as bytes, with its content-length."""
    head = "".join(f"{name}: {value}\r\n" for name, value in (*headers, ("content-length", str(len(body)))))
    return f"{start}\r\n{head}\r\n".encode("latin-1") + body
