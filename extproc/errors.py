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
