"""A model of Envoy that knows of one weight where it stands, in routes or in a runtime, and which one is in force."""

from dataclasses import dataclass, field
from typing import Final

from extproc.names import RUNTIME_LAYER
from extproc.xds.discovery import TYPES, Request, Response
from extproc.xds.encode import encode
from extproc.xds.snapshot import ROUTES, RUNTIME, Snapshot

KEY: Final = "extproc.e.http.a,b.0"  # the end of the part of `a`, among `a` and `b`, for the experiment `e`


@dataclass
class ModelEnvoy:
    """What Envoy holds, and the responses that are on their way to it.

    `says` is what is in routes and runtimes, by their bytes: the weight of `a`, None where the runtime has none.
    """

    says: dict[bytes, int | None] = field(default_factory=dict)
    has_runtime: bool = True
    refuses: frozenset[str] = frozenset()
    version: dict[str, str] = field(default_factory=lambda: dict.fromkeys(TYPES, ""))
    queue: list[Response] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    routes: int | None = None
    runtime: int | None = None
    weights: list[int] = field(default_factory=list)

    def knows(self, snapshot: Snapshot) -> Snapshot:
        self.says[snapshot.resources[ROUTES]["inference"]] = snapshot.written["e"].numbers[KEY] // 1000
        return snapshot

    def hello(self) -> list[Request]:
        self.queue.clear()
        return [self._request(url, "") for url in TYPES if url != RUNTIME or self.has_runtime]

    def take(self) -> Request:
        """Take the next response; Envoy takes one after the other."""
        response = self.queue.pop(0)
        url = response.type_url
        if url in self.refuses:
            return self._request(url, response.nonce, "no")
        self.version[url] = response.version
        if url == ROUTES:
            self.routes = self.says[response.resources["inference"]]
        if url == RUNTIME:
            self.runtime = number(response.resources[RUNTIME_LAYER])
        if self.routes is not None:
            self.weights.append(self.routes if self.runtime is None else self.runtime)
        return self._request(url, response.nonce)

    def send(self, responses: list[Response]) -> None:
        self.queue += responses
        self.sent += [response.type_url for response in responses]

    def _request(self, url: str, nonce: str, error: str = "") -> Request:
        names = {ROUTES: ("inference", "mirrors"), RUNTIME: (RUNTIME_LAYER,)}.get(url, ())
        return Request(url, self.version[url], nonce, names, error)


def number(runtime: bytes) -> int | None:
    """The weight of `a` in a Runtime, if it has one."""
    key = b"\n" + bytes([len(KEY)]) + KEY.encode()
    return next((n for n in range(1001) if key + _value(n) in runtime), None)


def _value(weight: int) -> bytes:
    value = encode("google.protobuf.Value", {"numerator": weight * 1000, "denominator": "MILLION"})
    return b"\x12" + bytes([len(value)]) + value
