"""What is asked and what comes back, the same for REST and gRPC: a Call, sent any number of times, and its Answers."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from extproc.inference.headers import Headers

# Where a model is called by: its name, `<experiment>.experiment` or `<pipeline>.pipeline`. Envoy also serves models
# that are not extproc's, so this is wider than a resource's name: all that can stand in a path as it is.
_MODEL: Final = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~-]{1,200}")

_LIKE: Final = "write it like http://127.0.0.1:9000"


@dataclass(frozen=True, slots=True)
class Call:
    """One inference request. `url` is Envoy's inference URL without a slash at its end; `timeout` in seconds.

    `body` is what goes over the wire: JSON for REST, a ModelInferRequest for gRPC. The names of `headers`
    are in lower case. With `traced` each sending begins a trace of its own.
    """

    url: str
    model: str
    body: bytes
    headers: Headers = ()
    timeout: float = 30.0
    traced: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of sending a Call once.

    `code` is the HTTP status (`200`) or the gRPC status code (`OK`), and a word where there was no answer (`refused`,
    `timeout`, `disconnected`). `seconds` is from the asking to the answer's last byte. `route` is the route token,
    empty where none came. `reached` is false when there was nobody to send the request to. `detail` says why it failed.
    `trace` is the id of the trace that was begun for it, empty for none.
    """

    code: str
    ok: bool
    seconds: float
    route: str = ""
    reached: bool = True
    detail: str = ""
    body: bytes = b""
    sent: Headers = ()
    received: Headers = ()
    trace: str = ""


Ask = Callable[[str], Awaitable[Answer]]
"""Sends the Call once, with this route token (none when empty), and never raises for what an answer can say."""


def model_name(text: str) -> str:
    """`text`, if a model can be called so. Raises ValueError."""
    if not _MODEL.fullmatch(text):
        raise ValueError(
            f"{text!r} can't stand in a path: give a model's name, EXPERIMENT.experiment or PIPELINE.pipeline"
        )
    return text


def base_url(text: str) -> str:
    """`text` as a URL that paths can be put behind: no slash at its end. Raises ValueError."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL ({error}): {_LIKE}") from error
    if "@" in parts.netloc:  # said first, so that no message quotes the password
        raise ValueError("holds a user or a password: send credentials with --header")
    plain = text.isascii() and text.isprintable() and " " not in text
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0 or not plain:
        raise ValueError(f"{text!r} is no URL of a server: {_LIKE}")
    if parts.query or parts.fragment:
        raise ValueError(f"{text!r} has a query or a fragment: leave it out")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.rstrip('/')}"
