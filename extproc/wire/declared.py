"""extproc.v1 messages ⇄ core's Model and Experiment: reads a user's value as one, with every problem it has.

Must stay true: no problem is reported twice. Where a value can't be read there is a Gap, and what a rule of core says
about a gap (or about what the gap should have told it) is left out.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Final, TypeVar, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from extproc.core import rules
from extproc.core.resources import (
    MILLION,
    Api,
    Candidate,
    Endpoint,
    Experiment,
    Mirror,
    Model,
    Readiness,
    ResourceType,
    Retry,
    WhenUnavailable,
)
from extproc.core.units import Override
from extproc.errors import InvalidResource, Problem
from extproc.wire import declared_match, declared_units
from extproc.wire.pb.extproc.v1 import resources_pb2 as pb
from extproc.wire.structure import Gap, read_message, respelled, unaffected
from extproc.wire.values import Json, shown

RETRY_ATTEMPTS: Final = 1
# What Envoy can repeat without the server having seen the request.
RETRY_ON: Final = ("connect-failure", "refused-stream", "reset-before-request")
READINESS_INTERVAL: Final = Readiness().interval

M = TypeVar("M", bound=Message)
R = TypeVar("R", bound=Model | Experiment)
Place = Callable[[str], str]

_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_MILLIONTHS_OF_A_PERCENT: Final = MILLION // 100

# Rules that judge one place by others. With a gap at one of those, the rule saw less than the user wrote.
_JUDGED_BY: Final[Mapping[str, re.Pattern[str]]] = {
    "endpoints": re.compile(r"cluster|grpc_cluster|grpc_endpoints"),
    "when_unavailable": re.compile(r"default"),
    "served_name": re.compile(r"api"),
}


def model_of(value: dict[str, Json]) -> tuple[Model | None, tuple[Problem, ...]]:
    """The Model that `value` (without "@type") declares, or every problem it has."""
    return _declared(pb.Model, _model, value)


def experiment_of(
    value: dict[str, Json], gaps: Iterable[Gap] = (), place: Place = str
) -> tuple[Experiment | None, tuple[Problem, ...]]:
    """The Experiment that `value` (without "@type") declares, or every problem it has.

    `gaps` are what the caller found wrong already, in its own spelling; `place` spells a path in `value` the same way.
    """
    return _declared(pb.Experiment, _experiment, value, gaps, place)


def _declared(
    message: Callable[[], M],
    convert: Callable[[M, list[Problem]], R],
    value: dict[str, Json],
    gaps: Iterable[Gap] = (),
    place: Place = str,
) -> tuple[R | None, tuple[Problem, ...]]:
    empty = message()
    reading = read_message(cast("Descriptor", empty.DESCRIPTOR), value)

    def placed(problem: Problem) -> Problem:
        return Problem(place(problem.path), problem.message)

    def spelled(problem: Problem) -> Problem:
        return placed(Problem(respelled(problem.path, reading.spelled), problem.message))

    found = [*gaps, *(Gap(gap.at, placed(gap.problem)) for gap in reading.gaps)]
    try:
        declared = json_format.ParseDict(dict(reading.fields), empty)
    except json_format.ParseError as error:
        return None, (*(gap.problem for gap in found), Problem("", " ".join(str(error).split())))

    unfit: list[Problem] = []
    broken: Iterable[Problem] = ()
    resource = None
    try:
        resource = convert(declared, unfit)
    except InvalidResource as invalid:
        broken = invalid.problems
    found += [Gap(p.path, spelled(p)) for p in unaffected(unfit, found)]
    judged = [spelled(p) for p in unaffected(broken, found) if not _judged_by_gap(p, found)]
    problems = (*(gap.problem for gap in found), *judged)
    return (None, problems) if problems else (resource, ())


def _judged_by_gap(problem: Problem, gaps: Iterable[Gap]) -> bool:
    others = _JUDGED_BY.get(problem.path)
    return others is not None and any(others.fullmatch(gap.at) for gap in gaps)


# The converters below raise InvalidResource with what breaks a rule, and add to `unfit` what no value can be made of.


def _model(message: pb.Model, unfit: list[Problem]) -> Model:
    interval = message.readiness.interval.ToMilliseconds()
    if not message.readiness.HasField("interval"):
        interval = READINESS_INTERVAL
    invalid = rules.readiness_problems(message.readiness.path, interval)
    readiness = Readiness() if invalid else Readiness(message.readiness.path, interval, message.readiness.disabled)
    try:
        model = Model(
            name=message.name,
            version=message.version if message.HasField("version") else 1,
            endpoints=tuple(_endpoints("endpoints", message.endpoints, unfit)),
            grpc_endpoints=tuple(_endpoints("grpc_endpoints", message.grpc_endpoints, unfit)),
            cluster=message.cluster,
            grpc_cluster=message.grpc_cluster,
            served_name=message.served_name,
            readiness=readiness,
            api=Api(pb.Model.Api.Name(message.api)),
        )
    except InvalidResource as error:
        raise InvalidResource([*error.problems, *invalid]) from error
    if invalid:
        raise InvalidResource(invalid)
    return model


def _experiment(message: pb.Experiment, unfit: list[Problem]) -> Experiment:
    return Experiment(
        name=message.name,
        candidates=tuple(Candidate(c.name, c.weight, c.cluster) for c in message.candidates),
        default=message.default,
        mirror=_mirror("mirror", message.mirror, unfit) if message.HasField("mirror") else None,
        resource_type=ResourceType(pb.Experiment.ResourceType.Name(message.resource_type)),
        when_unavailable=WhenUnavailable(pb.Experiment.WhenUnavailable.Name(message.when_unavailable)),
        timeout=message.timeout.ToMilliseconds(),
        retry=_retry(message.retry) if message.HasField("retry") else None,
        stickiness=declared_units.stickiness(message.stickiness, unfit) if message.HasField("stickiness") else None,
        holdout=_millionths("holdout", message.holdout, unfit),
        overrides=tuple(Override(o.candidate, tuple(o.units)) for o in message.overrides),
        layer=declared_units.layer(message.layer) if message.HasField("layer") else None,
        mirrors=_mirrors(message, unfit),
        match=declared_match.match(message.match, unfit) if message.HasField("match") else None,
    )


def _mirrors(message: pb.Experiment, unfit: list[Problem]) -> tuple[Mirror, ...]:
    if message.mirrors and message.HasField("mirror"):
        unfit.append(Problem("mirrors", "stands beside mirror: give one of the two"))
    return tuple(_mirror(f"mirrors[{i}]", mirror, unfit) for i, mirror in enumerate(message.mirrors))


def _mirror(where: str, message: pb.Mirror, unfit: list[Problem]) -> Mirror:
    return Mirror(message.name, _millionths(f"{where}.percent", message.percent, unfit), message.cluster)


def _millionths(path: str, percent: float, unfit: list[Problem]) -> int:
    # repr is the shortest text of a double, so the number that the user wrote and not its binary neighbour.
    millionths = Decimal(repr(percent)) * _MILLIONTHS_OF_A_PERCENT
    if millionths == millionths.to_integral_value():
        return int(millionths)
    unfit.append(Problem(path, "has more than four decimals: Envoy resolves one in a million, no finer"))
    return 0


def _retry(message: pb.Retry) -> Retry:
    return Retry(
        attempts=message.attempts if message.HasField("attempts") else RETRY_ATTEMPTS,
        retry_on=tuple(message.retry_on) or RETRY_ON,
        per_try_timeout=message.per_try_timeout.ToMilliseconds(),
    )


def _endpoints(path: str, texts: Iterable[str], unfit: list[Problem]) -> Iterator[Endpoint]:
    """The endpoints that can be read. One that can't is `unfit`, and a stand-in keeps the places of the others."""
    for i, text in enumerate(texts):
        host, colon, port = text.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
        if colon and _PORT.fullmatch(port) and (":" in bare) == (bare != host):
            yield Endpoint(bare, int(port))
            continue
        hint = next((hint for mark, hint in _HINTS if mark in text), "write it like 127.0.0.1:8080")
        unfit.append(Problem(f"{path}[{i}]", f"{shown(text)} is no host:port: {hint}"))
        yield _STAND_IN


_STAND_IN: Final = Endpoint("localhost", 1)
_HINTS: Final = (
    ("//", "leave out what stands before the host and after the port"),
    ("::", "put an IPv6 address in brackets, like [::1]:8080"),
)
