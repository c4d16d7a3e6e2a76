"""Calls that come whole are answered as all others are: byte for byte, with the same known afterwards."""

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

import hpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.http2 import frames
from extproc.http2.connection import Connection
from extproc.http2.frames import DATA, END_HEADERS, END_STREAM, HEADERS, PADDED, PREFACE, RST_STREAM, frame
from extproc.http2.limits import Limits, Patience
from extproc.http2.stream import Stream
from tests.http2.given import METHOD, REQUEST, Server, data, known, message

CANCEL: Final = struct.pack(">I", 8)
HELLO: Final = PREFACE + frames.settings({}) + frames.SETTINGS_ACK
WIDE: Final = 2**24  # bytes by which the connection's window is wider than it is by itself, as Envoy's is
NO_TABLE: Final = b"\x20"
KNOWN_AFTER: Final = 4  # calls: a block's fields, the block or its shape, and a call that is like the last
REPLIES: Final = (b"last:", b"last:one", b"last:" + b"x" * 900)

_encoder: Final = hpack.Encoder()
_encoder.header_table_size = 0
_encoder.encode(())


def block(*fields: tuple[str, str]) -> bytes:
    return bytes(_encoder.encode((*REQUEST, *fields), huffman=False)).removeprefix(b"\x20")


PLAIN: Final = block()
TRACED: Final = [block(("traceparent", f"00-{n:032x}-{n:016x}-00"), ("x-after", "1")) for n in range(4)]
CAREFUL: Final = [block(("x-careful", text)) for text in ("00", "01", "0x", "02")]


def call(number: int, body: bytes, head: bytes = PLAIN) -> bytes:
    return frame(HEADERS, END_HEADERS, number, head) + data(number, body)


def reset(number: int) -> bytes:
    return frame(RST_STREAM, 0, number, CANCEL)


@dataclass
class Both:
    """The usual way, and the shorter way where there is one; both get the same."""

    limits: Limits | None = None

    def __post_init__(self) -> None:
        self.usual = Server(self.limits, shortly=False)
        self.shorter = Server(self.limits)

    def say(self, told: bytes, now: float = 0.0) -> bytes:
        """Returns what both say."""
        said = []
        for server in (self.usual, self.shorter):
            server.connection.receive(told, now)
            said.append(server.connection.take())
        assert said[0] == said[1]
        return said[0]

    def compare(self) -> None:
        assert known(self.shorter.connection) == known(self.usual.connection)

    @property
    def short(self) -> int:
        """How many calls took the shorter way."""
        return len(self.usual.notes) - len(self.shorter.notes)


def begun(
    limits: Limits | None = None, heads: list[bytes] | None = None, *, window: int = WIDE
) -> tuple[Both, Iterator[int]]:
    """A connection to which such calls are known already; and numbers for more of them."""
    both, numbers = Both(limits), iter(range(1, 10_000, 2))
    both.say(HELLO + (frames.window_update(0, window) if window else b""))
    for n in range(KNOWN_AFTER):
        number, head = next(numbers), (heads or [PLAIN])[n % len(heads or [PLAIN])]
        both.say(call(number, message(b"last:"), head if n else NO_TABLE + head) + reset(number))
    return both, numbers


@pytest.mark.parametrize("heads", [[PLAIN], TRACED, CAREFUL[:2]], ids=["equal", "traced", "careful"])
def test_calls_of_one_read_take_the_shorter_way(heads: list[bytes]) -> None:
    both, numbers = begun(heads=heads)
    short = both.short
    some = [next(numbers) for _ in range(30)]
    both.say(b"".join(call(n, message(REPLIES[n % 3]), heads[n % len(heads)]) for n in some))
    assert both.short == short + 30
    assert both.shorter.connection.open_streams == both.usual.connection.open_streams == 30
    assert not both.shorter.connection.streams
    both.say(b"".join(map(reset, some)))
    assert both.shorter.connection.open_streams == 0
    both.compare()


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (call(101, message(b"again")), "an Exchange has to be asked"),
        (call(101, message(b"last:" + b"x" * 1100)), "it is too long"),
        (call(101, message(b"last:one")[:-1]), "it is not all there"),
        (call(101, message(b"last:one") * 2), "it says more"),
        (call(101, message(b"last:one", compressed=1)), "it is compressed"),
        (call(101, b""), "it says nothing"),
        (call(101, message(b"last:fail")), "asking has failed"),
        (call(101, message(b"last:"), CAREFUL[2]), "a field makes a difference"),
        (frame(HEADERS, END_HEADERS, 101, PLAIN) + data(103, message(b"last:")), "it is of two streams"),
        (frame(HEADERS, END_HEADERS, 101, PLAIN) + data(101, message(b"last:"), END_STREAM), "it is at its end"),
        (frame(HEADERS, END_HEADERS, 101, PLAIN) + data(101, b"\0" + message(b"last:"), PADDED), "it is padded"),
        (frame(HEADERS, END_HEADERS | END_STREAM, 101, PLAIN), "it has no message"),
        (call(100, message(b"last:")), "no client has such streams"),
        (call(1, message(b"last:")), "the stream was open before"),
        (call(101 | 1 << 31, message(b"last:")), "the reserved bit is set"),
    ],
    ids=lambda value: value.replace(" ", "-") if isinstance(value, str) else "",
)
def test_what_is_no_such_call_takes_the_usual_way(what: bytes, why: str) -> None:
    heads = CAREFUL[:2] if why == "a field makes a difference" else None
    both, _ = begun(heads=heads)
    short = both.short
    both.say(call(51, message(b"last:"), (heads or [PLAIN])[0]) + what + call(105, message(b"last:")))
    assert both.short <= short + 2
    assert why == "the stream was open before" or both.usual.connection.last in {51, 101, 105}
    both.compare()


