"""Envoy's matcher trees (`VirtualHost.matcher`): the route is looked up, never searched for.

A list of routes is scanned in order, which costs throughput with every experiment; a tree costs the same for one and
for ten thousand. https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/matching/matching_api
"""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from extproc.xds.encode import Encoded, Json, once, pack, typed
from extproc.xds.vast import Vast

Match = Literal["exact_match_map", "prefix_match_map"]
Leaf = tuple[str, Callable[..., Encoded], tuple[Any, ...]]  # what is looked up; what makes its OnMatch, and of what
Maps = Callable[[Iterable[Leaf]], Json | Vast | None]


def ending(routes: Iterable[Json | Encoded]) -> Encoded:
    """An OnMatch where a look-up ends: the routes are tried in order."""
    action = {"name": "routes", "typed_config": pack("envoy.config.route.v3.RouteList", {"routes": list(routes)})}
    return once("xds.type.matcher.v3.MatcherOnMatch", {"action": action})


def written_out(found: Iterable[Leaf]) -> Json | None:
    """The map of a tree as JSON, for people to read; None when it would be empty."""
    table = {key: made(*given) for key, made, given in found}
    return {"map": table} if table else None


def tree(header: str, match: Match, found: Json | Vast | None, otherwise: Json) -> Json:
    """A Matcher that looks `header` up and goes on with the Matcher `otherwise` for what is absent or not found.

    `found` is a map as `written_out` makes it. `prefix_match_map` takes the longest prefix. Envoy accepts no empty map,
    so an empty tree is what comes after it.
    """
    if found is None:
        return otherwise
    return {
        "matcher_tree": {
            "input": header_input(header),
            match: found,
        },
        "on_no_match": {"matcher": otherwise},
    }


def always(end: Encoded) -> Json:
    """A Matcher that ends in one place for everything."""
    return {"on_no_match": end}


def when_present(header: str, end: Encoded | Json, otherwise: Json, like: str = ".*") -> Json:
    """A Matcher that goes on with the OnMatch `end` for every request that has `header`, whatever it holds.

    Or what is `like` that, a regular expression. Several headers are one text, joined with commas.
    """
    return {
        "matcher_list": {
            "matchers": [
                {
                    "predicate": {
                        "single_predicate": {
                            "input": header_input(header),
                            "value_match": {"safe_regex": {"google_re2": {}, "regex": like}},
                        }
                    },
                    "on_match": end,
                }
            ]
        },
        "on_no_match": {"matcher": otherwise},
    }


def header_input(header: str) -> Json:
    return {
        "name": header,
        "typed_config": typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", header_name=header),
    }
