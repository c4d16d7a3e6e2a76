"""Any order of what a peer may do, with the h2 library as the peer: it finds no fault with us, and no message is lost.

A model of each call says what it was told; what comes back has to be the answers to that, in order, as far as windows
and cuts have let it through, and all of it in the end.
"""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from extproc.http2.limits import Limits
from tests.http2.given import REQUEST, Peer, message, messages

TEXT = (
    st.binary(max_size=40)
    | st.integers(0, 60_000).map(lambda size: b"repeat:%d" % size)
    | st.integers(0, 60_000).map(bytes)
)
LIMITS = Limits(streams=20, stream_window=30_000, connection_window=65_535, message=70_000, memory=2_000_000)


def answer(text: bytes) -> bytes:
    return b"x" * int(text[7:]) if text.startswith(b"repeat:") else text


def harmless(text: bytes) -> bool:
    """Whether it is echoed: what means something to the service is left to other tests."""
    return text.startswith(b"repeat:") or text.partition(b":")[0] not in {
        b"refuse",
        b"fail",
        b"silence",
        b"end",
        b"last",
        b"repeat",
    }


class Conversation(RuleBasedStateMachine):
    """`told` holds the bytes of each open call that are still to be sent; `said` the messages of every call."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer(LIMITS)
        self.told: dict[int, bytes] = {}
        self.said: dict[int, list[bytes]] = {}
        self.taking = True
        self.untaken: list[tuple[int, int]] = []

    @initialize(window=st.sampled_from([0, 1, 100, 65_535, 1_000_000]), frame=st.sampled_from([16_384, 30_000]))
    def begin(self, window: int, frame: int) -> None:
        self.settings({4: window, 5: frame})

    def settings(self, values: dict[int, int]) -> None:
        """Change the peer's settings. With two changes under way, h2 takes the answer to the first for both."""
        self.pump(1_000_000)
        self.peer.h2.update_settings(values)

    def pump(self, cut: int) -> None:
        """Carry bytes to and fro, in pieces of `cut` bytes to us."""
        peer = self.peer
        while True:
            sent = peer.h2.data_to_send()
            for at in range(0, len(sent), cut):
                peer.connection.receive(sent[at : at + cut], 0.0)
                self.take(peer.connection.take())
            received = peer.connection.take()
            self.take(received)
            if not sent and not received:
                return

    def take(self, received: bytes) -> None:
        for event in self.peer.h2.receive_data(received):
            self.note(event)

    def note(self, event: Any) -> None:
        size = getattr(event, "flow_controlled_length", None)
        if size:
            self.untaken.append((event.stream_id, size))
        self.peer._note(event, take=False)

    def calls(self) -> list[int]:
        return sorted(self.told)

    @rule(
        fields=st.lists(st.sampled_from([("x-a", "1"), ("traceparent", "00-1"), ("traceparent", "00-2")]), max_size=2)
    )
    @precondition(lambda self: len(self.told) < LIMITS.streams)
    def open(self, fields: list[tuple[str, str]]) -> None:
        stream = self.peer.open(fields=(*REQUEST, *fields))
        self.told[stream], self.said[stream] = b"", []

    @rule(which=st.integers(0, 50), text=TEXT.filter(harmless))
    @precondition(lambda self: self.told)
    def say(self, which: int, text: bytes) -> None:
        stream = self.calls()[which % len(self.told)]
        self.told[stream] += message(text)
        self.said[stream].append(text)

    @rule(which=st.integers(0, 50), size=st.integers(1, 40_000), padding=st.none() | st.integers(0, 255))
    @precondition(lambda self: self.told)
    def send(self, which: int, size: int, padding: int | None) -> None:
        peer, stream = self.peer, self.calls()[which % len(self.told)]
        extra = 0 if padding is None else padding + 1
        room = min(peer.h2.local_flow_control_window(stream), peer.h2.max_outbound_frame_size) - extra
        if room > 0:
            piece, self.told[stream] = self.told[stream][: min(size, room)], self.told[stream][min(size, room) :]
            peer.h2.send_data(stream, piece, pad_length=padding)

    @rule(cut=st.sampled_from([1, 7, 100, 5_000, 1_000_000]))
    def exchange(self, cut: int) -> None:
        # One byte at a time is for short ones.
        self.pump(max(cut, len(self.peer.h2._data_to_send) // 500 + 1))

    @rule(which=st.integers(0, 50))
    @precondition(lambda self: self.untaken)
    def widen(self, which: int) -> None:
        stream, size = self.untaken.pop(which % len(self.untaken))
        self.peer.h2.acknowledge_received_data(size, stream)

    @rule(window=st.sampled_from([0, 1, 5_000, 65_535]))
    def settle(self, window: int) -> None:
        self.settings({4: window})

    @rule()
    def ping(self) -> None:
        self.peer.h2.ping(b"12345678")

    @rule(which=st.integers(0, 50))
    @precondition(lambda self: self.told)
    def reset(self, which: int) -> None:
        stream = self.calls()[which % len(self.told)]
        self.peer.h2.reset_stream(stream)
        del self.told[stream], self.said[stream]

    @invariant()
    def answers_are_those_that_were_asked_for(self) -> None:
        for stream, said in self.said.items():
            expected = b"".join(message(answer(text)) for text in said)
            assert expected.startswith(self.peer.bodies[stream])

    @invariant()
    def nothing_is_held_beyond_the_limit(self) -> None:
        assert self.peer.connection.held <= LIMITS.memory + 48 * 1024
        assert not self.peer.connection.over

    def teardown(self) -> None:
        """In the end everything is said, taken, and answered."""
        self.settings({4: 100_000})
        self.pump(1_000_000)
        for _ in range(1000):
            for stream, size in self.untaken:
                self.peer.h2.acknowledge_received_data(size, stream)
            self.untaken.clear()
            for stream in self.calls():
                self.send_all(stream)
            self.pump(1_000_000)
            if not self.untaken and not self.told:
                break
        assert not self.told, "a call is stuck"
        for stream, said in self.said.items():
            assert messages(self.peer.bodies[stream]) == [answer(text) for text in said]
            assert self.peer.headers[stream]["grpc-status"] == "0"
        assert self.peer.connection.sending.held == 0
        assert not self.peer.connection.streams

    def send_all(self, stream: int) -> None:
        h2_connection = self.peer.h2
        room = min(h2_connection.local_flow_control_window(stream), h2_connection.max_outbound_frame_size)
        if self.told[stream] and room > 0:
            h2_connection.send_data(stream, self.told[stream][:room])
            self.told[stream] = self.told[stream][room:]
        if not self.told[stream]:
            h2_connection.end_stream(stream)
            del self.told[stream]


Conversation.TestCase.settings = settings(max_examples=30, stateful_step_count=40, suppress_health_check=[*HealthCheck])
TestConversation = Conversation.TestCase
