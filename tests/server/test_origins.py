"""Who may change things from a browser: no other site, and the page itself only where that is wanted."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from extproc.server.origins import trusted
from extproc.settings import Dashboard
from tests.server.admin_site import Site, serving

SPEC = '{"name": "ab", "candidates": [{"name": "iris", "weight": 1}]}'
NAMED = "https://extproc.example.com"


@pytest.mark.parametrize(
    ("origin", "host", "is_trusted"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", True),
        ("http://[::1]:8080", "[::1]:8080", True),
        ("http://localhost:8080", "localhost:8080", True),
        ("https://10.1.2.3", "10.1.2.3", True),  # TLS ends before us
        (NAMED, "extproc.example.com", True),
        (NAMED, "10.1.2.3:8080", True),  # a proxy that does not keep the name
        ("http://extproc.example.com", "extproc.example.com", False),  # not the one that was named
        ("http://evil.example", "127.0.0.1:8080", False),
        ("http://evil.example:8080", "evil.example:8080", False),  # rebound: its name leads here now
        ("http://127.0.0.1.evil.example:8080", "127.0.0.1.evil.example:8080", False),
        ("http://localhost.evil.example", "localhost.evil.example", False),
        ("http://127.0.0.1:3000", "127.0.0.1:8080", False),  # another program of this machine
        ("http://localhost:8080", "127.0.0.1:8080", False),
        ("null", "127.0.0.1:8080", False),  # a sandboxed frame, a file
        ("null", "null", False),
        ("", "", False),
        ("http://[oh:no", "[oh:no", False),
    ],
)
def test_an_origin_is_trusted_when_it_can_only_be_the_page(origin: str, host: str, is_trusted: bool) -> None:
    assert trusted(origin, host, (NAMED,)) is is_trusted


CHANGES = (
    ("PUT", "/api/v1/experiments/ab?wait=false", SPEC),
    ("DELETE", "/api/v1/experiments/ab?wait=false", ""),
    ("POST", "/api/v1/experiments/ab/rollback?wait=false", '{"revision": 1}'),
    ("POST", "/api/v1/preview", SPEC),
)


async def statuses(site: Site, headers: Mapping[str, str]) -> list[int]:
    found = []
    for method, path, body in CHANGES:
        sent = {"Content-Type": "application/json", **headers}
        async with site.client.request(method, path, data=body, headers=sent) as answer:
            found.append(answer.status)
    return found


@pytest.mark.parametrize("write", [False, True])
async def test_a_program_is_not_concerned(tmp_path: Path, write: bool) -> None:
    async with serving(tmp_path, Dashboard(write=write)) as site:
        assert await statuses(site, {}) == [201, 200, 200, 200]


async def test_the_page_changes_things_only_with_admin_write(tmp_path: Path) -> None:
    for write, expected in ((True, [201, 200, 200, 200]), (False, [403] * 4)):
        async with serving(tmp_path / str(write), Dashboard(write=write)) as site:
            own = {"Origin": f"http://127.0.0.1:{site.server.port}", "Sec-Fetch-Site": "same-origin"}
            assert await statuses(site, own) == expected


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://evil.example:8080", "Host": "evil.example:8080"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=["foreign", "opaque", "rebound", "hidden"],
)
async def test_another_site_changes_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async with serving(tmp_path, Dashboard(write=True)) as site:
        before = site.plane.state
        assert await statuses(site, headers) == [403] * 4
        assert site.plane.state is before
        async with site.client.get("/api/v1/experiments", headers=headers) as answer:
            assert answer.status == 200, "looking is not refused"


async def test_a_named_origin_may(tmp_path: Path) -> None:
    async with serving(tmp_path, Dashboard(write=True, origins=(NAMED,))) as site:
        assert await statuses(site, {"Origin": NAMED}) == [201, 200, 200, 200]
