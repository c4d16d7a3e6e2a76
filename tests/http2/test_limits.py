"""Attacks: each is bounded, and answered with the right error; memory stays below the cap whatever a peer does."""

import struct
import tracemalloc
from collections.abc import Callable
from typing import Final

import pytest

from extproc.http2 import frames
from extproc.http2.frames import CONTINUATION, HEADERS, INITIAL_WINDOW_SIZE, PADDED, PING, RST_STREAM, frame
from extproc.http2.grpc_calls import Call
from extproc.http2.limits import Limits, Patience
from extproc.http2.sending import A_FRAME, ROOM
from tests.http2.given import END_HEADERS, REQUEST, Raw, cut, data, message
from tests.http2.test_connection import body, goaway, resets

PARTS: Final = 48 * 1024  # of a frame and a header block, beside Limits.memory
CANCEL: Final = struct.pack(">I", 8)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenth of the patience, so that it is at its end sooner."""
    monkeypatch.setattr(Patience, "BURST", 1000)
    monkeypatch.setattr(Patience, "RATE", 100.0)


Flood = Callable[[Raw, int], bytes]
FLOODS: Final[dict[str, Flood]] = {
    "ping": lambda *_: frame(PING, 0, 0, b"\0" * 8),
    "ping acks": lambda *_: frame(PING, 1, 0, b"\0" * 8),
    "settings": lambda *_: frames.settings({}),
    "settings acks": lambda *_: frames.SETTINGS_ACK,
    "window updates": lambda *_: frames.window_update(0, 1),
    "window updates of a stream": lambda *_: frames.window_update(1, 1),
    "priority": lambda *_: frame(frames.PRIORITY, 0, 1, b"\0" * 5),
    "goaway": lambda *_: frames.goaway(0, frames.ErrorCode.NO_ERROR),
    "unknown frames": lambda *_: frame(0x77, 0, 0),
    "empty data": lambda *_: data(1, b""),
    "data that is padding": lambda *_: data(1, b"\x01\0", PADDED),
    "data of a stream we have reset": lambda *_: data(1, b"x"),
    "trailers of a stream we have reset": lambda raw, _: raw.headers(1),
    "rapid reset": lambda raw, n: raw.headers(n) + frame(RST_STREAM, 0, n, CANCEL),
    "resets of nothing": lambda *_: frame(RST_STREAM, 0, 1, CANCEL),
    "made to reset": lambda raw, n: raw.headers(n) + frame(frames.WINDOW_UPDATE, 0, n, b"\0" * 4),
    "malformed requests": lambda raw, n: raw.headers(n, fields=((":method", "POST"),)),
    "streams after the last GOAWAY": lambda raw, n: raw.headers(n),  # an honest peer has read it before it opens others
}


@pytest.mark.parametrize("kind", FLOODS)
def test_a_flood_is_told_to_calm_down(kind: str) -> None:
    raw = Raw()
    raw.say(raw.headers(1))
    if kind.endswith("of a stream we have reset"):
        raw.say(frame(frames.WINDOW_UPDATE, 0, 1, b"\0" * 4))
    if kind == "streams after the last GOAWAY":
        raw.connection.drain()
        raw.say(frame(PING, 1, 0, b"draining"))
    answered = 0
    for n in range(3, 6 * Patience.BURST, 2):
        answer = raw.say(FLOODS[kind](raw, n))
        answered += sum(map(len, (payload for *_, payload in answer)))
        if raw.connection.over:
            assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM
            assert n // 2 >= Patience.BURST // 2, "so soon it may be an honest peer"
            assert not raw.connection.streams
            return
    pytest.fail("it may go on for ever")


@pytest.mark.parametrize(
    "kind",
    sorted(
        {kind for kind in FLOODS if not kind.endswith("of a stream we have reset")}
        - {"malformed requests", "made to reset", "streams after the last GOAWAY"}
    ),
)
def test_what_comes_now_and_then_is_never_too_much(kind: str) -> None:
    raw = Raw()
    raw.say(raw.headers(1))
    for n in range(3, 3 * Patience.BURST, 2):
        raw.say(FLOODS[kind](raw, n), now=n / Patience.RATE * 2)
    assert not raw.connection.over


def test_envoy_which_resets_each_stream_that_is_answered_is_welcome() -> None:
    raw = Raw()
    for n in range(1, 8 * Patience.BURST, 2):
        raw.say(raw.headers(n) + data(n, message(b"last:")))
        raw.say(frame(RST_STREAM, 0, n, CANCEL))
    assert not raw.connection.over
    assert not raw.connection.streams


def test_messages_pay_for_their_window_updates() -> None:
    raw = Raw()
    raw.say(raw.headers(1))
    for _ in range(2 * Patience.BURST):
        raw.say(data(1, message(b"hello")) + frames.window_update(0, 10) + frames.window_update(1, 10))
    assert not raw.connection.over


@pytest.mark.parametrize("piece", [0, 1, 16_000])
def test_a_header_block_without_end_is_cut_off(piece: int) -> None:
    raw = Raw()
    raw.connection.receive(frame(HEADERS, 0, 1, b"\x83"), 0.0)
    for _ in range(20):
        answer = raw.say(frame(CONTINUATION, 0, 1, b"\x83" * piece))
        if raw.connection.over:
            assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM
            break
        assert raw.connection.held <= PARTS
    assert raw.connection.over
    assert raw.connection.held == 0


def test_header_fields_that_are_too_many_end_the_connection() -> None:
    raw = Raw()
    answer = raw.say(frame(HEADERS, END_HEADERS, 1, b"\x83" * 16_000))
    assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM


def test_more_data_than_the_connections_window_ends_it() -> None:
    """Only a peer that ignores windows can do it: they are given back as fast as data comes."""
    raw = Raw(Limits(connection_window=65_535, stream_window=2**31 - 1))
    raw.say(raw.headers(1))
    raw.connection.requests.receivable = 10
    assert goaway(raw.say(data(1, b"\0" * 11))) is frames.ErrorCode.FLOW_CONTROL_ERROR


def test_settings_that_move_many_windows_cost_as_much() -> None:
    raw = Raw()
    raw.say(b"".join(raw.headers(n) for n in range(1, 800, 2)))
    for n in range(200):
        answer = raw.say(frames.settings({INITIAL_WINDOW_SIZE: n}))
        if raw.connection.over:
            assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM
            break
    assert 10 < n < 50


def test_settings_that_change_very_often_cost_as_much() -> None:
    raw = Raw()
    changing = b"".join(struct.pack(">HI", INITIAL_WINDOW_SIZE, n & 1) for n in range(400))
    assert not raw.say(frame(frames.SETTINGS, 0, 0, changing))[1:], "once it is taken"
    for _ in range(5):
        answer = raw.say(frame(frames.SETTINGS, 0, 0, changing))
        if raw.connection.over:
            break
    assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM


ACCEPT_ENCODING: Final = b"\x90"  # one byte that is a whole field, of the static table


@pytest.mark.parametrize("kind", ["requests", "trailers", "of a stream we have reset"])
def test_header_blocks_of_very_many_fields_cost_as_much(kind: str) -> None:
    raw = Raw()
    raw.say(raw.headers(1) + frame(frames.WINDOW_UPDATE, 0, 1, b"\0" * 4))
    many, few = ACCEPT_ENCODING * 500, raw.headers(1)[frames.HEAD_SIZE :]
    for n in range(3, 203, 2):
        told = frame(HEADERS, END_HEADERS, n, few + many) + frame(RST_STREAM, 0, n, CANCEL)
        if kind == "trailers":
            told = raw.headers(n) + frame(HEADERS, END_HEADERS | frames.END_STREAM, n, many)
        elif kind != "requests":
            told = frame(HEADERS, END_HEADERS, 1, many)
        answer = raw.say(told)
        if raw.connection.over:
            assert goaway(answer) is frames.ErrorCode.ENHANCE_YOUR_CALM
            break
    assert 40 < n < 80


def test_as_many_fields_as_somebody_may_have_cost_nothing() -> None:
    raw = Raw()
    some = raw.headers(1)[frames.HEAD_SIZE :] + ACCEPT_ENCODING * 50
    for n in range(1, 4 * Patience.BURST, 2):
        raw.say(frame(HEADERS, END_HEADERS, n, some) + data(n, message(b"last:")))
        raw.say(frame(RST_STREAM, 0, n, CANCEL))
    assert not raw.connection.over


@pytest.mark.parametrize("name", ["x-long", "grpc-encoding"])
def test_open_calls_keep_nothing_of_what_came_with_them(name: str) -> None:
    raw = Raw()
    calls = [
        frame(
            HEADERS,
            END_HEADERS,
            n,
            bytes(raw.encoder.encode((*REQUEST, (name, f"{n}" + "x" * 15_000)), huffman=False)).removeprefix(b"\x20"),
        )
        for n in range(1, 201, 2)
    ]
    raw.say(calls.pop(0))
    tracemalloc.start()
    try:
        for call in calls:
            raw.say(call)
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(raw.connection.streams) == len(calls) + 1
    assert kept < 5_000 * len(calls)


def test_answers_that_a_peer_lets_wait_come_piece_by_piece() -> None:
    """Else it has all of them made and kept at once, which is many times what it may have us keep."""
    raw = Raw(settings={INITIAL_WINDOW_SIZE: 0})
    count = 3 * ROOM // A_FRAME // 2
    raw.say(frames.window_update(0, 2**30) + raw.headers(1))
    told = message(b"") * count
    for at in range(0, len(told), 16_000):
        raw.say(data(1, told[at : at + 16_000]))
    raw.connection.receive(frames.settings({INITIAL_WINDOW_SIZE: 2**30}), 0.0)
    assert len(raw.notes[1]) <= ROOM // A_FRAME + 2
    said = b""
    while taken := raw.connection.take():
        assert len(taken) <= ROOM
        said += taken
    assert len(body([*cut(said)], 1)) == len(told)
    assert not raw.connection.held


LIMITS: Final = Limits(streams=200, stream_window=65_535, connection_window=65_535, message=400_000, memory=1_000_000)


def begun(raw: Raw, stream: int) -> bytes:
    """The beginning of a message that never ends."""
    return raw.headers(stream) + data(stream, struct.pack(">BI", 0, 300_000) + b"\0" * 16_000)


def test_messages_that_never_end_take_no_more_than_they_may() -> None:
    raw = Raw(LIMITS)
    most, refused = 0, 0
    for n in range(1, 1000, 2):
        answer = raw.say(begun(raw, n))
        refused += len(resets(answer))
        for open_stream in [*raw.connection.streams][:3]:
            answer = raw.say(data(open_stream, b"\0" * 16_000))
            refused += len(resets(answer))
        most = max(most, raw.connection.held)
    assert LIMITS.memory // 2 < most <= LIMITS.memory + PARTS
    assert refused
    assert not raw.connection.over
    calls = [stream for stream in raw.connection.streams.values() if isinstance(stream, Call)]
    assert raw.connection.sending.held == sum(len(call._inbox or b"") for call in calls)


def test_answers_that_nobody_takes_take_no_more_than_they_may() -> None:
    raw = Raw(LIMITS, settings={INITIAL_WINDOW_SIZE: 0})
    most = 0
    for n in range(1, 1000, 2):
        answer = raw.say(raw.headers(n) + data(n, message(b"repeat:30000") + message(b"never") * 100))
        most = max(most, raw.connection.held)
        assert body(answer, n) == b""
    assert LIMITS.memory // 2 < most <= LIMITS.memory + PARTS
    assert all(b"never" not in notes for notes in raw.notes.values())
    for stream in [*raw.connection.streams]:
        raw.say(frame(RST_STREAM, 0, stream, CANCEL))
    assert raw.connection.held == 0


def test_a_call_whose_answers_wait_is_given_no_more_window() -> None:
    raw = Raw(LIMITS, settings={INITIAL_WINDOW_SIZE: 0})
    raw.say(raw.headers(1))
    answer = []
    for _ in range(4):
        answer += raw.say(data(1, message(b"x" * 16_000)))
    assert not [frames.number(p) for k, _, s, p in answer if k == frames.WINDOW_UPDATE and s == 1]
    assert raw.notes[1] == [b"x" * 16_000]
    answer = raw.say(frames.window_update(1, 100_000))
    assert len(raw.notes[1]) == 4
    assert [frames.number(p) for k, _, s, p in answer if k == frames.WINDOW_UPDATE and s == 1]


@pytest.mark.parametrize(
    "bad", [{"streams": 0}, {"memory": 0}, {"stream_window": 0}, {"stream_window": 2**31}, {"connection_window": 1}]
)
def test_limits_that_make_no_sense_are_refused(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"limit|window"):
        Limits(**bad)  # type: ignore[arg-type]
