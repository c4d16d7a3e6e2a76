"""The dashboard: its files at `/` and `/page/…`, and at `/api/v1/page` what it may do and where traces are seen.

Must stay true: only files of `extproc/page` are served, read once at the start; the page loads nothing from anywhere
else and nobody may frame it; and a browser asks each time whether a file is still the same (a strong ETag), so that a
new extproc is never looked at through an old page.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiohttp import web

import extproc
from extproc.settings import Dashboard

HOME: Final = Path(extproc.__file__).parent / "page"
INDEX: Final = "index.html"

# Not from the `mimetypes` module: that one reads the host's tables, and a module of another type does not run.
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}

# On every answer of the admin port: https://www.w3.org/TR/CSP3/ and the Fetch standard. JSON can't be run or framed
# then either, whatever a browser takes it for.
GUARDS: Final = {
    "Content-Security-Policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class PageOptions:
    """What the page may do, and under which service name Jaeger has Envoy's spans."""

    allowed: Dashboard = field(default_factory=Dashboard)
    traces_service: str = "extproc-envoy"


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    content_type: str
    tag: str


PAGE: Final = web.AppKey("page", PageOptions)
_FILES: Final = web.AppKey("page_files", dict[str, _File])

routes: Final = web.RouteTableDef()


def add_page(app: web.Application, options: PageOptions) -> None:
    """Serve the page from this application, and guard every answer of it."""
    app[PAGE] = options
    app[_FILES] = {path.relative_to(HOME).as_posix(): _read(path) for path in HOME.rglob("*") if path.suffix in _TYPES}
    app.on_response_prepare.append(_guard)
    app.add_routes(routes)


@routes.get("/")
async def index(request: web.Request) -> web.Response:
    """The page. It names its modules beforehand, or a browser would find them one import after the other."""
    answer = _answer(request, INDEX)
    modules = (name for name in request.app[_FILES] if name.endswith(".js"))
    answer.headers["Link"] = ", ".join(f"<page/{name}>; rel=modulepreload" for name in sorted(modules))
    return answer


@routes.get("/page/{name:.+}")
async def file(request: web.Request) -> web.Response:
    """One of its files."""
    return _answer(request, request.match_info["name"])


@routes.get("/api/v1/page")
async def options(request: web.Request) -> web.Response:
    """What the page has to know beside the experiments."""
    given = request.app[PAGE]
    jaeger = given.allowed.jaeger_url.rstrip("/")
    return web.json_response({
        "version": extproc.__version__,
        "write": given.allowed.write,
        "jaeger": {"url": jaeger, "service": given.traces_service} if jaeger else None,
    })  # fmt: skip


def _answer(request: web.Request, name: str) -> web.Response:
    found = request.app[_FILES].get(name)
    if found is None:
        raise web.HTTPNotFound(text=f"the page has no file {name!r}")
    headers = {"ETag": f'"{found.tag}"', "Cache-Control": "no-cache"}
    if any(tag.value in (found.tag, "*") for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    return web.Response(body=found.content, headers={**headers, "Content-Type": found.content_type})


def _read(path: Path) -> _File:
    content = path.read_bytes()
    return _File(content, _TYPES[path.suffix], hashlib.sha256(content).hexdigest()[:32])


async def _guard(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(GUARDS)
