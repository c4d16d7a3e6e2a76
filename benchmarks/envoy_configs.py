"""The Envoys of a comparison: the models' stand-in, the split without any ext_proc, and the split by a peer.

A peer gets the configuration that extproc generates, so it does the same work behind the same routes; what is taken
away from it (see `for_peer`) only spares it work that extproc's own cases do.
"""

import json
from collections.abc import Iterable, Mapping, Sequence, Set
from copy import deepcopy
from pathlib import Path
from typing import Any, Final

from extproc import names
from extproc.xds.encode import typed
from extproc.xds.http import load_assignment, socket_address, upstream
from tests.harness.extproc import rendered

Json = dict[str, Any]

WEIGHTS: Final[Mapping[str, int]] = {"iris": 70, "iris2": 30}

_HOST: Final = "127.0.0.1"
_ROUTER: Final = {
    "name": "envoy.filters.http.router",
    "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
}
# Envoy closes a connection on which it has answered before the request was there as a whole (tried with 1.40): every
# request would need a new one. With this filter it reads the body first.
_WHOLE: Final = {
    "name": "envoy.filters.http.buffer",
    "typed_config": typed("envoy.extensions.filters.http.buffer.v3.Buffer", max_request_bytes=1_048_576),
}
_ANSWER: Final = json.dumps(
    {
        "model_name": "iris",
        "model_version": "1",
        "outputs": [{"name": "predict", "shape": [1, 1], "datatype": "INT64", "data": [0]}],
    }
)
_HTTP2: Final = upstream({"http2_protocol_options": {}})
_MANY: Final = {"thresholds": [{"max_requests": 1_000_000, "max_pending_requests": 1_000_000}]}


def models(ports: list[int]) -> Json:
    """An Envoy that answers everything on these ports at once: models that cost next to nothing, and a trace sink.

    It is a process of its own, so that no case's Envoy has the models' work counted as its own.
    """
    return hosting({}, ports)


def hosting(config: Json, ports: Iterable[int]) -> Json:
    """The configuration with listeners that answer everything on these ports at once."""
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": _ANSWER}}}
    static = config.get("static_resources", {})
    listeners = [*static.get("listeners", []), *(_listener("model", port, [answer], [_WHOLE]) for port in ports)]
    return {**config, "static_resources": {**static, "listeners": listeners}}


def native(port: int, models: Mapping[str, int]) -> Json:
    """What one would write by hand for the same split: one route with weighted clusters, and nothing else.

    `models` are the ports of the candidates. https://www.envoyproxy.io/docs/envoy/latest/configuration/http/
    http_conn_man/traffic_splitting
    """
    weighted = [
        {
            "name": name,
            "weight": weight,
            "response_headers_to_add": [{"header": {"key": names.ROUTE_HEADER, "value": f":{name}_1:"}}],
        }
        for name, weight in WEIGHTS.items()
    ]
    route = {"match": {"prefix": "/v2/models/iris"}, "route": {"weighted_clusters": {"clusters": weighted}}}
    clusters = [{**_cluster(name, models[name]), "circuit_breakers": _MANY} for name in WEIGHTS]
    return {"static_resources": {"listeners": [_listener("inference", port, [route])], "clusters": clusters}}


def generated(resources: Path, port: int) -> Json:
    """What `extproc render config` prints: extproc's whole configuration as one static file. Raises RuntimeError."""
    return rendered("config", "--resources", str(resources), "--inference-port", str(port))


def for_peer(config: Json, port: int, bodies: bool = True) -> Json:
    """The generated configuration with another ext_proc server, on `port`.

    It is asked for no health, which tutorials leave out, and nothing is logged: the log's service is extproc's own.
    Without `bodies` only its filter and the router are left.
    """
    changed: Json = _without(config, {"access_log"})
    if not bodies:
        changed = _with_filters(changed, {names.EXT_PROC_FILTER, _ROUTER["name"]})
    clusters = changed["static_resources"]["clusters"]
    others = [cluster for cluster in clusters if cluster["name"] != names.EXT_PROC_CLUSTER]
    peer = {
        **_cluster(names.EXT_PROC_CLUSTER, port),
        "typed_extension_protocol_options": deepcopy(_HTTP2),
        "circuit_breakers": _MANY,
    }
    changed["static_resources"]["clusters"] = [peer, *others]
    return changed


def without_ext_proc(config: Json) -> Json:
    """The generated configuration where nobody is asked: what Envoy does by itself while extproc is away."""
    return _with_filters(_without(config, {"access_log", "typed_per_filter_config"}), {_ROUTER["name"]})


def _with_filters(config: Json, kept: Set[Any]) -> Json:
    changed = deepcopy(config)
    for listener in changed["static_resources"]["listeners"]:
        for chain in listener["filter_chains"]:
            manager = chain["filters"][0]["typed_config"]
            manager["http_filters"] = [each for each in manager["http_filters"] if each["name"] in kept]
    return changed


def _without(value: Any, keys: set[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    return [_without(each, keys) for each in value] if isinstance(value, list) else deepcopy(value)


def _listener(name: str, port: int, routes: list[Json], filters: Sequence[Json] = ()) -> Json:
    host = {"name": name, "domains": ["*"], "routes": routes}
    manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        route_config={"virtual_hosts": [host]},
        http_filters=[*filters, _ROUTER],
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    return {"name": f"{name}:{port}", "address": socket_address(_HOST, port), "filter_chains": [chain]}


def _cluster(name: str, port: int) -> Json:
    return {"name": name, "type": "STATIC", "load_assignment": load_assignment(name, [socket_address(_HOST, port)])}
