"""One exception tree, and `Problem`: what is wrong, and where in the user's own file.

An exception of this tree is a message for a user and is printed without a traceback. Anything else that is raised is
a bug of ours.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong.

    `path` is where, in the user's own spelling (`candidates[2].weight`), empty for the resource as a whole.
    `message` names the rule that is broken and what to do about it.
    """

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class ExtprocError(Exception):
    """The root of all errors that are meant for a user."""


class InvalidResource(ExtprocError):
    """A resource breaks at least one rule; `problems` holds all of them, never none."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class InvalidSettings(ExtprocError):
    """A flag, an environment variable or a combination of them makes no sense."""


class EnvoyMissing(ExtprocError):
    """No Envoy binary was found for `extproc up`."""


class EnvoyFailed(ExtprocError):
    """Envoy ended before it served, or keeps ending; the message holds the last lines of its log."""


class DemoFailed(ExtprocError):
    """A step of `extproc demo` failed; the message holds the reason and the last lines of the log concerned."""


class Conflict(ExtprocError):
    """What is asked for is valid by itself and clashes with what runs; `problems` names with what."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


class StaleRevision(ExtprocError):
    """The caller has not seen the revision that is current."""


class UnknownExperiment(ExtprocError):
    """Nothing is known by that name; the message offers the closest names."""


class CannotWatch(ExtprocError):
    """This platform, or a limit of it, lets no file be watched; the message says which and what to do."""


class StoreFailed(ExtprocError):
    """The store of experiments can't do what it was asked; the message names its place, the cause and the way out."""


class StoreInUse(StoreFailed):
    """Another process holds the state directory."""


class StoreUnwritable(StoreFailed):
    """The state directory can't be written: read-only, full, or out of order. What was asked for did not happen."""


class StoreCorrupt(StoreFailed):
    """The store's file is damaged or is none of ours. It was left as it is."""


class StoreTooNew(StoreFailed):
    """The store's file was written by a newer extproc. It was left as it is."""
