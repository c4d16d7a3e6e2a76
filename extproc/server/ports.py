"""Ports that are free right now, for those who must know a port before the one who will listen on it exists."""

import socket
from contextlib import ExitStack


def free_port(taken: frozenset[int] = frozenset()) -> int:
    """A TCP port that nobody listens on, none of `taken`."""
    with ExitStack() as held:
        while True:
            probe = held.enter_context(socket.socket())  # kept open, so that the system offers another one next
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            if port not in taken:
                return port
