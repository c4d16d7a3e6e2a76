"""The product itself as a user runs it: `python -m extproc …` in a process of its own, on free ports."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

from tests.harness.client import Answer, fetch
from tests.harness.closing import Closing
from tests.harness.ports import free_port
from tests.harness.process import Child, EndedEarlyError
from tests.harness.waiting import eventually

_MODULE: Final = "-m"  # in the command line of each of our own processes
_READY: Final = re.compile(r"ready: inference (?P<inference>http://\S+) admin (?P<admin>http://\S+)")


def rendered(*arguments: str) -> dict[str, Any]:
    """What `extproc render` prints, as a user would get it. Raises RuntimeError when it fails."""
    argv = [sys.executable, "-m", "extproc", "render", *arguments, "-o", "json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"extproc render failed:\n{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


class RunningExtproc(Closing):
    """One `extproc` (`up` or `serve`) with all its processes; ports that the arguments do not give are free ones."""

    def __init__(
        self, arguments: Sequence[str | os.PathLike[str]], directory: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        given = [os.fspath(word) for word in arguments]
        self.inference_port: Final = _port(given, "--inference-port")
        self.admin_port: Final = _port(given, "--admin-port")
        self.grpc_port: Final = _port(given, "--grpc-port")
        self.envoy_admin_port: Final = _port(given, "--envoy-admin-port")
        if "serve" in given and "--worker-sockets" not in given:
            _port(given, "--worker-port")  # the port after a free one need not be free
        self.state_dir: Final = Path(_option(given, "--state-dir", str(directory / "state")))
        self._argv: Final = [sys.executable, "-m", "extproc", *given]
        self._directory: Final = directory
        self._environment: Final = dict(environment or {})
        self._starts = 0
        self._child = self._spawn()

    @classmethod
    def start(
        cls,
        arguments: Sequence[str | os.PathLike[str]],
        directory: Path,
        *,
        environment: Mapping[str, str] | None = None,
        ready_within: float = 30.0,
    ) -> Self:
        """Start `extproc <arguments>` and wait until it serves.

        Raises AssertionError with its output when it ends or is not ready within so many seconds.
        """
        running = cls(arguments, directory, environment)
        try:
            running.wait_ready(ready_within)
        except BaseException:
            running.close()
            raise
        return running

    @property
    def inference_url(self) -> str:
        return f"http://127.0.0.1:{self.inference_port}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin_port}"

    @property
    def envoy_admin_url(self) -> str:
        return f"http://127.0.0.1:{self.envoy_admin_port}"

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def exit_code(self) -> int | None:
        return self._child.exit_code

    @property
    def output(self) -> str:
        """The stdout of the last start."""
        return self._child.stdout.read_text(errors="replace")

    @property
    def log(self) -> str:
        """The stderr of the last start."""
        return self._child.stderr.read_text(errors="replace")

    def tail(self) -> str:
        return self._child.tail()

    def wait_ready(self, within: float = 30.0) -> None:
        """`up`: wait for its ready line, which must name these ports. `serve`: wait until /healthz answers 200."""
        if "up" in self._argv:
            line = self._child.says("ready: ", within=within)
            said = _READY.search(line)
            assert said, f"no ready line: {line!r}"
            named = tuple(url.rpartition(":")[2].rstrip("/") for url in said.groups())
            assert named == (str(self.inference_port), str(self.admin_port)), f"other ports than asked for: {line!r}"
            return

        def look() -> int:
            if self._child.exit_code is not None:
                raise EndedEarlyError(f"{self._argv} ended with {self._child.exit_code}")
            return self.admin("/healthz").status

        try:
            eventually(look, within=within, saying="/healthz is 200", until=lambda s: s == 200, not_yet=(OSError,))
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.tail()}") from None

    def admin(
        self,
        path: str,
        *,
        method: str = "",
        body: bytes | str | dict[str, Any] = b"",
        headers: Mapping[str, str] | None = None,
        within: float = 20.0,
    ) -> Answer:
        """Ask the admin HTTP server; a dict is sent as JSON."""
        return fetch(self.admin_url + path, method=method, body=body, headers=headers, within=within)

    def infer(self, model: str, headers: Mapping[str, str] | None = None) -> Answer:
        """One V2 inference request through Envoy."""
        return fetch(f"{self.inference_url}/v2/models/{model}/infer", headers=headers, body={"inputs": []})

    @property
    def children(self) -> dict[int, str]:
        """The supervisor's children by process id: `control`, `worker-0` and so on, and `envoy`."""
        return {pid: words[-1] if _MODULE in words else "envoy" for pid, words in _children(self.pid)}

    @property
    def processes(self) -> dict[str, int]:
        """The process ids of extproc's own processes but the supervisor, by name."""
        return {name: pid for pid, name in self.children.items() if name != "envoy"}

    def signal(self, number: signal.Signals) -> None:
        """Signal the supervisor."""
        self._child.signal(number)

    def pause(self) -> None:
        """Stop every process (SIGSTOP): extproc hangs."""
        for pid in (self.pid, *self.processes.values()):
            os.kill(pid, signal.SIGSTOP)

    def proceed(self) -> None:
        for pid in (self.pid, *self.processes.values()):
            os.kill(pid, signal.SIGCONT)

    def stop(self, within: float = 20.0) -> None:
        """SIGTERM; it must end with exit code 0 within so many seconds."""
        self._child.signal(signal.SIGTERM)
        code = self._child.ended(within)
        assert code == 0, f"ended with {code} after SIGTERM\n{self.tail()}"

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self._child.kill()

    def restart(self) -> None:
        """Kill it if it runs, and start it anew with the same arguments; `wait_ready` is the caller's."""
        self.kill()
        self._child = self._spawn()

    def close(self) -> None:
        self.kill()

    def _spawn(self) -> Child:
        self._starts += 1
        name = f"extproc-{self.admin_port}-{self._starts}"
        out, err = self._directory / f"{name}.stdout", self._directory / f"{name}.stderr"
        return Child(self._argv, stdout=out, stderr=err, environment=self._environment)


def _children(parent: int) -> Iterator[tuple[int, list[str]]]:
    """The processes that `parent` has started, each with its command line."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # it ended while we looked
            state, ppid = (process / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(ppid) == parent and state != "Z":
                yield int(process.name), (process / "cmdline").read_text().rstrip("\0").split("\0")


def _port(arguments: list[str], flag: str) -> int:
    return int(_option(arguments, flag, str(free_port())))


def _option(arguments: list[str], flag: str, otherwise: str) -> str:
    if flag not in arguments:
        arguments += [flag, otherwise]
    return arguments[arguments.index(flag) + 1]
