"""What keeps Envoy within its memory: a limit of its heap, and one of the large bodies that it holds at a time.

Why two: Envoy looks at its heap four times a second, and meanwhile a dozen bodies of 60 MB have come; of requests that
it has begun it can only end those of HTTP/2 in order (`reset_high_memory_stream`: clients of HTTP/1.1 waited for ever).
https://www.envoyproxy.io/docs/envoy/latest/configuration/operations/overload_manager/overload_manager; tried with 1.40.
"""

from typing import Any, Final

from extproc import names
from extproc.xds import json_bodies
from extproc.xds.encode import Json, typed
from extproc.xds.lua_filters import Constants, lua_filter
from extproc.xds.world import Options

# https://www.envoyproxy.io/docs/envoy/latest/configuration/best_practices/edge asks for a limit; Envoy has none.
DOWNSTREAM_CONNECTIONS: Final = 50_000

SHRINK: Final = 0.8  # of the limit, from where on memory that is free is given back at once
REFUSE: Final = 0.95  # from where on every new request is answered with 503

# A body takes up to seven times its size for a moment, while it is read, renamed and sent to a mirror as well: 120 MB
# of them took 880 MiB, 480 MB took 3 GiB.
SHARE: Final = 8

TOO_MANY: Final = "Envoy holds as many large bodies as it has memory for: send this request again in a while"

_HEAP: Final = "envoy.resource_monitors.fixed_heap"


def overload_manager(heap_limit: int) -> dict[str, Any]:
    """The bootstrap's part. `heap_limit` is in bytes, 0 for none."""
    connections = {
        "name": "envoy.resource_monitors.global_downstream_max_connections",
        "typed_config": typed(
            "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
            max_active_downstream_connections=DOWNSTREAM_CONNECTIONS,
        ),
    }
    if not heap_limit:
        return {"resource_monitors": [connections]}
    heap = typed("envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", max_heap_size_bytes=heap_limit)
    return {
        "refresh_interval": "0.25s",
        "resource_monitors": [connections, {"name": _HEAP, "typed_config": heap}],
        "actions": [_action("shrink_heap", SHRINK), _action("stop_accepting_requests", REFUSE)],
    }


def gate(options: Options) -> list[Json]:
    """The filter that bounds large bodies, where there is a limit; on where those are that read or write bodies."""
    if not options.heap_limit:
        return []
    budget = options.heap_limit // SHARE // options.envoy_threads
    constants: Constants = {"BUDGET": budget, "LIMIT": json_bodies.LIMIT, "TEXT": TOO_MANY}
    return [lua_filter(names.BODY_GATE, constants, "gate_bodies.lua")]


def _action(name: str, threshold: float) -> Json:
    trigger = {"name": _HEAP, "threshold": {"value": threshold}}
    return {"name": f"envoy.overload_actions.{name}", "triggers": [trigger]}
