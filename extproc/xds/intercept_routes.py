"""The intercept routes of an experiment: they ask extproc, and carry its split by themselves, complete in everything.

Where extproc does not answer, nothing is missing: each candidate owns its part of Envoy's random value, or of the hash
of a header, and has the cluster, the path, the mirrors and the headers that the decided routes have.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from extproc import names
from extproc.core.resources import MILLION
from extproc.core.tokens import served_as, token
from extproc.core.units import OnMissing, UnitSource
from extproc.core.upstreams import Server
from extproc.names import Protocol
from extproc.xds import answers, mirrors, openai_answers, units, v2_bodies
from extproc.xds.encode import Encoded, Json, once
from extproc.xds.endpoints import Candidate, Split
from extproc.xds.intervals import Interval, fraction, intervals
from extproc.xds.lua_filters import switched_on
from extproc.xds.matches import has_path, narrowed
from extproc.xds.matching import always, ending, tree
from extproc.xds.model_routes import ROUTE, Where, found_at, matching, speaks, to_model
from extproc.xds.remembered import Remembered

Served = tuple[Candidate, Interval]
LeftOut = Callable[[Protocol], list[Json]]


def intercept(
    endpoint: str,
    split: Split,
    where: Where,
    left_out: LeftOut,
    protocols: tuple[Protocol, ...] = names.PROTOCOLS,
) -> Encoded:
    """The OnMatch of an endpoint that an experiment answers.

    `where` is the path specifier of its routes, `left_out` makes those for what the experiment's match leaves out.
    """
    asked = _Asked(endpoint, split, where, left_out, protocols)
    shared = {protocol: shared_out(split, protocol) for protocol in protocols}
    return assigning(split, shared, asked.end(asked.drawn), asked.only)


@dataclass(frozen=True, slots=True)
class _Asked:
    """One endpoint, and how the lists of its routes end; the fields are the arguments of `intercept`."""

    endpoint: str
    split: Split
    where: Where
    left_out: LeftOut
    protocols: tuple[Protocol, ...]

    def end(self, chosen: Callable[[Protocol], Iterable[Json]]) -> Encoded:
        named = v2_bodies.needed(self.endpoint, self.split.candidates)
        ends: list[Json] = []
        for protocol in self.protocols:
            ends += v2_bodies.renaming([*chosen(protocol)]) if named else chosen(protocol)
            ends += self.left_out(protocol)
        return ending(ends)

    def drawn(self, protocol: Protocol) -> list[Json]:
        return drawn(self.split, protocol, self._caught(protocol), self._at) or self._nobody(protocol)

    def only(self, named: Callable[[Protocol], Candidate | None]) -> Encoded:
        """Where one of them serves alone, as far as somebody takes part; without one all are drawn."""

        def chosen(protocol: Protocol) -> list[Json]:
            candidate = named(protocol)
            if candidate is None or not speaks(candidate[1], protocol):
                return self.drawn(protocol)
            alone = [(candidate, self.split.whole)]
            return served(self.split, protocol, self._caught(protocol), self._at, alone)

        return self.end(chosen)

    def _caught(self, protocol: Protocol) -> Json:
        return narrowed(matching(protocol, **self.where), self.split.experiment)

    @property
    def _at(self) -> str:
        return "" if has_path(self.split.experiment.match) else found_at(self.where)

    def _nobody(self, protocol: Protocol) -> list[Json]:
        split = self.split
        if not split.taking:
            return []
        match = below(self._caught(protocol), split.whole)
        if split.candidates and not any(speaks(model, protocol) for model in split.candidates):
            return [answers.wrong_protocol(self.endpoint, protocol, match)]
        waiting = openai_answers.waiting if split.speaks_openai else answers.waiting
        return [waiting(split.experiment.name, list(_reasons(split, protocol)), match)]


def drawn(split: Split, protocol: Protocol, match: Json, at: str) -> list[Json]:
    """The routes of all who are drawn, each with its part of those requests that take part."""
    return served(split, protocol, match, at, shared_out(split, protocol, split.taking))


def served(split: Split, protocol: Protocol, match: Json, at: str, parts: Iterable[Served]) -> list[Json]:
    """The routes of those who are served, each in its interval; the intervals follow each other."""
    if not split.taking:
        return []
    return [
        route
        for candidate, part in parts
        for piece, wanted in copies(split, candidate, protocol, part)
        for route in _routes(split, candidate, protocol, below(match, piece), wanted, at)
    ]


def assigning(
    split: Split,
    shared: dict[Protocol, list[Served]],
    otherwise: Encoded,
    only: Callable[[Callable[[Protocol], Candidate | None]], Encoded],
) -> Encoded:
    """What Envoy by itself can do for an experiment's units, before `otherwise`, where all are drawn for."""
    experiment, stickiness = split.experiment, split.experiment.stickiness
    if stickiness is None or stickiness.source is not UnitSource.HEADER:
        return otherwise
    header, seed = stickiness.key, stickiness.seed or experiment.name

    def at(threshold: int) -> Callable[[Protocol], Candidate | None]:
        return lambda protocol: next((c for c, part in shared[protocol] if part.low <= threshold < part.high), None)

    def left(why: str) -> Callable[[Protocol], Candidate | None]:
        return lambda _: (why, split.untouched) if split.untouched else None

    missing = only(left(names.NO_UNIT)) if stickiness.on_missing is OnMissing.DEFAULT else otherwise
    matcher: Json = always(missing)
    cuts = sorted({part.low for parts in shared.values() for _, part in parts}, reverse=True)
    if cuts:
        matcher = units.by_hash(header, seed, [(cut, only(at(cut))) for cut in cuts], matcher)
    if experiment.layer:
        matcher = units.by_slot(header, experiment.layer, only(left(names.OTHER_SLOT)), matcher)
    forced = {
        unit: only(lambda _, model=model: (model.name, model))  # type: ignore[misc]
        for override in experiment.overrides
        for model in split.candidates
        if model.name == override.candidate and any(split.reaches(model, protocol) for protocol in shared)
        for unit in override.units
    }
    return once(
        "xds.type.matcher.v3.MatcherOnMatch",
        {"matcher": tree(header, "exact_match_map", {"map": forced} if forced else None, matcher)},
    )


