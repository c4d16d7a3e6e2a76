"""What Envoy refused, or crashed with, is set aside. Pure; who tells of a death knows that it was a crash.

Must stay true: one death is never enough; only what Envoy has not survived before can be blamed, so of an Envoy that
dies under a configuration of long standing nobody is; and whoever is on trial is accused of nothing until Envoy has
survived without it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from extproc.control.in_force import Admission, Key
from extproc.control.refusals import Refusal, Verdict, changed, crash_verdict, verdict
from extproc.control.state import State, holds, vindicates
from extproc.core.resources import Kind, PassThrough, Resource


def refused(state: State, effective: Admission, type_url: str, message: str) -> State:
    """Envoy refused a response of `type_url`, made from `effective`: set aside what it must have been (`refusals`)."""
    if state.trial is not None and holds(effective, state.trial.out, state.refusals[state.trial.out].resource):
        return state  # it speaks of what was before the trial: of several Envoys each says it
    suspects = changed(state.running, effective, type_url)
    found = verdict(type_url, message, suspects, state.running, state.trial)
    if not found.refused:
        return replace(state, complaint=message)
    return _set_aside(state, found, {key: Refusal(resource, message) for key, resource in suspects.items()})


def crashed(state: State, effective: Admission, types: Iterable[str], ended: str) -> State:
    """Envoy crashed while it took what of `effective` has these xDS types; of none: soon after it had taken all.

    `ended` says how, as a user is told. The State is the same where nobody can be blamed, or is to blame already.
    """
    if is_corrected(state, effective):
        return state
    on_trial = state.trial is not None and state.trial.crash
    suspects = _suspects(state, effective, types)
    again = {
        key: resource
        for key, resource in suspects.items()
        if state.suspects.get(key) == resource and holds(state.admission, key, resource)  # and is not mended by now
    }
    if not again and not on_trial:
        return replace(state, suspects=suspects)
    found = crash_verdict(ended, again, state.trial)
    offered = state.admission.admitted
    possible = {key: Refusal(offered[key].resource, ended, crash=True) for key in found.refused if key in offered}
    return _set_aside(state, found, possible)


def survived(state: State, effective: Admission) -> State:
    """Envoy has run what `effective` was for a while."""
    if is_corrected(state, effective):
        return state  # another Envoy, which has done nothing yet by which this one died
    trial = state.trial
    if trial and trial.crash and vindicates(effective, state):
        trial = None
    suspects = {key: r for key, r in state.suspects.items() if not holds(effective, key, r)} if state.suspects else {}
    return replace(state, survived=effective.admitted, suspects=suspects, trial=trial)


def is_corrected(state: State, effective: Admission) -> bool:
    """Whether `effective` is from before somebody was set aside."""
    return any(holds(effective, key, refusal.resource) for key, refusal in state.refusals.items())


def _set_aside(state: State, found: Verdict, possible: Mapping[Key, Refusal]) -> State:
    """Refuse what was `found`, as far as it is still what is offered."""
    fresh = {
        key: possible[key]
        for key in found.refused
        if key in possible and holds(state.admission, key, possible[key].resource)
    }
    refusals = {key: refusal for key, refusal in state.refusals.items() if key not in found.cleared}
    trial = found.trial if found.trial and found.trial.out in fresh else None
    return replace(state, refusals={**refusals, **fresh}, trial=trial)


def _suspects(state: State, effective: Admission, types: Iterable[str]) -> dict[Key, Resource]:
    """What Envoy took just then, and had not run before; else what it has not survived yet of its own resources.

    Without anything of Envoy's own nobody is suspected who would leave nothing to run.
    """
    taken: dict[Key, Resource] = {}
    for type_url in types:
        taken |= changed(state.running, effective, type_url)
    own: dict[Key, Resource] = {key: each for key, each in taken.items() if isinstance(each, PassThrough)}
    if own or (taken and state.running):
        return own or taken
    return {
        (kind, name): resource
        for kind in (Kind.FILTER, Kind.CLUSTER, Kind.ROUTES)
        for name, resource in effective.pass_through(kind).items()
        if (held := state.survived.get((kind, name))) is None or held.resource != resource
    }
