"""Envoy's runtime: the numbers of routes that are others by now than those that stand in the routes which Envoy has.

A change of weights is a few bytes here, over RTDS, where the routes would be all routes again
(https://www.envoyproxy.io/docs/envoy/latest/configuration/operations/runtime). Must stay true: routes are only left as
they are when nothing but numbers with keys of their own (chains.py) is another, and whatever routes Envoy may have, its
runtime holds what makes of them the split in effect: no old number comes back, not even for a moment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any, Final

from extproc import names
from extproc.core.matches import FRACTION
from extproc.core.resources import MILLION, Candidate, Experiment, Mirror
from extproc.core.units import UnitSource
from extproc.xds.encode import Encoded, encode
from extproc.xds.endpoints import Split
from extproc.xds.writers import entry

Splits = Mapping[str, Split]  # by experiment
Overrides = Mapping[str, Mapping[str, int]]  # by experiment: millionths by runtime key


def resource(overrides: Overrides) -> bytes:
    """The Runtime that says so."""
    held = sorted((key, number) for corrected in overrides.values() for key, number in corrected.items())
    # Tens of thousands, when many experiments have changed.
    layer = b"".join([entry(_FIELDS, key, _percent(number)) for key, number in held])
    return encode(_RUNTIME, {"name": names.RUNTIME_LAYER, "layer": Encoded({}, layer)})


_RUNTIME: Final = "envoy.service.runtime.v3.Runtime"
_FIELDS: Final = 1  # of a google.protobuf.Struct


@lru_cache(maxsize=4096)
def _percent(millionths: int) -> bytes:
    # A struct of these two is read as a FractionalPercent; what has no key is as the routes say. Dots in a key mean
    # nothing to the runtime, and nor does any other character (tried with 1.40).
    return encode("google.protobuf.Value", {"numerator": millionths, "denominator": "MILLION"})


def settled(written: Splits, settled_before: Splits, running: Iterable[Split]) -> tuple[Split, ...]:
    """For each of `running` the one that routes are written for, where these will do; else itself.

    They do for `settled_before`, and need not be compared with those again.
    """
    return tuple(
        before
        if (before := written.get(name := split.experiment.name)) is not None
        and (settled_before.get(name) is split or alike(before, split))
        else split
        for split in running
    )


def alike(one: Split, other: Split) -> bool:
    """Whether the routes of two states of one experiment differ in nothing but numbers that have keys."""
    return one is other or _outline(one) == _outline(other)


def overrides(written: Splits, running: Splits, before: Splits, overrides_before: Overrides) -> Overrides:
    """What the runtime has to hold for routes that are written for `written`, so that they do what `running` says.

    For `before` it was `overrides_before`.
    """
    found: dict[str, Mapping[str, int]] = {}
    for name, now in running.items():
        if (then := written[name]) is not now:
            corrected = overrides_before.get(name, {}) if before.get(name) is now else _corrected(then, now, {})
            if corrected:
                found[name] = corrected
    return found


def meanwhile(written: Iterable[Splits], running: Splits, own: Overrides, sent: Overrides) -> Overrides:
    """What the runtime has to hold while it is not certain which routes are in force.

    `written` are what those were written for that may still be, `own` is what those on their way need, and `sent` is
    what the runtime held last: where routes are to go, their numbers stay as they are until they have gone.
    """
    found = dict(own)
    for held in written:
        for name, then in held.items():
            now = running.get(name)
            if then is not now and (corrected := _corrected(then, now, sent.get(name, {}))):
                found[name] = {**found.get(name, {}), **corrected}
    return found


def _corrected(written: Split, now: Split | None, sent: Mapping[str, int]) -> dict[str, int]:
    current = {**sent, **(now.numbers if now else {})}
    return {key: current[key] for key, number in written.numbers.items() if current.get(key, number) != number}


def _outline(split: Split) -> tuple[object, ...]:
    """All of a split that its routes are made of but for the numbers that have keys."""
    experiment = split.experiment
    return (
        split.models,
        split.misfits,
        _without(experiment, "candidates", "mirror", "mirrors", "holdout", "match"),
        tuple(_without(candidate, "weight") for candidate in experiment.candidates),
        # Of nothing no copy is made: a mirror at 0 % is in no list.
        tuple((_without(mirror, "millionths"), mirror.millionths > 0) for mirror in experiment.mirrors),
        experiment.holdout > 0,
        _match(experiment),
        # Where nobody is drawn there are other routes.
        tuple(bool(split.weighted(protocol)) for protocol in names.PROTOCOLS),
        _hashed(split),
    )


def _without(resource: Candidate | Mirror | Experiment, *numbers: str) -> tuple[object, ...]:
    """All fields but those that hold numbers: one that is new here has to be equal."""
    return tuple(getattr(resource, field.name) for field in fields(resource) if field.name not in numbers)


def _match(experiment: Experiment) -> object:
    """Without its fraction, unless that is none or all of the requests: the one has no routes, the other no number."""
    match = experiment.match
    if match is None:
        return None
    rest: dict[str, Any] = {key: value for key, value in match.body.items() if key != FRACTION}
    return rest, match.taking == 0, match.taking == MILLION


def _hashed(split: Split) -> object:
    """What thresholds of a hash follow from: no runtime can change these."""
    experiment, stickiness = split.experiment, split.experiment.stickiness
    if stickiness is None or stickiness.source is not UnitSource.HEADER:
        return None
    return tuple(candidate.weight for candidate in experiment.candidates), experiment.holdout, split.shares
