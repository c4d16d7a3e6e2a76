"""The head of a request, from its header fields: valid by RFC 9113, sections 8.2 and 8.3, or a StreamFault.

A `Field` is judged once, when it is made, so that one which comes with every request is not looked at again.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from extproc.http2.faults import StreamFault
from extproc.http2.frames import ErrorCode

_NAME: Final = re.compile(rb":?[!#$%&'*+\-.^_`|~0-9a-z]+")
# Octets that would end a field in HTTP/1.1, and spaces around it; section 8.2.1.
VALUE: Final = re.compile(rb"(?![ \t])[^\0\r\n]*(?<![ \t])")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
# Section 8.2.2: these speak of a connection, and a stream is none.
_OF_CONNECTIONS: Final = frozenset({"connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"})
_PSEUDO: Final = frozenset({":method", ":scheme", ":authority", ":path"})
CONTENT_LENGTH: Final = "content-length"
CHOOSY: Final = frozenset({"te", CONTENT_LENGTH})  # fields for which not every VALUE will do


class Field(NamedTuple):
    """A header field. Values are octets: Latin-1 reads any of them and loses none."""

    name: str
    value: str
    pseudo: bool
    valid: bool  # by itself, as part of a request

    @classmethod
    def of(cls, name: bytes, value: bytes) -> "Field":
        text, content = name.decode("latin-1"), value.decode("latin-1")
        pseudo = name[:1] == b":"
        valid = (
            _NAME.fullmatch(name) is not None
            and VALUE.fullmatch(value) is not None
            and text not in _OF_CONNECTIONS
            and not (pseudo and text not in _PSEUDO)
            and not (text == "te" and content != "trailers")
            and not (text == CONTENT_LENGTH and _LENGTH.fullmatch(content) is None)
        )
        return cls(text, content, pseudo, valid)


@dataclass(frozen=True, slots=True, eq=False)
class RequestHead:
    """`path` is empty only for CONNECT. `content_length` is what the body's length has to be, None for any."""

    method: str
    path: str
    fields: tuple[Field, ...]  # without the pseudo-header fields, in the order they were sent in
    content_length: int | None

    def get(self, name: str) -> str | None:
        """The value of the first field of this name, which is in lower case."""
        for field in self.fields:
            if field[0] == name:
                return field[1]
        return None


_MALFORMED: Final = ErrorCode.PROTOCOL_ERROR  # section 8.1.1


def request_head(fields: Iterable[Field]) -> RequestHead:
    """The head that these fields make. Raises StreamFault when it is malformed."""
    pseudo: dict[str, str] = {}
    regular: list[Field] = []
    length = None
    for field in fields:
        name, value, is_pseudo, valid = field
        if not valid:
            raise StreamFault(_MALFORMED)
        if is_pseudo:
            if regular or name in pseudo:
                raise StreamFault(_MALFORMED)
            pseudo[name] = value
        else:
            regular.append(field)
            if name == CONTENT_LENGTH:
                if length is not None and length != int(value):
                    raise StreamFault(_MALFORMED)
                length = int(value)
    method, path = pseudo.get(":method"), pseudo.get(":path", "")
    if method == "CONNECT":  # section 8.5
        complete = ":authority" in pseudo and ":path" not in pseudo and ":scheme" not in pseudo
    else:
        complete = bool(method and path and ":scheme" in pseudo)
    if not complete:
        raise StreamFault(_MALFORMED)
    return RequestHead(method or "", path, tuple(regular), length)


def check_trailers(fields: Iterable[Field]) -> None:
    """Raises StreamFault for trailers that are malformed; what they say is of no use to us."""
    if any(field.pseudo or not field.valid for field in fields):
        raise StreamFault(_MALFORMED)
