"""The supervisor's side of a child: started, told what to be, started again when it dies, ended.

Must stay true: what was ready once is started again for ever, with pauses that grow while it keeps dying young; what
can't start in the first place is an error with the child's own reason.
"""

import asyncio
import logging
import pickle
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from extproc.errors import ExtprocError
from extproc.processes.specs import Report, Spec, decode

log: Final = logging.getLogger(__name__)

YOUNG: Final = 5.0  # seconds; dying younger than this again and again makes the pauses grow
PAUSE: Final = 0.25  # seconds after the second young death in a row, doubled for each further one; none after the first
PAUSE_MAX: Final = 5.0
NOT_BORN: Final = 71  # where the system has no process for us: EX_OSERR of sysexits(3)
REPORT_MAX: Final = 1024 * 1024  # bytes


class Child:
    """One process after another of `module`, each told `spec()`, which also says its name and what it may be passed.

    `descriptors` stay open in it, under their numbers. Where `vital`, an end of its own accord is the end of `run`, and
    so is one with its own reason, but for a later process that can't take the place of one that was ready: what keeps
    it from that may pass, and the other processes serve meanwhile. `ready` holds the first report.
    """

    def __init__(self, module: str, spec: Callable[[], Spec], descriptors: tuple[int, ...], *, vital: bool) -> None:
        self.name: Final = spec().name
        self.ready: Final[asyncio.Future[Report]] = asyncio.get_running_loop().create_future()
        self._module = module
        self._spec = spec
        self._descriptors = descriptors
        self._vital = vital
        self._stopping = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._refusal = ""

    async def run(self) -> None:
        """Keep it running until `stop`. Raises ExtprocError when it can't start."""
        young_deaths = 0
        while not self._stopping.is_set():
            born, first = time.monotonic(), not self.ready.done()
            code = await self._live()
            if self._stopping.is_set() or (self._vital and code == 0):
                return
            if self._refusal and first and (self._vital or not self.ready.done()):
                raise ExtprocError(self._refusal)
            ended = self._refusal or _ended(code)
            if not self.ready.done():
                raise ExtprocError(f"the process {self.name} does not start: it {ended}; its log above may say why")
            log.warning("%s: %s; it is started again", self.name, ended)
            young_deaths = young_deaths + 1 if time.monotonic() - born < YOUNG else 0
            if young_deaths > 1:
                await self._pause(min(PAUSE * 2 ** (young_deaths - 2), PAUSE_MAX))

    @property
    def pid(self) -> int | None:
        """The process that runs now; None between two."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    def replace(self) -> None:
        """End the process that runs now at once; another is started."""
        self._signal(signal.SIGKILL)

    def end(self) -> None:
        """Have it end by itself (SIGTERM), and start no other."""
        self._stopping.set()
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, and start no other."""
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                self._process.send_signal(number)

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    async def _live(self) -> int:
        """One process from its start to its end; returns its exit code, negative for a signal."""
        self._refusal = ""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                *(sys.executable, *_safe_path(), "-m", self._module, self.name),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=REPORT_MAX,
                pass_fds=self._descriptors,
                # Out of our process group: Ctrl-C in a terminal is meant for us, who know the order of leaving.
                start_new_session=True,
            )
        except OSError as error:  # the machine is short of processes, memory or descriptors; whoever runs goes on
            self._refusal = f"the process {self.name} can't be started: {error.strerror}"
            return NOT_BORN
        assert process.stdin is not None  # noqa: S101 (both were asked for)
        assert process.stdout is not None  # noqa: S101
        if self._stopping.is_set():
            self._signal(signal.SIGTERM)
        process.stdin.write(pickle.dumps(self._spec()))
        process.stdin.close()
        while line := await process.stdout.readline():
            report = decode(line)
            if report.error:
                self._refusal = report.error
            elif not self.ready.done():
                self.ready.set_result(report)
        return await process.wait()


def _safe_path() -> tuple[str, ...]:
    """Have a child look for modules where we did: `-m` alone begins in the working directory."""
    return () if sys.path[0] in {"", str(Path.cwd())} else ("-P",)


def _ended(code: int) -> str:
    return f"ended with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
