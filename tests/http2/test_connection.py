"""The connection, frame by frame: what RFC 9113 lets a peer send, and what each breach of it is answered with."""

import struct
from typing import Final

import pytest

from extproc.http2 import frames
from extproc.http2.frames import (
    CONTINUATION,
    DATA,
    DEFAULT_WINDOW,
    FRAME_SIZE,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ErrorCode,
    frame,
)
from extproc.http2.limits import Limits
from tests.http2.given import END_HEADERS, END_STREAM, REQUEST, Raw, Server, cut, data, message, messages

HELLO: Final = message(b"hello")
Frames = list[tuple[int, int, int, bytes]]


def goaway(answer: Frames) -> ErrorCode:
    (found,) = (payload for kind, _, _, payload in answer if kind == GOAWAY)
    return ErrorCode(int.from_bytes(found[4:8]))


def resets(answer: Frames) -> dict[int, ErrorCode]:
    return {stream: ErrorCode(frames.number(payload)) for kind, _, stream, payload in answer if kind == RST_STREAM}


def body(answer: Frames, stream: int = 1) -> bytes:
    return b"".join(payload for kind, _, of, payload in answer if kind == DATA and of == stream)


def test_it_says_first_what_it_allows() -> None:
    server = Server(Limits(streams=7, stream_window=100_000, connection_window=200_000))
    (kind, _, _, settings), (widened, _, stream, increment) = cut(server.connection.take())
    assert kind == SETTINGS
    assert dict(frames.read_settings(settings)) == {1: 0, 3: 7, 4: 100_000, 6: 32_768}
    assert (widened, stream, frames.number(increment)) == (WINDOW_UPDATE, 0, 200_000 - DEFAULT_WINDOW)


def test_a_request_cut_at_every_byte_is_answered_the_same() -> None:
    raw = Raw()
    whole = raw.headers(1) + data(1, HELLO) + data(1, message(b"last:") + message(b"never"), END_STREAM)
    expected = raw.say(whole)
    assert messages(body(expected)) == [b"hello", b"last:"]
    whole = PREFACE + frames.settings({}) + frames.SETTINGS_ACK + whole
    for at in range(len(whole) + 1):
        other = Server()
        other.connection.take()
        other.connection.receive(whole[:at], 0.0)
        other.connection.receive(whole[at:], 0.0)
        answer = [*cut(other.connection.take())]
        assert answer == [(SETTINGS, 1, 0, b""), *expected]
    bytewise = Server()
    bytewise.connection.take()
    for byte in whole:
        bytewise.connection.receive(bytes([byte]), 0.0)
    assert [*cut(bytewise.connection.take())] == [(SETTINGS, 1, 0, b""), *expected]


def test_many_streams_of_one_read_are_answered_in_one_go() -> None:
    raw = Raw()
    numbers = range(1, 200, 2)
    read = b"".join(raw.headers(n) + data(n, message(b"last:%d" % n), END_STREAM) for n in numbers)
    answer = raw.say(read)
    assert {n: messages(body(answer, n)) for n in numbers} == {n: [b"last:%d" % n] for n in numbers}
    assert not raw.connection.streams


def test_padding_priority_and_continuation_change_nothing() -> None:
    raw = Raw()
    block = raw.encoder.encode(REQUEST)
    expected = raw.say(raw.headers(1) + data(1, HELLO))
    padded = b"\x03" + HELLO + b"\0\0\0"
    weight = struct.pack(">IB", 99, 10)
    for n, opening in (
        (3, frame(HEADERS, END_HEADERS | PADDED, 3, b"\x02" + block + b"\0\0")),
        (5, frame(HEADERS, END_HEADERS | PRIORITISED, 5, weight + block)),
        (7, frame(HEADERS, END_HEADERS | PRIORITISED | PADDED, 7, b"\x01" + weight + block + b"\0")),
        (9, frame(HEADERS, 0, 9, block[:5]) + frame(CONTINUATION, 0, 9) + frame(CONTINUATION, 4, 9, block[5:])),
    ):
        answer = raw.say(frame(PRIORITY, 0, n, weight) + opening + data(n, padded, PADDED))
        assert body(answer, n) == body(expected)
        assert [kind for kind, *_ in answer] == [HEADERS, DATA]


