"""What a request's head means in gRPC: which method, with what deadline, or why it is no call that we serve.

Read once for each head that comes again and again. Protocol:
https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from extproc.http2.grpc_status import Pieces, Status, trailers_only
from extproc.http2.header_blocks import Metadata
from extproc.http2.request import RequestHead

if TYPE_CHECKING:
    from extproc.http2.grpc_calls import Call

_CONTENT_TYPE_NAME: Final = "content-type"
_TIMEOUT_NAME: Final = "grpc-timeout"
_ENCODING_NAME: Final = "grpc-encoding"
_ENCODING_MAX: Final = 64  # characters that are kept with a call
DECISIVE: Final = frozenset({_CONTENT_TYPE_NAME, _TIMEOUT_NAME, _ENCODING_NAME})  # the header fields that are read here


class Answer(NamedTuple):
    """What is said to a message: `reply` if it is not None, and then OK and nothing more if `ends`."""

    reply: bytes | None
    ends: bool


class Exchange(Protocol):
    """One call as its service has it. `stays` when the call goes on after its client has said everything."""

    @property
    def stays(self) -> bool: ...

    def answer(self, message: bytes) -> Answer:
        """Answer a message. Raises Refused, which ends the call."""

    def end(self) -> None:
        """The call is over, however it ended; comes once."""


Begin = Callable[["Call"], Exchange]
Matches = Callable[[bytes], object]  # returns None for what does not


class AtOnce(Protocol):
    """Answers calls of a method that are whole: their one message is there, and a reply would be their only one."""

    def values(self, name: str, others: Metadata) -> Matches | None:
        """Which values of the header field `name` make no difference beside `others`; None if all may make one.

        `name` is empty for calls that have no field beside `others`.
        """

    def answer(self, body: bytes) -> Pieces | None:
        """The reply to the message that `body` is, with its prefix, as `whole_answer` has it.

        Its message has at most REPLY_MAX bytes with its prefix. None, with nothing done, where an Exchange has to be
        asked.
        """


# Also application/grpc+proto and application/grpc;charset=…, but not application/grpc-web.
_CONTENT_TYPE: Final = re.compile(r"application/grpc([+;].*)?")
_TIMEOUT: Final = re.compile(r"([0-9]{1,8})([HMSmun])")
_SECONDS: Final = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@dataclass(frozen=True, slots=True, eq=False)
class Opening:
    """A call that is asked for.

    What is no gRPC call is answered with the HTTP status `error`, which is 0 otherwise; a call that is not served with
    the header block `refused`, which is empty otherwise. `timeout` is in seconds. `encoding` names the compression of
    messages that say they are compressed.
    """

    begin: Begin | None
    at_once: AtOnce | None
    error: int
    refused: bytes
    timeout: float | None
    encoding: str
    content_length: int | None


class Methods:
    """The methods that are served, by their path (`/package.Service/Method`)."""

    def __init__(self, methods: Mapping[str, Begin], at_once: Mapping[str, AtOnce] | None = None) -> None:
        self._methods: Final = methods
        self._at_once: Final = at_once or {}

    def interpret(self, head: RequestHead) -> Opening:
        """The call that a request's head asks for."""
        timeout, error, refused = None, 0, b""
        if head.method != "POST":
            error = 405
        elif not _CONTENT_TYPE.fullmatch(head.get(_CONTENT_TYPE_NAME) or ""):
            error = 415
        elif head.path not in self._methods:
            refused = trailers_only(Status.UNIMPLEMENTED, f"there is no method {head.path} here")
        elif (text := head.get(_TIMEOUT_NAME)) is not None:
            timeout = read_timeout(text)
            if timeout is None:
                refused = trailers_only(Status.INTERNAL, f"the grpc-timeout {text} is no time")
        return Opening(
            begin=None if error or refused else self._methods[head.path],
            at_once=None if error or refused else self._at_once.get(head.path),
            error=error,
            refused=refused,
            timeout=timeout,
            encoding=(head.get(_ENCODING_NAME) or "identity")[:_ENCODING_MAX],
            content_length=head.content_length,
        )


def read_timeout(text: str) -> float | None:
    """The seconds of a `grpc-timeout`, None for what is none."""
    found = _TIMEOUT.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] if found else None
