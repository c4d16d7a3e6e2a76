"""Whom an experiment's units go to, and why: what `decide` would say now, for units that somebody names. Pure."""

from collections.abc import Iterable
from typing import Any

from extproc.core.assignment import bucket, slot
from extproc.core.decide import assign
from extproc.core.table import Decision, Entry, Outcome, Table, Units
from extproc.errors import Conflict, Problem
from extproc.names import Protocol


def assignments(
    table: Table, experiment: str, units: Iterable[str], protocol: Protocol = "http"
) -> list[dict[str, Any]]:
    """One document for each unit, in the order they are given. Raises Conflict where there is nothing to assign by."""
    entry = table.entries.get((experiment, protocol))
    if entry is None:
        raise Conflict([Problem("name", f"{experiment!r} does not run, so it assigns nobody: start it first")])
    if entry.units is None:
        raise Conflict([Problem("stickiness", _no_units(experiment, entry))])
    return [_assignment(entry.units, unit) for unit in units]


def _assignment(units: Units, unit: str) -> dict[str, Any]:
    value = unit.encode("utf-8", "surrogateescape")  # an argument of a command line may hold any bytes
    decision = assign(units, value)
    document: dict[str, Any] = {"unit": unit}
    if decision is None:
        return {**document, "candidate": None, "outcome": None, "why": "has no value, so each request is drawn for"}
    document |= {"candidate": decision.candidate, "outcome": decision.outcome.value}
    if not value:
        return {**document, "why": "has no value, and without one the default answers"}
    document["bucket"] = bucket(units.hash64, units.seed, value)
    if units.layer is not None:
        document["slot"] = slot(units.hash64, units.layer.name.encode(), value)
    return {**document, "why": _why(units, decision, document)}


def _why(units: Units, decision: Decision, document: dict[str, Any]) -> str:
    match decision.outcome:
        case Outcome.OVERRIDE:
            return "is on the list of an override"
        case Outcome.OTHER_SLOT:
            layer = units.layer
            own = f"{layer.first_slot} to {layer.last_slot}" if layer else ""
            return f"is in slot {document['slot']} of the layer, and the experiment owns {own}"
        case Outcome.HOLDOUT:
            return f"is among the {units.holdout / 10_000:g} % that are held out"
        case Outcome.UNAVAILABLE:
            return "the default stands in for candidates that are not available"
        case _:
            return f"by its hash, bucket {document['bucket']}"


def _no_units(experiment: str, entry: Entry) -> str:
    left = {decision.outcome for decision in entry.afresh}
    if left == {Outcome.NOT_ACCEPTED}:
        return f"{experiment!r} is not live yet: Envoy assigns by itself until it has all routes"
    return f"{experiment!r} assigns requests, not units: give it stickiness to assign units"
