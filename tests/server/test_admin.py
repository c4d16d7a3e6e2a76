"""The admin HTTP over a plane without an Envoy: requests that make no sense, and many or large ones."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import aiohttp
import pytest

from extproc.control.drafts import API
from extproc.control.lifecycle import Lifecycle
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.server.admin import AdminServer
from extproc.server.changes import Changes
from tests.control.test_admission import experiment, model, valid

FILES = "files"


class Admin:
    """The server, the plane behind it and a client."""

    def __init__(self, plane: Plane, client: aiohttp.ClientSession) -> None:
        self.plane = plane
        self.client = client

    async def ask(
        self, method: str, path: str, body: bytes | str = b"", **headers: str
    ) -> tuple[int, dict[str, object]]:
        """Status and parsed body, which every answer has."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.request(method, path, data=body, headers=names, skip_auto_headers=["Accept"]) as answer:
            document: dict[str, object] = await answer.json(content_type=None)
            return answer.status, document


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Admin]:
    store = Store.open(tmp_path)
    outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: datetime.now(UTC))
    plane = Plane((API, FILES), lambda _: (), outlets)
    plane.ready = True
    plane.offer(FILES, [valid("a.json", model("iris"), model("iris2"), experiment("filed", "iris"))])
    changes = Changes(Lifecycle(store, plane, lambda: datetime.now(UTC)), plane)
    server = await AdminServer.start("127.0.0.1", 0, plane, changes)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:
        yield Admin(plane, client)
    await server.stop()
    store.close()


AB = "/api/v1/experiments/ab"
SPEC = json.dumps({"name": "ab", "candidates": [{"name": "iris", "weight": 1}]})


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("PUT", AB, SPEC, {"If_Match": "9" * 5000}, 422),
        ("PUT", AB, SPEC, {"If_Match": 'W/"1"'}, 422),
        ("PUT", AB, SPEC, {"If_Match": "7"}, 412),
        ("PUT", AB, b"no gzip at all", {"Content_Encoding": "gzip"}, 400),
        ("PUT", AB, "[" * 100_000, {}, 422),
        ("PUT", AB, b"\xff\xfe\x00", {"Content_Type": "application/yaml"}, 422),
        ("POST", f"{AB}/rollback", '{"revision":' + "[" * 100_000, {"Content_Type": "application/json"}, 422),
        ("POST", f"{AB}/rollback", '{"revision":' + "9" * 5000 + "}", {"Content_Type": "application/json"}, 422),
        ("POST", f"{AB}/rollback", b"\xff", {"Content_Type": "application/json"}, 422),
        ("POST", f"{AB}/rollback", '{"revision": true}', {"Content_Type": "application/json"}, 422),
        ("POST", f"{AB}/rollback", '{"revision": 1}', {"Content_Type": "application/json"}, 404),
        ("GET", "/api/v1/experiments/..%2f..%2fetc%2fpasswd", b"", {}, 404),
        ("GET", "/api/v1/experiments/%ff%00/history", b"", {}, 404),
        ("DELETE", "/api/v1/experiments/%E6%97%A5%E6%9C%AC", b"", {}, 404),
    ],
)
async def test_nonsense_is_the_caller_s_mistake_and_changes_nothing(
    admin: Admin, method: str, path: str, body: str | bytes, headers: dict[str, str], status: int
) -> None:
    before = admin.plane.state
    answered, document = await admin.ask(method, path, body, **headers)
    assert (answered, document["status"]) == (status, status), document
    assert document["detail"]
    assert admin.plane.state is before


async def test_a_large_body_keeps_nobody_waiting(admin: Admin) -> None:
    """It is read beside the event loop, which goes on answering; YAML of this size takes seconds."""
    candidates = "\n".join(f"- {{name: c{i}, weight: 1}}" for i in range(4000))
    body = f"name: ab\ncandidates:\n{candidates}\n- {{name: c0, weight: 1}}"
    put = asyncio.create_task(admin.ask("PUT", AB, body, Content_Type="application/yaml"))
    between = 0
    while not put.done():
        status, _ = await admin.ask("GET", "/api/v1/models")
        assert status == 200
        between += not put.done()
    assert between > 5, "the server was busy with the body"
    status, document = await put
    assert (status, "already" in str(document["detail"])) == (422, True)


async def test_a_long_list_is_made_in_one_go(admin: Admin) -> None:
    many = [experiment(f"x{i}") for i in range(1500)]
    admin.plane.offer(FILES, [valid("a.json", model("iris"), model("iris2"), *many)])
    async with asyncio.timeout(10):  # each status is worked out once; for each name anew takes minutes
        status, document = await admin.ask("GET", "/api/v1/experiments")
    assert status == 200
    listed = document["experiments"]
    assert isinstance(listed, list)
    assert len(listed) == 1500


async def test_ready_is_told(admin: Admin) -> None:
    for ready, expected in ((True, 200), (False, 503)):
        admin.plane.ready = ready
        async with admin.client.get("/readyz") as answer:
            assert answer.status == expected
