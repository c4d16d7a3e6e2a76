"""An embedded Envoy in front of a stub model server, as the app runs it, and programs that stand in for Envoy."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from extproc.errors import EnvoyFailed
from extproc.server.envoy import EnvoyOptions, EnvoyProcess, find_envoy
from tests.harness.bootstrap import proxy_to
from tests.harness.client import Answer, fetch
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually_async


class Embedded:
    """An EnvoyProcess in front of one stub model server, running as a task."""

    def __init__(
        self,
        stub: ModelServer,
        directory: Path,
        binary: str = "",
        more: dict[str, Any] | None = None,
        explained: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        self.port, self.admin_port = free_port(), free_port()
        address = {"socket_address": {"address": "127.0.0.1", "port_value": self.admin_port}}
        self.bootstrap: dict[str, Any] = {**proxy_to(self.port, stub), "admin": {"address": address}, **(more or {})}
        self.times_ready = 0
        options = EnvoyOptions(binary or find_envoy(), directory / "state", self.admin_port, concurrency=1)
        self.process = EnvoyProcess(self.bootstrap, options, self._note, explained)
        self.task = asyncio.create_task(self.process.run())

    def _note(self) -> None:
        self.times_ready += 1

    @property
    def pid(self) -> int:
        assert self.process._process is not None
        return self.process._process.pid

    async def ask(self, within: float = 10.0) -> Answer:
        """One request through it."""
        url = f"http://127.0.0.1:{self.port}/v2/models/iris"
        return await asyncio.to_thread(lambda: fetch(url, within=within))

    async def until_serving(self) -> None:
        await eventually_async(self.ask, within=20, saying="Envoy serves", until=lambda answer: answer.status == 200)

    async def end(self) -> None:
        """As the app does it: `run` is cancelled, then Envoy is stopped."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError, EnvoyFailed):
            await self.task
        await self.process.stop()


def runs(pid: int) -> bool:
    """Whether the process is there and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def script(directory: Path, *lines: str) -> str:
    """A program that stands in for Envoy."""
    file = directory / "stand-in"
    file.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    file.chmod(0o755)
    return str(file)