AFTERWARDS: Final[dict[str, Callable[[int], bytes]]] = {
    "nothing": lambda _: b"",
    "its reset": reset,
    "its reset with the reserved bit": lambda n: reset(n | 1 << 31),
    "two resets": lambda n: reset(n) * 2,
    "a reset of four bytes too many": lambda n: frame(RST_STREAM, 0, n, CANCEL * 2),
    "its end": lambda n: data(n, b"", END_STREAM),
    "more of it": lambda n: data(n, b"more"),
    "trailers": lambda n: frame(HEADERS, END_HEADERS | END_STREAM, n, block()[:0]),
    "trailers that are none": lambda n: frame(HEADERS, END_HEADERS, n, PLAIN),
    "itself again": lambda n: call(n, message(b"last:")),
    "a wider window": lambda n: frames.window_update(n, 1000),
    "a window that is too wide": lambda n: frames.window_update(n, 2**31 - 1 - 65_535 + 5),
    "a window that is just too wide": lambda n: frames.window_update(n, 2**31 - 65_535 + 5 + len(REPLIES[1])),
    "a window wider by nothing": lambda n: frames.window_update(n, 0),
    "other settings": lambda _: frames.settings({4: 10}),
    "settings that are too much": lambda n: frames.window_update(n, 2**31 - 1 - 65_535) + frames.settings({4: 70_000}),
    "a priority of itself": lambda n: frame(frames.PRIORITY, 0, n, struct.pack(">IB", n, 1)),
    "what nobody knows": lambda n: frame(0x77, 0, n),
    "a ping": lambda _: frame(frames.PING, 0, 0, b"12345678"),
    "the end of the connection": lambda _: data(0, b"x"),
}


@pytest.mark.parametrize("what", AFTERWARDS)
def test_whatever_comes_afterwards(what: str) -> None:
    both, numbers = begun()
    short, n = both.short, next(numbers)
    both.say(call(n, message(REPLIES[1])))
    assert both.short == short + 1
    both.say(AFTERWARDS[what](n))
    both.say(call(next(numbers), message(b"last:")) + reset(n))
    both.compare()


def test_a_connection_that_drains_opens_no_more_of_them() -> None:
    both, numbers = begun()
    n = next(numbers)
    both.say(call(n, message(b"last:")))
    for server in (both.usual, both.shorter):
        server.connection.drain()
    both.say(frame(frames.PING, frames.ACK, 0, b"draining") + call(next(numbers), message(b"last:")))
    assert both.shorter.connection.all_answered
    assert not both.shorter.connection.over
    both.say(reset(n))
    assert both.shorter.connection.over
    both.compare()


@pytest.mark.parametrize(
    ("limits", "peer"),
    [
        (Limits(streams=3), {}),
        (Limits(stream_window=300), {}),
        (Limits(connection_window=65_535), {}),
        (Limits(message=10), {}),
        (None, {frames.INITIAL_WINDOW_SIZE: 8}),
        (None, {frames.INITIAL_WINDOW_SIZE: 2_000}),
        (Limits(dynamic_table=True), {}),
    ],
    ids=repr,
)
def test_limits_and_windows_hold(limits: Limits | None, peer: dict[int, int]) -> None:
    both, numbers = begun(limits, window=0)
    both.say(frames.settings(peer))
    for _ in range(100):
        some = [next(numbers) for _ in range(8)]
        both.say(b"".join(call(n, message(REPLIES[n % 3])) for n in some))
        both.say(b"".join(map(reset, some[::2])))
    both.compare()


def test_answered_calls_that_nobody_closes_are_refused_beyond_the_limit() -> None:
    both, numbers = begun(Limits(streams=50))
    said = both.say(b"".join(call(next(numbers), message(b"last:")) for _ in range(60)))
    assert said.count(frame(RST_STREAM, 0, 0)[3:5] + b"\0\0\0") == 10
    both.compare()


