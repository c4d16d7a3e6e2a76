"""The intercept routes of an experiment: they ask extproc, and carry its split by themselves, complete in everything.

Where extproc does not answer, nothing is missing: each candidate owns its part of Envoy's random value, or of the hash
of a header, and has the cluster, the path, the mirrors and the headers that the decided routes have.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from extproc import names
from extproc.core.resources import MILLION, Model
from extproc.core.tokens import served_as, token
from extproc.core.units import OnMissing, UnitSource
from extproc.names import Protocol
from extproc.xds import answers, mirrors, units
from extproc.xds.encode import Encoded, Json, once
from extproc.xds.endpoints import Candidate, Split
from extproc.xds.intervals import WHOLE, Interval, fraction, intervals
from extproc.xds.matching import always, ending, tree
from extproc.xds.model_routes import ROUTE, Where, found_at, matching, speaks, to_model
from extproc.xds.remembered import Remembered

Served = tuple[Candidate, Interval]


def intercept(endpoint: str, split: Split, where: Where, protocols: tuple[Protocol, ...] = names.PROTOCOLS) -> Encoded:
    """The OnMatch of an endpoint that an experiment answers. `where` is the path specifier of its routes."""

    def end(chosen: Callable[[Protocol], Iterable[Json]]) -> Encoded:
        return ending([route for protocol in protocols for route in chosen(protocol)])

    at = found_at(where)
    shared = {protocol: _shared_out(split, protocol) for protocol in protocols}

    def nobody(protocol: Protocol, match: Json) -> list[Json]:
        if split.candidates and not any(speaks(model, protocol) for model in split.candidates):
            return [answers.wrong_protocol(endpoint, protocol, match)]
        return [answers.waiting(split.experiment.name, list(_reasons(split, protocol)), match)]

    def drawn(protocol: Protocol) -> Iterable[Json]:
        match = matching(protocol, **where)
        if not shared[protocol]:
            return nobody(protocol, match)
        return [
            route
            for candidate, part in shared[protocol]
            for piece, wanted in copies(split, candidate, protocol, part)
            for route in _routes(split, candidate, protocol, below(match, piece), wanted, at)
        ]

    def only(named: Callable[[Protocol], Candidate | None]) -> Encoded:
        def chosen(protocol: Protocol) -> Iterable[Json]:
            match, candidate = matching(protocol, **where), named(protocol)
            if candidate is None or not speaks(candidate[1], protocol):
                return drawn(protocol)
            return [
                route
                for piece, wanted in copies(split, candidate, protocol, WHOLE)
                for route in _routes(split, candidate, protocol, below(match, piece), wanted, at)
            ]

        return end(chosen)

    return _assigning(split, shared, end(drawn), only)


def _assigning(
    split: Split,
    shared: dict[Protocol, list[Served]],
    drawn: Encoded,
    only: Callable[[Callable[[Protocol], Candidate | None]], Encoded],
) -> Encoded:
    """`drawn`, behind what Envoy by itself can do for an experiment's units."""
    experiment, stickiness = split.experiment, split.experiment.stickiness
    if stickiness is None or stickiness.source is not UnitSource.HEADER:
        return drawn
    header, seed = stickiness.key, stickiness.seed or experiment.name
    untouched = (names.UNTOUCHED, split.untouched) if split.untouched else None

    def at(threshold: int) -> Callable[[Protocol], Candidate | None]:
        return lambda protocol: next((c for c, part in shared[protocol] if part.low <= threshold < part.high), None)

    missing = only(lambda _: untouched) if stickiness.on_missing is OnMissing.DEFAULT else drawn
    matcher: Json = always(missing)
    cuts = sorted({part.low for parts in shared.values() for _, part in parts}, reverse=True)
    if cuts:
        matcher = units.by_hash(header, seed, [(cut, only(at(cut))) for cut in cuts], matcher)
    if experiment.layer:
        matcher = units.by_slot(header, experiment.layer, only(lambda _: untouched), matcher)
    forced = {
        unit: only(lambda _, model=model: (model.name, model))  # type: ignore[misc]
        for override in experiment.overrides
        for model in split.candidates
        if model.name == override.candidate and any(_usable(shared, model, p) for p in shared)
        for unit in override.units
    }
    return once(
        "xds.type.matcher.v3.MatcherOnMatch",
        {"matcher": tree(header, "exact_match_map", {"map": forced} if forced else None, matcher)},
    )


