"""The routes of endpoints and of decisions.

A plain endpoint has one route for each protocol. An experiment's endpoint has intercept routes, which ask extproc and
carry the same split by themselves, complete in everything: where extproc does not answer, nothing is missing. A
decision has its own route, found by the label that extproc set.
"""

from typing import Final

from extproc import names
from extproc.core.resources import MILLION, Model
from extproc.core.tokens import served_as, token
from extproc.names import Protocol
from extproc.xds import answers, mirrors
from extproc.xds.encode import Encoded, Json
from extproc.xds.endpoints import Plain, Split, Target
from extproc.xds.inference import ext_proc_on
from extproc.xds.intervals import Interval, fraction, intervals
from extproc.xds.matching import ending
from extproc.xds.model_routes import MODELS_PATH, matching, speaks, to_model, told
from extproc.xds.remembered import Remembered


@Remembered
def by_header(endpoint: str, target: Target) -> Encoded:
    """What a request gets whose `seldon-model` is `endpoint`, whatever its path."""
    return ending([route for p in names.PROTOCOLS for route in _routes(endpoint, target, p, {"prefix": "/"})])


@Remembered
def by_path(endpoint: str, target: Target) -> Encoded:
    """What a request gets whose path begins with `/v2/models/<endpoint>`."""
    # The tree finds `/v2/models/iris2x` under the key of `iris2` too. `path_separated_prefix` takes only what ends
    # there or goes on with `/` or `?`, so that one key is enough; the rest is unknown.
    where = {"path_separated_prefix": MODELS_PATH + endpoint}
    found = [route for p in names.PROTOCOLS for route in _routes(endpoint, target, p, where)]
    return ending([*found, answers.unknown_in_path()])


@Remembered
def decided(split: Split) -> tuple[tuple[str, Encoded], ...]:
    """(label, routes) of every candidate that is defined. Candidates of weight 0 have them as well, for tokens."""
    experiment = split.experiment
    mirrored = experiment.mirror.millionths if experiment.mirror else 0
    return tuple(
        (
            names.label(experiment.name, model.name),
            ending(
                [
                    {
                        "name": names.decided_route(experiment.name, model.name, protocol),
                        "match": matching(protocol, prefix="/"),
                        **_to_candidate(split, model, protocol, mirrored),
                    }
                    for protocol in names.PROTOCOLS
                    if speaks(model, protocol)
                ]
            ),
        )
        for model in split.candidates
    )


def _routes(endpoint: str, target: Target, protocol: Protocol, where: dict[str, str]) -> list[Json]:
    """One endpoint's routes for one protocol; never none, so that no call falls through to another endpoint."""
    match = matching(protocol, **where)
    if isinstance(target, Plain):
        return [_plain_route(endpoint, target, protocol, match)]
    drawn = target.weighted(protocol)
    if drawn:
        return [_intercept_route(target, model, protocol, match, part) for model, part in intervals(drawn)]
    if target.candidates and not any(speaks(model, protocol) for model in target.candidates):
        return [answers.wrong_protocol(endpoint, protocol, match)]
    return [answers.waiting(target.experiment.name, _reasons(target, protocol), match)]


def _plain_route(endpoint: str, plain: Plain, protocol: Protocol, match: Json) -> Json:
    if not speaks(plain.model, protocol):
        return answers.wrong_protocol(endpoint, protocol, match)
    return {"name": names.plain_route(endpoint, protocol), "match": match, **_to_plain(plain, protocol)}


def _intercept_route(split: Split, model: Model, protocol: Protocol, match: Json, part: Interval) -> Json:
    mirror = split.experiment.mirror
    mirrored = part.mirrored(mirror.millionths) if mirror and mirror.millionths else 0
    return {
        "name": names.intercept_route(split.experiment.name, model.name, protocol),
        # The last interval ends at the million: it takes what is left, without asking.
        "match": match if part.high == MILLION else {**match, "runtime_fraction": fraction(part.high)},
        **_to_candidate(split, model, protocol, mirrored),
        "metadata": _fallback(split, model),
        "typed_per_filter_config": ext_proc_on(),
    }


@Remembered
def _to_plain(plain: Plain, protocol: Protocol) -> Json:
    return to_model(plain.model, protocol, resource_type=plain.resource_type, metadata={"model": plain.model.name})


@Remembered
def _to_candidate(split: Split, model: Model, protocol: Protocol, mirrored: int) -> Json:
    """`mirrored` is the threshold, in millionths of Envoy's random value, below which a request is copied."""
    experiment = split.experiment
    return to_model(
        model,
        protocol,
        resource_type=experiment.resource_type,
        metadata=_facts(split, model),
        timeout=experiment.timeout,
        retry=experiment.retry,
        mirrors=mirrors.policies(experiment, split.mirror, protocol, mirrored) if mirrored else [],
    )


@Remembered
def _fallback(split: Split, model: Model) -> Encoded:
    """The metadata of the intercept routes: what they serve, they serve because extproc did not decide."""
    return told({**_facts(split, model), "reason": names.FALLBACK})


def _facts(split: Split, model: Model) -> dict[str, str]:
    """What a route's metadata says of each request that this candidate answers."""
    served = served_as(model, split.experiment.resource_type)
    return {"experiment": split.experiment.name, "candidate": model.name, "route": token(served)}


def _reasons(split: Split, protocol: Protocol) -> list[str]:
    found = {model.name: model for model in split.candidates}
    missing = [c.name for c in split.experiment.candidates if c.name not in found]
    unready = [model.name for model in split.candidates if speaks(model, protocol)]
    return [f"model '{name}' to be defined" for name in missing] + [f"model '{name}' to be ready" for name in unready]


REMEMBERED: Final = (by_header, by_path, decided, _to_plain, _to_candidate, _fallback)
