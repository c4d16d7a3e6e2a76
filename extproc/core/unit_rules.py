"""What makes an experiment's units valid: stickiness, holdout, overrides and layer, each rule a small function.

Paths are spelled as in the user's file, as in `rules`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from extproc import names
from extproc.core import rules
from extproc.core.units import SLOTS, OnMissing, Stickiness, UnitSource
from extproc.errors import Problem

if TYPE_CHECKING:
    from extproc.core.resources import Experiment

TTL_MAX: Final = 400 * 86_400_000  # milliseconds; browsers keep no cookie longer (RFC 6265bis, section 5.5)
ISSUED_NAME_MAX: Final = 64  # bytes; Envoy looks for such a cookie by a regular expression, and takes no large ones
UNITS_MAX: Final = 10_000  # of all overrides: what is more than a list of testers is a match, or a model of its own
UNIT_MAX: Final = 1_024  # bytes of one

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_HOP: Final = (names.INTERNAL_PREFIX, names.INTERNAL_MODEL_HEADER, "x-envoy-")
_QUERY: Final = re.compile(r"[^&=#\s]+")


def unit_problems(experiment: Experiment) -> list[Problem]:
    """Every problem of how an experiment assigns units."""
    return [
        *(_stickiness(experiment, experiment.stickiness) if experiment.stickiness else ()),
        *_holdout(experiment),
        *_overrides(experiment),
        *_layer(experiment),
    ]


def _stickiness(experiment: Experiment, stickiness: Stickiness) -> Iterator[Problem]:
    yield from _KEYS[stickiness.source](stickiness)
    if stickiness.on_missing is OnMissing.DEFAULT and not experiment.default:
        yield Problem("stickiness.on_missing", "DEFAULT needs a default: name one, or use DRAW")


def _header(stickiness: Stickiness) -> Iterator[Problem]:
    name = stickiness.key
    if not _TOKEN.fullmatch(name):
        yield Problem("stickiness.header", f"{name!r} is no header's name: use letters, digits and dashes")
    elif name.lower().startswith(_HOP):
        # The first two are ours and are stripped from clients' requests, the third Envoy's own.
        yield Problem("stickiness.header", f"{name!r} can't be sent by clients: choose a header of your own")
    elif name != name.lower():
        yield Problem("stickiness.header", f"{name!r} must be in lower case, as HTTP/2 spells it")


def _cookie(stickiness: Stickiness) -> Iterator[Problem]:
    if not _TOKEN.fullmatch(stickiness.key):
        yield Problem("stickiness.cookie.name", f"{stickiness.key!r} is no cookie's name: use letters, digits and _")
    if stickiness.ttl is not None and len(stickiness.key) > ISSUED_NAME_MAX:
        yield Problem(
            "stickiness.cookie.name",
            f"has {len(stickiness.key)} characters: Envoy can issue a cookie whose name has at most {ISSUED_NAME_MAX}",
        )
    if stickiness.ttl is not None and not 1000 <= stickiness.ttl <= TTL_MAX:
        yield Problem("stickiness.cookie.ttl", f"must be between 1s and {TTL_MAX // 1000}s (400 days)")


def _query(stickiness: Stickiness) -> Iterator[Problem]:
    if not _QUERY.fullmatch(stickiness.key):
        yield Problem("stickiness.query", f"{stickiness.key!r} is no query parameter's name")


def _metadata(stickiness: Stickiness) -> Iterator[Problem]:
    if not stickiness.key:
        yield Problem("stickiness.metadata.namespace", "is missing: name the filter that writes it")
    if not stickiness.path or not all(stickiness.path):
        yield Problem("stickiness.metadata.path", "is empty: say which of the filter's values is the unit")


def _source_ip(_: Stickiness) -> Iterator[Problem]:
    return iter(())


_KEYS: Final = {
    UnitSource.HEADER: _header,
    UnitSource.COOKIE: _cookie,
    UnitSource.QUERY: _query,
    UnitSource.METADATA: _metadata,
    UnitSource.SOURCE_IP: _source_ip,
}


def _holdout(experiment: Experiment) -> Iterator[Problem]:
    if not 0 <= experiment.holdout <= 1_000_000:
        yield Problem("holdout", "must be between 0 and 100")
    elif experiment.holdout and not experiment.default:
        yield Problem("holdout", "needs a default, with which the units that are held out stay: name one")


def _overrides(experiment: Experiment) -> Iterator[Problem]:
    if experiment.overrides and experiment.stickiness is None:
        yield Problem("overrides", "needs stickiness, which says what a unit is")
    listed = [c.name for c in experiment.candidates]
    forced: dict[str, str] = {}
    for i, override in enumerate(experiment.overrides):
        if override.candidate not in listed:
            yield Problem(
                f"overrides[{i}].candidate",
                f"{override.candidate!r} is not among the candidates ({', '.join(listed)})",
            )
        if not override.units:
            yield Problem(f"overrides[{i}].units", "is empty: list the units, or leave the override out")
        for j, unit in enumerate(override.units):
            where = f"overrides[{i}].units[{j}]"
            if not unit or len(unit.encode("utf-8", "surrogatepass")) > UNIT_MAX:
                yield Problem(where, f"must have between 1 and {UNIT_MAX} bytes")
            elif unit in forced:
                yield Problem(where, f"{unit!r} is forced to {forced[unit]} already: list it once")
            else:
                forced[unit] = override.candidate
    if sum(len(override.units) for override in experiment.overrides) > UNITS_MAX:
        yield Problem("overrides", f"hold more than {UNITS_MAX} units: use a match or a model of its own for so many")


def _layer(experiment: Experiment) -> Iterator[Problem]:
    layer = experiment.layer
    if layer is None:
        return
    yield from rules.name_problems("layer.name", layer.name)
    if experiment.stickiness is None:
        yield Problem("layer", "needs stickiness, which says what a unit is")
    if not experiment.default:
        yield Problem("layer", "needs a default, with which the units of other slots stay: name one")
    for field, slot in (("first_slot", layer.first_slot), ("last_slot", layer.last_slot)):
        if not 0 <= slot < SLOTS:
            yield Problem(f"layer.{field}", f"must be between 0 and {SLOTS - 1}")
    if layer.first_slot > layer.last_slot:
        yield Problem("layer.last_slot", f"{layer.last_slot} comes before first_slot {layer.first_slot}")
