"""The demo's model servers: one real MLServer process for each trained model, on ports of its own.

What the models were asked is read from MLServer's own counters, the only place that sees a mirror's copies arrive.
"""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp

from extproc.demo.ports import is_taken
from extproc.demo.processes import PAUSE, Service
from extproc.demo.scenario import Served
from extproc.server.ports import free_port

START_WITHIN: Final = 90.0  # seconds; MLServer's imports alone take 5 to 20
SETTLED: Final = 10  # readings in a row that must agree
# Envoy has decided what is traced. By default each of its readiness checks would be a trace as well.
FOLLOW_ENVOY: Final = {"OTEL_TRACES_SAMPLER": "parentbased_always_off"}
# https://mlserver.readthedocs.io/en/latest/user-guide/metrics.html
_ANSWERED: Final = re.compile(r"^model_infer_request_success_total\{.*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ModelServer:
    """One MLServer and where it listens, on 127.0.0.1."""

    service: Service
    served_name: str
    port: int
    metrics_port: int

    @classmethod
    async def start(cls, name: str, served: Served, home: Path, log: Path, taken: set[int], collector: str) -> Self:
        """Start it on the folder `home`, on the port of `served.endpoint`; the other ports are free, none `taken`.

        `collector` is the `host:port` that takes its spans over gRPC, empty for none.
        """
        port = int(served.endpoint.rpartition(":")[2])
        grpc_port = free_port(frozenset(taken))
        taken.add(grpc_port)
        metrics_port = free_port(frozenset(taken))
        taken.add(metrics_port)
        settings = {
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": grpc_port,
            "metrics_port": metrics_port,
            "parallel_workers": 0,  # answer in the server's own process: a second one would only cost memory here
            "debug": False,
            **({"tracing_server": collector, "server_name": f"mlserver-{name}"} if collector else {}),
        }
        (home / "settings.json").write_text(json.dumps(settings, indent=2) + "\n")
        # The environment goes before the file (pydantic-settings), so a user's own MLSERVER_HTTP_PORT must not get in.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLSERVER_")}
        environment |= FOLLOW_ENVOY
        service = await Service.start(
            f"MLServer of {name}",
            [sys.executable, "-c", "from mlserver.cli import main; main()", "start", str(home)],
            log=log,
            environment=environment,
        )
        return cls(service, served.served_name, port, metrics_port)

    async def ready(self, client: aiohttp.ClientSession) -> None:
        """Wait until the model answers that it is ready. Raises DemoFailed."""

        async def look() -> bool | None:
            try:
                # Its metrics first: the port of the model may be answered by somebody else's server, until this one
                # fails to get it.
                await self.answered(client)
                async with client.get(f"http://127.0.0.1:{self.port}/v2/models/{self.served_name}/ready") as answer:
                    return True if answer.status == 200 else None
            except aiohttp.ClientError:
                return None

        await self.service.until(look, within=START_WITHIN, saying=f"the model {self.served_name} was ready")

    async def answered(self, client: aiohttp.ClientSession) -> int:
        """How many inference requests it has answered so far. Raises aiohttp.ClientError."""
        async with client.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            return sum(int(float(count)) for count in _ANSWERED.findall(await answer.text()))

    async def settled(self, client: aiohttp.ClientSession) -> int:
        """`answered`, once it has stopped to grow: nobody waits for copies, so the last are still on their way."""
        readings = [await self.answered(client)]
        while len(readings) < SETTLED or len(set(readings[-SETTLED:])) > 1:
            await asyncio.sleep(PAUSE)
            readings.append(await self.answered(client))
        return readings[-1]


async def start_all(
    stack: AsyncExitStack, models: Mapping[str, Served], folder: Path, collector: str = ""
) -> dict[str, ModelServer]:
    """Start one for each model on `<folder>/models/<model>`; `stack` ends them, all at once.

    `collector` is as in `ModelServer.start`.
    """
    servers: dict[str, ModelServer] = {}
    taken = {int(served.endpoint.rpartition(":")[2]) for served in models.values()}

    async def stop() -> None:
        await asyncio.gather(*(server.service.stop() for server in servers.values()))

    stack.push_async_callback(stop)
    for name, served in models.items():
        home, log = folder / "models" / name, folder / f"mlserver-{name}.log"
        servers[name] = await ModelServer.start(name, served, home, log, taken, collector)
    return servers


def endpoints(models: Mapping[str, Served], taken: frozenset[int], *, free: bool = False) -> dict[str, str]:
    """Where to serve each model: its own endpoint in the file, or another port where that one is taken.

    `free` takes other ports in any case.
    """
    chosen: dict[str, str] = {}
    for served in models.values():
        port = int(served.endpoint.rpartition(":")[2])
        if free or port in taken or is_taken(port):
            port = free_port(taken)
        taken |= {port}
        chosen[served.endpoint] = f"127.0.0.1:{port}"
    return chosen
