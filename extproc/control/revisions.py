"""A revision: one accepted change of one experiment, with who made it, when and why. A value; knows no disk."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from extproc.core.resources import Experiment


class Action(StrEnum):
    """What a change did to its experiment."""

    STARTED = "started"
    UPDATED = "updated"
    STOPPED = "stopped"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Revision:
    """One accepted change.

    `number` counts the changes of this name from 1. `spec` is what is in force since; for STOPPED, what ran last.
    `source` is "api" or the path of the file that owns the experiment. `caller` and `why` are the caller's own words,
    possibly none. `at` is in UTC. Raises ValueError for what could only be a bug of ours.
    """

    name: str
    number: int
    action: Action
    spec: Experiment
    source: str
    caller: str
    why: str
    at: datetime

    def __post_init__(self) -> None:
        if self.number < 1:
            raise ValueError(f"revision {self.number} of {self.name}: numbers count from 1")
        if self.spec.name != self.name:
            raise ValueError(f"revision {self.number} of {self.name} holds the spec of {self.spec.name}")
        if self.at.utcoffset() != timedelta():
            raise ValueError(f"revision {self.number} of {self.name} was made at {self.at}: that is not in UTC")


@dataclass(frozen=True, slots=True)
class Change:
    """A change that is accepted and not yet recorded: a revision without its number and time."""

    name: str
    action: Action
    spec: Experiment
    source: str
    caller: str = ""
    why: str = ""

    def numbered(self, number: int, at: datetime) -> Revision:
        """The revision that it becomes; `at` is in UTC."""
        return Revision(self.name, number, self.action, self.spec, self.source, self.caller, self.why, at)
