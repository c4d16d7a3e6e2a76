"""One process of the demo: started in a session of its own, its output in a file, and always ended.

A terminal sends Ctrl-C to all processes of its session at once; in sessions of their own the demo ends them in order.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self, TypeVar

from extproc.errors import DemoFailed

T = TypeVar("T")

PAUSE: Final = 0.02  # seconds between two looks
TAIL: Final = 15  # lines of a log that a message quotes


class Service:
    """A running process; `name` is what messages call it."""

    def __init__(self, name: str, log: Path, process: asyncio.subprocess.Process) -> None:
        self.name: Final = name
        self.log: Final = log
        self._process: Final = process

    @classmethod
    async def start(
        cls, name: str, argv: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Start `argv` with both outputs in `log`, which is written anew."""
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment if environment is not None else os.environ,
                start_new_session=True,
            )
        return cls(name, log, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until(self, look: Callable[[], Awaitable[T | None]], *, within: float, saying: str) -> T:
        """Wait until `look` returns something. Raises DemoFailed after `within` seconds, or when the process ends."""
        deadline = asyncio.get_running_loop().time() + within
        while True:
            found = await look()
            if found is not None:
                return found
            if self._process.returncode is not None:
                raise DemoFailed(f"{self.name} ended with {self._process.returncode} before {saying}{self.tail()}")
            if asyncio.get_running_loop().time() > deadline:
                raise DemoFailed(f"{self.name}: not within {within:g} s: {saying}{self.tail()}")
            await asyncio.sleep(PAUSE)

    async def ended(self, within: float) -> int:
        """Wait until it has done its work, and return its exit code. Raises DemoFailed after `within` seconds."""
        try:
            return await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            raise DemoFailed(f"{self.name} is still running after {within:g} s{self.tail()}") from None

    async def stop(self, within: float = 20.0) -> int:
        """SIGTERM, and SIGKILL to all that is left of it after `within` seconds. Returns its exit code."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.wait_for(self._process.wait(), within)
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):  # it ended just now
                os.killpg(self._process.pid, signal.SIGKILL)
            return await self._process.wait()

    def tail(self) -> str:
        """The end of its log, as the last part of a message."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL:]
        return "".join(f"\n  {line}" for line in [f"the end of {self.log}:", *(lines or ["(it is empty)"])])
