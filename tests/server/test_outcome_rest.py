"""REST of outcomes over real HTTP, with outcomes and without."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp

from extproc.control.accumulator import Outcomes
from extproc.control.drafts import API
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.server.admin import AdminServer
from extproc.server.changes import Changes
from extproc.server.outcome_rest import add_outcomes
from extproc.server.outcomes import OutcomeKeeper
from extproc.wire.access_log import Entry
from tests.control.test_admission import experiment, model, valid

AB = "/api/v1/experiments/ab"


class Client:
    def __init__(self, session: aiohttp.ClientSession, outcomes: Outcomes) -> None:
        self.outcomes = outcomes
        self._session = session

    async def get(self, path: str) -> tuple[int, Any]:
        async with self._session.get(path) as answer:
            return answer.status, await answer.json(content_type=None)


@asynccontextmanager
async def serving(directory: Path, *, kept: bool) -> AsyncIterator[Client]:
    """The experiment `ab` of a file; its outcomes are served if they are `kept`."""
    store = Store.open(directory)
    outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: datetime.now(UTC))
    plane = Plane((API, "files"), lambda _: (), outlets)
    changes = Changes(Lifecycle(store, plane, lambda: datetime.now(UTC)), plane)
    keeper = OutcomeKeeper(store, plane, changes.lifecycle, lambda: datetime.now(UTC))
    plane.offer("files", [valid("a.json", model("iris"), model("iris2"), experiment("ab", "iris"))])
    parts = [partial(add_outcomes, outcomes=keeper.outcomes)] if kept else []
    server = await AdminServer.start("127.0.0.1", 0, plane, changes, parts=parts)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
            yield Client(session, keeper.outcomes)
    finally:
        await server.stop()
        store.close()


async def test_outcomes_are_served(tmp_path: Path) -> None:
    async with serving(tmp_path, kept=True) as client:
        now = datetime.now(UTC).timestamp()
        client.outcomes.account([Entry("ab/iris", "", now, 0.01, 0.01, 200, (), 1, 1, "")] * 3)
        _, listed = await client.get("/api/v1/experiments")
        _, one = await client.get(AB)
        assert listed["experiments"][0]["candidates"][0]["requests"] == one["candidates"][0]["requests"] == 3
        status, told = await client.get(f"{AB}/outcomes")
        assert status == 200
        assert [revision["candidates"]["iris"]["requests"] for revision in told["revisions"]] == [3]
        assert await client.get(f"{AB}/timeline") == (200, {"step": 5, "points": []})  # its step is not over yet
        for path in ("outcomes", "timeline"):
            status, problem = await client.get(f"/api/v1/experiments/abc/{path}")
            assert (status, problem["title"]) == (404, "unknown")
            assert "did you mean ab?" in problem["detail"]


async def test_without_outcomes_no_document_speaks_of_requests(tmp_path: Path) -> None:
    async with serving(tmp_path, kept=False) as client:
        _, one = await client.get(AB)
        assert not {"requests", "outcomes"} & one["candidates"][0].keys()
        assert "split" not in one
        assert (await client.get(f"{AB}/outcomes"))[0] == (await client.get(f"{AB}/timeline"))[0] == 404
