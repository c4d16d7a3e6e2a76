"""What the two connection managers and the HTTP/2 clusters have in common."""

from typing import Any, Final

from extproc.xds.encode import Json, typed

_ROUTER: Final = {
    "name": "envoy.filters.http.router",
    "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
}


def filter_chain(stat_prefix: str, routes: Json, filters: list[Json], **settings: Any) -> Json:
    """The one FilterChain of a listener. `routes` is the route specifier: `rds` or `route_config`."""
    manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=stat_prefix,
        **routes,
        http_filters=[*filters, _ROUTER],
        **settings,
    )
    return {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}


def rds(name: str) -> Json:
    """The route specifier that takes a RouteConfiguration from ADS."""
    # Without a limit on the first fetch: after the default of 15 s the listener would open without any route and
    # answer 404 to everything.
    return {"rds": {"route_config_name": name, "config_source": ads()}}


def ads() -> Json:
    """A ConfigSource: over the one ADS stream, however long the first answer takes."""
    return {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}


def upstream(protocol_options: Json, **common: Any) -> Json:
    """A cluster's `typed_extension_protocol_options`. `protocol_options` is its explicit_http_config."""
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    extra = {"common_http_protocol_options": common} if common else {}
    return {name: typed(name, explicit_http_config=protocol_options, **extra)}


def load_assignment(cluster: str, addresses: list[Json]) -> Json:
    endpoints = [{"endpoint": {"address": address}} for address in addresses]
    return {"cluster_name": cluster, "endpoints": [{"lb_endpoints": endpoints}]}


def socket_address(host: str, port: int) -> Json:
    return {"socket_address": {"address": host, "port_value": port}}


def pipe(path: str) -> Json:
    """The address of a Unix socket."""
    return {"pipe": {"path": path}}
