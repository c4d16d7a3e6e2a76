"""What the hot path looks up: every decision that can be taken, built once per change.

A Table is immutable; publishing one is a single reference assignment. A decision's label finds the reply that `wire`
has serialised for it; the empty label changes nothing and leaves the request to Envoy's own split.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from extproc import names
from extproc.core.assignment import Hash
from extproc.core.differences import amended
from extproc.core.layered import Layered
from extproc.core.units import Layer


class Outcome(StrEnum):
    """Why a request goes where it goes; each is an ordinary result, none an error."""

    WEIGHTED = "weighted"
    STICKY = "sticky"
    STALE_TOKEN = "stale_token"  # noqa: S105 - a route token that names no candidate of this experiment; drawn afresh
    UNAVAILABLE = "unavailable"  # the default stands in for candidates that are not available
    NOT_ACCEPTED = "not_accepted"  # Envoy does not know all routes of this experiment yet and splits by itself
    UNIT = "unit"  # the unit's own candidate, by its hash
    OVERRIDE = "override"  # the unit is on a list
    HOLDOUT = "holdout"  # stays with the default, outside of the experiment, to be compared with
    OTHER_SLOT = "other_slot"  # likewise, since the unit's slot of the layer is not the experiment's
    NO_UNIT = "no_unit"  # likewise, since the request carries no unit
    NO_EXPERIMENT = "no_experiment"  # a route of an experiment that is gone; Envoy's own split still stands


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that can be decided; `candidate` and `label` are empty where Envoy splits by itself.

    `label` is what Envoy is told. `revision` is the experiment's, 0 while it is not recorded. `share`, from 0 to 1, is
    the candidate's part of the draws in effect. `slot` is where it is counted, 0 for what is not told apart.
    """

    experiment: str
    candidate: str
    outcome: Outcome
    label: str = ""
    revision: int = 0
    share: float = 0.0
    slot: int = 0


@dataclass(frozen=True, slots=True)
class Units:
    """How an entry assigns units: `assigned` is parallel to `candidates`, each a name and its weight.

    `hash64` and `seed` are those of `core.assignment`. `outside` is for the units of other slots, `held` for those that
    are held out, `holdout` in millionths; `missing` is for requests without a unit, None where they are drawn for.
    """

    hash64: Hash
    seed: bytes
    candidates: tuple[tuple[bytes, int], ...]
    assigned: tuple[Decision, ...]
    overrides: Mapping[bytes, Decision]
    layer: Layer | None
    outside: Decision
    holdout: int
    held: Decision
    missing: Decision | None

    def decisions(self) -> Iterator[Decision]:
        """Every decision that can be taken for a unit."""
        yield from (*self.assigned, *self.overrides.values(), self.outside, self.held)
        if self.missing:
            yield self.missing

    def mapped(self, other: Callable[[Decision], Decision]) -> "Units":
        """The same with other decisions."""
        return replace(
            self,
            assigned=tuple(map(other, self.assigned)),
            overrides={unit: other(decision) for unit, decision in self.overrides.items()},
            outside=other(self.outside),
            held=other(self.held),
            missing=self.missing and other(self.missing),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment as one protocol sees it; `afresh` and `stale` are parallel to `cumulative`."""

    cumulative: tuple[int, ...]
    afresh: tuple[Decision, ...]
    stale: tuple[Decision, ...]
    sticky: Mapping[str, Decision]
    units: Units | None = None

    def decisions(self) -> Iterator[Decision]:
        """Every decision that can be taken."""
        yield from (*self.afresh, *self.stale, *self.sticky.values())
        if self.units:
            yield from self.units.decisions()

    def mapped(self, other: Callable[[Decision], Decision]) -> "Entry":
        """The same with other decisions."""
        return replace(
            self,
            afresh=tuple(map(other, self.afresh)),
            stale=tuple(map(other, self.stale)),
            sticky={token: other(decision) for token, decision in self.sticky.items()},
            units=self.units and self.units.mapped(other),
        )


Key = tuple[str, names.Protocol]  # an experiment's name, and how a request speaks


@dataclass(frozen=True, slots=True)
class Patch:
    """What makes a later table of an earlier one: the entries that are new or others, and the keys that are gone."""

    set: Mapping[Key, Entry]
    removed: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """The entry of each experiment and protocol; `find` gives that of a key, if there is one."""

    entries: Mapping[Key, Entry]
    find: Callable[[Key], Entry | None] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        entries = self.entries
        object.__setattr__(self, "find", entries.find if isinstance(entries, Layered) else entries.get)

    def patched(self, patch: Patch) -> "Table":
        """The table that `patch` makes of this one, which stays as it is. A key that is gone already may be removed.

        Entries of experiments that are there already cost themselves, however many others there are.
        """
        return Table(amended(self.entries, {**patch.set, **dict.fromkeys(patch.removed)}))


EMPTY: Final = Table({})
