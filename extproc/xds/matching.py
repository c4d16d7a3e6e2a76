"""Envoy's matcher trees (`VirtualHost.matcher`): the route is looked up, never searched for.

A list of routes is scanned in order, which costs throughput with every experiment; a tree costs the same for one and
for ten thousand. https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/matching/matching_api
"""

from collections.abc import Iterable, Mapping
from typing import Literal

from extproc.xds.encode import Encoded, Json, once, pack, typed

Match = Literal["exact_match_map", "prefix_match_map"]


def ending(routes: Iterable[Json | Encoded]) -> Encoded:
    """An OnMatch where a look-up ends: the routes are tried in order."""
    action = {"name": "routes", "typed_config": pack("envoy.config.route.v3.RouteList", {"routes": list(routes)})}
    return once("xds.type.matcher.v3.MatcherOnMatch", {"action": action})


def tree(header: str, match: Match, found: Mapping[str, Encoded], otherwise: Json) -> Json:
    """A Matcher that looks `header` up and goes on with the Matcher `otherwise` for what is absent or not found.

    `prefix_match_map` takes the longest prefix. Envoy accepts no empty map, so an empty tree is what comes after it.
    """
    if not found:
        return otherwise
    return {
        "matcher_tree": {
            "input": header_input(header),
            match: {"map": found},
        },
        "on_no_match": {"matcher": otherwise},
    }


def always(end: Encoded) -> Json:
    """A Matcher that ends in one place for everything."""
    return {"on_no_match": end}


def when_present(header: str, end: Encoded, otherwise: Json) -> Json:
    """A Matcher that ends there for every request that has `header`, whatever it holds."""
    return {
        "matcher_list": {
            "matchers": [
                {
                    "predicate": {
                        "single_predicate": {
                            "input": header_input(header),
                            "value_match": {"safe_regex": {"google_re2": {}, "regex": ".*"}},
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
