"""Envoys that crash: what they were taking then, so that what they crash with can be set aside.

Of our own Envoy (`up`) its parent tells. Of someone else's nobody does: there it is taken for a crash when a stream
ends soon after a response that it leaves unanswered, and then an Envoy of that node comes that has no version yet.
Must stay true: an Envoy that is killed, cut off or started again in peace has not crashed.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final

from extproc.xds.snapshot import Snapshot
from extproc.xds.subscription import Subscription

log: Final = logging.getLogger(__name__)

SOON: Final = 5.0  # seconds; who dies later than that after it has taken a configuration has survived it
BACK: Final = 60.0  # seconds in which an Envoy that crashed is back; who comes later may be anybody
LAST_WORDS: Final = 2.0  # seconds for its stream to end after we know that it has died
# What is said of someone else's Envoy.
AS_SEEN: Final = "its connection ended and a new process asked, as it looks from here"

# Of this snapshot, what has these types was being taken; none: it was taken just before.
Taken = tuple[Snapshot, Sequence[str]]
Crashed = Callable[[Snapshot, Sequence[str], str], bool]


@dataclass(eq=False, slots=True)
class Life:
    """One Envoy's stream. Times are those of the event loop."""

    subscription: Subscription
    sent: float = -inf
    accepted: float = -inf
    end: float = inf
    over: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def took(self) -> Taken | None:
        """What it was taking when it ended, or had taken just before."""
        snapshot, types = self.subscription.unanswered
        if snapshot is not None:
            return snapshot, types
        current = self.subscription.accepted
        return (current, ()) if current is not None and self.end - self.accepted < SOON else None


class Deaths:
    """Follows every stream. `crashed` is `Plane.crashed`; `settled` waits until Envoy would be given something else.

    With `ours`, Envoy is a process of ours, and `judge` is called when it has crashed.
    """

    def __init__(self, crashed: Crashed, settled: Callable[[], Awaitable[object]], *, ours: bool) -> None:
        self._crashed = crashed
        self._settled = settled
        self._ours = ours
        self._latest: Life | None = None
        self._lost: defaultdict[str, list[tuple[float, Taken]]] = defaultdict(list)  # by node, with the time of it

    def began(self, life: Life) -> None:
        """An Envoy has connected."""
        self._latest = life
        horizon = asyncio.get_running_loop().time() - BACK
        for node, lost in [*self._lost.items()]:  # each holds all that its Envoy was to take
            self._lost[node] = [each for each in lost if each[0] > horizon]
            if not self._lost[node]:
                del self._lost[node]

    def ended(self, life: Life, node: str) -> None:
        """Its stream is over."""
        life.end = asyncio.get_running_loop().time()
        life.over.set()
        took = life.took
        if not self._ours and node and took and took[1] and life.end - life.sent < SOON:
            self._lost[node].append((life.end, took))

    def asked(self, node: str, version: str) -> None:
        """The first request on a stream, and the version that this Envoy has of what it asks for."""
        lost = self._lost.pop(node, None)
        if not lost:
            return
        (when, took), *others = lost
        if others:
            self._lost[node] = others
        # One that was only cut off still has its version.
        if not version and asyncio.get_running_loop().time() - when < BACK:
            log.warning("an Envoy (%s) is gone since it was sent a configuration, and another process asks", node)
            self._crashed(*took, AS_SEEN)

    async def judge(self, ended: str) -> bool:
        """Our Envoy has crashed. Returns whether it is given something else now, so that it may live."""
        life, self._latest = self._latest, None
        if life is None:
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS):
                await life.over.wait()  # so that all is read that it has answered
        took = life.took if life.over.is_set() else None
        if took is None or not self._crashed(*took, ended):
            return False
        await self._settled()
        return True
