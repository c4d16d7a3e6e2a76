"""The decision: which candidate serves this request. Total, pure, and as cheap as a look-up and a draw.

The order of precedence is fixed: a valid route token, then the draw. The draw and the table are arguments, so the
same inputs give the same decision on every worker, every machine and after every restart.
"""

from collections.abc import Mapping

from extproc.core.split import DRAW_BITS, choose
from extproc.core.table import Decision, Outcome, Table
from extproc.core.tokens import tokens
from extproc.names import ROUTE_HEADER, intercepted


def decide(table: Table, route_name: str, headers: Mapping[str, str], draw: int, bits: int = DRAW_BITS) -> Decision:
    """The decision for a request that Envoy caught on the intercept route `route_name`.

    `headers` are the request's, names in lower case, several values of one name joined with a comma; only
    `x-seldon-route` is read. `draw` is uniform in [0, 2^bits). Never raises, whatever the strings hold.
    """
    key = intercepted(route_name)
    entry = table.entries.get(key)
    if entry is None:
        return Decision(key[0], "", Outcome.NO_EXPERIMENT)
    drawn = entry.afresh
    header = headers.get(ROUTE_HEADER)
    if header:
        for token in tokens(header):
            decision = entry.sticky.get(token)
            if decision is not None:
                return decision
        drawn = entry.stale
    return drawn[choose(entry.cumulative, draw, bits)]
