"""The load loop: how many are sent, how many at once, when it ends, and who stays with whom."""

import asyncio
import time

from extproc.inference import load
from extproc.inference.call import Answer
from extproc.inference.load import Limits, Sender

OK = Answer("200", True, 0.001, ":iris_1:")


class Server:
    """Answers after `delay` seconds, with the answers in turn and then the last one for ever."""

    def __init__(self, *answers: Answer, delay: float = 0.0) -> None:
        self.answers = list(answers) or [OK]
        self.delay = delay
        self.routes: list[str] = []
        self.under_way: list[int] = [0]
        self._now = 0

    async def ask(self, route: str) -> Answer:
        self.routes.append(route)
        self._now += 1
        self.under_way.append(self._now)
        await asyncio.sleep(self.delay)
        self._now -= 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


async def run(server: Server, limits: Limits, *, sticky: bool = False, route: str = "") -> list[Answer]:
    noted: list[Answer] = []
    await load.run(Sender(server.ask, sticky=sticky, route=route), limits, noted.append)
    return noted


async def test_exactly_n_are_sent_and_noted() -> None:
    for requests in (1, 2, 7, 100):
        server = Server()
        assert len(await run(server, Limits(requests, lanes=8))) == requests
        assert len(server.routes) == requests


async def test_as_many_are_under_way_as_asked_for_but_the_first_goes_alone() -> None:
    server = Server(delay=0.002)
    await run(server, Limits(60, lanes=6))
    assert max(server.under_way) == 6
    assert server.under_way[1:3] == [1, 1]


async def test_seconds_end_it_and_every_answer_is_waited_for() -> None:
    server = Server(delay=0.02)
    begun = time.monotonic()
    noted = await run(server, Limits(seconds=0.2, lanes=3))
    assert 0.2 <= time.monotonic() - begun < 5
    assert len(noted) == len(server.routes) > 3


async def test_whichever_limit_comes_first() -> None:
    assert len(await run(Server(), Limits(5, seconds=60))) == 5
    assert 0 < len(await run(Server(delay=0.01), Limits(1_000_000, seconds=0.1))) < 100


async def test_it_ends_when_nobody_is_there_at_the_first() -> None:
    nobody = Answer("refused", False, 0.001, reached=False)
    assert await run(Server(nobody), Limits(1000)) == [nobody]


async def test_it_goes_on_with_a_pause_when_nobody_is_there_later() -> None:
    nobody = Answer("refused", False, 0.001, reached=False)
    begun = time.monotonic()
    noted = await run(Server(OK, nobody, nobody, OK), Limits(10))
    assert [a.code for a in noted] == ["200", "refused", "refused"] + ["200"] * 7
    assert time.monotonic() - begun >= 2 * load.PAUSE


async def test_sticky_sends_the_token_of_the_last_answer() -> None:
    moved = Answer("200", True, 0.001, ":iris2_2:")
    lost = Answer("timeout", False, 0.001)
    server = Server(OK, moved, lost, OK)
    await run(server, Limits(5), sticky=True, route=":kept_1:")
    assert server.routes == [":kept_1:", ":iris_1:", ":iris2_2:", ":iris2_2:", ":iris_1:"]


async def test_sticky_lanes_all_stay_with_the_first_answer() -> None:
    server = Server(delay=0.001)
    await run(server, Limits(40, lanes=8), sticky=True)
    assert server.routes == [""] + [":iris_1:"] * 39


async def test_without_sticky_no_token_is_sent() -> None:
    server = Server()
    await run(server, Limits(5))
    assert set(server.routes) == {""}
