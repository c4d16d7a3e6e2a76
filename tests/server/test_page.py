"""The page's files: what is served, as what, to whom it is a copy already, and what it may load."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from extproc.server.page import HOME
from extproc.settings import Dashboard
from tests.server.admin_site import serving


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with serving(tmp_path, Dashboard(write=True, jaeger_url="http://localhost:16686/")) as site:
        yield site.client


FILES = sorted(
    path.relative_to(HOME).as_posix() for path in HOME.rglob("*") if path.suffix in {".js", ".css", ".svg", ".html"}
)


async def test_every_file_is_served_as_what_it_is(client: aiohttp.ClientSession) -> None:
    kinds = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
    assert {"index.html", "main.js", "css/tokens.css", "vendor/uplot/uPlot.esm.js"} <= set(FILES)
    for name in FILES:
        async with client.get(f"/page/{name}") as answer:
            assert (answer.status, answer.content_type) == (200, kinds[Path(name).suffix]), name
            assert await answer.read() == (HOME / name).read_bytes()


async def test_the_index_is_the_page(client: aiohttp.ClientSession) -> None:
    async with client.get("/") as answer:
        assert (answer.status, answer.content_type, answer.charset) == (200, "text/html", "utf-8")
        assert await answer.read() == (HOME / "index.html").read_bytes()


async def test_a_copy_that_is_still_good_is_not_sent_again(client: aiohttp.ClientSession) -> None:
    tags = {}
    for path in ("/", "/page/main.js"):
        async with client.get(path) as answer:
            tags[path] = answer.headers["ETag"]
            assert answer.headers["Cache-Control"] == "no-cache"
        for asked, status in ((tags[path], 304), (f'"other", {tags[path]}', 304), ('"other"', 200), ("*", 304)):
            async with client.get(path, headers={"If-None-Match": asked}) as answer:
                assert (answer.status, answer.headers["ETag"]) == (status, tags[path]), asked
    assert all(re.fullmatch(r'"[0-9a-f]{32}"', tag) for tag in tags.values())
    assert tags["/"] != tags["/page/main.js"]


@pytest.mark.parametrize(
    "path",
    ["/page/nothing.js", "/page/../app.py", "/page/%2e%2e/app.py", "/page/vendor/uplot/LICENSE", "/page/", "/page/css"],
)
async def test_nothing_else_is_served(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/api/v1/experiments", "/api/v1/page", "/nowhere", "/readyz"])
async def test_every_answer_is_guarded(client: aiohttp.ClientSession, path: str) -> None:
    async with client.get(path) as answer:
        policy = dict(part.strip().split(" ", 1) for part in answer.headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == policy["object-src"] == "'none'"
        assert "unsafe" not in str(policy)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_page_learns_what_it_may_do(client: aiohttp.ClientSession, tmp_path: Path) -> None:
    async with client.get("/api/v1/page") as answer:
        told = await answer.json()
        assert told["write"] is True
        assert told["jaeger"] == {"url": "http://localhost:16686", "service": "extproc-envoy"}
    async with serving(tmp_path / "other") as site, site.client.get("/api/v1/page") as answer:
        told = await answer.json()
        assert (told["write"], told["jaeger"]) == (False, None)


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith("vendor/")])
def test_nothing_of_ours_names_another_host(name: str) -> None:
    """But in comments, and for the one URL that is a name: XML's for SVG."""
    code = re.sub(r"^\s*(//|/\*).*$", "", (HOME / name).read_text(), flags=re.MULTILINE)
    assert not set(re.findall(r"https?://[^\s\"'`]+", code)) - {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("library", ["uplot", "preact", "htm"])
def test_what_is_vendored_has_its_licence_and_version(library: str) -> None:
    assert len((HOME / "vendor" / library / "LICENSE").read_text()) > 500
    assert re.search(rf"\[{library}\].*\d+\.\d+\.\d+", (HOME / "vendor/README.md").read_text(), re.IGNORECASE)
