"""A child process of a test that can't outlive it, with its output in files.

The child asks the kernel to be killed when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG), so even a
killed pytest leaves nothing behind. Start children from the main thread only.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.harness.waiting import eventually

# PR_SET_PDEATHSIG is 1. The parent may have ended before the call: then there is nobody to wait for.
_DIE_WITH_PARENT: Final = (
    "import ctypes,os,signal,sys\n"
    "ctypes.CDLL(None).prctl(1,signal.SIGKILL)\n"
    "if os.getppid()!=int(sys.argv[1]): sys.exit('the parent is gone')\n"
    "os.execv(sys.argv[2],sys.argv[2:])\n"
)
_TAIL: Final = 200  # lines of a log worth showing


class Child:
    """One running command; `stdout` and `stderr` are files, appended to.

    In a `new_session` (setsid(2)) the scheduler gives it a share of its own, as it does to what a terminal or a service
    manager starts (sched(7), autogroup).
    """

    def __init__(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        stdout: Path,
        stderr: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        new_session: bool = False,
    ) -> None:
        self.argv: Final = tuple(os.fspath(word) for word in argv)
        self.stdout: Final = stdout
        self.stderr: Final = stderr
        wrapped = [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *self.argv]
        with stdout.open("ab") as out, stderr.open("ab") as err:
            self._process: Final = subprocess.Popen(
                wrapped,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=new_session,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ended(self, within: float) -> int:
        """Wait for the end and return the exit code; AssertionError after `within` seconds, with the log's end."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {within:g} s: {self.argv}\n{self.tail()}") from None

    def kill(self) -> None:
        """End it at once, and wait for that; nothing happens when it has ended already."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)

    def tail(self) -> str:
        """The last lines of both outputs."""
        files = (self.stderr,) if self.stdout == self.stderr else (self.stdout, self.stderr)
        return "\n".join(f"--- {f.name}\n" + "\n".join(_lines(f)[-_TAIL:]) for f in files)

    def says(self, text: str, *, within: float) -> str:
        """Wait for a line of stdout that holds `text`, and return it; fails at once when the process ends."""

        def look() -> str:
            over = self.exit_code
            found = next((line for line in _lines(self.stdout) if text in line), "")
            if not found and over is not None:
                raise EndedEarlyError(f"{self.argv} ended with {over} before it said {text!r}\n{self.tail()}")
            return found

        try:
            return eventually(look, within=within, saying=f"{text!r} on stdout of {self.argv}", not_yet=())
        except EndedEarlyError:
            raise
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.tail()}") from None


class EndedEarlyError(AssertionError):
    """The process ended instead of doing what was waited for."""


def _lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines() if file.exists() else []
