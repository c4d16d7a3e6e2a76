"""The admin HTTP server: probes, REST, and every error as problem details (RFC 9457)."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Self

from aiohttp import web

from extproc.control.plane import Plane
from extproc.errors import (
    Conflict,
    ExtprocError,
    InvalidResource,
    Problem,
    StaleRevision,
    StoreUnwritable,
    UnknownExperiment,
)
from extproc.server import assign_rest, preview, rest
from extproc.server.changes import Changes
from extproc.server.origins import own_page_only
from extproc.server.page import PageOptions, add_page
from extproc.server.stream import Feed, add_stream

log: Final = logging.getLogger(__name__)

# What went wrong → the status and title that say so.
_STATUS: Final[tuple[tuple[type[ExtprocError], int, str], ...]] = (
    (InvalidResource, 422, "invalid"),
    (Conflict, 409, "conflict"),
    (StaleRevision, 412, "another revision is current"),
    (UnknownExperiment, 404, "unknown"),
    (StoreUnwritable, 503, "the state directory can't be written"),
)

Part = Callable[[web.Application], None]  # adds what else is served

_routes: Final = web.RouteTableDef()


class AdminServer:
    """The admin HTTP listening; made by `start`, ended by `stop`. `port` is the one it listens on."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self.port: Final = port
        self._runner = runner

    @classmethod
    async def start(
        cls,
        host: str,
        port: int,
        plane: Plane,
        changes: Changes,
        page: PageOptions | None = None,
        parts: Iterable[Part] = (),
    ) -> Self:
        """Serve on `host`:`port`; port 0 takes a free one. Raises ExtprocError when it can't be listened on."""
        # Signals are the app's; an access log of probes helps nobody.
        app = application(plane, changes, page or PageOptions())
        for add in parts:
            add(app)
        runner = web.AppRunner(app, handle_signals=False, access_log=None, shutdown_timeout=2.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ExtprocError(
                f"the admin port {host}:{port} can't be listened on ({error.strerror}): choose another with"
                " --admin-port"
            ) from error
        return cls(runner, int(runner.addresses[0][1]))

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()


def application(plane: Plane, changes: Changes, page: PageOptions) -> web.Application:
    """The aiohttp application over what runs."""
    app = web.Application(middlewares=[problem_details, own_page_only], client_max_size=rest.BODY_MAX)
    app[rest.PLANE] = plane
    app[rest.CHANGES] = changes
    app.add_routes(_routes)
    app.add_routes(rest.routes)
    app.add_routes(preview.routes)
    app.add_routes(assign_rest.routes)
    feed = Feed(lambda: rest.listing(app))
    plane.watch(feed.changed)
    add_stream(app, feed)
    add_page(app, page)
    return app


@_routes.get("/healthz")
async def healthz(_request: web.Request) -> web.Response:
    """200 while this process lives."""
    return web.Response(text="ok\n")


@_routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """200 once resources are read and decisions are served; it does not wait for Envoy, which may start later."""
    if request.app[rest.PLANE].ready:
        return web.Response(text="ok\n")
    return web.Response(text="starting or draining\n", status=503)


@web.middleware
async def problem_details(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every error as application/problem+json."""
    try:
        return await handler(request)
    except ExtprocError as error:
        status, title = next(((s, t) for kind, s, t in _STATUS if isinstance(error, kind)), (500, "failed"))
        problems = error.problems if isinstance(error, InvalidResource | Conflict) else ()
        return _problem(status, title, str(error), problems)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        default = f"{error.status}: {error.reason}"  # aiohttp's own text, which says no more than the title
        said = error.text if error.text and error.text != default else f"{request.method} {request.path}"
        return _problem(error.status, error.reason, said)
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _problem(500, "failed", "this is a bug of extproc; its log says more")


def _problem(status: int, title: str, detail: str, problems: tuple[Problem, ...] = ()) -> web.Response:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if problems:
        body["problems"] = [{"path": problem.path, "message": problem.message} for problem in problems]
    return web.json_response(body, status=status, content_type="application/problem+json")
