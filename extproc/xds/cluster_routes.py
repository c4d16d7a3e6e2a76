"""The routes of experiments between clusters: a list, before the routes that would be taken without them.

What a RouteMatch asks for can't be looked up, so these are tried one after the other. Units, which Envoy can do nothing
but look up, come first, whatever a request is for: each look-up ends in a list of its own, and all lists end alike.
"""

from collections.abc import Callable, Sequence
from typing import Final

from extproc.core.units import OnMissing, UnitSource
from extproc.names import Protocol
from extproc.xds.chains import alone, shared_out
from extproc.xds.encode import Encoded, Json
from extproc.xds.endpoints import Candidate, Split
from extproc.xds.intercept_routes import assigning, drawn, served
from extproc.xds.matches import narrowed
from extproc.xds.matching import ending
from extproc.xds.model_routes import matching

ROUTES: Final = 2_048  # that all lists may have together; of units that would take more, requests are drawn for


def cluster_routes(splits: Sequence[Split], before: Sequence[Json], after: Sequence[Json]) -> Encoded:
    """The OnMatch of what no look-up by model has found: `before`, the experiments in their order, and `after`."""
    every = [*before, *(route for split in splits for route in _drawn(split)), *after]
    return _tried(splits, before, after, ROUTES // max(len(every), 1))


def _tried(splits: Sequence[Split], settled: Sequence[Json], after: Sequence[Json], lists: int) -> Encoded:
    """The same, where the routes of the experiments before are `settled`; `lists` is how many may come of it."""
    if not splits:
        return ending([*settled, *after])
    split, *others = splits
    needed = _lists(split)
    left = lists // needed if needed <= lists else lists

    def going_on(routes: list[Json]) -> Encoded:
        return _tried(others, [*settled, *routes], after, left)

    def only(named: Callable[[Protocol], Candidate | None]) -> Encoded:
        candidate = named("http")
        if candidate is None:
            return going_on(_drawn(split))
        return going_on(served(split, "http", _match(split), "", alone(split, "http", candidate)))

    otherwise = going_on(_drawn(split))
    return assigning(split, {"http": shared_out(split, "http")}, otherwise, only) if needed <= lists else otherwise


def _drawn(split: Split) -> list[Json]:
    """An experiment's routes where all are drawn for; none while nobody is there to answer: requests pass it by."""
    return drawn(split, "http", _match(split), "")


def _match(split: Split) -> Json:
    return narrowed(matching("http", prefix="/"), split.experiment)


def _lists(split: Split) -> int:
    """How many lists it takes to look up an experiment's units."""
    experiment, stickiness = split.experiment, split.experiment.stickiness
    if stickiness is None or stickiness.source is not UnitSource.HEADER:
        return 1
    forced = sum(len(override.units) for override in experiment.overrides)
    missing = stickiness.on_missing is OnMissing.DEFAULT
    parts = sum(part.low < part.high for _, part in shared_out(split, "http"))
    return 1 + parts + bool(experiment.layer) + missing + forced
