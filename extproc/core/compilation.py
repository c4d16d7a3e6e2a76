"""Resources made into a table: every decision that can be taken, for each experiment and protocol, with its reason.

Must stay true: the entries of an experiment depend on its own candidates alone, so that a change elsewhere costs it
nothing; and equal resources, readiness and revisions make equal entries, wherever that is.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

from extproc import names
from extproc.core.apis import misfits
from extproc.core.assignment import Hash
from extproc.core.availability import Shares, shares
from extproc.core.resources import MILLION, Experiment, Model
from extproc.core.split import cumulate
from extproc.core.table import Decision, Entry, Key, Outcome, Table, Units
from extproc.core.tokens import served_as
from extproc.core.units import OnMissing
from extproc.core.upstreams import server

NO_REVISIONS: Final[Mapping[str, int]] = {}

Usable = Callable[[str, names.Protocol], bool]  # of a candidate's `backend`


def compile_table(
    experiments: Iterable[Experiment],
    models: Mapping[str, Model],
    usable: Usable,
    accepted: Container[str],
    revisions: Mapping[str, int] = NO_REVISIONS,
    hash64: Hash | None = None,
) -> Table:
    """Build the table from nothing. `revisions` is by experiment; for the rest see `compile_experiment`."""
    entries: dict[Key, Entry] = {}
    for experiment in experiments:
        revision = revisions.get(experiment.name, 0)
        entries |= compile_experiment(experiment, models, usable, accepted, revision, hash64)
    return Table(entries)


def compile_experiment(
    experiment: Experiment,
    models: Mapping[str, Model],
    usable: Usable,
    accepted: Container[str],
    revision: int = 0,
    hash64: Hash | None = None,
) -> dict[Key, Entry]:
    """One experiment's entries. They depend on nothing but what is asked here of its own candidates.

    `usable(backend, protocol)` says whether who serves may be chosen. `accepted` holds the names of the decided routes
    that Envoy has ACKed: a candidate is only ever named to an Envoy that knows its route. While one that would be drawn
    is missing there, the draw is left to Envoy, whose routes are complete in themselves; sticky requests go on.
    `hash64` is XXH64, for experiments that assign units.
    """
    entries: dict[Key, Entry] = {}
    unfit = misfits(experiment, models)
    for protocol in names.PROTOCOLS:
        now = shares(
            experiment,
            lambda backend, protocol=protocol: backend not in unfit and usable(backend, protocol),  # type: ignore[misc]
        )
        known = {
            name
            for name in (*(c.name for c in experiment.candidates), names.UNTOUCHED)
            if names.decided_route(experiment.name, name, protocol) in accepted
        }
        entries[experiment.name, protocol] = _entry(experiment, models, now, known, revision, hash64)
    return entries


def _entry(
    experiment: Experiment,
    models: Mapping[str, Model],
    now: Shares,
    known: set[str],
    revision: int,
    hash64: Hash | None,
) -> Entry:
    weights = dict(now.weighted)
    total = sum(weights.values())

    def decision(candidate: str, outcome: Outcome) -> Decision:
        share = weights.get(candidate, 0) / total if total else 0.0
        return Decision(experiment.name, candidate, outcome, names.label(experiment.name, candidate), revision, share)

    def untouched(outcome: Outcome) -> Decision:
        label = names.label(experiment.name, names.UNTOUCHED) if names.UNTOUCHED in known else ""
        return Decision(experiment.name, experiment.default, outcome, label, revision)

    reachable = set(now.reachable)
    sticky = {
        served_as(serving, experiment.resource_type): decision(each.name, Outcome.STICKY)
        for each in experiment.candidates
        if each.name in reachable and each.name in known and (serving := server(each, models))
    }
    if not now.weighted or not all(name in known for name, _ in now.weighted):
        outcome = Outcome.NOT_ACCEPTED if now.weighted else Outcome.UNAVAILABLE
        left = (Decision(experiment.name, "", outcome, revision=revision),)
        return Entry((1,), left, left, sticky)
    drawn = Outcome.UNAVAILABLE if now.narrowed else Outcome.WEIGHTED
    stale = Outcome.UNAVAILABLE if now.narrowed else Outcome.STALE_TOKEN
    parts = [weight for _, weight in now.weighted]
    aside: tuple[Decision, ...] = ()
    if experiment.holdout:
        # One draw answers both questions: the weights, scaled to what the holdout leaves of them, and the holdout.
        parts = [weight * (MILLION - experiment.holdout) for weight in parts] + [total * experiment.holdout]
        aside = (untouched(Outcome.HOLDOUT),)
    return Entry(
        cumulate(parts),
        (*(decision(name, drawn) for name, _ in now.weighted), *aside),
        (*(decision(name, stale) for name, _ in now.weighted), *aside),
        sticky,
        _units(experiment, now, known, decision, untouched, hash64) if experiment.stickiness else None,
    )


def _units(
    experiment: Experiment,
    now: Shares,
    known: set[str],
    decision: Callable[[str, Outcome], Decision],
    untouched: Callable[[Outcome], Decision],
    hash64: Hash | None,
) -> Units:
    stickiness = experiment.stickiness
    assert stickiness is not None  # noqa: S101 (the caller looked)
    assert hash64 is not None, "an experiment that assigns units needs a hash"  # noqa: S101 (a mistake of ours)
    assigned = Outcome.UNAVAILABLE if now.narrowed else Outcome.UNIT
    reachable = known & set(now.reachable)
    return Units(
        hash64,
        (stickiness.seed or experiment.name).encode(),
        tuple((name.encode(), weight) for name, weight in now.weighted),
        tuple(decision(name, assigned) for name, _ in now.weighted),
        {
            unit.encode(): decision(override.candidate, Outcome.OVERRIDE)
            for override in experiment.overrides
            if override.candidate in reachable
            for unit in override.units
        },
        experiment.layer,
        untouched(Outcome.OTHER_SLOT),
        experiment.holdout,
        untouched(Outcome.HOLDOUT),
        untouched(Outcome.NO_UNIT) if stickiness.on_missing is OnMissing.DEFAULT else None,
    )
