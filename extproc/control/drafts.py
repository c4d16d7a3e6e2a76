"""Changes of experiments before they are recorded: what the API was asked for, and what a file has done by itself."""

from dataclasses import dataclass
from typing import Final

from extproc.control.in_force import Admitted
from extproc.control.revisions import Action, Revision
from extproc.core.resources import Experiment

API: Final = "api"


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes something, and why; both may be empty."""

    caller: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that was judged and may be recorded."""

    name: str
    action: Action
    spec: Experiment
    source: str
    author: Author


@dataclass(frozen=True, slots=True)
class Unchanged:
    """What was asked for is so already."""

    revision: Revision


def by_file(name: str, held: Admitted | None, current: Revision | None) -> Draft | None:
    """What a file has done to the experiment `name` since its last revision, `current`; `held` is what is in force."""
    stopped = current is None or current.action is Action.STOPPED
    if held is None or held.origin == API:
        if current is None or stopped or current.source == API:
            return None
        return Draft(name, Action.STOPPED, current.spec, current.source, Author())
    spec = held.resource
    assert isinstance(spec, Experiment)  # noqa: S101 - whoever asks has looked it up by its kind
    if stopped:
        return Draft(name, Action.STARTED, spec, held.origin, Author())
    if current is not None and (current.spec, current.source) == (spec, held.origin):
        return None
    return Draft(name, Action.UPDATED, spec, held.origin, Author())
