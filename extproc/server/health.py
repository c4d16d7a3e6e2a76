"""grpc.health.v1.Health: whether Envoy, a load balancer or a Kubernetes probe may send work here.

The server as a whole and the ext_proc service share one state. It is SERVING from the start; a server that is about to
leave says NOT_SERVING first. Protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from extproc.names import EXT_PROC_METHOD
from extproc.wire.health import NOT_SERVING, SERVICE_UNKNOWN, SERVING

EXT_PROC_SERVICE: Final = EXT_PROC_METHOD.split("/")[1]
SERVICES: Final = frozenset({"", EXT_PROC_SERVICE})


class Health:
    """What is said of this server, whatever carries it. Of one event loop: call it only there."""

    def __init__(self) -> None:
        self._serving = True
        self._watchers: Final[dict[Callable[[], None], None]] = {}
        self.ending = False  # every watcher is told the last state, and no more
        self.changed = asyncio.Event()  # set at the next change, when another takes its place

    def set_serving(self, serving: bool) -> None:
        """Say SERVING or NOT_SERVING from now on; every watcher is told."""
        self._serving = serving
        self._tell()

    def end_streams(self) -> None:
        """Have every watcher told the last state, and no more."""
        self.ending = True
        self._tell()

    def _tell(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()
        for told in [*self._watchers]:
            told()

    def watch(self, told: Callable[[], None]) -> None:
        """Have `told` called after every change, until it is unwatched."""
        self._watchers[told] = None

    def unwatch(self, told: Callable[[], None]) -> None:
        """Call `told` no more."""
        self._watchers.pop(told, None)

    def status(self, service: str) -> bytes:
        """The serialised answer to who asks for `service`."""
        if service not in SERVICES:
            return SERVICE_UNKNOWN
        return SERVING if self._serving else NOT_SERVING
