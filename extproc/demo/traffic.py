"""The demo's client: sends the iris rows as V2 inference requests to the default model, several at a time.

It knows the model's name and nothing of the experiment; what it writes down is what any client could see.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, Final

import aiohttp

from extproc.names import ROUTE_HEADER

LANES: Final = 8  # requests under way at once
TIMEOUT: Final = aiohttp.ClientTimeout(total=30)


@dataclass(frozen=True, slots=True)
class Row:
    """One flower: its measurements, and the number of its species, which the request does not tell."""

    values: tuple[float, ...]
    species: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `sent` is the clock of `time.monotonic`; `seconds` is how long it took.

    `problem` says why it is no prediction, empty when it is one; `model` is who the model server says it is.
    """

    sent: float
    seconds: float
    route: str = ""
    model: str = ""
    correct: bool = False
    problem: str = ""


class Traffic:
    """Sends `rows` to `url` over and over until stopped; `answers` grows meanwhile."""

    def __init__(self, client: aiohttp.ClientSession, url: str, rows: Sequence[Row]) -> None:
        self.answers: Final[list[Answer]] = []
        self._client = client
        self._url = url
        self._rows = cycle(rows)
        self._lanes: list[asyncio.Task[None]] = []
        self._stopped = False
        self._grown = asyncio.Event()

    def start(self) -> None:
        self._lanes = [asyncio.create_task(self._lane()) for _ in range(LANES)]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until `enough`, which is asked whenever there are new answers."""
        while True:
            self._grown.clear()
            await self._grown.wait()
            if enough():
                return

    async def stop(self) -> None:
        """Send no more, and wait for the answers that are due."""
        self._stopped = True
        await asyncio.gather(*self._lanes)

    async def _lane(self) -> None:
        while not self._stopped:
            self.answers.append(await self._ask(next(self._rows)))
            self._grown.set()

    async def _ask(self, row: Row) -> Answer:
        sent = time.monotonic()
        try:
            async with self._client.post(self._url, json=_request(row), timeout=TIMEOUT) as response:
                body = await response.read()
                seconds = time.monotonic() - sent
                if not response.ok:
                    return Answer(sent, seconds, problem=f"{response.status} {body[:200].decode(errors='replace')}")
                answer = await response.json()
                return Answer(
                    sent,
                    seconds,
                    route=response.headers.get(ROUTE_HEADER, ""),
                    model=answer["model_name"],
                    correct=answer["outputs"][0]["data"] == [row.species],
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            return Answer(sent, time.monotonic() - sent, problem=f"{type(error).__name__}: {error}")


def _request(row: Row) -> dict[str, Any]:
    """https://github.com/open-inference-protocol/ "Inference Request JSON Object"."""
    return {"inputs": [{"name": "row", "shape": [1, len(row.values)], "datatype": "FP64", "data": list(row.values)}]}
