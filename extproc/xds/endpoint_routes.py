"""The routes of endpoints and of decisions.

A plain endpoint has one route for each protocol. An experiment's endpoint has intercept routes, which ask extproc. A
decision has its own route, found by the label that extproc set.
"""

from typing import Final

from extproc import names
from extproc.core.tokens import served_as, token
from extproc.names import Protocol
from extproc.xds import (
    answers,
    chains,
    intercept_routes,
    intervals,
    json_bodies,
    mirrors,
    model_routes,
    openai_answers,
    units,
    v2_bodies,
)
from extproc.xds.encode import Encoded, Json
from extproc.xds.endpoints import Candidate, Plain, Split, Target, speaks_openai
from extproc.xds.intercept_routes import below, intercept, to_candidate
from extproc.xds.lua_filters import switched_on
from extproc.xds.matching import ending
from extproc.xds.model_routes import MODELS_PATH, PLAIN_ROUTE, Where, found_at, matching, speaks, to_model
from extproc.xds.remembered import Remembered


def by_header(endpoint: str, target: Target) -> Encoded:
    """What a request gets whose `seldon-model` is `endpoint`, whatever its path."""
    where = {"prefix": "/"}
    if isinstance(target, Split):
        return intercept(endpoint, target, where, lambda protocol: _left_out(endpoint, target, protocol, where))
    return ending([route for p in names.PROTOCOLS for route in _plain_routes(endpoint, target, p, where)])


def by_path(endpoint: str, target: Target) -> Encoded:
    """What a request gets whose path begins with `/v2/models/<endpoint>`.

    There is no gRPC here: the path of a call names its method, and the header alone its model.
    """
    # The tree finds `/v2/models/iris2x` under the key of `iris2` too. `path_separated_prefix` takes only what ends
    # there or goes on with `/` or `?`, so that one key is enough; the rest has no route (`answers.no_route`).
    where = {"path_separated_prefix": MODELS_PATH + endpoint}
    if speaks_openai(target):
        return ending([openai_answers.elsewhere(endpoint, matching("http", **where))])
    if isinstance(target, Split):
        return intercept(
            endpoint, target, where, lambda protocol: _left_out(endpoint, target, protocol, where), ("http",)
        )
    return ending(_plain_routes(endpoint, target, "http", where))


def decided(split: Split, candidate: Candidate) -> Encoded:
    """What a request gets whose label names a candidate that is defined."""
    return ending([route for p in names.PROTOCOLS for route in _decided_routes(split, candidate, p)])


def _decided_routes(split: Split, candidate: Candidate, protocol: Protocol) -> list[Json]:
    name, model = candidate
    if not speaks(model, protocol):
        return []
    return [
        route
        for link in chains.decided(split, protocol, candidate)
        for route in units.issuing(
            split.experiment.stickiness,
            {
                "name": names.decided_route(split.experiment.name, name, protocol),
                "match": below(matching(protocol, prefix="/"), link.below),
                **to_candidate(split, model, protocol, link.copies, "", ""),
            },
        )
    ]


def _left_out(endpoint: str, split: Split, protocol: Protocol, where: Where) -> list[Json]:
    """The routes for what the match of an experiment leaves out of an endpoint's requests."""
    if split.experiment.match is None:
        return []
    plain = split.left_out(endpoint)
    if plain is None:
        return [answers.unmatched(split.experiment, matching(protocol, **where))]
    return _plain_routes(endpoint, plain, protocol, where)


def _plain_routes(endpoint: str, plain: Plain, protocol: Protocol, where: Where) -> list[Json]:
    match = matching(protocol, **where)
    if not speaks(plain.model, protocol):
        return [answers.wrong_protocol(endpoint, protocol, match)]
    route = {
        "name": names.plain_route(endpoint, protocol),
        "match": match,
        **_to_plain(plain, protocol, found_at(where)),
        **_named_in_body(plain, protocol),
    }
    return v2_bodies.renaming([route]) if v2_bodies.needed(endpoint, [plain.model]) else [route]


def _named_in_body(plain: Plain, protocol: Protocol) -> Json:
    # Where the body was read before, extproc is switched on: the model might have been an experiment's.
    off = {names.EXT_PROC_FILTER: json_bodies.not_asked()}
    if not plain.model.speaks_openai:
        return {"typed_per_filter_config": off} if protocol == "grpc" else {}
    return {"typed_per_filter_config": {**switched_on(names.BODY_WRITER), **off}}


@Remembered
def _to_plain(plain: Plain, protocol: Protocol, at: str) -> Json:
    route = token(served_as(plain.model, plain.resource_type))
    facts = {"model": plain.model.name, PLAIN_ROUTE: route}
    return to_model(plain.model, protocol, at, resource_type=plain.resource_type, metadata=facts)


PASSING: Final = (_to_plain, *intervals.PASSING, *intercept_routes.PASSING, *mirrors.PASSING, *model_routes.PASSING)
"""What one endpoint's routes share with another's; not worth keeping from build to build."""
