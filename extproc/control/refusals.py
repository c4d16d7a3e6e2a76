"""Whose fault it is that Envoy refused a response, or dies of one. Pure.

Envoy refuses a whole response, but names the resource in most of its messages. Must stay true: whoever is found is set
aside alone. Of HTTP filters Envoy mostly says what is wrong and not with which: then one after another is left out on
trial, with all others in force, until Envoy accepts. So it is with what Envoy dies of (`blame`), of which it says
nothing at all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from extproc.control.in_force import Admission, Admitted, Key
from extproc.core.resources import Kind, PassThrough, Resource

LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"

# What of each xDS type follows from users' resources.
_BUILT_FROM: Final[Mapping[str, tuple[Kind, ...]]] = {
    Kind.CLUSTER.value: (Kind.MODEL, Kind.CLUSTER),
    Kind.ROUTES.value: (Kind.MODEL, Kind.EXPERIMENT, Kind.ROUTES),
    LISTENER: (Kind.FILTER,),
}
# What Envoy says of a listener whose port it can't have (tried with 1.40); that is no filter's fault.
_NO_PORT: Final = "cannot bind '"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource that Envoy refused, with Envoy's own message; or crashed with, and then that is how it ended."""

    resource: Resource
    message: str
    crash: bool = False

    def __str__(self) -> str:
        if self.crash:
            return f"Envoy crashed ({self.message}) each time that it was given this: change it to have it tried again"
        return f"Envoy refused it: {self.message}"


@dataclass(frozen=True, slots=True)
class Trial:
    """Envoy said `message` of several resources: `out` is left out now, `others` after it; `cleared` were before.

    In the trial of a `crash` Envoy has said nothing, and what it accepts proves nothing until it has survived that.
    """

    message: str
    out: Key
    others: tuple[Key, ...]
    cleared: tuple[Key, ...] = ()
    crash: bool = False

    @property
    def concerned(self) -> tuple[Key, ...]:
        return (self.out, *self.others, *self.cleared)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who is set aside now, whose refusal is taken back, and what is still to be tried."""

    refused: tuple[Key, ...]
    cleared: tuple[Key, ...] = ()
    trial: Trial | None = None


def changed(running: Mapping[Key, Admitted], effective: Admission, type_url: str) -> Mapping[Key, Resource]:
    """What a type is built from, as far as Envoy has not run it yet."""
    return {
        key: held.resource
        for key, held in effective.admitted.items()
        if key[0] in _BUILT_FROM.get(type_url, ()) and (key not in running or running[key].resource != held.resource)
    }


def verdict(
    type_url: str, message: str, suspects: Mapping[Key, Resource], running: Mapping[Key, Admitted], trial: Trial | None
) -> Verdict:
    """Among the `suspects`, what changed since the last time that Envoy accepted.

    The culprits are those whom the message names; if it names none, Envoy's own resources, which nobody but Envoy can
    fully judge; and if there are none, all that changed. Of HTTP filters it is one, if that can be. For a listener
    whose port is taken nobody can be blamed.
    """
    if _NO_PORT in message:
        return Verdict((), trial=trial)
    if type_url != LISTENER:
        named = tuple(key for key in suspects if _names(message, key[1]))
        return Verdict(named or tuple(k for k, r in suspects.items() if isinstance(r, PassThrough)) or tuple(suspects))
    if trial is not None and message == trial.message:
        return _next(trial)
    # Where there was a trial, who is out is guilty, since Envoy has something else to say without him.
    return _first(message, sorted(suspects, key=lambda key: (not _names(message, key[1]), key in running, key[1])))


def crash_verdict(ended: str, suspects: Mapping[Key, Resource], trial: Trial | None) -> Verdict:
    """Among the `suspects`, if there is no trial yet. Filters come first: they are what most can go wrong in."""
    if trial is not None and trial.crash:
        return _next(trial)
    if not all(isinstance(resource, PassThrough) for resource in suspects.values()):
        return Verdict(tuple(suspects))
    return _first(ended, sorted(suspects, key=lambda key: (key[0] is not Kind.FILTER, key)), crash=True)


def _first(message: str, suspects: Sequence[Key], *, crash: bool = False) -> Verdict:
    if len(suspects) < 2:
        return Verdict(tuple(suspects))
    out, *others = suspects
    return Verdict((out,), trial=Trial(message, out, tuple(others), crash=crash))


def _next(trial: Trial) -> Verdict:
    """The one who is out changed nothing."""
    if not trial.others:  # nor did anybody else alone
        return Verdict((*trial.cleared, trial.out))
    out, *others = trial.others
    then = replace(trial, out=out, others=tuple(others), cleared=(*trial.cleared, trial.out))
    return Verdict((out,), (trial.out,), then)


def _names(message: str, name: str) -> bool:
    return re.search(rf"(?<![-\w]){re.escape(name)}(?![-\w])", message) is not None
