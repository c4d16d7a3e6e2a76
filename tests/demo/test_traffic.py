"""The demo's client against a small server that answers as MLServer does."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from extproc.demo.traffic import LANES, Answer, Row, Traffic

ROWS = (Row((5.1, 3.5, 1.4, 0.2), 0), Row((6.1, 2.8, 4.7, 1.2), 1))


class Server:
    """Remembers requests; says species 0 to everything."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.at_once = self.most_at_once = 0
        self.url = ""

    async def infer(self, request: web.Request) -> web.Response:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        self.asked.append(await request.json())
        await asyncio.sleep(0)
        self.at_once -= 1
        body = {"model_name": "iris-v2", "outputs": [{"name": "predict", "data": [0]}]}
        return web.json_response(body, status=self.status, headers={"x-seldon-route": ":iris2_2:"})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    app = web.Application()
    app.router.add_post("/v2/models/iris/infer", server.infer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v2/models/iris/infer"
    yield server
    await runner.cleanup()


async def send(url: str, count: int) -> list[Answer]:
    async with aiohttp.ClientSession() as client:
        traffic = Traffic(client, url, ROWS)
        traffic.start()
        await traffic.until(lambda: len(traffic.answers) >= count)
        await traffic.stop()
        return traffic.answers


async def test_it_sends_the_rows_in_turn_and_writes_down_what_came_back(server: Server) -> None:
    answers = await send(server.url, 40)
    assert 40 <= len(answers) == len(server.asked) <= 40 + LANES
    tensors = [asked["inputs"][0] for asked in server.asked]
    assert all(tensor["shape"] == [1, 4] and tensor["datatype"] == "FP64" for tensor in tensors)
    assert {tuple(tensor["data"]) for tensor in tensors} == {row.values for row in ROWS}
    assert all((a.route, a.model, a.problem) == (":iris2_2:", "iris-v2", "") for a in answers)
    assert abs(sum(a.correct for a in answers) - len(answers) / 2) <= LANES, "every other row is of species 0"
    assert server.most_at_once <= LANES


async def test_a_refusal_is_a_problem_with_its_reason(server: Server) -> None:
    server.status = 503
    answers = await send(server.url, 1)
    assert all(a.problem.startswith("503 ") and "iris-v2" in a.problem and not a.correct for a in answers)


async def test_no_connection_is_a_problem_too() -> None:
    answers = await send("http://127.0.0.1:1/v2/models/iris/infer", 1)
    assert all("ClientConnectorError" in a.problem for a in answers)
