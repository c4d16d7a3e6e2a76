"""Routes as JSON, played through for single random values, by the numbers in them or by those of a runtime."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from extproc.core.resources import MILLION


def fractions(routes: Any) -> Iterator[dict[str, Any]]:
    """Every RuntimeFractionalPercent."""
    if isinstance(routes, dict):
        yield from ([routes["runtime_fraction"]] if "runtime_fraction" in routes else [])
        routes = list(routes.values())
    if isinstance(routes, list):
        for inside in routes:
            yield from fractions(inside)


def without_numbers(routes: Any) -> Any:
    copy = json.loads(json.dumps(routes))
    for fraction in fractions(copy):
        if "runtime_key" in fraction:
            fraction["default_value"]["numerator"] = 0
    return copy


Part = tuple[str, tuple[str, int], list[tuple[str, int, str]]]  # match, fraction, copies; a fraction is key and number


def lists(routes: Any) -> Iterator[list[Part]]:
    """Every list of routes that are tried one after the other, as far as random values matter to it."""
    if isinstance(routes, dict):
        yield from ([[part(route) for route in routes["routes"]]] if "routes" in routes else [])
        routes = list(routes.values())
    if isinstance(routes, list):
        for inside in routes:
            yield from lists(inside)


def part(route: dict[str, Any]) -> Part:
    def fraction(holder: dict[str, Any]) -> tuple[str, int]:
        found = holder.get("runtime_fraction", {"default_value": {"numerator": MILLION}})
        return found.get("runtime_key", ""), found["default_value"]["numerator"]

    rest = {key: value for key, value in route["match"].items() if key != "runtime_fraction"}
    policies = route.get("route", {}).get("request_mirror_policies", [])
    copies = [(*fraction(policy), json.dumps(policy["request_headers_mutations"])) for policy in policies]
    return f"{route.get('name')} {json.dumps(rest, sort_keys=True)}", fraction(route["match"]), copies


def goes(routes: list[Part], random: int, runtime: Mapping[str, int]) -> dict[str, list[str]]:
    """For one random value: what serves, by what is matched beside it, with its copies."""
    taken: dict[str, list[str]] = {}
    for route, (key, number), copies in routes:
        if random < runtime.get(key, number):
            copied = [to for key, number, to in copies if random < runtime.get(key, number)]
            taken.setdefault(route.partition(" ")[2], [route, *copied])  # of two with one match the first is taken
    return taken


def ends(*routes: Any) -> list[int]:
    found = {f["default_value"]["numerator"] for each in routes for f in fractions(each)}
    return sorted({place for end in found for place in (end - 1, end) if 0 <= place < MILLION} | {0, MILLION - 1})
