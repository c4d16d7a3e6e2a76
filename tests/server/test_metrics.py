"""`/metrics` over HTTP: both formats, made beside the event loop, one scrape at a time."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics

from extproc.control.accumulator import Outcomes
from extproc.control.drafts import Author
from extproc.core.table import Patch
from extproc.server.ads import AdsService
from extproc.server.instruments import Instruments
from extproc.server.metrics import MetricsPage
from extproc.telemetry.decisions import CELL, HEAD, Meters
from extproc.telemetry.readings import Reading
from tests.control.test_lifecycle import Stage, trial

OPENMETRICS = {"Accept": "application/openmetrics-text;version=1.0.0"}


@asynccontextmanager
async def serving(page: MetricsPage) -> AsyncIterator[aiohttp.ClientSession]:
    application = web.Application()
    page.add_to(application)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as client:
            yield client
    finally:
        await runner.cleanup()


async def test_the_scraper_chooses_the_format_and_may_have_it_compressed() -> None:
    async with serving(MetricsPage(Reading)) as client:
        async with client.get("/metrics", headers=OPENMETRICS) as answer:
            assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
            assert answer.headers["Content-Encoding"] in ("gzip", "deflate")
            assert answer.headers["Vary"] == "Accept"
            assert "extproc_build_info" in {metric.name for metric in read_openmetrics(await answer.text())}  # type: ignore[no-untyped-call]
        async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert "Content-Encoding" not in answer.headers


async def test_what_is_read_is_read_on_the_event_loop_and_the_text_is_made_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: dict[str, set[int]] = {"read": set(), "text": set()}
    under_way, most = 0, 0

    def read() -> Reading:
        threads["read"].add(threading.get_ident())
        return Reading()

    page = MetricsPage(read)
    original = page._exposition.text

    def text(reading: Reading, accept: str) -> tuple[bytes, str]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        threads["text"].add(threading.get_ident())
        try:
            return original(reading, accept)
        finally:
            under_way -= 1

    monkeypatch.setattr(page._exposition, "text", text)
    async with serving(page) as client:

        async def scrape() -> int:
            async with client.get("/metrics") as answer:
                return answer.status

        assert await asyncio.gather(*(scrape() for _ in range(20))) == [200] * 20
    assert threads["read"] == {threading.get_ident()}
    assert threading.get_ident() not in threads["text"]
    assert most == 1


def test_an_experiment_is_told_of_until_its_retention_time_is_over(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    meters = Meters([memoryview(bytearray((HEAD + 100) * CELL))])
    instruments = Instruments(stage.plane, stage.lifecycle, Outcomes(), meters, AdsService(lambda _: None))

    def told() -> tuple[set[str], frozenset[str], set[str]]:
        reading = instruments.read()
        decided = reading.decided.counts if reading.decided else {}
        return set(reading.revisions), reading.stopped, {experiment for experiment, *_ in decided}

    stage.start(trial("ab"))
    meters.numbered(Patch(stage.plane.table.entries))
    assert told() == ({"ab"}, frozenset(), {"ab"})
    stage.make(stage.lifecycle.stop("ab", Author()))
    assert told() == ({"ab"}, frozenset({"ab"}), {"ab"})
    stage.at += timedelta(days=2)
    for name in stage.lifecycle.expired():
        stage.lifecycle.forget(name)
        stage.lifecycle.drop(name)
    assert told() == (set(), frozenset(), set())
    stage.store.close()
