"""The load loop: one request alone, then a number of lanes that each send the next as soon as they have an answer.

The first goes alone because it tells whether anybody is there at all, and because with `sticky` all others shall
stay with the candidate that it is given.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

from extproc.inference.call import Answer, Ask

PAUSE: Final = 0.05  # seconds after a request that reached nobody, so that a restart does not cost a thousand failures


@dataclass(frozen=True, slots=True)
class Limits:
    """When to end: after `requests` requests or after `seconds` seconds, whichever comes first; None for no limit.

    One of the two must be given. `lanes` is how many requests are under way at once, 1 or more.
    """

    requests: int | None = None
    seconds: float | None = None
    lanes: int = 1


class Sender:
    """Sends requests, and with `sticky` keeps to the candidate of the last answer; `route` is the token it sends."""

    def __init__(self, ask: Ask, *, sticky: bool = False, route: str = "") -> None:
        self.route = route
        self._ask = ask
        self._sticky: Final = sticky

    async def send(self) -> Answer:
        answer = await self._ask(self.route)
        if self._sticky and answer.route:
            self.route = answer.route
        return answer


async def run(sender: Sender, limits: Limits, note: Callable[[Answer], None]) -> None:
    """Send until a limit is met and all answers are there; each is given to `note`.

    Ends after the first answer when it reached nobody.
    """
    tickets = _tickets(limits)
    if next(tickets, None) is None:
        return
    first = await sender.send()
    note(first)
    if not first.reached:
        return

    async def lane() -> None:
        for _ in tickets:
            answer = await sender.send()
            note(answer)
            if not answer.reached:
                await asyncio.sleep(PAUSE)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(limits.lanes):
            lanes.create_task(lane())


def _tickets(limits: Limits) -> Iterator[bool]:
    """One for each request that may be begun; the clock runs from the first."""
    end = None if limits.seconds is None else time.monotonic() + limits.seconds
    for _ in repeat(None) if limits.requests is None else range(limits.requests):
        if end is not None and time.monotonic() >= end:
            return
        yield True
