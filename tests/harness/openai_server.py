"""A small server of OpenAI's HTTP API: it serves one model, says which it is, and remembers what it was sent.

It polices the protocol: another model's name is a 404, as with a real server, so a name that was not rewritten is seen
at once. What it streams ends when the test lets it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tests.harness.background import background
from tests.harness.closing import Closing
from tests.harness.ports import free_port

MAX_BODY: Final = 128 * 1024 * 1024
PIECES: Final = ("I ", "am ", "{model}")  # what every chat answers, as it is streamed
PATIENCE: Final = 20.0  # seconds that a stream waits for the test


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it arrived; the names of `headers` are in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class OpenAIServer(Closing):
    """A server of the model `served` on 127.0.0.1:`port`, listening from the start until `close`."""

    def __init__(self, served: str) -> None:
        self.served: Final = served
        self.port: Final = free_port()
        self._sent: list[Sent] = []
        self._held: asyncio.Event | None = None
        self._runner: web.AppRunner
        background().run(self._listen())

    @property
    def endpoint(self) -> str:
        """`host:port`, as a Model's `endpoints` wants it."""
        return f"127.0.0.1:{self.port}"

    @property
    def requests(self) -> tuple[Sent, ...]:
        """Every POST since the start or `forget`."""
        return tuple(self._sent)

    def forget(self) -> None:
        self._sent = []

    def hold(self) -> None:
        """Stream all but the end of each answer, and wait with that for `release`."""
        self._held = background().call(asyncio.Event)

    def release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            background().call(held.set)

    def close(self) -> None:
        self.release()
        background().run(self._runner.cleanup())

    async def _listen(self) -> None:
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_get("/v1/models", self._models)
        for path, answer in (
            ("/v1/chat/completions", self._chat),
            ("/v1/completions", self._completion),
            ("/v1/embeddings", self._embeddings),
            ("/v1/responses", self._responses),
            ("/v1/rerank", self._rerank),
        ):
            app.router.add_post(path, self._of_model(answer))
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def _models(self, _: web.Request) -> web.Response:
        listed = {"id": self.served, "object": "model", "created": 1, "owned_by": "test"}
        return web.json_response({"object": "list", "data": [listed]})

    def _of_model(
        self, answer: Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await request.read()
            self._sent.append(Sent(request.path, {k.lower(): v for k, v in request.headers.items()}, body))
            try:
                asked = json.loads(body)
            except ValueError:
                return _error(400, "this is no JSON", None)
            if not isinstance(asked, dict) or asked.get("model") != self.served:
                return _error(404, f"this server has {self.served!r} alone", "model_not_found")
            return await answer(request, asked)

        return handle

    async def _chat(self, request: web.Request, asked: dict[str, Any]) -> web.StreamResponse:
        pieces = [piece.format(model=self.served) for piece in PIECES]
        about = {"id": "chat-1", "created": 1, "model": self.served}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "".join(pieces)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            return web.json_response({**about, "object": "chat.completion", "choices": [choice]})

        async def events() -> AsyncIterator[dict[str, Any]]:
            for i, piece in enumerate(pieces):
                if i == len(pieces) - 1 and self._held is not None:
                    async with asyncio.timeout(PATIENCE):
                        await self._held.wait()
                choice = {"index": 0, "delta": {"content": piece}, "finish_reason": None}
                yield {**about, "object": "chat.completion.chunk", "choices": [choice]}

        return await _streamed(request, events())

    async def _completion(self, _: web.Request, asked: dict[str, Any]) -> web.Response:
        choice = {"index": 0, "text": self.served, "finish_reason": "stop", "logprobs": None}
        about = {"id": "c-1", "object": "text_completion", "created": 1, "model": asked["model"]}
        return web.json_response({**about, "choices": [choice]})

    async def _embeddings(self, _: web.Request, asked: dict[str, Any]) -> web.Response:
        vector = {"object": "embedding", "index": 0, "embedding": [0.0, 1.0]}
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return web.json_response({"object": "list", "model": asked["model"], "data": [vector], "usage": usage})

    async def _responses(self, _: web.Request, asked: dict[str, Any]) -> web.Response:
        text = {"type": "output_text", "text": self.served, "annotations": []}
        message = {"id": "m-1", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
        about = {"id": "r-1", "object": "response", "created_at": 1, "status": "completed", "model": asked["model"]}
        rest = {"parallel_tool_calls": False, "tool_choice": "auto", "tools": []}
        return web.json_response({**about, **rest, "output": [message]})

    async def _rerank(self, _: web.Request, asked: dict[str, Any]) -> web.Response:
        return web.json_response({"model": asked["model"], "results": []})


async def _streamed(request: web.Request, events: AsyncIterator[dict[str, Any]]) -> web.StreamResponse:
    """Server-sent events, each sent as it comes, and the mark with which OpenAI ends a stream."""
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    async for event in events:
        await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")
    await response.write(b"data: [DONE]\n\n")
    await response.write_eof()
    return response


def _error(status: int, text: str, code: str | None) -> web.Response:
    error = {"message": text, "type": "invalid_request_error", "param": "model", "code": code}
    return web.json_response({"error": error}, status=status)
