"""The ext_proc service, asked by real gRPC clients: each phase answered in kind, and nothing a client does hurts."""

import asyncio
import logging
import time
import typing
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest

from extproc import names
from extproc.core.table import Decision, Outcome
from extproc.server.ext_proc import ExtProc, random_draw
from extproc.server.lean_protocol import TOGETHER
from extproc.wire.ext_proc import NEUTRAL, Phase, Published, telling
from tests.fixtures.ext_proc import captured
from tests.harness.waiting import eventually_async
from tests.server.exchange import (
    FIRST,
    PUBLISHED,
    SECOND,
    Observed,
    answers,
    connected,
    counting,
    ended,
    process,
    published,
    reply,
    serving,
)

pytestmark = pytest.mark.usefixtures("transport")

NO_TOKEN = captured("intercepted-no-token")
IRIS2 = captured("intercepted-token")


def drawing(draw: int) -> ExtProc:
    return ExtProc(PUBLISHED, draw=lambda: draw)


async def test_the_draw_decides() -> None:
    for draw in (FIRST, SECOND):
        async with serving(drawing(draw)) as server, connected(server.port) as channel:
            assert await answers(channel, NO_TOKEN) == [reply(draw)]
    assert reply(FIRST) != reply(SECOND)


async def test_a_token_goes_before_the_draw() -> None:
    async with serving(drawing(FIRST)) as server, connected(server.port) as channel:
        assert await answers(channel, IRIS2) == [reply(FIRST, {names.ROUTE_HEADER: ":iris2_1:"})]


async def test_by_default_draws_are_random() -> None:
    async with serving() as server, connected(server.port) as channel:
        seen = {bytes(*await answers(channel, NO_TOKEN)) for _ in range(128)}  # one alone: 1 in 2^127
    assert seen == {reply(FIRST), reply(SECOND)}


def test_random_draws_have_64_bits_and_a_sequence_of_their_own() -> None:
    one, other = random_draw(), random_draw()
    drawn = [one() for _ in range(64)]
    assert drawn != [other() for _ in range(64)]
    assert all(0 <= draw < 2**64 for draw in drawn)
    assert max(drawn) >= 2**63


async def test_a_route_of_no_experiment_is_left_to_envoy() -> None:
    async with serving(ExtProc()) as server, connected(server.port) as channel:
        assert await answers(channel, NO_TOKEN) == [NEUTRAL["request_headers"]]


@pytest.mark.parametrize("phase", typing.get_args(Phase))
async def test_each_phase_is_answered_in_kind(phase: Phase) -> None:
    async with serving() as server, connected(server.port) as channel:
        assert await answers(channel, captured(f"every-phase-{phase}")) == [NEUTRAL[phase]]


async def test_all_phases_of_a_request_share_a_stream() -> None:
    phases: tuple[Phase, ...] = typing.get_args(Phase)
    async with serving() as server, connected(server.port) as channel:
        requests = [captured(f"every-phase-{phase}") for phase in phases]
        assert await answers(channel, *requests) == [NEUTRAL[phase] for phase in phases]


async def test_every_stream_is_decided_by_its_own_draw_and_ends_with_its_answer() -> None:
    draws = [FIRST, SECOND, SECOND, FIRST]
    source = iter(draws)
    async with serving(ExtProc(PUBLISHED, draw=lambda: next(source))) as server, connected(server.port) as channel:
        for draw in draws:
            call = process(channel)
            await call.write(NO_TOKEN)
            assert await call.read() == reply(draw)
            assert await ended(call) is grpc.StatusCode.OK


async def test_a_client_that_sends_nothing_gets_nothing_and_ends_well() -> None:
    async with serving() as server, connected(server.port) as channel:
        call = process(channel, [])
        assert [answer async for answer in call] == []
        assert await ended(call) is grpc.StatusCode.OK


async def test_a_message_of_no_phase_ends_the_stream_well() -> None:
    async with serving() as server, connected(server.port) as channel:
        call = process(channel)
        await call.write(b"")
        assert await call.read() is grpc.aio.EOF
        assert await ended(call) is grpc.StatusCode.OK


async def test_garbage_ends_its_stream_alone_and_says_why() -> None:
    async with serving(drawing(FIRST)) as server, connected(server.port) as channel:
        other = process(channel)
        await other.write(captured("every-phase-request_body"))
        assert await other.read() == NEUTRAL["request_body"]
        call = process(channel)
        await call.write(b"\xff garbage")
        assert await ended(call) is grpc.StatusCode.INVALID_ARGUMENT
        assert "these 9 bytes are no ProcessingRequest" in await call.details()
        await other.write(NO_TOKEN)
        assert await other.read() == reply(FIRST)
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]


async def test_a_message_that_is_too_long_ends_its_stream_alone() -> None:
    async with serving(drawing(FIRST)) as server, connected(server.port) as channel:
        call = process(channel, [b"\0" * (4 * 1024 * 1024 + 1)])
        assert await ended(call) is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]


async def test_another_method_is_not_implemented() -> None:
    async with serving() as server, connected(server.port) as channel:
        # Nothing is sent after the headers: a message that meets the answer half way is INTERNAL to gRPC's aio client.
        call = process(channel, None, names.EXT_PROC_METHOD + "Else")
        assert await ended(call) is grpc.StatusCode.UNIMPLEMENTED


async def test_a_stream_uses_the_table_it_began_with() -> None:
    only_second = published("iris2")
    service = drawing(FIRST)
    async with serving(service) as server, connected(server.port) as channel:
        before = process(channel)
        await before.write(captured("every-phase-request_body"))
        assert await before.read() == NEUTRAL["request_body"]
        service.publish(only_second)
        await before.write(NO_TOKEN)
        assert await before.read() == reply(FIRST)
        assert await answers(channel, NO_TOKEN) == [reply(FIRST, of=only_second)]
        service.publish(Published())
        assert await answers(channel, NO_TOKEN) == [NEUTRAL["request_headers"]]


