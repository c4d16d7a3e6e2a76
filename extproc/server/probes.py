"""Readiness without an Envoy admin to ask: extproc probes the models itself, as Envoy's health checks would.

Must stay true: the same path, the same interval and the same verdicts as the checks that Envoy is configured with; what
can't be probed from here (a user's own cluster, a model without checks) counts as ready.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import aiohttp

from extproc import names
from extproc.control.health import HealthView
from extproc.core.resources import Endpoint, Model

TICK: Final = 0.1  # seconds between two looks at which probes are due; the shortest interval that a Model may have
PATIENCE: Final = 1.0  # seconds for one answer

Models = Callable[[], Mapping[str, Model]]
Target = tuple[str, Model]  # a cluster's name, and the model whose endpoints it stands for


class ProbeWatch:
    """Probes every endpoint of `models()`, calling `changed` with each view that differs from the last.

    `clusters()` are those of the user's own, which experiments may name without a model.
    """

    def __init__(
        self,
        models: Models,
        changed: Callable[[HealthView | None], None],
        clusters: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self._models = models
        self._own = clusters
        self._changed = changed
        self._due: dict[str, float] = {}
        self._clusters: dict[str, bool] = {}
        self._told: HealthView | None = None
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def look_now(self) -> None:
        """Probe everything at the next tick: something has just changed."""
        self._due.clear()

    async def first_look(self) -> None:
        """Probe everything once, so that what is down is not drawn first."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
            self._tick(session, time.monotonic())
            await asyncio.gather(*self._under_way.values())
        self._tell(dict(_targets(self._models())))

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
                while True:
                    self._tick(session, time.monotonic())
                    await asyncio.sleep(TICK)
        finally:
            for probe in self._under_way.values():
                probe.cancel()

    def _tick(self, session: aiohttp.ClientSession, now: float) -> None:
        targets = dict(_targets(self._models()))
        self._clusters = {cluster: ready for cluster, ready in self._clusters.items() if cluster in targets}
        for cluster, model in targets.items():
            if model.readiness.disabled or not _endpoints(cluster, model):
                self._clusters[cluster] = True
            elif now >= self._due.get(cluster, 0.0) and cluster not in self._under_way:
                self._due[cluster] = now + model.readiness.interval / 1000
                probe = asyncio.create_task(self._probe(session, cluster, model))
                self._under_way[cluster] = probe
                probe.add_done_callback(lambda _, cluster=cluster: self._under_way.pop(cluster))  # type: ignore[misc]
        self._tell(targets)

    def _tell(self, targets: Mapping[str, Model]) -> None:
        """Pass the view on once every cluster was probed: until then it says too little."""
        if self._clusters.keys() != targets.keys():
            return
        view = HealthView({**dict.fromkeys(self._own(), True), **self._clusters})
        if view != self._told:
            self._told = view
            self._changed(view)

    async def _probe(self, session: aiohttp.ClientSession, cluster: str, model: Model) -> None:
        checks = [_check(session, cluster, model, endpoint) for endpoint in _endpoints(cluster, model)]
        self._clusters[cluster] = any(await asyncio.gather(*checks))


def _targets(models: Mapping[str, Model]) -> list[Target]:
    """The clusters that a HealthView is asked for."""
    targets = []
    for model in models.values():
        if model.speaks_http:
            targets.append((model.cluster or names.model_cluster(model.name, "http"), model))
        if model.speaks_grpc:
            targets.append((model.grpc_cluster or names.model_cluster(model.name, "grpc"), model))
    return targets


def _endpoints(cluster: str, model: Model) -> tuple[Endpoint, ...]:
    """The endpoints behind a cluster; none for a user's own cluster."""
    if cluster == names.model_cluster(model.name, "grpc"):
        return model.grpc_endpoints
    return model.endpoints if cluster == model.name else ()


async def _check(session: aiohttp.ClientSession, cluster: str, model: Model, endpoint: Endpoint) -> bool:
    try:
        if cluster == names.model_cluster(model.name, "grpc"):
            async with asyncio.timeout(PATIENCE):
                _, writer = await asyncio.open_connection(endpoint.host, endpoint.port)
                writer.close()
            return True
        async with session.get(f"http://{endpoint}{model.readiness_path}", allow_redirects=False) as answer:
            return answer.status == 200  # the one status that Envoy's checks take by default
    except (OSError, aiohttp.ClientError):
        return False
