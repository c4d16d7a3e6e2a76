"""Envoy's own resources that users give: checked as deep as their types go, then handed to Envoy as they are.

What Envoy alone can judge (a regular expression it can't compile, say) shows when Envoy rejects the update.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from extproc import names
from extproc.core.resources import Kind, PassThrough
from extproc.errors import InvalidResource, Problem
from extproc.xds import schema
from extproc.xds.data_plane import TYPE_URL
from extproc.xds.encode import Json, encode

_ROUTE: Final = "envoy.config.route.v3.Route"
_ROUTER: Final = "envoy.extensions.filters.http.router.v3.Router"
_MATCH: Final = "envoy.config.route.v3.RouteMatch"

_GRPC: Final = names.model_cluster("", "grpc")

# A user's routes become part of the one virtual host in which all requests are looked up. They can't bring settings
# for a host or a listener.
_CONFIGURATION_FIELDS: Final = frozenset({"name", "virtual_hosts"})
_HOST_FIELDS: Final = frozenset({"name", "domains", "routes"})
_LEAVE_OUT: Final = "is not supported: the routes are added to extproc's own virtual host, so only they can be given"


def problems(resource: PassThrough) -> list[Problem]:
    """Every problem of one of Envoy's own resources, with paths as in the user's file."""
    found = _type_problems(resource)
    if found:
        return found  # the rules below may rely on the shape
    return list(_RULES[resource.kind](resource))


def encoded(resource: PassThrough) -> bytes:
    """The resource on the wire. Raises InvalidResource where `problems` finds some in its types."""
    return encode(resource.kind.value.removeprefix(TYPE_URL), body(resource))


def body(resource: PassThrough) -> Json:
    """The resource as Envoy's own JSON has it."""
    return {key: value for key, value in resource.body.items() if key != "@type"}


def routes(resource: PassThrough) -> list[Json]:
    """The routes of a RouteConfiguration without problems, in order."""
    return [_unretried(route) for host in _listed(resource.body, "virtual_hosts") for route in _listed(host, "routes")]


def filters(resources: Iterable[PassThrough]) -> list[Json]:
    """The HttpFilters as they stand in the listener: by name, whatever the order of the files."""
    return [body(resource) for resource in sorted(resources, key=lambda resource: resource.name)]


def _unretried(route: Json) -> Json:
    """The route without the retries of the host that it comes into, where it asks for none itself."""
    action = route.get("route")
    if not isinstance(action, Mapping) or any(_snake(key) == "retry_policy" for key in action):
        return route
    return {**route, "route": {**action, "retry_policy": {}}}


def _type_problems(resource: PassThrough) -> list[Problem]:
    try:
        encoded(resource)
    except InvalidResource as invalid:
        return list(invalid.problems)
    return []


def _cluster_rules(resource: PassThrough) -> Iterator[Problem]:
    if resource.name in names.RESERVED_CLUSTERS:
        yield Problem("name", f"{resource.name!r} is a cluster of extproc itself: choose another name")
    if resource.name.endswith(_GRPC):
        yield Problem("name", f"ends in {_GRPC!r}, as the clusters of grpc_endpoints do: choose another name")


def _route_rules(resource: PassThrough) -> Iterator[Problem]:
    for key in body(resource):
        if _snake(key) not in _CONFIGURATION_FIELDS:
            yield Problem(key, _LEAVE_OUT)
    for i, host in enumerate(_listed(resource.body, "virtual_hosts")):
        where = f"virtual_hosts[{i}]"
        for key in host:
            if _snake(key) not in _HOST_FIELDS:
                yield Problem(f"{where}.{key}", _LEAVE_OUT)
        if host.get("domains") != ["*"]:
            yield Problem(f"{where}.domains", 'must be ["*"]: requests are looked up by model and path, not by host')
        for j, route in enumerate(_listed(host, "routes")):
            yield from _one_route(route, f"{where}.routes[{j}]")


def _one_route(route: Json, where: str) -> Iterator[Problem]:
    if not _has(_ROUTE, route, "action"):
        yield Problem(where, "does nothing: give it a route, a redirect or a direct_response")
    if not _has(_MATCH, route.get("match") or {}, "path_specifier"):
        yield Problem(f"{where}.match", "matches no path: give it a prefix, a path or a safe_regex")


def _filter_rules(resource: PassThrough) -> Iterator[Problem]:
    if resource.name in names.RESERVED_FILTERS or resource.name.startswith(names.OWN_FILTERS):
        yield Problem("name", f"{resource.name!r} is a filter of extproc itself: choose another name")
    given = {_snake(key): (key, value) for key, value in body(resource).items() if value is not None}
    if "config_discovery" in given:
        yield Problem(given["config_discovery"][0], "is not supported: give the filter's typed_config")
    elif "typed_config" not in given:
        yield Problem("typed_config", "is missing: it says which filter this is")
    elif given["typed_config"][1].get("@type") == TYPE_URL + _ROUTER:
        yield Problem(f"{given['typed_config'][0]}.@type", "is the router, which extproc adds itself: leave it out")


_RULES: Final[Mapping[Kind, Callable[[PassThrough], Iterator[Problem]]]] = {
    Kind.CLUSTER: _cluster_rules,
    Kind.ROUTES: _route_rules,
    Kind.FILTER: _filter_rules,
}


def _has(type_name: str, given: Mapping[str, Any], oneof: str) -> bool:
    fields = schema.fields(schema.find(type_name))
    return any(fields[key].oneof == oneof for key, value in given.items() if value is not None)


def _listed(given: Mapping[str, Any], field: str) -> list[Json]:
    return next((value for key, value in given.items() if _snake(key) == field and value), [])


def _snake(key: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
