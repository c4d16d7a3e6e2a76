"""What an experiment assigns in place of single requests: units, and the rules that stand above their hash.

A unit is what two requests have in common when they are the same user's: a header, a cookie, a verified claim. Its
value never leaves the decision: it is hashed, compared with the overrides, and forgotten.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

SLOTS: Final = 1_000  # of a layer


class UnitSource(StrEnum):
    """Where a request carries its unit."""

    HEADER = "header"
    COOKIE = "cookie"
    QUERY = "query"
    METADATA = "metadata"
    SOURCE_IP = "source_ip"


class OnMissing(StrEnum):
    """What becomes of a request that carries no unit."""

    DRAW = "DRAW"
    DEFAULT = "DEFAULT"


@dataclass(frozen=True, slots=True)
class Stickiness:
    """The unit of an experiment.

    `key` is the header's, the cookie's or the query parameter's name, or the metadata's namespace, whose `path` then
    leads to the value. `ttl` is the lifetime in milliseconds of a cookie that Envoy issues, None for one that is only
    read. `seed` goes into the hash; empty for the experiment's name.
    """

    source: UnitSource
    key: str = ""
    path: tuple[str, ...] = ()
    ttl: int | None = None
    seed: str = ""
    on_missing: OnMissing = OnMissing.DRAW


@dataclass(frozen=True, slots=True)
class Override:
    """Units that always get one candidate."""

    candidate: str
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """The slots, of SLOTS, that an experiment owns in a layer; both ends inclusive."""

    name: str
    first_slot: int = 0
    last_slot: int = SLOTS - 1

    def overlaps(self, other: "Layer") -> bool:
        return self.name == other.name and self.first_slot <= other.last_slot and other.first_slot <= self.last_slot