async def test_each_decision_is_observed_once() -> None:
    observed = Observed()
    service = ExtProc(PUBLISHED, draw=lambda: FIRST, meter=observed)
    began = time.perf_counter_ns()
    async with serving(service) as server, connected(server.port) as channel:
        for message in (NO_TOKEN, captured("every-phase-request_body"), IRIS2, captured("intercepted-grpc")):
            await answers(channel, message)
        await eventually_async(lambda: len(observed.decisions), within=5, saying="all counted", until=lambda n: n == 3)
        for _ in range(2 * TOGETHER):
            await answers(channel, NO_TOKEN)
    assert [(d.candidate, d.outcome) for d in observed.decisions] == [
        ("iris", Outcome.WEIGHTED),
        ("iris2", Outcome.STICKY),
        *[("iris", Outcome.WEIGHTED)] * (1 + 2 * TOGETHER),
    ]
    assert observed.nanoseconds
    assert min(observed.nanoseconds) > 0
    assert sum(observed.nanoseconds) < time.perf_counter_ns() - began


async def test_a_meter_that_fails_hurts_nobody_and_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    class Full(Observed):
        def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
            raise ValueError(f"no room for {decisions[0].candidate} after {nanoseconds} ns")

    service = ExtProc(PUBLISHED, draw=lambda: FIRST, meter=Full())
    async with serving(service) as server, connected(server.port) as channel:
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "no room for iris" in caplog.text


class Noted:
    """A span that writes down what happens to it."""

    def __init__(self, notes: list[object]) -> None:
        self._notes = notes

    def decided(self, decision: Decision, draw: int) -> None:
        self._notes.append((decision, draw))

    def end(self) -> None:
        self._notes.append("end")


async def test_a_stream_that_is_traced_has_a_span_and_tells_its_outcome() -> None:
    notes: list[object] = []
    begun: list[dict[str, str | bytes]] = []

    def begin(metadata: Iterable[tuple[str, str | bytes]]) -> Noted:
        begun.append(dict(metadata))
        return Noted(notes)

    service = ExtProc(PUBLISHED, draw=lambda: SECOND, begin=begin)
    decision = Decision("iris-ab", "iris2", Outcome.WEIGHTED, "iris-ab/iris2", share=0.5)
    async with serving(service) as server, connected(server.port) as channel:
        stream: Any = channel.stream_stream(names.EXT_PROC_METHOD)
        got = [answer async for answer in stream(iter([NO_TOKEN]), metadata=(("traceparent", "00-x"),))]
        assert got == [telling(reply(SECOND), decision)]
        assert notes == [(decision, SECOND), "end"]
        call = process(channel)
        await call.write(NO_TOKEN)
        await call.read()
        call.cancel()  # as Envoy does when it has its answer
        await eventually_async(
            lambda: notes[2:], within=10, saying="the span has ended", until=lambda n: n == [(decision, SECOND), "end"]
        )
    assert [metadata.get("traceparent") for metadata in begun] == ["00-x", None]


async def test_a_stream_that_is_not_traced_is_answered_as_ever() -> None:
    service = ExtProc(PUBLISHED, draw=lambda: FIRST, begin=lambda _: None)
    async with serving(service) as server, connected(server.port) as channel:
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]


async def test_the_blocking_client_is_served() -> None:
    def ask(port: int) -> list[bytes]:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stream: Any = channel.stream_stream(names.EXT_PROC_METHOD)
            return [answer for message in (NO_TOKEN, IRIS2) for answer in stream(iter([message]), timeout=20)]

    async with serving(drawing(FIRST)) as server:
        assert await asyncio.to_thread(ask, server.port) == [
            reply(FIRST),
            reply(FIRST, {names.ROUTE_HEADER: ":iris2_1:"}),
        ]


async def test_streams_that_are_reset_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    draw, drawn = counting(FIRST)
    async with serving(ExtProc(PUBLISHED, draw=draw)) as server, connected(server.port) as channel:
        await answers(channel, NO_TOKEN)
        calm = len(asyncio.all_tasks())
        body, unchanged = captured("every-phase-request_body"), NEUTRAL["request_body"]
        for message, answer, writes, reads in (
            (NO_TOKEN, reply(FIRST), 0, 0),
            (NO_TOKEN, reply(FIRST), 1, 0),
            (NO_TOKEN, reply(FIRST), 1, 1),
            (body, unchanged, 3, 0),
            (body, unchanged, 3, 2),
        ):
            for _ in range(20):
                call = process(channel)
                for _ in range(writes):
                    await call.write(message)
                for _ in range(reads):
                    assert await call.read() == answer
                call.cancel()
        await eventually_async(
            lambda: len(asyncio.all_tasks()), within=10, saying="as before the streams", until=lambda n: n <= calm
        )
        assert await answers(channel, NO_TOKEN) == [reply(FIRST)]
    assert not caplog.records
    assert len(drawn) >= 2 + 20


async def test_a_thousand_streams_at_once_are_all_answered() -> None:
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(drawing(SECOND)))
        channels = [await stack.enter_async_context(connected(server.port)) for _ in range(2)]
        calls = [process(channel) for channel in channels for _ in range(500)]
        await asyncio.gather(*(call.write(NO_TOKEN) for call in calls))
        assert {bytes(answer) for answer in await asyncio.gather(*(call.read() for call in calls))} == {reply(SECOND)}
        for call in calls:
            call.cancel()
