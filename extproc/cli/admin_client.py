"""The client of extproc's admin HTTP: one request, one JSON object back, or an ExtprocError that says what to do next.

Must stay true: nothing that a server or a network does is raised as anything else. Connections are direct; the proxies
of the environment are for other places than an admin port. Standard library only, so that completion is quick.
"""

import io
import json
import socket
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection, IncompleteRead
from typing import Any, Final, NoReturn
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from extproc import __version__
from extproc.cli.admin_errors import AdminGarbledError, AdminRefusedError, AdminUnreachableError
from extproc.cli.plain import plain
from extproc.errors import Problem

Document = dict[str, Any]

ANSWER_WITHIN: Final = 30.0  # seconds; extproc itself gives Envoy ten to take a change
ANSWER_MAX: Final = 64 * 1024 * 1024  # bytes
_PIECE: Final = 64 * 1024  # bytes
_EXPERIMENTS: Final = "/api/v1/experiments"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success: its status code and the document."""

    status: int
    document: Document

    @property
    def created(self) -> bool:
        return self.status == HTTPStatus.CREATED


class AdminClient:
    """One extproc's admin HTTP at `url` (`http://host:port`, https and a path before `/api` allowed).

    `within` is how long an answer may take, in seconds. Every method raises AdminUnreachableError, AdminRefusedError or
    AdminGarbledError. Raises ValueError when `url` is none.
    """

    def __init__(self, url: str, within: float = ANSWER_WITHIN) -> None:
        self.url: Final = url.rstrip("/")
        self._parts: Final = address(url)
        self._within: Final = within

    def experiments(self) -> Document:
        """Every experiment and every problem: `{"experiments": […], "problems": […]}`."""
        return self._ask("GET").document

    def experiment(self, name: str) -> Document:
        """One experiment as it reads back."""
        return self._ask("GET", name).document

    def history(self, name: str) -> Document:
        """Its revisions, oldest first: `{"name": …, "revisions": […]}`."""
        return self._ask("GET", name, "/history").document

    def start(
        self, spec: Document, *, caller: str = "", why: str = "", wait: bool = True, revision: int | None = None
    ) -> Answer:
        """Start the experiment that `spec` declares, or update the one of its name.

        With `revision` only if that is still the current one. `wait` is for Envoy to run it.
        """
        query = {"caller": caller, "why": why, "wait": "true" if wait else "false"}
        # An entity tag is quoted (RFC 9110, section 8.8.3).
        headers = {} if revision is None else {"If-Match": f'"{revision}"'}
        return self._ask("PUT", str(spec["name"]), query=query, body=spec, headers=headers)

    def stop(self, name: str, *, caller: str = "", why: str = "", wait: bool = True) -> Answer:
        """Stop an experiment; to stop it again is no error."""
        return self._ask("DELETE", name, query={"caller": caller, "why": why, "wait": "" if wait else "false"})

    def roll_back(self, name: str, revision: int, *, caller: str = "", why: str = "", wait: bool = True) -> Answer:
        """Make an old revision current again, as a new one."""
        query = {"caller": caller, "why": why, "wait": "" if wait else "false"}
        return self._ask("POST", name, "/rollback", query=query, body={"revision": revision})

    def assign(self, name: str, units: Sequence[str]) -> Document:
        """Whom units go to: `{"name": …, "revision": …, "assignments": […]}`, one for each in the same order."""
        return self._ask("POST", name, "/assign", body={"units": list(units)}).document

    def _ask(
        self,
        method: str,
        name: str = "",
        below: str = "",
        *,
        query: Mapping[str, str] | None = None,
        body: Document | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        # Arguments of a command line may hold bytes that are no UTF-8; a name like that is unknown, not a crash.
        place = f"/{quote(name, safe='', errors='replace')}{below}" if name else ""
        given = {key: value for key, value in (query or {}).items() if value}
        target = self._parts.path.rstrip("/") + _EXPERIMENTS + place
        if given:
            target += "?" + urlencode(given, errors="replace")
        sent = {"Accept": "application/json", "User-Agent": f"extproc/{__version__}", **(headers or {})}
        payload = None
        if body is not None:
            payload = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        try:
            response, data = self._exchange(method, target, payload, sent)
        except (OSError, HTTPException, UnicodeError) as error:
            raise AdminUnreachableError(
                self.url, self._reason(error), may_have_changed=_may_have(method, error)
            ) from error
        return self._answer(response, data, name)

    def _exchange(
        self, method: str, target: str, payload: bytes | None, headers: Mapping[str, str]
    ) -> tuple[HTTPResponse, bytes]:
        deadline = time.monotonic() + self._within
        kind, port = (HTTPSConnection, 443) if self._parts.scheme == "https" else (HTTPConnection, 80)
        connection = kind(self._parts.hostname or "", self._parts.port or port, timeout=self._within)
        try:
            connection.connect()
            # A server that has read enough (413) may answer and close before it was sent everything.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, target, body=payload, headers=dict(headers))
            response = HTTPResponse(_Until(connection.sock, deadline), method=method)  # type: ignore[arg-type]
            response.begin()
            data = bytearray()
            while piece := response.read1(_PIECE):
                data += piece
                if len(data) > ANSWER_MAX:
                    self._garbled(f"more than {ANSWER_MAX} bytes")
            if response.length:
                raise IncompleteRead(bytes(data), response.length)
            return response, bytes(data)
        finally:
            connection.close()

    def _answer(self, response: HTTPResponse, data: bytes, name: str) -> Answer:
        kind = response.headers.get_content_type()
        said = f"{response.status} {plain(response.reason)}".strip()
        wanted = "application/problem+json" if response.status >= HTTPStatus.BAD_REQUEST else "application/json"
        if response.status < HTTPStatus.OK or HTTPStatus.MULTIPLE_CHOICES <= response.status < HTTPStatus.BAD_REQUEST:
            self._garbled(said)
        if kind != wanted:
            self._garbled(f"{said}, with {plain(kind)} where {wanted} belongs")
        try:
            document = json.loads(data, parse_constant=_no_number)
        except (ValueError, RecursionError):
            self._garbled(f"{said}, with a body that is not JSON")
        if not isinstance(document, dict):
            self._garbled(f"{said}, with JSON that is no object")
        if response.status >= HTTPStatus.BAD_REQUEST:
            raise _refusal(response.status, document, name)
        return Answer(response.status, document)

    def _garbled(self, what: str) -> NoReturn:
        raise AdminGarbledError(self.url, what)

    def _reason(self, error: Exception) -> str:
        match error:
            case TimeoutError():
                return f"no answer within {self._within:g} s"
            case ConnectionRefusedError():
                return "connection refused"
            case socket.gaierror() | UnicodeError():
                return f"no host is called {self._parts.hostname}"
            case ssl.SSLError():
                return f"no TLS connection can be made ({plain(error.reason or str(error))})"
            case IncompleteRead():
                return "the connection was closed in the middle of the answer"
            case ConnectionError():
                return "the connection was closed without an answer"
            case OSError():
                return plain(error.strerror or str(error))
            case _:
                return "what answers there does not speak HTTP/1.1"


class _Until(io.RawIOBase):
    """The bytes of a socket until a deadline; the socket's own timeout would start anew with each of them."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks a socket for."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


def address(url: str) -> SplitResult:
    """The parts of an admin address. Raises ValueError when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError(url)
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(url)
    return parts


def _may_have(method: str, error: Exception) -> bool:
    """Whether a request of this method that failed so may have changed something."""
    return method != "GET" and not isinstance(
        error, ConnectionRefusedError | socket.gaierror | UnicodeError | ssl.SSLError
    )


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _refusal(status: int, document: Document, name: str) -> AdminRefusedError:
    """The refusal that problem details tell; whatever they lack or garble is left out."""
    found = document.get("problems")
    problems = [
        Problem(_text(item.get("path")), _text(item.get("message")))
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, dict)
    ]
    title = _text(document.get("title")) or f"refused with status {status}"
    return AdminRefusedError(status, title, _text(document.get("detail")), problems, name)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
