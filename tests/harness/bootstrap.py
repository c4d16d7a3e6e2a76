"""The smallest Envoy that is of use to a test: one listener, one route, one upstream."""

from typing import Any, Final

from tests.harness.models import ModelServer

_TYPES: Final = "type.googleapis.com/envoy.extensions.filters"


def proxy_to(port: int, upstream: ModelServer) -> dict[str, Any]:
    """A bootstrap that listens on `port` and sends everything to `upstream`."""
    router = {"name": "router", "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"}}
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": "up"}}]
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "inference",
        "http_filters": [router],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]},
    }

    def at(port: int) -> dict[str, Any]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    endpoints = [{"lb_endpoints": [{"endpoint": {"address": at(upstream.port)}}]}]
    return {
        "static_resources": {
            "listeners": [
                {
                    "name": "in",
                    "address": at(port),
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ],
            "clusters": [{"name": "up", "load_assignment": {"cluster_name": "up", "endpoints": endpoints}}],
        }
    }