def test_what_nobody_knows_is_ignored() -> None:
    raw = Raw()
    answer = raw.say(frame(0x77, 0xFF, 5, b"?") + frames.settings({0x99: 5}) + raw.headers(1) + data(1, HELLO))
    assert [kind for kind, *_ in answer] == [SETTINGS, HEADERS, DATA]


def test_the_reserved_bit_of_a_stream_is_ignored() -> None:
    raw = Raw()
    answer = raw.say(raw.headers(1) + frame(DATA, 0, 1 | 1 << 31, HELLO))
    assert messages(body(answer)) == [b"hello"]


def test_trailers_end_a_request() -> None:
    raw = Raw()
    trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, raw.encoder.encode([("x-checksum", "1")]))
    answer = raw.say(raw.headers(1) + data(1, HELLO) + trailers)
    assert [(kind, flags & END_STREAM) for kind, flags, *_ in answer] == [
        (HEADERS, 0),
        (DATA, 0),
        (HEADERS, END_STREAM),
    ]
    assert not raw.connection.streams


def test_a_ping_is_answered_with_what_it_holds() -> None:
    assert Raw().say(frame(PING, 0, 0, b"12345678") + frame(PING, 1, 0, b"abcdefgh")) == [(PING, 1, 0, b"12345678")]


def test_a_peer_that_goes_away_is_answered_to_the_end() -> None:
    raw = Raw()
    answer = raw.say(raw.headers(1) + frames.goaway(0, ErrorCode.NO_ERROR) + data(1, HELLO))
    assert messages(body(answer)) == [b"hello"]


BLOCK: Final = bytes.fromhex("8386")


