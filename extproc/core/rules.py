"""What makes a resource valid by itself: one small function a rule, each yielding every problem it finds.

Paths are spelled as in the user's file. Nothing here knows where a resource came from or what stands beside it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from extproc import names
from extproc.errors import InvalidResource, Problem

if TYPE_CHECKING:
    from extproc.core.resources import Candidate, Endpoint, Experiment, Mirror, Model

__all__ = ["Problem", "demand", "experiment_problems", "model_problems", "named_at", "readiness_problems"]

WEIGHT_MAX: Final = 2**32 - 1
VERSION_MAX: Final = 2**32 - 1
INTERVAL_MIN, INTERVAL_MAX = 100, 3_600_000  # milliseconds
MIRRORS_MAX: Final = 4

# https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/router_filter#x-envoy-retry-on
RETRY_ON: Final = frozenset({
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "refused-stream", "retriable-4xx",
    "envoy-ratelimited", "http3-post-connect-failure",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
})  # fmt: skip
ATTEMPTS_MAX: Final = 10
TIMEOUT_MAX: Final = 9_223_372_035_000  # milliseconds; Envoy counts nanoseconds in 63 bits and refuses more

_DNS_LABEL: Final = r"[A-Za-z0-9_]([-A-Za-z0-9_]{0,61}[A-Za-z0-9_])?"
_DNS_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z){_DNS_LABEL}(\.{_DNS_LABEL})*\.?")  # RFC 1123 2.1, and underscores
_ADDRESS: Final = re.compile(r"[0-9.]+|.*:.*")  # what only an IP address looks like
_PATH: Final = re.compile(r"/[!-~]*")


def demand(problems: list[Problem]) -> None:
    """Raises InvalidResource with these problems, if there are any."""
    if problems:
        raise InvalidResource(problems)


def name_problems(path: str, name: str) -> Iterator[Problem]:
    if not name:
        yield Problem(path, "is missing: give it a name")
    elif len(name) > names.RESOURCE_NAME_MAX:
        yield Problem(path, f"has {len(name)} characters: at most {names.RESOURCE_NAME_MAX} are allowed")
    elif not names.RESOURCE_NAME.fullmatch(name):
        yield Problem(
            path,
            f"{name!r} is no valid name: use lower-case letters, digits and dashes, and begin and end with a letter"
            " or digit",
        )


def model_problems(model: Model) -> list[Problem]:
    """Every problem of one Model."""
    return [
        *name_problems("name", model.name),
        *_reserved(model.name),
        *_version(model.version),
        *_endpoints("endpoints", model.endpoints),
        *_endpoints("grpc_endpoints", model.grpc_endpoints),
        *_served_name(model),
        *_one_way_in(model),
    ]


def readiness_problems(path: str, interval: int) -> list[Problem]:
    """Every problem of a Model's readiness check; `interval` in milliseconds."""
    return [
        *(
            [Problem("readiness.path", f"{path!r} is no path: it begins with a slash and has no spaces")]
            if path and not _PATH.fullmatch(path)
            else []
        ),
        *(
            [Problem("readiness.interval", "must be between 0.1s and 3600s")]
            if not INTERVAL_MIN <= interval <= INTERVAL_MAX
            else []
        ),
    ]


def experiment_problems(experiment: Experiment) -> list[Problem]:
    """Every problem of one Experiment."""
    return [
        *name_problems("name", experiment.name),
        *_candidates(experiment),
        *_weights(experiment),
        *_default(experiment),
        *_mirrors(experiment),
        *_policy(experiment),
    ]


def _reserved(name: str) -> Iterator[Problem]:
    if name in names.RESERVED_CLUSTERS:
        yield Problem("name", f"{name!r} is a cluster of extproc itself: choose another name")


def _version(version: int) -> Iterator[Problem]:
    if not 1 <= version <= VERSION_MAX:
        yield Problem("version", f"must be a whole number between 1 and {VERSION_MAX}")


def _endpoints(path: str, endpoints: Iterable[Endpoint]) -> Iterator[Problem]:
    for i, endpoint in enumerate(endpoints):
        if not _is_host(endpoint.host) or not 1 <= endpoint.port <= 65535:
            yield Problem(f"{path}[{i}]", f"{str(endpoint)!r} is no host:port: write it like 127.0.0.1:8080")


def _is_host(host: str) -> bool:
    if not _ADDRESS.fullmatch(host):
        return _DNS_NAME.fullmatch(host) is not None
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.version == 4 or address.scope_id is None  # a scope means something on one machine only


def _served_name(model: Model) -> Iterator[Problem]:
    # A served name that only repeats the name is the name's problem.
    if model.served_name == model.name:
        return
    if model.speaks_openai:
        yield from _served_in_json(model.served_name)
        return
    # `.` and `..` are steps, not names (RFC 3986 section 5.2.4): they would lead to another path of the server.
    if not names.SERVED_NAME.fullmatch(model.served_name) or model.served_name in (".", ".."):
        yield Problem(
            "served_name", f"{model.served_name!r} can't stand in a path: use letters, digits, dots, dashes, _ and ~"
        )


def _served_in_json(name: str) -> Iterator[Problem]:
    if len(name) > names.SERVED_NAME_MAX:
        yield Problem("served_name", f"has {len(name)} characters: at most {names.SERVED_NAME_MAX} are allowed")
    elif not names.SERVED_NAME_IN_JSON.fullmatch(name):
        yield Problem("served_name", f"{name!r}: use printable ASCII characters, and neither quotes nor backslashes")


