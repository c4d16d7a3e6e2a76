"""Whether a port that the demo promises is free, before anything is started on it.

Envoy opens its port with SO_REUSEPORT: a second Envoy on the same one would not fail but take half of the requests.
"""

import socket
from collections.abc import Mapping

from extproc.errors import DemoFailed


def is_taken(port: int) -> bool:
    """Whether something listens on TCP port `port`, on any address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # only a listener counts, not TIME_WAIT
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 (a look, nothing listens)
        except OSError:
            return True
    return False


def demand_free(flags: Mapping[str, int]) -> None:
    """Check the ports of `flags` (`--admin-port` → 8080; 0 is always free). Raises DemoFailed, naming the flag."""
    for flag, port in flags.items():
        if port and is_taken(port):
            raise DemoFailed(
                f"port {port} is taken. Stop what listens there, choose another with {flag}, or let the demo take free"
                " ones: extproc demo --free-ports (make demo DEMO_ARGS=--free-ports)"
            )