@pytest.mark.parametrize(
    ("breach", "code"),
    [
        (frame(DATA, 0, 0, b"x"), "PROTOCOL_ERROR"),
        (frame(DATA, 0, 1, b"x"), "PROTOCOL_ERROR"),
        (frame(DATA, 0, 2, b"x"), "PROTOCOL_ERROR"),
        (frame(HEADERS, 4, 0, BLOCK), "PROTOCOL_ERROR"),
        (frame(HEADERS, 4, 2, BLOCK), "PROTOCOL_ERROR"),
        (frame(HEADERS, 4, 1, b"\xff"), "COMPRESSION_ERROR"),
        (frame(HEADERS, 4 | PADDED, 1, b"\x05abc"), "PROTOCOL_ERROR"),
        (frame(HEADERS, 4 | PRIORITISED, 1, b"\0\0"), "FRAME_SIZE_ERROR"),
        (frame(HEADERS, 4 | PRIORITISED, 1, struct.pack(">IB", 1, 1) + BLOCK), "PROTOCOL_ERROR"),
        (frame(HEADERS, 0, 1, BLOCK) + frame(DATA, 0, 1), "PROTOCOL_ERROR"),
        (frame(HEADERS, 0, 1, BLOCK) + frame(0x77, 0, 1), "PROTOCOL_ERROR"),
        (frame(HEADERS, 0, 1, BLOCK) + frame(CONTINUATION, 4, 3, BLOCK), "PROTOCOL_ERROR"),
        (frame(CONTINUATION, 4, 1, BLOCK), "PROTOCOL_ERROR"),
        (frame(PRIORITY, 0, 0, b"\0" * 5), "PROTOCOL_ERROR"),
        (frame(RST_STREAM, 0, 0, b"\0" * 4), "PROTOCOL_ERROR"),
        (frame(RST_STREAM, 0, 1, b"\0" * 4), "PROTOCOL_ERROR"),
        (frame(RST_STREAM, 0, 1, b"\0" * 3), "FRAME_SIZE_ERROR"),
        (frame(SETTINGS, 0, 1), "PROTOCOL_ERROR"),
        (frame(SETTINGS, 0, 0, b"\0" * 5), "FRAME_SIZE_ERROR"),
        (frame(SETTINGS, 1, 0, b"\0" * 6), "FRAME_SIZE_ERROR"),
        (frames.settings({frames.ENABLE_PUSH: 2}), "PROTOCOL_ERROR"),
        (frames.settings({INITIAL_WINDOW_SIZE: 2**31}), "FLOW_CONTROL_ERROR"),
        (frames.settings({frames.MAX_FRAME_SIZE: 16_383}), "PROTOCOL_ERROR"),
        (frames.settings({frames.MAX_FRAME_SIZE: 2**24}), "PROTOCOL_ERROR"),
        (frame(PUSH_PROMISE, 4, 1, b"\0" * 4), "PROTOCOL_ERROR"),
        (frame(PING, 0, 1, b"\0" * 8), "PROTOCOL_ERROR"),
        (frame(PING, 0, 0, b"\0" * 7), "FRAME_SIZE_ERROR"),
        (frame(GOAWAY, 0, 1, b"\0" * 8), "PROTOCOL_ERROR"),
        (frame(GOAWAY, 0, 0, b"\0" * 7), "FRAME_SIZE_ERROR"),
        (frame(WINDOW_UPDATE, 0, 0, b"\0" * 3), "FRAME_SIZE_ERROR"),
        (frame(WINDOW_UPDATE, 0, 0, b"\0" * 4), "PROTOCOL_ERROR"),
        (frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"), "PROTOCOL_ERROR"),
        (frames.window_update(0, 2**31 - 1), "FLOW_CONTROL_ERROR"),
        (frame(PING, 0, 0, b"\0" * (FRAME_SIZE + 1)), "FRAME_SIZE_ERROR"),
        (frame(PING, 0, 0, b"\0" * (FRAME_SIZE + 1))[:9], "FRAME_SIZE_ERROR"),
    ],
)
def test_a_breach_ends_the_connection_with_its_code(breach: bytes, code: str) -> None:
    raw = Raw()
    assert goaway(raw.say(breach)).name == code
    assert raw.connection.over
    assert raw.say(raw.headers(1) + data(1, HELLO)) == []


@pytest.mark.parametrize(
    "opening", [b"GET / HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nXX", PREFACE + frame(PING, 0, 0, b"8" * 8)]
)
def test_what_is_no_http2_is_turned_away(opening: bytes) -> None:
    server = Server()
    server.connection.take()
    server.connection.receive(opening, 0.0)
    assert goaway([*cut(server.connection.take())]) is ErrorCode.PROTOCOL_ERROR


LENGTH: Final = ("content-length", "3")


@pytest.mark.parametrize(
    ("fields", "more", "code"),
    [
        (REQUEST, data(1, b"\0" * FRAME_SIZE), "FLOW_CONTROL_ERROR"),
        (REQUEST, frame(WINDOW_UPDATE, 0, 1, b"\0" * 4), "PROTOCOL_ERROR"),
        (REQUEST, frames.window_update(1, 2**31 - 1), "FLOW_CONTROL_ERROR"),
        (REQUEST, frame(PRIORITY, 0, 1, b"\0" * 4), "FRAME_SIZE_ERROR"),
        (REQUEST, frame(PRIORITY, 0, 1, struct.pack(">IB", 1, 1)), "PROTOCOL_ERROR"),
        (REQUEST, frame(HEADERS, END_HEADERS, 1, b"\x00\x01x\x01y"), "PROTOCOL_ERROR"),
        (REQUEST, frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x83"), "PROTOCOL_ERROR"),
        (REQUEST[1:], b"", "PROTOCOL_ERROR"),
        ((*REQUEST, (":method", "POST")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, (":path", "/x")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST[1:], ("x", "y"), REQUEST[0]), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, ("X", "y")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, (":status", "200")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, ("connection", "close")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, ("te", "gzip")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, ("x", "a\nb")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, ("content-length", "x")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, LENGTH, ("content-length", "4")), b"", "PROTOCOL_ERROR"),
        ((*REQUEST, LENGTH), data(1, b"four"), "PROTOCOL_ERROR"),
        ((*REQUEST, LENGTH), data(1, b"12", END_STREAM), "PROTOCOL_ERROR"),
        (((":method", "CONNECT"), (":authority", "x"), (":path", "/")), b"", "PROTOCOL_ERROR"),
    ],
)
def test_a_fault_ends_its_stream_alone(fields: tuple[tuple[str, str], ...], more: bytes, code: str) -> None:
    raw = Raw(Limits(stream_window=16_000, message=50_000))
    answer = raw.say(raw.headers(1, fields=fields) + more)
    assert {stream: c.name for stream, c in resets(answer).items()} == {1: code}
    assert messages(body(raw.say(raw.headers(3) + data(3, HELLO)), 3)) == [b"hello"]


def test_a_body_of_the_announced_length_is_taken() -> None:
    raw = Raw()
    answer = raw.say(raw.headers(1, fields=(*REQUEST, ("content-length", "10"))) + data(1, HELLO, END_STREAM))
    assert messages(body(answer)) == [b"hello"]
    assert not resets(answer)


def test_late_frames_of_a_closed_stream() -> None:
    raw = Raw()
    raw.say(raw.headers(1) + data(1, HELLO, END_STREAM))
    assert (
        raw.say(frames.window_update(1, 5) + frame(RST_STREAM, 0, 1, b"\0" * 4) + frame(PRIORITY, 0, 1, b"\0" * 5))
        == []
    )
    assert resets(raw.say(data(1, HELLO))) == {1: ErrorCode.STREAM_CLOSED}
    assert raw.say(data(1, HELLO)) == [], "it was reset by us: what comes crosses that"
    assert raw.say(raw.headers(1)) == []
    raw.say(raw.headers(5, END_HEADERS | END_STREAM))
    assert goaway(raw.say(raw.headers(5))) is ErrorCode.STREAM_CLOSED


def test_streams_open_in_their_order() -> None:
    raw = Raw()
    raw.say(raw.headers(5))
    assert goaway(raw.say(raw.headers(3))) is ErrorCode.PROTOCOL_ERROR


def test_a_request_that_is_answered_is_stopped_when_it_goes_on() -> None:
    raw = Raw()
    answer = raw.say(raw.headers(1) + data(1, message(b"last:")))
    assert answer[-1][:2] == (HEADERS, END_HEADERS | END_STREAM)
    assert not resets(answer), "who has nothing to add is left in peace"
    assert resets(raw.say(data(1, HELLO))) == {1: ErrorCode.NO_ERROR}
    assert raw.say(data(1, HELLO)) == []
    raw.say(raw.headers(3) + data(3, message(b"last:")))
    assert raw.say(data(3, b"", END_STREAM)) == []
    assert not raw.connection.streams


def test_more_streams_than_allowed_are_refused_and_may_be_tried_again() -> None:
    raw = Raw(Limits(streams=2))
    answer = raw.say(b"".join(raw.headers(n) for n in (1, 3, 5)))
    assert resets(answer) == {5: ErrorCode.REFUSED_STREAM}
    assert messages(body(raw.say(frame(RST_STREAM, 0, 1, b"\0\0\0\x08") + raw.headers(7) + data(7, HELLO)), 7)) == [
        b"hello"
    ]


def test_answers_wait_for_the_windows() -> None:
    raw = Raw(settings={INITIAL_WINDOW_SIZE: 4})
    answer = raw.say(raw.headers(1) + data(1, HELLO) + data(1, message(b"end:"), END_STREAM))
    got = body(answer)
    assert len(got) == 4
    assert raw.notes[1] == [b"hello"], "the next message has to wait"
    got += body(raw.say(frames.window_update(1, 1)))
    assert len(got) == 5
    got += body(raw.say(frames.settings({INITIAL_WINDOW_SIZE: 6})))
    assert len(got) == 7
    assert raw.say(frames.settings({INITIAL_WINDOW_SIZE: 0})) == [(SETTINGS, 1, 0, b"")]
    assert body(raw.say(frames.window_update(1, 6))) == b"", "the window was below 0"
    answer = raw.say(frames.window_update(1, 100))
    got += body(answer)
    assert messages(got) == [b"hello"]
    assert raw.notes[1] == [b"hello", b"end:", b"(over)"]
    assert answer[-1][:2] == (HEADERS, END_HEADERS | END_STREAM)


@pytest.mark.parametrize("window", ["stream", "connection"])
def test_an_answer_that_is_the_last_waits_for_the_windows_as_well(window: str) -> None:
    raw = Raw(settings={INITIAL_WINDOW_SIZE: 100_000 if window == "connection" else 4})
    if window == "connection":  # all but four bytes of it are used up
        raw.say(raw.headers(1) + data(1, message(b"repeat:65526")))
    raw.say(raw.headers(3, END_HEADERS | END_STREAM))
    answer = raw.say(raw.headers(5) + data(5, message(b"last:"), END_STREAM))
    assert len(body(answer, 5)) == 4
    answer += raw.say(frames.window_update(0 if window == "connection" else 5, 100))
    assert messages(body(answer, 5)) == [b"last:"]
    assert answer[-1][:2] == (HEADERS, END_HEADERS | END_STREAM)


def test_the_connections_window_is_shared() -> None:
    raw = Raw(settings={INITIAL_WINDOW_SIZE: 1_000_000})
    size = 40_000
    read = b"".join(raw.headers(n) + data(n, message(b"repeat:%d" % size)) for n in (1, 3, 5))
    answer = raw.say(read)
    assert sum(len(body(answer, n)) for n in (1, 3, 5)) == DEFAULT_WINDOW
    answer += raw.say(frames.window_update(0, 1_000_000))
    assert [messages(body(answer, n)) for n in (1, 3, 5)] == [[b"x" * size]] * 3
    assert max(len(payload) for kind, _, _, payload in answer if kind == DATA) == FRAME_SIZE
    assert raw.connection.sending.held == 0


def test_larger_frames_are_sent_to_who_takes_them() -> None:
    raw = Raw(settings={frames.MAX_FRAME_SIZE: 60_000})
    answer = raw.say(raw.headers(1) + data(1, message(b"repeat:50000")))
    assert [len(payload) for kind, _, _, payload in answer if kind == DATA] == [50_005]


def test_windows_are_given_back_as_they_are_used() -> None:
    raw = Raw(Limits(stream_window=20_000, connection_window=65_535))
    raw.say(raw.headers(1))
    got = [f for _ in range(20) for f in raw.say(data(1, message(b"silence:" + b"x" * 9_000)))]
    widened = {n: sum(frames.number(p) for k, _, s, p in got if k == WINDOW_UPDATE and s == n) for n in (0, 1)}
    assert all(20 * 9_013 - 65_535 <= increment <= 20 * 9_013 for increment in widened.values())
    assert len(raw.notes[1]) == 20


def test_padding_uses_up_windows() -> None:
    raw = Raw(Limits(stream_window=1000))
    padded = frame(DATA, PADDED, 1, b"\xff" + message(b"silence") + b"\0" * 255)
    answer = raw.say(raw.headers(1) + padded * 3)
    assert sum(frames.number(p) for k, _, s, p in answer if k == WINDOW_UPDATE and s == 1) >= 3 * 256 - 500


def test_a_drained_connection_ends_with_its_last_stream() -> None:
    raw = Raw()
    raw.say(raw.headers(1))
    raw.connection.drain()
    raw.connection.drain()
    (first, ping) = cut(raw.connection.take())
    assert first[0] == GOAWAY
    assert frames.number(first[3][:4]) == 2**31 - 1
    raw.say(raw.headers(3))  # on its way when the peer was told
    (last,) = raw.say(frame(PING, 1, 0, ping[3]))
    assert (last[0], frames.number(last[3][:4]), goaway([last])) == (GOAWAY, 3, ErrorCode.NO_ERROR)
    assert raw.say(raw.headers(5) + data(5, HELLO)) == [], "the peer knows that nobody works on it"
    assert messages(body(raw.say(data(1, HELLO) + data(1, b"", END_STREAM)))) == [b"hello"]
    assert not raw.connection.over
    assert not raw.connection.all_answered
    assert messages(body(raw.say(data(3, message(b"last:"))), 3)) == [b"last:"]
    assert raw.connection.all_answered
    assert not raw.connection.over, "a client may take this for the end of a call that it has not ended itself"
    raw.say(data(3, b"", END_STREAM))
    assert raw.connection.over
    assert raw.notes[3][-1] == b"(over)"


def test_an_idle_connection_is_drained_at_once() -> None:
    raw = Raw()
    raw.connection.drain()
    (_, ping) = cut(raw.connection.take())
    raw.say(frame(PING, 1, 0, ping[3]))
    assert raw.connection.over


def test_a_header_block_that_is_none_ends_the_connection_with_a_reason_that_tells_nothing_else() -> None:
    reasons = set()
    for _ in range(2):
        raw = Raw()
        [(kind, _, _, payload)] = raw.say(frame(HEADERS, END_HEADERS, 1, b"\x7f" + b"\xff" * 20))
        assert (kind, payload[4:8]) == (frames.GOAWAY, struct.pack(">I", ErrorCode.COMPRESSION_ERROR))
        reasons.add(payload[8:])
    assert reasons == {b"not HPACK: HPACKDecodingError"}
