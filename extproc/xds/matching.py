"""Envoy's matcher trees (`VirtualHost.matcher`): the route is looked up, never searched for.

A list of routes is scanned in order, which costs throughput with every experiment; a tree costs the same for one and
for ten thousand. https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/advanced/matching/matching_api
"""

from collections.abc import Mapping
from typing import Literal

from extproc.xds.encode import Json, Packed, pack, typed

Match = Literal["exact_match_map", "prefix_match_map"]


def route_list(routes: list[Json]) -> Packed:
    """The routes that are tried, in order, where a look-up has ended."""
    return pack("envoy.config.route.v3.RouteList", {"routes": routes})


def tree(header: str, match: Match, found: Mapping[str, Packed], otherwise: Json) -> Json:
    """A Matcher that looks `header` up and goes on with the Matcher `otherwise` for what is absent or not found.

    `prefix_match_map` takes the longest prefix. Envoy accepts no empty map, so an empty tree is what comes after it.
    """
    if not found:
        return otherwise
    return {
        "matcher_tree": {
            "input": header_input(header),
            match: {"map": {key: on_match(found[key]) for key in sorted(found)}},
        },
        "on_no_match": {"matcher": otherwise},
    }


def always(routes: Packed) -> Json:
    """A Matcher that ends with `routes` for everything."""
    return {"on_no_match": on_match(routes)}


def when_present(header: str, routes: Packed, otherwise: Json) -> Json:
    """A Matcher that ends with `routes` for every request that has `header`, whatever it holds."""
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
                    "on_match": on_match(routes),
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


def on_match(routes: Packed) -> Json:
    return {"action": {"name": "routes", "typed_config": routes}}
