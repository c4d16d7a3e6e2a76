"""How long a change of weights takes until nobody decides by the old ones, seen from outside: by asking Envoy.

An experiment whose requests all go to one candidate is told to send all of them to the other, while several
connections ask without a pause. The change is in effect when no request that begins later is answered the old way.
"""

import http
import http.client
import json
import threading
import time
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from tests.harness.client import fetch
from tests.harness.waiting import eventually

NAME: Final = "probe"
CANDIDATES: Final = ("probe-a", "probe-b")

_CONNECTIONS: Final = 4  # with as many workers or fewer, each of them is asked
_CALM: Final = 200  # answers by the new weights, in a row, before the change counts as over
_WITHIN: Final = 120.0  # seconds that one change may take


@dataclass(frozen=True, slots=True)
class Change:
    """Seconds from sending the change until every worker decided by it, and until Envoy had acknowledged its routes."""

    workers: float
    fallback: float


def changes(admin: str, inference: str, count: int) -> Change:
    """The median of so many changes. Raises AssertionError when one is refused or takes no effect."""
    _put(admin, [100, 0])
    with _Asking(inference) as asking:
        asking.wait_for(f":{CANDIDATES[0]}_1:")
        flips = [[0, 100] if i % 2 == 0 else [100, 0] for i in range(count)]
        found = [_change(admin, asking, weights) for weights in flips]
    return Change(median(c.workers for c in found), median(c.fallback for c in found))


def _change(admin: str, asking: "_Asking", weights: list[int]) -> Change:
    new = f":{CANDIDATES[weights.index(100)]}_1:"
    begun = time.monotonic()
    _put(admin, weights)  # returns when it is live: extproc decides by it, and Envoy has taken the routes
    live = time.monotonic()
    asking.wait_for(new)
    last_old = max((at for at, route in asking.answers if route != new), default=begun)
    return Change(max(0.0, last_old - begun), live - begun)


def _put(admin: str, weights: list[int]) -> None:
    """Send the change; it is live when this returns. Raises AssertionError when it is refused or never gets there."""
    candidates = [{"name": name, "weight": weight} for name, weight in zip(CANDIDATES, weights, strict=True)]
    body: dict[str, Any] = {"name": NAME, "candidates": candidates}
    url = f"{admin}/api/v1/experiments/{NAME}"
    answer = fetch(url, method="PUT", body=body, within=_WITHIN)
    if answer.status == http.HTTPStatus.GATEWAY_TIMEOUT:  # it did not wait for as long as we do
        eventually(
            lambda: fetch(url, within=_WITHIN).json,
            within=_WITHIN,
            saying=f"Envoy runs {weights}",
            until=lambda now: now["conditions"]["accepted"] and [c["weight"] for c in now["candidates"]] == weights,
        )
        return
    assert answer.status in (http.HTTPStatus.OK, http.HTTPStatus.CREATED), answer.text


class _Asking:
    """Requests one after the other on each of several connections; what came back, by when it was asked."""

    def __init__(self, inference: str) -> None:
        self._where = inference.removeprefix("http://")
        self._stop = threading.Event()
        self.answers: list[tuple[float, str]] = []
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(_CONNECTIONS)]

    def __enter__(self) -> "_Asking":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, route: str) -> None:
        """Wait until only this route answers."""

        def look() -> set[str]:
            return {answer for _, answer in self.answers[-_CALM:]}

        start = len(self.answers)
        eventually(
            look,
            within=_WITHIN,
            saying=f"only {route} answers",
            until=lambda seen: seen == {route} and len(self.answers) > start + _CALM,
        )

    def _ask(self) -> None:
        connection = http.client.HTTPConnection(self._where, timeout=5)
        headers = {"seldon-model": f"{NAME}.experiment", "content-type": "application/json"}
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                connection.request("POST", "/v2/models/any/infer", body=json.dumps({"inputs": []}), headers=headers)
                answer = connection.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException) as error:
                self.answers.append((begun, type(error).__name__))  # it is no answer by the new weights
                connection.close()
                continue
            self.answers.append((begun, answer.getheader("x-seldon-route") or str(answer.status)))
        connection.close()