def test_rapid_resets_of_whole_calls_cost_patience_only_when_they_are_not_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Patience, "BURST", 100)
    both, numbers = begun()
    for n in [next(numbers) for _ in range(300)]:
        both.say(call(n, message(b"last:")) + reset(n))
    assert not both.shorter.connection.over
    for n in [next(numbers) for _ in range(300)]:
        both.say(frame(HEADERS, END_HEADERS, n, PLAIN) + reset(n))
    assert both.shorter.connection.over
    both.compare()


def test_no_stream_is_made_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    both, numbers = begun()
    made: list[int] = []
    usual = Stream.__init__

    def noted(self: Stream, connection: Connection[Any], number: int) -> None:
        made.append(number)
        usual(self, connection, number)

    monkeypatch.setattr(Stream, "__init__", noted)
    n = next(numbers)
    both.shorter.connection.receive(call(n, message(b"last:")) + reset(n), 0.0)
    assert not made
    assert both.shorter.connection.take()


HEADS: Final = st.sampled_from([PLAIN, *TRACED, *CAREFUL])
BODIES: Final = st.sampled_from([*map(message, REPLIES), message(b"again"), message(b"silence"), b"", b"\0\0\0\0"])
ANY: Final = st.integers(1, 40)
FRAMES: Final = st.one_of(
    st.builds(call, ANY, BODIES, HEADS),
    st.builds(frame, st.just(HEADERS), st.sampled_from([0, 4, 5, 12, 36]), ANY, HEADS),
    st.builds(frame, st.just(DATA), st.sampled_from([0, 1, 8, 9]), ANY, BODIES),
    st.builds(reset, ANY),
    st.builds(frames.window_update, ANY | st.just(0), st.sampled_from([0, 1, 1_000, 2**31 - 1])),
    st.builds(lambda size: frames.settings({4: size}), st.sampled_from([0, 7, 1_500, 65_535, 2**31 - 1])),
    st.builds(frame, st.integers(0, 11), st.integers(0, 255), ANY | st.just(0), st.binary(max_size=12)),
)


def whole(count: int, head: list[bytes], body: bytes) -> Callable[[int], bytes]:
    """So many calls, one behind the other."""
    return lambda first: b"".join(call(first + 2 * n, body, head[n % len(head)]) for n in range(count))


RUNS: Final = st.builds(whole, st.integers(1, 6), st.sampled_from([[PLAIN], TRACED, CAREFUL]), BODIES)


@settings(max_examples=300)
@given(
    parts=st.lists(st.one_of(FRAMES, RUNS, RUNS, st.integers(1, 30)), max_size=40),
    cut=st.sampled_from([1, 50, 130, 400, 100_000]),
    limits=st.sampled_from([Limits(), Limits(streams=6, stream_window=600, connection_window=65_535, memory=3_000)]),
    heads=st.sampled_from([[PLAIN], TRACED, CAREFUL[:2]]),
    window=st.sampled_from([0, WIDE]),
)
def test_any_frames_are_answered_the_same(
    parts: list[bytes | Callable[[int], bytes] | int], cut: int, limits: Limits, heads: list[bytes], window: int
) -> None:
    both, _ = begun(limits, heads, window=window)
    told, number = b"", 2 * KNOWN_AFTER + 1
    for part in parts:
        if isinstance(part, int):
            told += b"".join(reset(n) for n in range(max(1, number - 2 * part), number, 2))
        elif isinstance(part, bytes):
            told += part
        else:
            made = part(number)
            told += made
            number += 2 * made.count(METHOD.encode())
    for now, at in enumerate(range(0, len(told), cut)):
        both.say(told[at : at + cut], now / 100)
    both.compare()


@pytest.mark.parametrize(("room", "waits"), [(3_000, True), (40_000, False)])
def test_what_has_no_room_waits_on_both_ways(room: int, waits: bool) -> None:
    both, numbers = begun()
    short = both.short
    for server in (both.usual, both.shorter):
        server.connection.sending.room = room
    both.say(b"".join(call(next(numbers), message(REPLIES[n % 3])) for n in range(30)))
    assert both.usual.connection.sending.stalled is waits
    assert (both.short == short) is waits
    while both.usual.connection.sending.stalled:
        assert both.say(b"")
    both.compare()


def test_a_long_talk_cut_anywhere() -> None:
    random = Random(1)
    for heads in ([PLAIN], TRACED):
        both, numbers = begun(heads=heads)
        told = b""
        for _ in range(400):
            n = next(numbers)
            told += call(n, message(random.choice(REPLIES)), heads[n % len(heads)])
            if random.random() < 0.9:
                told += reset(n - 2 * random.randrange(3))
        while told:
            size = random.choice([1, 9, 60, 500, 5_000])
            both.say(told[:size])
            told = told[size:]
        assert both.short > 200
        both.compare()
