"""Free ports that stay free until the test's own server takes them.

Each port is held by a bound socket that never listens. The kernel gives a bound port to nobody who asks for any port
(neither `bind` to port 0 nor an outgoing connection), while a server that asks for exactly this one gets it, because
Envoy, asyncio and gRPC all set SO_REUSEADDR (socket(7)). So tests that run beside each other can't collide.
"""

import atexit
import socket
from typing import Final

_held: Final[list[socket.socket]] = []


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that no other process takes and no other call in this process returns."""
    holder = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    holder.bind((host, 0))
    if not _held:
        atexit.register(_release)
    _held.append(holder)
    port: int = holder.getsockname()[1]
    return port


def _release() -> None:
    for holder in _held:
        holder.close()
    _held.clear()
