"""What clusters Envoys may hold, by version: one that comes back tells the version, and not what it was.

Must stay true: what was sent to an Envoy is known when it comes back, whether its last stream has ended here or not,
and whether its ACK has come through or not. Its routes may name those clusters until it has taken others.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from extproc.xds.snapshot import version_of

Clusters = Mapping[str, bytes]
Versions = Mapping[str, Clusters]

VERSIONS: Final = 8  # of streams that have ended; thousands of clusters each, which share what did not change


class Held:
    """`remembered` is what an extproc before this one has sent."""

    def __init__(self, remembered: Clusters) -> None:
        self._ended: dict[str, Clusters] = {version_of(remembered): remembered}

    def ended(self, held: Versions) -> None:
        """A stream has ended, and this is what its Envoy may hold."""
        for version, clusters in held.items():
            self._ended.pop(version, None)
            self._ended[version] = clusters
        for version in list(self._ended)[:-VERSIONS]:
            del self._ended[version]

    def with_those_of(self, streams: Iterable[Versions]) -> Versions:
        """All that is known, given what the Envoys of the streams that are open may hold.

        One of these may be of the Envoy that opens another: a connection that was lost may look open for long.
        """
        known = dict(self._ended)
        for held in streams:
            known.update(held)
        return known
