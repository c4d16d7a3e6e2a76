"""The intercept routes of an experiment: they ask extproc, and carry its split by themselves, complete in everything.

Where extproc does not answer, nothing is missing: each candidate owns its part of Envoy's random value, or of the hash
of a header, and has the cluster, the path, the mirrors and the headers that the decided routes have.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from extproc import names
from extproc.core.tokens import served_as, token
from extproc.core.units import OnMissing, UnitSource
from extproc.core.upstreams import Server
from extproc.names import Protocol
from extproc.xds import answers, chains, mirrors, openai_answers, units, v2_bodies
from extproc.xds.chains import Copy, Link, Served, shared_out
from extproc.xds.encode import Encoded, Json, once
from extproc.xds.endpoints import Candidate, Split
from extproc.xds.intervals import Threshold, fraction
from extproc.xds.lua_filters import switched_on
from extproc.xds.matches import has_path, narrowed
from extproc.xds.matching import always, ending, tree
from extproc.xds.model_routes import ROUTE, Where, found_at, matching, speaks, to_model
from extproc.xds.remembered import Remembered

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
            alone = chains.alone(self.split, protocol, candidate)
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
        match = below(self._caught(protocol), chains.nobody(split, protocol))
        if split.candidates and not any(speaks(model, protocol) for model in split.candidates):
            return [answers.wrong_protocol(self.endpoint, protocol, match)]
        waiting = openai_answers.waiting if split.speaks_openai else answers.waiting
        return [waiting(split.experiment.name, list(_reasons(split, protocol)), match)]


def drawn(split: Split, protocol: Protocol, match: Json, at: str) -> list[Json]:
    """The routes of all who are drawn, each with its part of those requests that take part."""
    return served(split, protocol, match, at, chains.drawn(split, protocol))


def served(split: Split, protocol: Protocol, match: Json, at: str, links: Iterable[Link]) -> list[Json]:
    """The routes of those who serve, each as far as it goes."""
    return [
        route
        for link in links
        for route in _routes(split, link.candidate, protocol, below(match, link.below), link.copies, at)
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
    # Numbers of a hash are none that Envoy's runtime could change: other weights are other routes here.
    cuts = sorted({part.low for parts in shared.values() for _, part in parts if part.low < part.high}, reverse=True)
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


def below(match: Json, threshold: Threshold | None) -> Json:
    """`match`, for what lies below a threshold; the routes before it have their part."""
    return match if threshold is None else {**match, "runtime_fraction": fraction(threshold)}


def _routes(
    split: Split, candidate: Candidate, protocol: Protocol, match: Json, wanted: tuple[Copy, ...], at: str
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
    split: Split, model: Server, protocol: Protocol, wanted: tuple[Copy, ...], at: str, reason: str
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
