"""gRPC on the connection, asked by the h2 library: messages, statuses, deadlines, and what is no call."""

import logging
from typing import Final

import pytest

from extproc.http2.grpc_calls import expire
from extproc.http2.grpc_methods import read_timeout
from extproc.http2.grpc_status import Status, trailers
from extproc.http2.limits import Limits
from tests.http2.given import REQUEST, Peer, message, messages

MEBIBYTE: Final = 1024 * 1024
BIG: Final = Limits(message=64 * MEBIBYTE, memory=256 * MEBIBYTE)


def ask(*told: bytes, limits: Limits | None = None, fields: tuple[tuple[str, str], ...] = REQUEST) -> tuple[Peer, int]:
    """One call that is told all of it, and then nothing more."""
    peer = Peer(limits)
    stream = peer.open(fields=fields)
    peer.pump()
    peer.send(stream, b"".join(told))
    if stream not in peer.ended:
        peer.h2.end_stream(stream)
        peer.pump()
    return peer, stream


def status(peer: Peer, stream: int) -> int:
    assert stream in peer.ended
    assert peer.headers[stream][":status"] == "200"
    assert peer.headers[stream]["content-type"] == "application/grpc"
    return int(peer.headers[stream]["grpc-status"])


def changed(name: str, value: str | None) -> tuple[tuple[str, str], ...]:
    others = tuple(field for field in REQUEST if field[0] != name)
    return others if value is None else (*others, (name, value)) if name[0] != ":" else ((name, value), *others)


def test_each_message_is_answered_and_the_call_ends_well() -> None:
    peer, stream = ask(message(b"one"), message(b""), message(b"three"))
    assert messages(peer.bodies[stream]) == [b"one", b"", b"three"]
    assert status(peer, stream) == Status.OK
    assert peer.notes[stream] == [b"one", b"", b"three", b"(over)"]


def test_a_call_that_says_nothing_ends_well() -> None:
    peer, stream = ask()
    assert status(peer, stream) == Status.OK
    assert peer.notes[stream] == [b"(over)"]


@pytest.mark.parametrize("last", [b"end:", b"last:"])
def test_the_service_may_end_a_call(last: bytes) -> None:
    peer = Peer()
    stream = peer.open()
    peer.send(stream, message(b"one") + message(last) + message(b"never"))
    peer.pump()
    assert messages(peer.bodies[stream]) == [b"one", b"last:"] if last == b"last:" else [b"one"]
    assert status(peer, stream) == Status.OK
    assert peer.notes[stream] == [b"one", last, b"(over)"]


def test_a_message_that_is_asked_for_nothing_is_answered_with_nothing() -> None:
    peer, stream = ask(message(b"silence"))
    assert peer.bodies[stream] == b""
    assert status(peer, stream) == Status.OK


def test_a_refusal_says_why_in_any_characters() -> None:
    peer, stream = ask(message(b"refuse"))
    assert status(peer, stream) == Status.INVALID_ARGUMENT
    assert peer.headers[stream]["grpc-message"] == "as it was asked: 100 %25 %C3%BF%0A"


def test_a_very_long_reason_is_cut_off() -> None:
    assert len(trailers(Status.INTERNAL, "é" * 100_000)) < 7_000


def test_a_service_that_fails_hurts_its_call_alone(caplog: pytest.LogCaptureFixture) -> None:
    peer = Peer()
    one, other = peer.open(), peer.open()
    peer.send(one, message(b"fail"))
    peer.send(other, message(b"hello"))
    peer.pump()
    assert status(peer, one) == Status.UNKNOWN
    assert messages(peer.bodies[other]) == [b"hello"]
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


