"""What Envoy wrote, cut at any place, is answered the same by both transports."""

import asyncio
from collections.abc import Iterator
from functools import partial
from random import Random
from typing import Final, get_args

import pytest

from extproc.core.table import Decision
from extproc.http2.connection import Connection
from extproc.http2.frames import DATA, HEAD, HEAD_SIZE, HEADERS, PREFACE, RST_STREAM
from extproc.http2.grpc_calls import Call
from extproc.http2.grpc_methods import DECISIVE, Methods, Opening
from extproc.http2.whole_calls import WholeCalls
from extproc.names import EXT_PROC_METHOD
from extproc.server.at_once import AtOnce, Known
from extproc.server.ext_proc import ExtProc, Ledger, Stream
from extproc.wire.ext_proc import NEUTRAL
from tests.fixtures.envoy_streams import recorded
from tests.fixtures.envoy_streams.capture import CONNECTIONS, TIMES
from tests.fixtures.ext_proc.capture import INTERCEPTED
from tests.http2.given import known, messages
from tests.server import exchange
from tests.server.exchange import FIRST, PUBLISHED, Observed, serving
from tests.server.http2 import frame

PHASES: Final = 6
ANSWERS: Final = TIMES * (len(INTERCEPTED) + PHASES)
PLACES: Final = 12  # ways to cut


def frames_of(stream: bytes) -> Iterator[tuple[int, bytes]]:
    """Kind and bytes of each frame."""
    at = 0
    while at < len(stream):
        length, _, _ = HEAD.unpack_from(stream, at)
        end = at + HEAD_SIZE + (length >> 8)
        yield length & 0xFF, stream[at:end]
        at = end


def without_resets(stream: bytes) -> bytes:
    """Envoy resets a stream when it has its answer; played back at once, that would come before the answer."""
    return PREFACE + b"".join(f for kind, f in frames_of(stream.removeprefix(PREFACE)) if kind != RST_STREAM)


async def play(port: int, pieces: list[bytes]) -> dict[int, list[bytes]]:
    """The answers to what is sent in `pieces`, by their streams."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    bodies: dict[int, bytes] = {}
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        async with asyncio.timeout(30):
            while sum(len(messages(body)) for body in bodies.values()) < ANSWERS:
                head = await reader.readexactly(HEAD_SIZE)
                length, _, stream = HEAD.unpack(head)
                payload = await reader.readexactly(length >> 8)
                if length & 0xFF == DATA:
                    bodies[stream] = bodies.get(stream, b"") + payload
    finally:
        writer.close()
        await writer.wait_closed()
    return {stream: messages(body) for stream, body in sorted(bodies.items())}


class Spoken:
    """A connection to the service without a socket."""

    def __init__(self, *, shortly: bool = True) -> None:
        service, self._ledger, self.began = ExtProc(PUBLISHED, draw=partial(Random(1).getrandbits, 64)), Ledger(), 0
        self._service = service
        methods = Methods({EXT_PROC_METHOD: self._begin}, {EXT_PROC_METHOD: AtOnce(service, Known(), self._ledger)})
        ways = WholeCalls if shortly else None
        self.connection = Connection[Opening](methods.interpret, DECISIVE, Call, 0.0, None, ways)

    def _begin(self, call: Call) -> Stream:
        self.began += 1
        return self._service.open(call.metadata, self._ledger)

    @property
    def decided(self) -> list[Decision]:
        return self._ledger.decisions

    def hear(self, told: bytes) -> bytes:
        self.connection.receive(told, 0.0)
        return self.connection.take()


def cut(stream: bytes, random: Random) -> list[bytes]:
    places = sorted(random.sample(range(1, len(stream)), random.choice([0, 1, 10, 300])))
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@pytest.mark.parametrize("name", [name for name, *_ in CONNECTIONS])
async def test_both_transports_decide_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = without_resets(recorded(name))
    random = Random(name)
    played = []
    for transport in get_args(exchange.Transport):
        monkeypatch.setattr(exchange, "TRANSPORT", transport)
        meter = Observed()
        async with serving(ExtProc(PUBLISHED, draw=lambda: FIRST, meter=meter)) as server:
            answers = [await play(server.port, cut(stream, random)) for _ in range(PLACES)]
        assert all(answer == answers[0] for answer in answers)
        played.append((answers[0], sorted(map(repr, meter.decisions))))
    assert played[0] == played[1]
    replies = [reply for answer in played[0][0].values() for reply in answer]
    assert len(replies) == ANSWERS
    # Two tokens of the captured requests name iris2; the draw is always for iris.
    assert len(set(replies) - set(NEUTRAL.values())) > 1


@pytest.mark.parametrize("name", [name for name, *_ in CONNECTIONS])
async def test_with_its_resets_the_lean_transport_answers_all_of_it(name: str) -> None:
    random, stream = Random(name), recorded(name)
    async with serving(ExtProc(PUBLISHED, draw=lambda: FIRST)) as server:
        answers = [await play(server.port, cut(stream, random)) for _ in range(PLACES)]
        assert all(answer == answers[0] for answer in answers)
        assert await play(server.port, [without_resets(stream)]) == answers[0]


@pytest.mark.parametrize("name", [name for name, *_ in CONNECTIONS])
def test_the_shorter_way_says_and_counts_the_same(name: str) -> None:
    random, stream = Random(name), recorded(name)
    for resets in (True, False):
        whole = stream if resets else without_resets(stream)
        for _ in range(PLACES):
            shorter, usual = Spoken(), Spoken(shortly=False)
            for piece in cut(whole, random):
                assert shorter.hear(piece) == usual.hear(piece)
            assert shorter.decided == usual.decided
            assert known(shorter.connection) == known(usual.connection)
            if resets:
                assert not shorter.connection.open_streams


def test_what_envoy_sends_takes_the_shorter_way() -> None:
    for name, least in (("plain", 0.5), ("traced-no-huffman", 0.5)):
        spoken = Spoken()
        spoken.hear(recorded(name))
        assert len(spoken.decided) - spoken.began > least * len(spoken.decided)


def test_the_recordings_are_what_they_say() -> None:
    for name, _, traced, huffman in CONNECTIONS:
        blocks = [f for kind, f in frames_of(recorded(name).removeprefix(PREFACE)) if kind == HEADERS]
        assert len(blocks) == TIMES * (len(INTERCEPTED) + 1)
        assert any(b"traceparent" in block for block in blocks) == (traced and not huffman)
        assert len({block[HEAD_SIZE:] for block in blocks[2:]}) == (len(blocks) - 2 if traced else 1)
    assert frame(DATA, 0, 1, b"x") == HEAD.pack(1 << 8, 0, 1) + b"x"
