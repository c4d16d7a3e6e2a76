"""Units in Envoy's configuration: how extproc gets to see them, and how Envoy's own split keeps them together.

What is sent to extproc is the least that holds the unit. Envoy can hash nothing but a header when it chooses a route
("Route table can only match on request headers", tried with 1.40), and knows no rendezvous hashing: while extproc does
not answer, a header's units stay together, by another hash, and all others are drawn for.
"""

import json
from collections.abc import Sequence
from typing import Final
from zlib import crc32

from extproc import names
from extproc.core.resources import MILLION
from extproc.core.units import SLOTS, Layer, Stickiness, UnitSource
from extproc.xds.encode import Encoded, Json, pack, typed
from extproc.xds.matching import header_input

_BUILDER: Final = (
    "envoy.extensions.http.ext_proc.processing_request_modifiers.mapped_attribute_builder.v3.MappedAttributeBuilder"
)


def attributes(stickiness: Stickiness) -> dict[str, str]:
    """What Envoy sends with each request: names of attributes, and the CEL expressions that give their values.

    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/attributes; a value that is absent leaves
    its attribute out.
    """
    key = stickiness.key
    match stickiness.source:
        case UnitSource.HEADER:
            found = {names.UNIT_ATTRIBUTE: f"request.headers[{_text(key)}]"}
        case UnitSource.COOKIE:
            found = {names.UNIT_COOKIE_ATTRIBUTE + key: 'request.headers["cookie"]'}
            if stickiness.ttl is not None:
                found[names.UNIT_ISSUED_ATTRIBUTE] = "request.id"
        case UnitSource.QUERY:
            found = {names.UNIT_QUERY_ATTRIBUTE + key: "request.query"}
        case UnitSource.METADATA:
            steps = "".join(f"[{_text(step)}]" for step in (key, *stickiness.path))
            found = {names.UNIT_ATTRIBUTE: f"metadata.filter_metadata{steps}"}
        case UnitSource.SOURCE_IP:
            found = {names.UNIT_ADDRESS_ATTRIBUTE: "source.address"}
    return found


def asking(stickiness: Stickiness | None) -> Json:
    """The `typed_per_filter_config` of a route on which extproc is asked; everywhere else the filter is off."""
    overrides: Json = {}
    if stickiness is not None:
        # `overrides.request_attributes` has no effect (1.40). This takes the place of the filter's own list.
        wanted = {names.ROUTE_NAME_ATTRIBUTE: names.ROUTE_NAME_ATTRIBUTE, **attributes(stickiness)}
        overrides["processing_request_modifier"] = {
            "name": "envoy.http.ext_proc.processing_request_modifiers.mapped_attribute_builder",
            "typed_config": typed(_BUILDER, mapped_request_attributes=wanted),
        }
    per_route = pack("envoy.extensions.filters.http.ext_proc.v3.ExtProcPerRoute", {"overrides": overrides})
    return {names.EXT_PROC_FILTER: per_route}


def issuing(stickiness: Stickiness | None, route: Json) -> list[Json]:
    """A route of an experiment as it is, or, where Envoy issues the cookie, before it those that don't.

    The request's id is the new unit: Envoy makes it, and sends it to extproc as well. Where a client or a proxy has
    made it, it may be anything: what is not fit for a cookie is none (nor is it for extproc, `wire.units`). Of what
    Envoy makes in any case (`%UNIQUE_ID%`) nothing can be taken that both would see: a header that ends here is gone
    when the answer comes.
    """
    if stickiness is None or stickiness.ttl is None:
        return [route]
    # RFC 6265, section 4.2.1: pairs are separated by "; ". A cookie without a value is none.
    pattern = f"(.*; *)?{_literal(stickiness.key)}=[^;]+(;.*)?"
    present = {"name": "cookie", "string_match": {"safe_regex": {"regex": pattern}}}
    name = stickiness.key.replace("%", "%%")  # the rest is a format string
    value = f"{name}=%REQ({names.REQUEST_ID_HEADER})%; Max-Age={stickiness.ttl // 1000}; Path=/; HttpOnly; SameSite=Lax"
    cookie = {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
    unfit = {
        "name": names.REQUEST_ID_HEADER,
        "string_match": {"safe_regex": {"regex": names.ISSUABLE}},
        "invert_match": True,
    }
    match = route["match"]
    return [
        *({**route, "match": {**match, "headers": [*match.get("headers", []), no]}} for no in (present, unfit)),
        {**route, "response_headers_to_add": [*route.get("response_headers_to_add", []), cookie]},
    ]


def by_hash(header: str, seed: str, ends: Sequence[tuple[int, Encoded]], otherwise: Json) -> Json:
    """A Matcher that shares out the million between `ends` (threshold, OnMatch), by the hash of a header.

    `ends` are by falling threshold, the last of them 0; what lacks the header, or has nothing in it, goes on with
    `otherwise`.
    """
    matchers = [{"predicate": _hashed(header, seed, at, MILLION), "on_match": end} for at, end in ends]
    hashed = {"matcher": {"matcher_list": {"matchers": matchers}}}
    return {
        "matcher_list": {"matchers": [{"predicate": _present(header), "on_match": hashed}]},
        "on_no_match": {"matcher": otherwise},
    }


def by_slot(header: str, layer: Layer, outside: Encoded, otherwise: Json) -> Json:
    """A Matcher for the units of a layer's other slots.

    They are not the slots that extproc knows, but those of one layer do not overlap here either.
    """
    seed = f"layer/{layer.name}"
    apart = []
    if layer.first_slot > 0:
        apart.append({"not_matcher": _hashed(header, seed, layer.first_slot, SLOTS)})
    if layer.last_slot + 1 < SLOTS:
        apart.append(_hashed(header, seed, layer.last_slot + 1, SLOTS))
    if not apart:
        return otherwise
    predicate = apart[0] if len(apart) == 1 else {"or_matcher": {"predicate": apart}}
    # Without the header there is no slot: `not_matcher` alone would take such requests too.
    both = {"and_matcher": {"predicate": [_present(header), predicate]}}
    return {
        "matcher_list": {"matchers": [{"predicate": both, "on_match": outside}]},
        "on_no_match": {"matcher": otherwise},
    }


def _present(header: str) -> Json:
    """True where there is a unit: the hash of an empty one would be a unit's too."""
    some = {"safe_regex": {"google_re2": {}, "regex": ".+"}}
    return {"single_predicate": {"input": header_input(header), "value_match": some}}


def _hashed(header: str, seed: str, threshold: int, modulo: int) -> Json:
    """True where XXH64(value, seed) % modulo >= threshold."""
    hashing = typed(
        "envoy.extensions.matching.input_matchers.consistent_hashing.v3.ConsistentHashing",
        threshold=threshold,
        modulo=modulo,
        seed=crc32(seed.encode()),
    )
    custom = {"name": "envoy.matching.matchers.consistent_hashing", "typed_config": hashing}
    return {"single_predicate": {"input": header_input(header), "custom_match": custom}}


def _text(value: str) -> str:
    """A CEL string. Its escapes are those of JSON, but for the surrogate pairs that are not needed here."""
    return json.dumps(value, ensure_ascii=False)


def _literal(name: str) -> str:
    """A cookie's name in a regular expression; all that a token may hold is literal in brackets, but for `^`."""
    return "".join(r"\^" if letter == "^" else f"[{letter}]" for letter in name)
