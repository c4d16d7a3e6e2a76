"""What makes an experiment's `match` valid, and its clusters, which need one: each rule a small function.

Paths are spelled as in the user's file, as in `rules`. These are the rules of what an experiment may be matched by;
whether it is a RouteMatch that Envoy takes is for `xds.matches`, which knows the types.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from extproc import names
from extproc.core.matches import DENOMINATORS, FRACTION, PATHS, Match
from extproc.core.rules import named_at
from extproc.errors import Problem

if TYPE_CHECKING:
    from extproc.core.resources import Experiment

FIELDS: Final = (*PATHS, "case_sensitive", "headers", "query_parameters", "cookies", "grpc", FRACTION)

_BY_FILTERS: Final = (
    "is not known yet when Envoy looks for the experiment, before any filter: let your filter set a header and clear"
    " the route cache, and match that"
)
# The fields of envoy.config.route.v3.RouteMatch that no experiment can be matched by, and why.
_REFUSED: Final = {
    "connect_matcher": "is for tunnels, which are not split",
    "path_match_policy": "is an extension, which can't be checked here: use safe_regex",
    "tls_context": "says nothing here: the inference listener takes no TLS",
    "dynamic_metadata": _BY_FILTERS,
    "filter_state": _BY_FILTERS,
}
_STRIPPED: Final = (names.INTERNAL_PREFIX, names.INTERNAL_MODEL_HEADER)


def match_problems(experiment: Experiment) -> list[Problem]:
    """Every problem of whom an experiment is for."""
    return [
        *(_match(experiment.match) if experiment.match else ()),
        *_clusters(experiment),
    ]


def _match(match: Match) -> Iterator[Problem]:
    body = match.body
    for key in body:
        if key in _REFUSED:
            yield Problem(f"match.{key}", _REFUSED[key])
        elif key not in FIELDS:
            yield Problem(f"match.{key}", f"is nothing to match an experiment by: use one of {', '.join(FIELDS)}")
    paths = [key for key in PATHS if key in body]
    if len(paths) > 1:
        yield Problem(f"match.{paths[1]}", f"stands beside {paths[0]}: a request has one path, so give one of the two")
    for key in ("path", "prefix"):
        value = body.get(key)
        # Envoy takes any text and compares it with the path alone, so such a match would just never hold.
        if isinstance(value, str) and (value or key == "path") and (value[:1] != "/" or "?" in value):
            yield Problem(f"match.{key}", "must begin with a slash and hold no query (see query_parameters)")
    yield from _headers(body.get("headers"))
    if FRACTION in body:
        yield from _fraction(body[FRACTION])


def _headers(headers: Any) -> Iterator[Problem]:
    for i, header in enumerate(headers if isinstance(headers, list) else ()):
        name = header.get("name") if isinstance(header, dict) else None
        if isinstance(name, str) and name.lower().startswith(_STRIPPED):
            yield Problem(f"match.headers[{i}].name", f"{name!r} is internal: no request of a client has it")


def _fraction(given: Any) -> Iterator[Problem]:
    where = f"match.{FRACTION}"
    percent = given.get("default_value") if isinstance(given, dict) else None
    if not isinstance(percent, dict):
        yield Problem(where, 'must be like {"default_value": {"numerator": 5, "denominator": "HUNDRED"}}')
        return
    if given.get("runtime_key"):
        # The split is laid out inside the fraction, so a fraction that Envoy's runtime moves would move the weights.
        yield Problem(f"{where}.runtime_key", "is not supported: change the fraction in the experiment")
    numerator, denominator = percent.get("numerator", 0), percent.get("denominator", 0)
    if isinstance(denominator, list | dict | bool) or denominator not in DENOMINATORS:
        yield Problem(f"{where}.default_value.denominator", "must be one of HUNDRED, TEN_THOUSAND, MILLION")
        return
    of = DENOMINATORS[denominator]
    if isinstance(numerator, bool) or not isinstance(numerator, int) or not 0 <= numerator <= of:
        yield Problem(f"{where}.default_value.numerator", f"must be a whole number between 0 and {of}")


def _clusters(experiment: Experiment) -> Iterator[Problem]:
    if not any(each.cluster for each in experiment.named):
        return
    for where, each in named_at(experiment):
        if each.cluster in names.RESERVED_CLUSTERS:
            yield Problem(f"{where}.cluster", f"{each.cluster!r} is a cluster of extproc itself: name one of yours")
        if bool(each.cluster) is not experiment.of_clusters and each.name:
            yield Problem(
                f"{where}.cluster" if each.cluster else f"{where}.name",
                f"names a {'cluster' if each.cluster else 'Model'}, and the first candidate does not: an experiment is"
                " between Models or between clusters (a Model may have a cluster of yours)",
            )
    if not experiment.of_clusters:
        return
    if experiment.match is None:
        yield Problem("match", 'is missing: say which requests are split between the clusters, like {"prefix": "/api"}')
    if experiment.resource_type == "PIPELINE":
        yield Problem("resource_type", "says what Models are, and the candidates are clusters: leave it out")
