"""A wait ends as soon as it can, and tells what it saw when it can't."""

import asyncio
import itertools

import pytest

from tests.harness.waiting import eventually, eventually_async


def test_returns_what_the_check_returned() -> None:
    counter = itertools.count()
    assert eventually(lambda: next(counter), within=5, saying="three", until=lambda n: n == 3) == 3


def test_failure_shows_the_last_thing_seen() -> None:
    with pytest.raises(AssertionError, match=r"not within 0.05 s: the answer is 42\nlast seen: 41"):
        eventually(lambda: 41, within=0.05, saying="the answer is 42", until=lambda n: n == 42)


def test_failure_shows_the_last_refusal() -> None:
    def refuse() -> bool:
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(AssertionError, match="last seen: ConnectionRefusedError: nobody there"):
        eventually(refuse, within=0.05, saying="it answers")


def test_a_surprise_ends_the_wait_at_once() -> None:
    def surprise() -> bool:
        raise KeyError("surprise")

    with pytest.raises(KeyError):
        eventually(surprise, within=60, saying="never")


async def test_waits_in_a_loop_for_plain_and_awaitable_checks() -> None:
    done = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, done.set)

    async def look() -> bool:
        return done.is_set()

    assert await eventually_async(look, within=5, saying="the event is set")
    assert await eventually_async(done.is_set, within=5, saying="the event is set")
    with pytest.raises(AssertionError, match="last seen: False"):
        await eventually_async(lambda: False, within=0.02, saying="never")
