"""Ports, for those who must know of one before the program that will listen on it exists."""

import socket
from contextlib import ExitStack

from extproc.errors import ExtprocError


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A TCP port that nobody listens on, none of `taken`."""
    with ExitStack() as held:
        while True:
            probe = held.enter_context(socket.socket())  # kept open, so that the system offers another one next
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port not in taken:
                return port


def demand_free(host: str, port: int, flag: str) -> None:
    """Raise ExtprocError when somebody listens on the port.

    Envoy would not notice: it opens its listeners with SO_REUSEPORT, and two Envoys then share the connections.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that linger don't count
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ExtprocError(
                f"port {port} can't be listened on ({error.strerror}): end whoever has it, or choose another"
                f" with {flag}"
            ) from error
