"""The decision: which candidate serves this request. Total, pure, and as cheap as a look-up and a draw.

The order of precedence is fixed: a valid route token, then the unit, then the draw; and of a unit its override, its
slot in the layer, the holdout, its hash. Unit, draw and table are arguments, so the same inputs give the same decision
on every worker, every machine and after every restart.
"""

from collections.abc import Mapping
from typing import Final

from extproc.core.assignment import bucket, held_out, rendezvous, slot
from extproc.core.split import DRAW_BITS, choose
from extproc.core.table import Decision, Outcome, Table, Units
from extproc.core.tokens import tokens
from extproc.names import ROUTE_HEADER, intercepted

_CERTAIN: Final = (1,)  # whatever is drawn


def decide(
    table: Table,
    route_name: str,
    headers: Mapping[str, str],
    draw: int,
    bits: int = DRAW_BITS,
    unit: bytes = b"",
) -> Decision:
    """The decision for a request that Envoy caught on the intercept route `route_name`.

    `headers` are the request's, names in lower case, several values of one name joined with a comma; only
    `x-seldon-route` is read. `draw` is uniform in [0, 2^bits). `unit` is what the experiment's stickiness found in the
    request, empty for nothing. Never raises, whatever the strings hold.
    """
    cumulative, decisions = chances(table, route_name, headers, unit)
    return decisions[choose(cumulative, draw, bits)]


def chances(
    table: Table, route_name: str, headers: Mapping[str, str], unit: bytes = b""
) -> tuple[tuple[int, ...], tuple[Decision, ...]]:
    """The decisions that a draw chooses from, and the running sums of their weights; the arguments are `decide`'s."""
    key = intercepted(route_name)
    entry = table.find(key)
    if entry is None:
        return _CERTAIN, (Decision(key[0], "", Outcome.NO_EXPERIMENT),)
    drawn = entry.afresh
    header = headers.get(ROUTE_HEADER)
    if header:
        for token in tokens(header):
            decision = entry.sticky.get(token)
            if decision is not None:
                return _CERTAIN, (decision,)
        drawn = entry.stale
    if entry.units is not None:
        decided = assign(entry.units, unit)
        if decided is not None:
            return _CERTAIN, (decided,)
    return entry.cumulative, drawn


def assign(units: Units, unit: bytes) -> Decision | None:
    """The decision for a unit; None for a request that has none and is drawn for. Total."""
    if not unit:
        return units.missing
    forced = units.overrides.get(unit)
    if forced is not None:
        return forced
    layer = units.layer
    if layer is not None and not layer.first_slot <= slot(units.hash64, layer.name.encode(), unit) <= layer.last_slot:
        return units.outside
    if units.holdout and held_out(units.hash64, units.seed, unit, units.holdout):
        return units.held
    return units.assigned[rendezvous(units.hash64, bucket(units.hash64, units.seed, unit), units.candidates)]