def _one_way_in(model: Model) -> Iterator[Problem]:
    if not (model.speaks_http or model.speaks_grpc):
        yield Problem("endpoints", "is missing: say where the model is served, in endpoints or grpc_endpoints")
    for field in ("grpc_endpoints", "grpc_cluster"):
        if model.speaks_openai and getattr(model, field):
            yield Problem(field, "can't be given with api OPENAI, which is spoken over HTTP: give endpoints or cluster")
    for given, cluster in (("endpoints", "cluster"), ("grpc_endpoints", "grpc_cluster")):
        if getattr(model, given) and getattr(model, cluster):
            yield Problem(cluster, f"stands beside {given}: give one of the two")


def _candidates(experiment: Experiment) -> Iterator[Problem]:
    if not experiment.candidates:
        yield Problem("candidates", "is empty: name at least one candidate (with weight 100 for a mirror-only trial)")
    first: dict[str, int] = {}
    for i, candidate in enumerate(experiment.candidates):
        yield from _called(f"candidates[{i}]", candidate)
        if candidate.name in first:
            yield Problem(
                f"candidates[{i}].name",
                f"{candidate.name!r} is candidates[{first[candidate.name]}] already: list it once, with its whole"
                " weight",
            )
        elif candidate.name:
            first[candidate.name] = i


def named_at(experiment: Experiment) -> Iterator[tuple[str, Candidate | Mirror]]:
    """Everybody whom an experiment names, candidates first, each with its place in the user's file."""
    yield from ((f"candidates[{i}]", candidate) for i, candidate in enumerate(experiment.candidates))
    for i, mirror in enumerate(experiment.mirrors):
        yield ("mirror" if len(experiment.mirrors) == 1 else f"mirrors[{i}]"), mirror


def _called(where: str, named: Candidate | Mirror) -> Iterator[Problem]:
    """What is wrong with the name of a candidate or a mirror. A cluster may be called anything, a candidate may not."""
    if named.cluster and named.name == named.cluster and any(name_problems("", named.name)):
        yield Problem(f"{where}.name", f"is missing, and {named.cluster!r} can't be one: give one beside the cluster")
    else:
        yield from name_problems(f"{where}.name", named.name)


def _weights(experiment: Experiment) -> Iterator[Problem]:
    for i, candidate in enumerate(experiment.candidates):
        if not 0 <= candidate.weight <= WEIGHT_MAX:
            yield Problem(f"candidates[{i}].weight", f"must be a whole number between 0 and {WEIGHT_MAX}")
    if experiment.candidates and all(c.weight == 0 for c in experiment.candidates):
        yield Problem("candidates", "every weight is 0, nothing could be chosen: give one candidate a weight above 0")


def _default(experiment: Experiment) -> Iterator[Problem]:
    if not experiment.default:
        return
    unfit = list(name_problems("default", experiment.default))
    yield from unfit
    listed = [c.name for c in experiment.candidates]
    # A candidate without a name may be the one that is meant.
    if not unfit and listed and all(listed) and experiment.default not in listed:
        yield Problem(
            "default",
            f"{experiment.default!r} is not among the candidates ({', '.join(listed)}): add it, with weight 0 if it"
            " shall get nothing",
        )


def _mirrors(experiment: Experiment) -> Iterator[Problem]:
    if len(experiment.mirrors) > MIRRORS_MAX:
        yield Problem("mirrors", f"has {len(experiment.mirrors)} entries: at most {MIRRORS_MAX} are allowed")
    candidates = [c.name for c in experiment.candidates]
    for i, mirror in enumerate(experiment.mirrors):
        where = "mirror" if len(experiment.mirrors) == 1 else f"mirrors[{i}]"
        yield from _called(where, mirror)
        if mirror.name and mirror.name in candidates:
            yield Problem(
                f"{where}.name", f"{mirror.name!r} is a candidate too: a model is either split to or mirrored to"
            )
        if mirror.name and mirror.name in [m.name for m in experiment.mirrors[:i]]:
            yield Problem(f"{where}.name", f"{mirror.name!r} is listed already: list it once")
        if not 0 <= mirror.millionths <= 1_000_000:
            yield Problem(f"{where}.percent", "must be between 0 and 100")


def _policy(experiment: Experiment) -> Iterator[Problem]:
    if not 0 <= experiment.timeout <= TIMEOUT_MAX:
        yield Problem("timeout", f"must be between 0s, which means no limit, and {TIMEOUT_MAX // 1000}s")
    if experiment.when_unavailable == "DEFAULT_ONLY" and not experiment.default:
        yield Problem("when_unavailable", "DEFAULT_ONLY needs a default: name one, or use AVAILABLE_CANDIDATES")
    retry = experiment.retry
    if retry is None:
        return
    if not 1 <= retry.attempts <= ATTEMPTS_MAX:
        yield Problem("retry.attempts", f"must be between 1 and {ATTEMPTS_MAX}")
    if not 0 <= retry.per_try_timeout <= TIMEOUT_MAX:
        yield Problem("retry.per_try_timeout", f"must be between 0s, which means no limit, and {TIMEOUT_MAX // 1000}s")
    if not retry.retry_on:
        yield Problem("retry.retry_on", "is empty: name a condition, or leave out retry altogether")
    for i, condition in enumerate(retry.retry_on):
        if condition not in RETRY_ON:
            yield Problem(
                f"retry.retry_on[{i}]",
                f"{condition!r} is no retry condition of Envoy: use one of {', '.join(sorted(RETRY_ON))}",
            )
