"""An experiment's `match` as Envoy's RouteMatch: judged as deep as its types go, and joined with an endpoint's own.

What Envoy would refuse is refused here, since Envoy refuses all of an update and seldom says whose mistake it was. The
rules are those of the annotations in envoy/config/route/v3/route_components.proto and envoy/type/matcher/v3, each
tried with 1.40 (`--mode validate`).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import re2

from extproc.core.matches import FRACTION, PATHS, Match
from extproc.core.resources import Experiment
from extproc.errors import InvalidResource, Problem
from extproc.xds import schema
from extproc.xds.encode import Json, encode

_TYPE: Final = "envoy.config.route.v3.RouteMatch"
_NAME: Final = re.compile(r":?[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2, and pseudo-headers
_SEPARATED: Final = re.compile(r"/[^?#]*[^?#/]")
_PARAMETER_MAX: Final = 1_024  # bytes of a name
_PROGRAM_MAX: Final = 100  # Envoy's `re2.max_program_size.error_level`, where its runtime does not say otherwise

Rule = Callable[[Mapping[str, Any]], Iterator[tuple[str, str]]]  # of a message: field and message of each problem


def problems(experiment: Experiment) -> list[Problem]:
    """What Envoy would not take of an experiment's `match`; nothing for one without."""
    if experiment.match is None:
        return []
    body = experiment.match.body
    try:
        encode(_TYPE, body)
    except InvalidResource as invalid:
        return [Problem(f"match.{problem.path}", problem.message) for problem in invalid.problems]
    return list(_message(schema.find(_TYPE), body, "match"))


def narrowed(match: Json, experiment: Experiment) -> Json:
    """The RouteMatch `match` of an endpoint, for the requests alone that the experiment is for.

    Not for its fraction: that is how far the experiment's intervals go.
    """
    if experiment.match is None:
        return match
    given = {key: value for key, value in experiment.match.body.items() if key != FRACTION}
    headers = [*given.pop("headers", []), *match.get("headers", [])]
    own = {key: value for key, value in match.items() if key != "headers"}
    if has_path(experiment.match):
        # A route has one path specifier. The user's stays what it is; the endpoint's is simple enough to be a header's.
        endpoint = own.pop("path_separated_prefix", "")
        own.pop("prefix", None)
        headers += [_below(endpoint)] if endpoint else []
    return {**given, **own, **({"headers": headers} if headers else {})}


def has_path(match: Match | None) -> bool:
    """Whether it says something of the path."""
    return match is not None and not match.body.keys().isdisjoint(PATHS)


def _below(path: str) -> Json:
    """A HeaderMatcher for what `path_separated_prefix` takes; the header has the query too."""
    regex = f"{path.replace('.', '[.]')}([/?].*)?"
    return {"name": ":path", "string_match": {"safe_regex": {"regex": regex}}}


def _message(message: schema.Message, body: Mapping[str, Any], path: str) -> Iterator[Problem]:
    """The problems of a message whose types are right."""
    for field, said in _RULES.get(message.name, _nothing)(body):
        yield Problem(f"{path}.{field}" if field else path, said)
    fields = schema.fields(message)
    for key, value in body.items():
        inner = fields[key].message
        if inner is None or inner.google:
            continue
        if fields[key].repeated:
            for i, item in enumerate(value):
                yield from _message(inner, item, f"{path}.{key}[{i}]")
        else:
            yield from _message(inner, value, f"{path}.{key}")


def _nothing(_: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    return iter(())


def _route(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    prefix = body.get("path_separated_prefix")
    if prefix is not None and not _SEPARATED.fullmatch(prefix):
        yield "path_separated_prefix", "must begin with a slash, not end with one, and hold neither ? nor #"


def _header(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = body.get("name", "")
    if not _NAME.fullmatch(name):
        yield "name", f"{name!r} is no header's name: use letters, digits and dashes" if name else "is missing"
    yield from _not_empty(body, "prefix_match", "suffix_match", "contains_match")


def _parameter(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = body.get("name", "")
    if not name or len(name.encode()) > _PARAMETER_MAX:
        yield "name", f"must have between 1 and {_PARAMETER_MAX} bytes"


def _cookie(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not body.get("name"):
        yield "name", "is missing"
    if "string_match" not in body:
        yield "string_match", "is missing: say what the cookie's value is"


def _string(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if body.keys().isdisjoint(_PATTERNS):
        yield "", f"matches nothing: give one of {', '.join(_PATTERNS)}"
    if "custom" in body:
        yield "custom", "is an extension, which can't be checked here: use safe_regex"
    if "safe_regex" in body and body.get("ignore_case"):
        yield "ignore_case", "has no effect for safe_regex: begin the regular expression with (?i)"
    yield from _not_empty(body, "prefix", "suffix", "contains")


def _regex(body: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    regex = body.get("regex", "")
    if not regex:
        yield "regex", "is missing"
        return
    if body.get("google_re2", {}).get("max_program_size") is not None:
        yield "google_re2.max_program_size", "is not supported: leave it out"
    options = re2.Options()
    options.log_errors = False  # it would write to stderr
    # As Envoy does: of bytes. As UTF-8 the same expression has a larger program (tried with 1.40).
    options.encoding = re2.Options.Encoding.LATIN1
    try:
        size = re2.compile(regex.encode(errors="surrogatepass"), options).programsize
    except re2.error as error:
        said = error.args[0]
        reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        yield "regex", f"is no regular expression of RE2: {reason}"
        return
    if size > _PROGRAM_MAX:
        yield "regex", f"is too large: it makes {size} instructions of RE2, and Envoy takes {_PROGRAM_MAX}"


def _not_empty(body: Mapping[str, Any], *fields: str) -> Iterator[tuple[str, str]]:
    for field in fields:
        if body.get(field) == "":
            yield field, "is empty, and would match everything: leave it out, or use present_match"


_PATTERNS: Final = ("exact", "prefix", "suffix", "safe_regex", "contains", "custom")
_RULES: Final[Mapping[str, Rule]] = {
    "RouteMatch": _route,
    "HeaderMatcher": _header,
    "QueryParameterMatcher": _parameter,
    "CookieMatcher": _cookie,
    "StringMatcher": _string,
    "RegexMatcher": _regex,
}
