"""The frames that carry no request: PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE.

Each makes work and asks for nothing, so each uses up some of the connection's patience. Sections are of RFC 9113.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from extproc.http2 import frames
from extproc.http2.faults import ConnectionFault, StreamFault
from extproc.http2.frames import FRAME_SIZE, FRAME_SIZE_MAX, WINDOW_MAX, ErrorCode

if TYPE_CHECKING:
    from extproc.http2.connection import Connection

_LAST_STREAM: Final = 2**31 - 1
_DRAINING: Final = b"draining"  # the PING after which a peer has read our first GOAWAY
_STREAMS_A_COST: Final = 16  # streams whose window a SETTINGS frame changes, for the price of one frame


class Control:
    """`handlers` are those of the kinds 2 to 8, in their order."""

    def __init__(self, connection: "Connection[Any]", acknowledged: Callable[[], None]) -> None:
        self._connection: Final = connection
        self._acknowledged: Final = acknowledged  # our SETTINGS
        self._sending: Final = connection.sending
        self._draining = False
        self.handlers: Final[tuple[Callable[[int, int, bytes], None], ...]] = (
            self._on_priority,
            self._on_rst_stream,
            self._on_settings,
            self._on_push_promise,
            self._on_ping,
            self._on_goaway,
            self._on_window_update,
        )

    def drain(self) -> None:
        """Let the peer open no more streams; those that are open go on.

        At first it is only told so, because streams are on their way that were opened before it knows (section 6.8).
        """
        if not self._draining and not self._connection.over:
            self._draining = True
            self._sending.out.extend((frames.goaway(_LAST_STREAM, ErrorCode.NO_ERROR), frames.ping(_DRAINING)))

    def _on_priority(self, _flags: int, number: int, payload: bytes) -> None:
        self._connection.spend()
        if not number:
            raise _breach("PRIORITY of the connection")
        if len(payload) != frames.PRIORITY_SIZE:
            raise StreamFault(ErrorCode.FRAME_SIZE_ERROR)
        if frames.number(payload[:4]) == number:
            raise StreamFault(ErrorCode.PROTOCOL_ERROR)

    def _on_rst_stream(self, _flags: int, number: int, payload: bytes) -> None:
        if len(payload) != frames.NUMBER_SIZE:
            raise _misshapen("RST_STREAM", payload)
        stream = self._connection.known(number)
        if stream is None:
            self._connection.spend()
            return
        if stream.local_open:  # Envoy resets what is answered, too, and that costs nobody anything
            self._connection.spend()
        self._connection.forget(stream)

    def _on_settings(self, flags: int, number: int, payload: bytes) -> None:
        connection = self._connection
        connection.expected = None
        connection.spend()
        if number:
            raise _breach("SETTINGS of a stream")
        if flags & frames.ACK:
            if payload:
                raise _misshapen("SETTINGS with ACK", payload)
            self._acknowledged()
            return
        if len(payload) % frames.SETTING_SIZE:
            raise _misshapen("SETTINGS", payload)
        values = frames.read_settings(payload)
        for name, value in values:
            _check(name, value)
        # What a wider window lets out comes after the acknowledgement: only then does the peer count with it.
        self._sending.out.append(frames.SETTINGS_ACK)
        for name, value in values:
            if name == frames.INITIAL_WINDOW_SIZE:
                self._set_windows(value)
            elif name == frames.MAX_FRAME_SIZE:
                self._sending.frame_size = value

    def _set_windows(self, window: int) -> None:
        """Streams that are open change by the difference (section 6.9.2)."""
        change = window - self._sending.initial_window
        self._sending.initial_window = window
        if not change:
            return
        streams = [*self._connection.streams.values()]
        self._connection.spend(1 + len(streams) // _STREAMS_A_COST)  # one frame has room for thousands of changes
        for stream in streams:
            try:
                self._widen(stream.number, change)
            except StreamFault as fault:
                raise ConnectionFault(fault.code, "SETTINGS_INITIAL_WINDOW_SIZE makes a window too large") from fault

    def _on_push_promise(self, _flags: int, _number: int, _payload: bytes) -> None:
        raise _breach("PUSH_PROMISE of a client")

    def _on_ping(self, flags: int, number: int, payload: bytes) -> None:
        self._connection.spend()
        if number:
            raise _breach("PING of a stream")
        if len(payload) != frames.PING_SIZE:
            raise _misshapen("PING", payload)
        if not flags & frames.ACK:
            self._sending.out.append(frames.ping_ack(payload))
        elif self._draining and payload == _DRAINING and self._connection.accepting:
            self._connection.accepting = False
            self._sending.out.append(frames.goaway(self._connection.last, ErrorCode.NO_ERROR))

    def _on_goaway(self, _flags: int, number: int, payload: bytes) -> None:
        """The peer wants no streams of ours, which we never open; what it has asked for is answered."""
        self._connection.spend()
        if number:
            raise _breach("GOAWAY of a stream")
        if len(payload) < frames.GOAWAY_SIZE:
            raise _misshapen("GOAWAY", payload)

    def _on_window_update(self, _flags: int, number: int, payload: bytes) -> None:
        self._connection.spend()
        if len(payload) != frames.NUMBER_SIZE:
            raise _misshapen("WINDOW_UPDATE", payload)
        increment = frames.number(payload)
        if number:
            if self._connection.known(number) is not None:
                if not increment:
                    raise StreamFault(ErrorCode.PROTOCOL_ERROR)
                self._widen(number, increment)
            return
        if not increment:
            raise _breach("WINDOW_UPDATE of 0")
        for stream in self._sending.widened(increment):
            stream.written()
        self._pay()

    def _widen(self, number: int, change: int) -> None:
        stream = self._connection.streams.get(number)
        if stream is None:  # writing on another stream has ended it
            return
        waited = stream.unsent is not None
        self._sending.widened_stream(stream, change)
        if waited and stream.unsent is None:
            stream.written()
        self._pay()

    def _pay(self) -> None:
        """Full frames that a wider window lets out are what it was widened for."""
        self._connection.patience.earned(self._sending.sent)
        self._sending.sent = 0


def _check(name: int, value: int) -> None:
    """Raises ConnectionFault for a setting out of its range (section 6.5.2)."""
    match name:
        case frames.ENABLE_PUSH if value > 1:
            raise _breach("SETTINGS_ENABLE_PUSH is neither 0 nor 1")
        case frames.INITIAL_WINDOW_SIZE if value > WINDOW_MAX:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "SETTINGS_INITIAL_WINDOW_SIZE is beyond 2^31-1")
        case frames.MAX_FRAME_SIZE if not FRAME_SIZE <= value <= FRAME_SIZE_MAX:
            raise _breach(f"SETTINGS_MAX_FRAME_SIZE is {value}")


def _breach(reason: str) -> ConnectionFault:
    return ConnectionFault(ErrorCode.PROTOCOL_ERROR, reason)


def _misshapen(what: str, payload: bytes) -> ConnectionFault:
    return ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, f"{what} of {len(payload)} bytes")
