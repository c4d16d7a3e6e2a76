"""The admin HTTP: health, readiness, and what runs, read-only. Errors are problem details (RFC 9457)."""

import json
from collections.abc import Awaitable, Callable
from difflib import get_close_matches
from typing import Any, Final, Protocol, Self

from aiohttp import web

from extproc.control.document import experiment_document, model_document, problem_documents
from extproc.control.state import State
from extproc.control.status import model_statuses, statuses
from extproc.errors import ExtprocError


class Plane(Protocol):
    """What the admin reads."""

    @property
    def state(self) -> State: ...

    @property
    def ready(self) -> bool: ...


PLANE: Final = web.AppKey("plane", Plane)  # type: ignore[type-abstract]

routes: Final = web.RouteTableDef()


class AdminServer:
    """The admin HTTP listening; made by `start`, ended by `stop`. `port` is the one it listens on."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self.port: Final = port
        self._runner = runner

    @classmethod
    async def start(cls, host: str, port: int, plane: Plane) -> Self:
        """Serve on `host`:`port`; port 0 takes a free one. Raises ExtprocError when it can't be listened on."""
        # Signals are the app's; an access log of probes helps nobody.
        runner = web.AppRunner(application(plane), handle_signals=False, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, shutdown_timeout=2.0)
            await site.start()
        except OSError as error:
            await runner.cleanup()
            raise ExtprocError(
                f"the admin port {host}:{port} can't be listened on ({error.strerror}): choose another with --admin-port"
            ) from error
        return cls(runner, int(runner.addresses[0][1]))

    async def stop(self) -> None:
        """Close the port and every connection."""
        await self._runner.cleanup()


def application(plane: Plane) -> web.Application:
    """The aiohttp application over what runs."""
    app = web.Application(middlewares=[_problem_details])
    app[PLANE] = plane
    app.add_routes(routes)
    return app


@routes.get("/healthz")
async def healthz(_request: web.Request) -> web.Response:
    """200 while this process lives."""
    return web.Response(text="ok\n")


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """200 once resources are read and decisions are served; it does not wait for Envoy, which may start later."""
    if request.app[PLANE].ready:
        return web.Response(text="ok\n")
    return web.Response(text="starting or draining\n", status=503)


@routes.get("/api/v1/experiments")
async def experiments(request: web.Request) -> web.Response:
    """Every experiment, and every problem of what the sources offer."""
    state = request.app[PLANE].state
    return _json({
        "experiments": [experiment_document(status) for status in statuses(state)],
        "problems": [
            {
                "source": report.origin,
                "kind": report.kind.word if report.kind else "",
                "name": report.name,
                "kept": report.kept,
                "problems": problem_documents(report),
            }
            for report in state.reports
        ],
    })  # fmt: skip


@routes.get("/api/v1/experiments/{name}")
async def experiment(request: web.Request) -> web.Response:
    """One experiment."""
    name = request.match_info["name"]
    known = {status.name: status for status in statuses(request.app[PLANE].state)}
    if name not in known:
        close = get_close_matches(name, known, n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "GET /api/v1/experiments lists them all"
        return _problem(404, "unknown experiment", f"no experiment is called {name!r}: {hint}")
    return _json(experiment_document(known[name]))


@routes.get("/api/v1/models")
async def models(request: web.Request) -> web.Response:
    """Every model."""
    return _json({"models": [model_document(status) for status in model_statuses(request.app[PLANE].state)]})


def _json(body: dict[str, Any]) -> web.Response:
    return web.json_response(body, dumps=lambda value: json.dumps(value, indent=2) + "\n")


def _problem(status: int, title: str, detail: str) -> web.Response:
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return web.json_response(body, status=status, content_type="application/problem+json")


@web.middleware
async def _problem_details(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:  # noqa: PLR2004 (a redirect is no problem)
            raise
        return _problem(error.status, error.reason, f"{request.method} {request.path}: {error.reason}")
