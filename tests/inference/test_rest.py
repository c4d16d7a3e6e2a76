"""A Call over REST, against real servers: what is sent, what is read, and what it is called when nothing comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from extproc.inference.call import Answer, Call
from extproc.inference.rest import open_rest
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.inference.stand_ins import Told, rest_stand_in


async def ask(call: Call, route: str = "") -> Answer:
    async with open_rest(call, 1) as send:
        return await send(route)


async def test_the_model_is_in_the_path_and_the_header_and_the_body_is_as_given() -> None:
    body = b'{ "inputs" : [] }'
    with rest_stand_in(Told(route=":iris2_2:", body=b"{}")) as envoy:
        answer = await ask(Call(envoy.url, "iris-ab.experiment", body, (("x-team", "a"),)), ":iris_1:")
        (got,) = envoy.got
    assert (got.path, got.body) == ("/v2/models/iris-ab.experiment/infer", body)
    wanted = {
        "seldon-model": "iris-ab.experiment",
        "x-seldon-route": ":iris_1:",
        "content-type": "application/json",
        "x-team": "a",
    }
    assert wanted.items() <= got.headers.items()
    assert (answer.code, answer.ok, answer.route, answer.body) == ("200", True, ":iris2_2:", b"{}")
    assert {name.lower(): value for name, value in answer.sent} == got.headers
    assert ("x-seldon-route", ":iris2_2:") in answer.received


async def test_without_a_token_none_is_sent_and_a_user_s_header_takes_the_place_of_ours() -> None:
    with rest_stand_in() as envoy:
        mine = (("content-type", "text/plain"), ("x-seldon-route", ":a_1:"), ("x-a", "1"), ("x-a", "2"))
        answer = await ask(Call(envoy.url, "iris", b"{}", mine))
        await ask(Call(envoy.url, "iris", b"{}"))
    assert [got.headers.get("x-seldon-route") for got in envoy.got] == [":a_1:", None]
    assert [got.headers["content-type"] for got in envoy.got] == ["text/plain", "application/json"]
    sent = [(name.lower(), value) for name, value in answer.sent]
    assert [pair for pair in sent if pair[0] in ("content-type", "x-a")] == [
        ("content-type", "text/plain"),
        ("x-a", "1"),
        ("x-a", "2"),
    ]


@pytest.mark.parametrize(("status", "ok"), [(200, True), (204, True), (302, False), (400, False), (503, False)])
async def test_only_2xx_is_success(status: int, ok: bool) -> None:
    with rest_stand_in(Told(status, body=b"")) as envoy:
        answer = await ask(Call(envoy.url, "iris", b"{}"))
    assert (answer.code, answer.ok, answer.reached, len(envoy.got)) == (str(status), ok, True, 1)


async def test_a_redirect_is_an_answer_and_not_followed() -> None:
    elsewhere = f"http://127.0.0.1:{free_port()}"
    async with _server_that_says(f"HTTP/1.1 302 Found\r\nlocation: {elsewhere}\r\n\r\n".encode()) as url:
        answer = await ask(Call(url, "iris", b"{}"))
    assert (answer.code, answer.ok, answer.reached) == ("302", False, True)


async def test_a_real_model_server_s_answer() -> None:
    with ModelServer("iris") as server:
        answer = await ask(Call(server.url, "iris", b'{"inputs": []}'))
        missing = await ask(Call(server.url, "wine", b'{"inputs": []}'))
    assert json.loads(answer.body)["outputs"][0]["data"] == ["iris"]
    assert (missing.code, missing.ok, missing.route) == ("404", False, "")


async def test_nobody_there() -> None:
    answer = await ask(Call(f"http://127.0.0.1:{free_port()}", "iris", b"{}"))
    assert (answer.code, answer.ok, answer.reached, answer.detail) == ("refused", False, False, "Connection refused")
    assert ("seldon-model", "iris") in answer.sent


async def test_no_such_host() -> None:
    answer = await ask(Call("http://nobody.invalid:1", "iris", b"{}"))
    assert (answer.code, answer.reached) == ("unresolved", False)


async def test_no_answer_in_time() -> None:
    with ModelServer("iris") as server:
        server.hang()
        answer = await ask(Call(server.url, "iris", b"{}", timeout=0.1))
    assert (answer.code, answer.ok, answer.reached) == ("timeout", False, True)
    assert 0.1 <= answer.seconds < 5


@pytest.mark.parametrize(
    "said", [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", b"\x15\x03\x01 no HTTP\r\n\r\n"]
)
async def test_a_connection_that_breaks(said: bytes) -> None:
    async with _server_that_says(said) as url:
        answer = await ask(Call(url, "iris", b"{}"))
    assert (answer.code, answer.ok, answer.reached) == ("disconnected", False, True), answer


async def test_tls_where_there_is_none() -> None:
    async with _server_that_says(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        answer = await ask(Call(url.replace("http:", "https:"), "iris", b"{}"))
    assert (answer.code, answer.reached) == ("tls", False), answer


@asynccontextmanager
async def _server_that_says(said: bytes) -> AsyncIterator[str]:
    """A server that answers the first bytes of each connection so, and closes it."""

    async def answer_so(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer_so, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_connections_are_kept_and_no_more_than_asked_for() -> None:
    with ModelServer("iris") as server:
        server.delay(0.01)
        async with open_rest(Call(server.url, "iris", b"{}"), 3) as send:
            for _ in range(3):
                answers = await asyncio.gather(*(send("") for _ in range(9)))
                assert {answer.code for answer in answers} == {"200"}
                assert server.connections == 3


async def test_the_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with rest_stand_in() as envoy:
        assert (await ask(Call(envoy.url, "iris", b"{}"))).ok
