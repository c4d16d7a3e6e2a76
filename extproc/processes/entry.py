"""The child's side of its birth: tied to the supervisor, told what to be, and able to say how that went.

Must stay true: a child never outlives its supervisor, and nothing but reports is ever written to the pipe that the
supervisor reads.
"""

import asyncio
import ctypes
import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from extproc.errors import ExtprocError
from extproc.processes.specs import Report, Spec, encode
from extproc.telemetry.logs import configure

log: Final = logging.getLogger(__name__)

FAILED: Final = 1  # the exit code of a child that said why
CRASHED: Final = 70  # and of one that has a bug: EX_SOFTWARE of sysexits(3)

_PR_SET_PDEATHSIG: Final = 1  # prctl(2)

S = TypeVar("S", bound=Spec)
Say = Callable[[Report], None]
Main = Callable[[S, Say], Coroutine[Any, Any, None]]


def run(kind: type[S], main: Main[S]) -> None:
    """Be a child of the supervisor: `main` with what it says on stdin, on a uvloop of its own. Ends the process."""
    import uvloop  # as late as this, so that who reads this module's types does not load it

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # What any library prints goes to the log: stdout is a pipe to the supervisor.
    reports = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    spec = pickle.load(sys.stdin.buffer)  # noqa: S301 - from our parent, through a pipe of its own making
    if not isinstance(spec, kind) or os.getppid() != spec.parent:  # it has died before it could take us along
        sys.exit(FAILED)
    configure(spec.logs.level, spec.logs.form, process=spec.name)

    def say(report: Report) -> None:
        reports.write(encode(report))

    try:
        uvloop.run(main(spec, say))
    except ExtprocError as error:
        say(Report(error=str(error)))
        sys.exit(FAILED)
    except Exception:
        log.exception("this is a bug of extproc")
        sys.exit(CRASHED)


async def until_stopped(*parts: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run `parts` until SIGTERM; a part that ends by itself ends everything, with its error."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    async def stopped() -> None:
        await stop.wait()

    tasks = [asyncio.create_task(part()) for part in (stopped, *parts)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
