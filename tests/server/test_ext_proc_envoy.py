"""ExtProc behind a real Envoy: what it answers is what Envoy does, and its health is what Envoy sees."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import get_args

import pytest

from extproc import names
from extproc.core.table import Decision, Outcome
from extproc.server.ext_proc import ExtProc
from extproc.server.health import EXT_PROC_SERVICE, Health
from tests.fixtures.ext_proc import captured
from tests.fixtures.ext_proc.bootstrap import bootstrap
from tests.fixtures.ext_proc.capture import EVERY_PHASE, capture
from tests.fixtures.ext_proc.trailers import Upstream, running_upstream
from tests.fixtures.ext_proc.trailers import exchange as send
from tests.harness.background import background
from tests.harness.client import fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.ports import free_port
from tests.harness.waiting import eventually
from tests.server import exchange
from tests.server.exchange import FIRST, PUBLISHED, SECOND, Observed


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that runs; the ports are those of Envoy's two listeners."""

    envoy: RunningEnvoy
    upstream: Upstream
    health: Health
    observed: list[Decision]
    intercepted: int
    every_phase: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.intercepted}/v2/models/iris/ready"

    def failures(self) -> dict[str, int]:
        """Envoy's own count of everything that went wrong with ext_proc."""
        wrong = "streams_failed|spurious_msgs|message_timeouts|failure_mode_allowed|rejected_header|not_received"
        counted = self.envoy.stats(rf"ext_proc\..*({wrong})")
        assert counted, "Envoy counts nothing: its statistics have other names now"
        return {name: value for name, value in counted.items() if value}


@pytest.fixture(scope="module", params=get_args(exchange.Transport))
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    draws, meter = cycle([FIRST, SECOND]), Observed()
    service = ExtProc(PUBLISHED, draw=lambda: next(draws), meter=meter)

    async def start() -> tuple[exchange.Server, Health]:
        health = Health()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(exchange, "TRANSPORT", request.param)
            return await exchange.start(service, health), health

    server, health = background().run(start())
    try:
        with running_upstream() as upstream:
            intercepted, every_phase = free_port(), free_port()
            config = bootstrap(
                ext_proc=server.port, upstream=upstream.port, intercepted=intercepted, every_phase=every_phase
            )
            (cluster,) = (c for c in config["static_resources"]["clusters"] if c["name"] == names.EXT_PROC_CLUSTER)
            cluster["health_checks"] = [
                {
                    "timeout": "1s",
                    "interval": "0.05s",
                    "no_traffic_interval": "0.05s",  # by default a minute
                    "unhealthy_threshold": 1,
                    "healthy_threshold": 1,
                    "grpc_health_check": {"service_name": EXT_PROC_SERVICE},
                }
            ]
            with RunningEnvoy.start(config, tmp_path_factory.mktemp("envoy")) as envoy:
                yield Scene(envoy, upstream, health, meter.decisions, intercepted, every_phase)
    finally:
        background().run(server.drain(1))


def test_what_is_decided_is_what_envoy_routes(scene: Scene) -> None:
    routes = [fetch(scene.url).headers[names.ROUTE_HEADER] for _ in range(6)]
    assert routes in ([":iris_1:", ":iris2_1:"] * 3, [":iris2_1:", ":iris_1:"] * 3)
    sticky = {fetch(scene.url, headers={names.ROUTE_HEADER: ":iris2_1:"}).headers[names.ROUTE_HEADER] for _ in "1234"}
    assert sticky == {":iris2_1:"}
    assert not scene.failures()
    eventually(lambda: len(scene.observed), within=10, saying="all ten are observed", until=(10).__eq__)


def test_every_decision_is_observed_though_envoy_resets_its_streams(scene: Scene) -> None:
    fetch(scene.url, headers={names.ROUTE_HEADER: ":gone_1:"})  # what was decided before is observed before this
    eventually(
        lambda: [decision.outcome for decision in scene.observed],
        within=10,
        saying="what other tests have asked is observed",
        until=lambda outcomes: outcomes[-1:] == [Outcome.STALE_TOKEN],
    )
    scene.observed.clear()
    for n in range(100):
        fetch(scene.url, headers={names.ROUTE_HEADER: ":gone_1:"} if n % 2 else {})
    # Envoy may have its answer before the server's own step is over.
    eventually(lambda: len(scene.observed), within=10, saying="every decision is observed", until=(100).__eq__)
    assert Counter(decision.outcome for decision in scene.observed) == {Outcome.WEIGHTED: 50, Outcome.STALE_TOKEN: 50}


def test_a_request_goes_through_all_phases_unchanged(scene: Scene) -> None:
    scene.upstream.received.clear()
    response = send(scene.every_phase, EVERY_PHASE)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(b"\r\n\r\n2\r\n{}\r\n0\r\nx-took: 1\r\n\r\n")
    (received,) = scene.upstream.received
    assert received.startswith(b"POST /v2/models/iris/infer HTTP/1.1\r\n")
    assert received.endswith(b"\r\n\r\n2\r\n{}\r\n0\r\nx-sent: 1\r\n\r\n")
    assert names.INTERNAL_PREFIX.encode() not in received
    assert not scene.failures()


def test_envoy_follows_the_health_of_the_service(scene: Scene) -> None:
    for serving in (True, False, True):
        background().call(lambda serving=serving: scene.health.set_serving(serving))  # type: ignore[misc]
        eventually(
            lambda: scene.envoy.healthy(names.EXT_PROC_CLUSTER),
            within=10,
            saying=f"Envoy finds the server {'' if serving else 'not '}serving",
            until=serving.__eq__,
        )


def test_the_captured_messages_are_what_envoy_sends_today(tmp_path: Path) -> None:
    today = capture(tmp_path)
    assert today == {f"{Path(name).stem}.bin": captured(Path(name).stem) for name in today}
    kept = {file.name for file in Path(__file__).parents[1].joinpath("fixtures", "ext_proc").glob("*.bin")}
    assert kept == set(today)
