"""What the supervisor asks the control process when Envoy has crashed: whether it is worth a further try.

A pair of sockets that outlives the control process: a notice that it dies over waits for the next one, which knows
nothing of it and says so.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

PATIENCE: Final = 15.0  # seconds; a configuration of ten thousand experiments is built in half of that
_SIZE_MAX: Final = 200  # bytes of one message
_YES, _NO = "1", "0"


def pair() -> tuple[socket.socket, socket.socket]:
    """The supervisor's end and the control process's, each message in one piece."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


class Notices:
    """The supervisor's end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._number = 0

    async def ask(self, ended: str) -> bool:
        """Tell how Envoy ended. Returns whether it is given something else from now on; False without an answer."""
        loop = asyncio.get_running_loop()
        self._number += 1
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await loop.sock_sendall(self._end, f"{self._number} {ended}".encode())
                while True:
                    number, _, answer = (await loop.sock_recv(self._end, _SIZE_MAX)).decode().partition(" ")
                    if number == str(self._number):  # and no late answer to another notice
                        return answer == _YES
        return False


async def answer(end: socket.socket, judge: Callable[[str], Awaitable[bool]]) -> None:
    """The control process's end: have each notice judged, until cancelled."""
    loop = asyncio.get_running_loop()
    while notice := (await loop.sock_recv(end, _SIZE_MAX)).decode():
        number, _, ended = notice.partition(" ")
        await loop.sock_sendall(end, f"{number} {_YES if await judge(ended) else _NO}".encode())
    await loop.create_future()  # the supervisor is gone, and soon we are too
