"""The demo from beginning to end, in the order in which it is told; everything it starts it ends, whatever happens."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp

from extproc.collector import Tracing
from extproc.demo import report, scenario
from extproc.demo.model_servers import ModelServer, endpoints, start_all
from extproc.demo.ports import demand_free
from extproc.demo.processes import Service
from extproc.demo.product import Product
from extproc.demo.report import Phase, Result
from extproc.demo.scenario import Scenario
from extproc.demo.screen import Screen, weights_text
from extproc.demo.traffic import LANES, Row, Traffic
from extproc.errors import DemoFailed

EDITED: Final = (20, 80)  # the candidates' weights after the edit, in the file's order
TRAIN_WITHIN: Final = 90.0  # seconds; nearly all of it is imports


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs: the models, `extproc up`, and `file`, the resource file that it watches."""

    file: Path
    rows: tuple[Row, ...]
    servers: Mapping[str, ModelServer]
    product: Product
    client: aiohttp.ClientSession

    @property
    def scenario(self) -> Scenario:
        """What the file says now."""
        return Scenario.read(self.file.read_text())

    async def perform(self, requests: int, screen: Screen) -> Result:
        """Send `requests` requests, edit the weights while they flow, and send as many again.

        Raises DemoFailed when a request fails or the edit is not followed.
        """
        before = self.scenario
        url = f"{self.product.inference}/v2/models/{before.default}/infer"
        screen.step(f"Sending rows that no model has seen to {url}, {LANES} at a time")
        traffic = Traffic(self.client, url, self.rows)
        traffic.start()
        try:
            first = await _phase(traffic, requests, before, screen)
            live_after = await self._edit(before, screen)
            after = self.scenario
            second = await _phase(traffic, requests, after, screen)
        finally:
            await traffic.stop()
        return Result(
            phases=(first, second),
            live_after_ms=round(live_after * 1000, 1),
            requests=len(traffic.answers),
            mirror=after.mirror,
            mirror_percent=after.percent,
            mirrored=await self.servers[after.mirror].settled(self.client),
            mislabelled=report.mislabelled(traffic.answers, after),
        )

    async def _edit(self, before: Scenario, screen: Screen) -> float:
        """Change the weights in the file; returns the seconds until extproc ran on them."""
        weights = dict(zip(before.weights, EDITED, strict=True))
        text = scenario.with_weights(self.file.read_text(), weights)
        screen.step(f"Editing {self.file} while they flow: {weights_text(weights)}")
        saved = time.monotonic()
        scenario.write(self.file, text)
        await self.product.live(self.client, before.experiment, weights)
        return time.monotonic() - saved


@dataclass(frozen=True, slots=True)
class Collector:
    """Who takes the traces: `endpoint` as `extproc up` takes it, `for_models` as MLServer does, which sends spans over
    gRPC without TLS alone; empty for a collector that does not take them so.
    """

    endpoint: str
    for_models: str

    @classmethod
    def given(cls, endpoint: str, environment: Mapping[str, str]) -> Self | None:
        """The collector of `--otlp-endpoint`; None without one. Raises InvalidSettings."""
        tracing = Tracing.given(endpoint, None, environment)
        if tracing is None:
            return None
        return cls(endpoint, "" if tracing.http or tracing.tls else tracing.url.removeprefix("http://"))


@asynccontextmanager
async def staged(
    folder: Path,
    ports: Mapping[str, int],
    screen: Screen,
    *,
    free_ports: bool = False,
    collector: Collector | None = None,
) -> AsyncIterator[Stage]:
    """Train the models and start everything; `folder` gets models, resource file and logs. Raises DemoFailed.

    `ports` are the port flags of `extproc up`; `free_ports` takes free ones for everything instead.
    """
    if free_ports:
        ports = dict.fromkeys(ports, 0)
    demand_free(ports)
    _clear(folder)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession())
        screen.step("Training three classifiers on the iris data set")
        rows = await _train(stack, folder)

        text = scenario.FILE.read_text()
        models = Scenario.read(text).models
        text = scenario.with_endpoints(text, endpoints(models, frozenset(ports.values()), free=free_ports))
        file = folder / scenario.FILE.name
        scenario.write(file, text)
        said = Scenario.read(text)

        screen.step("Starting three MLServers, at " + ", ".join(m.endpoint for m in said.models.values()))
        if collector and not collector.for_models:
            screen.step("MLServer sends spans over gRPC without TLS alone: the traces will have none of its own")
        servers = await start_all(stack, said.models, folder, collector.for_models if collector else "")
        await asyncio.gather(*(server.ready(client) for server in servers.values()))

        screen.step("Starting extproc and Envoy")
        flags = ("--otlp-endpoint", collector.endpoint) if collector else ()
        product = await Product.start(stack, file, folder, ports, flags)
        await product.active(client, said.experiment)
        yield Stage(file, rows, servers, product, client)
        screen.step("Stopping everything")


def _clear(folder: Path) -> None:
    """Make the folder, and remove what extproc kept there of an earlier demo."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / "state", ignore_errors=True)


async def _train(stack: AsyncExitStack, folder: Path) -> tuple[Row, ...]:
    models = folder / "models"
    service = await Service.start(
        "the training",
        [sys.executable, "-m", "extproc.demo.training", str(models)],
        log=folder / "training.log",
    )
    stack.push_async_callback(service.stop)
    code = await service.ended(TRAIN_WITHIN)
    if code:
        raise DemoFailed(f"{service.name} ended with {code}{service.tail()}")
    held_out = json.loads((models / "rows.json").read_text())
    return tuple(Row(tuple(entry["row"]), entry["species"]) for entry in held_out)


async def _phase(traffic: Traffic, requests: int, said: Scenario, screen: Screen) -> Phase:
    """The next `requests` answers to requests that are sent from now on. Raises DemoFailed when one fails."""
    begin = time.monotonic()
    first = len(traffic.answers)
    # At most one request a lane is under way now; its answer was decided by what held before.
    enough = first + LANES + requests
    with screen.bar(weights_text(said.weights), requests) as bar:

        def done() -> bool:
            bar.show(min(len(traffic.answers) - first, requests))
            return len(traffic.answers) >= enough or bool(traffic.answers[-1].problem)

        await traffic.until(done)
    own = [answer for answer in traffic.answers[first:] if answer.sent >= begin][:requests]
    failed = [answer.problem for answer in traffic.answers if answer.problem]
    if failed:
        raise DemoFailed(f"{len(failed)} of {len(traffic.answers):,} requests failed; the first: {failed[0]}")
    return report.phase(own, said)
