"""Stand-ins for Envoy as a client meets it: real servers of both protocols that answer with route tokens, as told."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from aiohttp import web

from extproc.wire.inference import MODEL_INFER
from tests.harness.background import background
from tests.harness.ports import free_port


@dataclass(frozen=True, slots=True)
class Told:
    """One answer to give: `code` is an HTTP status or a gRPC status code's name, `route` the token, "" for none."""

    code: int | str = 200
    route: str = ":iris_1:"
    body: bytes = b'{"model_name": "iris", "outputs": []}'


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it arrived; names of headers in lower case."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class StandIn:
    """The answers of `told` in turn, over and over; `got` are the requests so far.

    `experiments` is what REST lists, and `experiments_later`, if any, what it lists after the first request.
    """

    told: list[Told]
    url: str
    got: list[Got] = field(default_factory=list)
    experiments: list[dict[str, Any]] = field(default_factory=list)
    experiments_later: list[dict[str, Any]] = field(default_factory=list)
    delay: float = 0.0
    under_way: int = 0
    most_under_way: int = 0

    def __post_init__(self) -> None:
        self._turns: Iterator[int] = itertools.count()

    def next(self) -> Told:
        return self.told[next(self._turns) % len(self.told)]


@contextlib.contextmanager
def rest_stand_in(*told: Told) -> Iterator[StandIn]:
    """One that speaks HTTP, on a free port; it serves extproc's REST listing too."""
    port = free_port()
    stand_in = StandIn(list(told) or [Told()], f"http://127.0.0.1:{port}")

    async def infer(request: web.Request) -> web.Response:
        stand_in.under_way += 1
        stand_in.most_under_way = max(stand_in.most_under_way, stand_in.under_way)
        try:
            headers = {name.lower(): value for name, value in request.headers.items()}
            stand_in.got.append(Got(request.path, headers, await request.read()))
            answer = stand_in.next()
            await asyncio.sleep(stand_in.delay)
            sent = {"x-seldon-route": answer.route} if answer.route else {}
            return web.Response(status=int(answer.code), headers=sent, body=answer.body)
        finally:
            stand_in.under_way -= 1

    async def listing(_request: web.Request) -> web.Response:
        listed = (stand_in.got and stand_in.experiments_later) or stand_in.experiments
        return web.json_response({"experiments": listed, "problems": []})

    @contextlib.asynccontextmanager
    async def serve() -> AsyncIterator[None]:
        app = web.Application()
        app.router.add_post("/v2/models/{model}/infer", infer)
        app.router.add_get("/api/v1/experiments", listing)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    serving = serve()
    background().run(serving.__aenter__())
    try:
        yield stand_in
    finally:
        background().run(_leave(serving))


async def _leave(serving: contextlib.AbstractAsyncContextManager[None]) -> None:
    await serving.__aexit__(None, None, None)


@contextlib.contextmanager
def grpc_stand_in(*told: Told) -> Iterator[StandIn]:
    """One that speaks gRPC, on a free port."""
    port = free_port()
    stand_in = StandIn(list(told) or [Told("OK", body=b"")], f"http://127.0.0.1:{port}")

    def infer(request: bytes, context: grpc.ServicerContext) -> bytes:
        headers = {key: str(value) for key, value in context.invocation_metadata() or ()}
        stand_in.got.append(Got(MODEL_INFER, headers, request))
        answer = stand_in.next()
        route = (("x-seldon-route", answer.route),) if answer.route else ()
        if answer.code != "OK":
            # As in Envoy's own answers, all there is comes with the trailers.
            context.set_trailing_metadata(route)
            context.abort(grpc.StatusCode[str(answer.code)], answer.body.decode())
        context.send_initial_metadata(route)
        return answer.body

    _, service, method = MODEL_INFER.split("/")
    handler = grpc.method_handlers_generic_handler(service, {method: grpc.unary_unary_rpc_method_handler(infer)})
    server = grpc.server(ThreadPoolExecutor(4), handlers=[handler], options=[("grpc.so_reuseport", 0)])
    if server.add_insecure_port(f"127.0.0.1:{port}") != port:
        raise AssertionError(f"the stand-in got no port {port}")
    server.start()
    try:
        yield stand_in
    finally:
        server.stop(0).wait()