def _usable(shared: dict[Protocol, list[Served]], model: Model, protocol: Protocol) -> bool:
    return any(candidate[0] == model.name for candidate, _ in shared[protocol])


def _shared_out(split: Split, protocol: Protocol) -> list[Served]:
    """Who owns which part of the million; none when nobody can answer."""
    weighted = [((model.name, model), weight) for model, weight in split.weighted(protocol)]
    holdout = split.experiment.holdout
    if weighted and holdout and split.untouched and speaks(split.untouched, protocol):
        total = sum(weight for _, weight in weighted)
        weighted = [(candidate, weight * (MILLION - holdout)) for candidate, weight in weighted]
        weighted.append(((names.UNTOUCHED, split.untouched), total * holdout))
    return intervals(weighted) if weighted else []


def copies(
    split: Split, candidate: Candidate, protocol: Protocol, part: Interval
) -> list[tuple[Interval, tuple[mirrors.Copy, ...]]]:
    """What is copied of a candidate's part; of requests that are left to the default, nothing."""
    return mirrors.copies(() if candidate[0] == names.UNTOUCHED else split.mirrors, protocol, part)


def below(match: Json, part: Interval) -> Json:
    """`match`, for what lies below the end of an interval; the routes of the intervals before it have their part."""
    # The last interval ends at the million: it takes what is left, without asking.
    return match if part.high == MILLION else {**match, "runtime_fraction": fraction(part.high)}


def _routes(
    split: Split, candidate: Candidate, protocol: Protocol, match: Json, wanted: tuple[mirrors.Copy, ...], at: str
) -> list[Json]:
    name, model = candidate
    route = {
        "name": names.intercept_route(split.experiment.name, name, protocol),
        "match": match,
        **to_candidate(split, model, protocol, wanted, at, names.FALLBACK),
        "typed_per_filter_config": asking(split.experiment.stickiness),
    }
    return units.issuing(split.experiment.stickiness, route)


asking: Final = lru_cache(maxsize=64)(units.asking)


@Remembered
def to_candidate(
    split: Split, model: Model, protocol: Protocol, wanted: tuple[mirrors.Copy, ...], at: str, reason: str
) -> Json:
    """All of a route to a candidate but its name and its match.

    `wanted` are the copies of its requests; `at` is the path that these begin with, empty where that may be any.
    `reason` is why it serves them, empty where extproc says so.
    """
    experiment = split.experiment
    return to_model(
        model,
        protocol,
        at,
        resource_type=experiment.resource_type,
        metadata={**facts(split, model), **({"reason": reason} if reason else {})},
        timeout=experiment.timeout,
        retry=experiment.retry,
        mirrors=mirrors.policies(experiment, wanted),
    )


def facts(split: Split, model: Model) -> dict[str, str]:
    """What a route's metadata says of each request that this candidate answers."""
    served = served_as(model, split.experiment.resource_type)
    return {"experiment": split.experiment.name, "candidate": model.name, ROUTE: token(served)}


def _reasons(split: Split, protocol: Protocol) -> Iterator[str]:
    found = {model.name: model for model in split.candidates}
    yield from (f"model '{c.name}' to be defined" for c in split.experiment.candidates if c.name not in found)
    yield from (f"model '{model.name}' to be ready" for model in split.candidates if speaks(model, protocol))


PASSING: Final = (to_candidate,)