def shared_out(split: Split, protocol: Protocol, million: int = MILLION) -> list[Served]:
    """Who owns which part of the million, or of its begin; none when nobody can answer."""
    weighted: list[tuple[Candidate, int]] = [
        ((model.name, model), weight) for model, weight in split.weighted(protocol)
    ]
    holdout = split.experiment.holdout
    if weighted and holdout and split.untouched and speaks(split.untouched, protocol):
        total = sum(weight for _, weight in weighted)
        weighted = [(candidate, weight * (MILLION - holdout)) for candidate, weight in weighted]
        weighted.append(((names.HOLDOUT, split.untouched), total * holdout))
    return intervals(weighted, million) if weighted else []


def copies(
    split: Split, candidate: Candidate, protocol: Protocol, part: Interval
) -> list[tuple[Interval, tuple[mirrors.Copy, ...]]]:
    """What is copied of a candidate's part; of requests that are left to the default, nothing."""
    return mirrors.copies(() if candidate[0] in names.LEFT_ALONE else split.mirrors, protocol, part)


def below(match: Json, part: Interval, last: int = MILLION) -> Json:
    """`match`, for what lies below the end of an interval; the routes of the intervals before it have their part."""
    # The last interval takes what is left, without asking.
    return match if part.high == last else {**match, "runtime_fraction": fraction(part.high)}


def _routes(
    split: Split, candidate: Candidate, protocol: Protocol, match: Json, wanted: tuple[mirrors.Copy, ...], at: str
) -> list[Json]:
    name, model = candidate
    route = {
        "name": names.intercept_route(split.experiment.name, name, protocol),
        "match": match,
        **to_candidate(split, model, protocol, wanted, at, names.FALLBACK),
        "typed_per_filter_config": {
            **asking(split.experiment.stickiness),
            **(switched_on(names.BODY_WRITER) if split.speaks_openai else {}),
        },
    }
    return units.issuing(split.experiment.stickiness, route)


asking: Final = lru_cache(maxsize=64)(units.asking)


@Remembered
def to_candidate(
    split: Split, model: Server, protocol: Protocol, wanted: tuple[mirrors.Copy, ...], at: str, reason: str
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


def facts(split: Split, model: Server) -> dict[str, str]:
    """What a route's metadata says of each request that this candidate answers."""
    served = served_as(model, split.experiment.resource_type)
    return {"experiment": split.experiment.name, "candidate": model.name, ROUTE: token(served)}


def _reasons(split: Split, protocol: Protocol) -> Iterator[str]:
    found = {model.name: model for model in split.candidates}
    for candidate in split.experiment.candidates:
        if candidate.name in split.misfits:
            yield f"model '{candidate.name}' to speak the same API as the others"
        elif candidate.name not in found:
            yield f"model '{candidate.name}' to be defined"
    yield from (f"model '{model.name}' to be ready" for model in split.candidates if speaks(model, protocol))


PASSING: Final = (to_candidate,)
