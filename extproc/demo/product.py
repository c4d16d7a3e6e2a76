"""`extproc up` as the demo runs it: a process of its own, known only by what it prints and what its REST API says."""

import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import aiohttp

from extproc.demo.processes import Service
from extproc.errors import DemoFailed

START_WITHIN: Final = 60.0  # seconds
ACTIVE_WITHIN: Final = 30.0  # seconds from serving until every model has passed a readiness check
LIVE_WITHIN: Final = 10.0  # seconds that an edit may take; it takes well under one
_READY: Final = re.compile(r"^ready: inference (\S+) admin (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Product:
    """A running `extproc up`: where requests go, and where its admin HTTP answers."""

    service: Service
    inference: str
    admin: str

    @classmethod
    async def start(
        cls, stack: AsyncExitStack, resources: Path, folder: Path, ports: Mapping[str, int], more: Sequence[str] = ()
    ) -> Self:
        """Start it on `resources` with the port flags `ports` and `more` flags, and wait until Envoy serves.

        `stack` ends it.
        """
        flags = [word for flag, port in ports.items() for word in (flag, str(port))]
        service = await Service.start(
            "extproc",
            [
                *(sys.executable, "-m", "extproc", "up"),
                *("--resources", str(resources), "--state-dir", str(folder / "state")),
                *flags,
                *more,
            ],
            log=folder / "extproc.log",
        )
        stack.push_async_callback(_stop, service)

        async def look() -> re.Match[str] | None:
            return _READY.search(service.log.read_text(errors="replace"))

        said = await service.until(look, within=START_WITHIN, saying="it said that Envoy serves")
        return cls(service, inference=said[1], admin=said[2])

    async def active(self, client: aiohttp.ClientSession, experiment: str) -> None:
        """Wait until the experiment runs with all its models. Raises DemoFailed, with the log's end."""

        async def look() -> bool | None:
            return True if (await self.read(client, experiment)).get("state") == "ACTIVE" else None

        await self.service.until(look, within=ACTIVE_WITHIN, saying=f"the experiment {experiment} was ACTIVE")

    async def live(self, client: aiohttp.ClientSession, experiment: str, weights: Mapping[str, int]) -> None:
        """Wait until the experiment runs on `weights`. Raises DemoFailed."""

        async def look() -> bool | None:
            candidates = (await self.read(client, experiment)).get("candidates", [])
            return True if {c["name"]: c["weight"] for c in candidates} == dict(weights) else None

        await self.service.until(look, within=LIVE_WITHIN, saying=f"{experiment} ran on {dict(weights)}")

    async def read(self, client: aiohttp.ClientSession, experiment: str) -> dict[str, Any]:
        """The experiment as the REST API shows it; empty while it does not answer."""
        try:
            async with client.get(f"{self.admin}/api/v1/experiments/{experiment}") as answer:
                shown: dict[str, Any] = await answer.json() if answer.ok else {}
                return shown
        except aiohttp.ClientError:
            return {}


async def _stop(service: Service) -> None:
    code = await service.stop()
    if code:
        raise DemoFailed(f"{service.name} ended with {code}{service.tail()}")
