"""The preview says what a change would do, in the words of the change itself, and does nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.admin_site import Site, serving

YAML = "name: ab\ncandidates:\n- {name: iris, weight: 70}\n- {name: iris2, weight: 30}\n"
SELDON = {
    "apiVersion": "mlops.seldon.io/v1alpha1",
    "kind": "Experiment",
    "metadata": {"name": "ab"},
    "spec": {"candidates": [{"name": "iris", "weight": 1}]},
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as served:
        yield served


async def preview(site: Site, body: str, content_type: str = "application/yaml") -> tuple[int, dict[str, Any]]:
    async with site.client.post("/api/v1/preview", data=body, headers={"Content-Type": content_type}) as answer:
        return answer.status, await answer.json(content_type=None)


async def put(site: Site, body: str) -> None:
    async with site.client.put("/api/v1/experiments/ab?wait=false", data=body) as answer:
        assert answer.ok, await answer.text()


async def test_what_is_new_has_nothing_before_it(site: Site) -> None:
    before = site.plane.state
    status, told = await preview(site, YAML)
    assert status == 200
    assert (told["name"], told["action"], told["revision"], told["before"]) == ("ab", "started", None, None)
    assert told["after"]["candidates"] == [{"name": "iris", "weight": 70}, {"name": "iris2", "weight": 30}]
    assert site.plane.state is before


async def test_what_runs_is_shown_before_and_after(site: Site) -> None:
    await put(site, YAML)
    status, told = await preview(site, YAML.replace("70", "50"))
    assert (status, told["action"], told["revision"]) == (200, "updated", 1)
    assert [side["candidates"][0]["weight"] for side in (told["before"], told["after"])] == [70, 50]
    assert (await preview(site, YAML))[1]["action"] == "unchanged"
    async with site.client.delete("/api/v1/experiments/ab?wait=false") as answer:
        assert answer.ok
    told = (await preview(site, YAML))[1]
    assert (told["action"], told["revision"], told["before"]) == ("started", 2, None)


async def test_a_seldon_manifest_is_read(site: Site) -> None:
    status, told = await preview(site, json.dumps(SELDON), "application/json")
    assert (status, told["name"]) == (200, "ab")


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        (YAML.replace("70", "-1"), 422, "candidates[0].weight"),
        ("{", 422, ""),
        (YAML.replace("ab", "filed"), 409, "name"),
    ],
)
async def test_it_refuses_what_put_refuses(site: Site, body: str, status: int, path: str) -> None:
    answered, told = await preview(site, body)
    assert (answered, told["problems"][0]["path"]) == (status, path)
    name = "filed" if "filed" in body else "ab"
    async with site.client.put(
        f"/api/v1/experiments/{name}", data=body, headers={"Content-Type": "application/yaml"}
    ) as answer:
        assert (answer.status, (await answer.json(content_type=None))["problems"]) == (status, told["problems"])
