"""Headers that a user gives, read strictly, and headers that are shown, without anything secret in them.

Must stay true: no value of a header that carries credentials is ever printed, in messages neither.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from extproc.names import MODEL_HEADER

Headers = tuple[tuple[str, str], ...]

HIDDEN: Final = "<hidden>"

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2, token
_VALUE: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*")  # RFC 9110 section 5.5, field-value
# What describes the message's own shape (RFC 9112 section 6), and the header that the command fills itself.
_OURS: Final = frozenset({"content-length", "transfer-encoding", "connection", MODEL_HEADER})

_SECRET_NAME: Final = re.compile(
    r"authori[sz]ation|authentication|cookie|token|secret|passw|credential|api[-_]?key|session|signature|jwt"
    r"|[-_]auth$|^auth$",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(r"\s*(basic|bearer|digest|negotiate|apikey|token)\s", re.IGNORECASE)


def header(text: str) -> tuple[str, str]:
    """The header in `Name: value`, its name in lower case. Raises ValueError, whose text never holds the value."""
    name, colon, value = text.partition(":")
    name, value = name.strip().lower(), value.strip(" \t")
    if not colon or not _NAME.fullmatch(name):
        raise ValueError("write a header as 'name: value'; a name has letters, digits and dashes")
    if name in _OURS:
        raise ValueError(f"{name} is set by extproc itself: leave it out")
    if not _VALUE.fullmatch(value):
        raise ValueError(f"the value of {name} holds a character that no header may have")
    return name, value


def without_secrets(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """`headers` as they may be printed: in their order, credentials as `<hidden>`."""
    for name, value in headers:
        hidden = _SECRET_NAME.search(name) or _SECRET_VALUE.match(value)
        yield name, HIDDEN if hidden else value