@pytest.mark.parametrize("size", [100, 100_000, MEBIBYTE, 5 * MEBIBYTE])
def test_messages_of_any_size_go_both_ways(size: int) -> None:
    text = bytes(range(256)) * (size // 256)
    peer, stream = ask(message(text), message(b"repeat:%d" % size), message(text[:1000]), limits=BIG)
    assert messages(peer.bodies[stream]) == [text, b"x" * size, text[:1000]]
    assert status(peer, stream) == Status.OK
    assert peer.connection.sending.held == 0


def test_a_big_answer_crosses_a_big_question_of_another_call() -> None:
    peer = Peer(BIG)
    one, other = peer.open(), peer.open()
    peer.send(one, message(b"a" * MEBIBYTE)[:-1])
    peer.send(other, message(b"repeat:%d" % MEBIBYTE))
    peer.send(one, b"a")
    peer.pump()
    assert [messages(peer.bodies[n]) for n in (one, other)] == [[b"a" * MEBIBYTE], [b"x" * MEBIBYTE]]


@pytest.mark.parametrize(
    ("body", "fields", "expected", "reason"),
    [
        (message(b"x" * 100_001), REQUEST, Status.RESOURCE_EXHAUSTED, "a message of 100001 bytes"),
        (message(b"x", compressed=1), REQUEST, Status.INTERNAL, "no grpc-encoding"),
        (message(b"x", compressed=1), changed("grpc-encoding", "identity"), Status.INTERNAL, "no grpc-encoding"),
        (message(b"x", compressed=1), changed("grpc-encoding", "gzip"), Status.UNIMPLEMENTED, "compressed with gzip"),
        (message(b"x", compressed=2), changed("grpc-encoding", "gzip"), Status.INTERNAL, "flags 2"),
        (message(b"hello")[:-1], REQUEST, Status.INTERNAL, "inside a message"),
        (message(b"hello")[:3], REQUEST, Status.INTERNAL, "inside a message"),
        (b"", changed(":path", "/test.Echo/Shout"), Status.UNIMPLEMENTED, "no method /test.Echo/Shout"),
        (b"", changed("grpc-timeout", "soon"), Status.INTERNAL, "grpc-timeout soon"),
    ],
)
def test_what_is_not_taken_is_refused(
    body: bytes, fields: tuple[tuple[str, str], ...], expected: Status, reason: str
) -> None:
    peer, stream = ask(body, limits=Limits(message=100_000), fields=fields)
    assert status(peer, stream) == expected
    assert reason in peer.headers[stream]["grpc-message"]
    assert not peer.notes[stream][:-1]
    if expected is Status.UNIMPLEMENTED:
        assert peer.headers[stream]["grpc-accept-encoding"] == "identity"
    assert not peer.goaways


def test_a_client_that_is_refused_is_told_to_stop() -> None:
    peer = Peer(Limits(message=100_000))
    stream = peer.open()
    peer.send(stream, message(b"x" * 100_001))
    peer.pump()
    assert status(peer, stream) == Status.RESOURCE_EXHAUSTED
    assert not peer.connection.streams


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        (changed(":method", "GET"), "405"),
        (changed("content-type", "application/json"), "415"),
        (changed("content-type", "application/grpc-web"), "415"),
        (changed("content-type", None), "415"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"{}" * 100_000])
def test_what_is_no_call_is_answered_in_http(fields: tuple[tuple[str, str], ...], answer: str, body: bytes) -> None:
    peer, stream = ask(body, fields=fields)
    assert peer.headers[stream] == {":status": answer}
    assert peer.bodies[stream] == b"Only gRPC calls are answered here.\n"
    assert not peer.connection.streams


@pytest.mark.parametrize("kind", ["application/grpc+proto", "application/grpc;charset=utf-8"])
def test_other_names_of_grpc_are_taken(kind: str) -> None:
    peer, stream = ask(message(b"hello"), fields=changed("content-type", kind))
    assert messages(peer.bodies[stream]) == [b"hello"]


def test_a_call_that_is_reset_is_over() -> None:
    peer = Peer()
    stream = peer.open()
    peer.send(stream, message(b"hello"))
    peer.h2.reset_stream(stream)
    peer.pump()
    assert peer.notes[stream] == [b"hello", b"(over)"]
    assert not peer.connection.streams


def test_a_call_ends_at_its_deadline() -> None:
    peer = Peer()
    late = peer.open(fields=changed("grpc-timeout", "100m"))
    later = peer.open(fields=changed("grpc-timeout", "2S"))
    over = peer.open(fields=changed("grpc-timeout", "50m"), end=True)
    never = peer.open()
    peer.pump()
    assert peer.connection.deadlines.next == pytest.approx(0.05)
    expire(peer.connection, 0.099)
    assert status(peer, over) == Status.OK
    peer.pump()
    assert peer.ended == {over}
    expire(peer.connection, 0.1)
    peer.pump()
    assert status(peer, late) == Status.DEADLINE_EXCEEDED
    assert peer.notes[late] == [b"(over)"]
    assert peer.connection.deadlines.next == 2.0
    peer.h2.reset_stream(later)
    peer.pump()
    expire(peer.connection, 1e9)
    assert set(peer.connection.streams) == {never}


def test_deadlines_of_calls_that_are_over_take_no_memory() -> None:
    peer = Peer()
    for _ in range(300):
        ask_again = peer.open(fields=changed("grpc-timeout", "99999999H"), end=True)
    peer.pump()
    assert len(peer.connection.deadlines._heap) <= 64
    assert status(peer, ask_again) == Status.OK


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1H", 3600.0), ("2M", 120.0), ("3S", 3.0), ("4m", 4e-3), ("5u", 5e-6), ("6n", 6e-9), ("99999999S", 99999999.0)],
)
def test_timeouts_have_units(text: str, seconds: float) -> None:
    assert read_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "1", "S", "-1S", "1.5S", "123456789S", "1s", " 1S", "٣S"])
def test_what_is_no_timeout(text: str) -> None:
    assert read_timeout(text) is None
