"""One HTTP request and its answer, for a test's own eyes; many of them are `load.py`'s work."""

import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; the names of `headers` are in lower case, repeated ones joined with a comma."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    url: str,
    *,
    method: str = "",
    headers: Mapping[str, str] | None = None,
    body: bytes | str | dict[str, Any] = b"",
    within: float = 10.0,
) -> Answer:
    """Send one request on a connection of its own; POST when there is a body, else GET; a dict is sent as JSON.

    `within` is in seconds. Raises OSError or http.client.HTTPException when no answer comes.
    """
    where = urlsplit(url)
    sent = {"connection": "close", **(headers or {})}
    if isinstance(body, dict):
        body = json.dumps(body)
        sent.setdefault("content-type", "application/json")
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=within)
    try:
        target = where.path + (f"?{where.query}" if where.query else "")
        connection.request(method or ("POST" if body else "GET"), target or "/", body=body or None, headers=sent)
        response = connection.getresponse()
        got: dict[str, str] = {}
        for name, value in response.getheaders():
            key = name.lower()
            got[key] = f"{got[key]},{value}" if key in got else value
        return Answer(response.status, got, response.read())
    finally:
        connection.close()
