"""JSON made piece by piece: the same text as in one go, and everybody else has their turns."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from extproc.server import gradual
from tests.server.admin_site import serving


@pytest.mark.parametrize("lines", [True, False])
@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"none": []},
        {"one": [{"name": "a"}], "none": []},
        {"none": [], "many": [{"n": n, "in": {"text": 'ä\n  "', "list": [1, {}], "null": None}} for n in range(3)]},
    ],
)
async def test_it_is_what_json_writes(arrays: dict[str, list[dict[str, Any]]], lines: bool) -> None:
    text, _ = await gradual.text(arrays, lines=lines)
    assert text.decode().replace("\n", "") == json.dumps(arrays, separators=(",", ":"))
    each = [json.dumps(document, separators=(",", ":")) for array in arrays.values() for document in array]
    if lines:
        assert [line.rstrip("],") for line in text.decode().splitlines() if line.startswith('{"')] == each
    else:
        assert b"\n" not in text


class Turns:
    """Counts the turns of the event loop while it is entered."""

    def __init__(self) -> None:
        self.count = 0

    async def __aenter__(self) -> "Turns":
        self._task = asyncio.create_task(self._go())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _go(self) -> None:
        while True:
            self.count += 1
            await asyncio.sleep(0)


async def test_others_have_a_turn_whenever_the_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradual, "HOLD", 0.0)
    seen: list[int] = []

    def documents() -> Iterator[dict[str, Any]]:
        for _ in range(5):
            seen.append(turns.count)
            yield {}

    async with Turns() as turns:
        _, held = await gradual.text({"documents": documents()}, lines=True)
        assert 0 < held < 1
    assert len(seen) == len(set(seen)) == 5, seen


async def test_lists_are_made_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gradual, "HOLD", 0.0)
    names = [f"x{i}" for i in range(300)]
    async with serving(tmp_path) as site:
        site.offer(*names)
        async with Turns() as turns, site.client.get("/api/v1/experiments") as answer:
            # The answer's head: nothing of its body is there before all of it is made.
            assert turns.count > len(names)
            assert {one["name"] for one in (await answer.json())["experiments"]} >= set(names)
        async with Turns() as turns, site.client.get("/api/v1/stream") as answer:
            await answer.content.readuntil(b"data: ")
            assert turns.count > len(names)
