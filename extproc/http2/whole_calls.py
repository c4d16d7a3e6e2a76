"""Calls that come whole and are answered whole: HEADERS and one DATA, one right behind the other, as Envoy writes them.

Theory of operation. Nearly all that a busy Envoy sends is such pairs, and later a RST_STREAM for each, in long runs.
Their header blocks are equal, or differ in the value of one field, so a pair is recognised by its bytes: everything up
to that value, from the value to the message, and the two stream numbers, in one step. What answers it depends on the
message alone, and is three frames that are constant but for the stream's number. So such a call needs no Stream: of one
that is answered, and that its peer has not closed, `half_closed` keeps what a Stream could be made of.

All of it is a shorter way to the same end. A run is only begun when no limit and no window can be reached within it;
what is no such pair is left to the usual way, frame by frame, and any other frame on a call of `half_closed` makes its
Stream first. Must stay true: what goes out, and what is known afterwards, is what the usual way would have made of the
same bytes.
"""

from collections.abc import Callable
from struct import Struct
from typing import Final, NamedTuple

from extproc.http2.connection import Connection
from extproc.http2.frames import DATA, END_HEADERS, HEAD_SIZE, HEADERS, NUMBER_SIZE, RST_STREAM
from extproc.http2.grpc_methods import Matches, Opening
from extproc.http2.grpc_status import AROUND, REPLY_MAX, Pieces, data_size
from extproc.http2.header_blocks import Shape
from extproc.http2.sending import A_FRAME
from extproc.http2.stream import KEY, Stream

_KIND: Final = Struct(">IB")  # a frame's head without its stream
_RESET: Final = _KIND.pack(NUMBER_SIZE << 8 | RST_STREAM, 0)
_RESET_SIZE: Final = HEAD_SIZE + NUMBER_SIZE

_BODY: Final = 1023  # bytes of DATA, at most
_SIZES: Final = 256  # of DATA that are known at a time
_NONE: Final = b"\x80\0\0\0"  # above every stream's number

# A pair's size, that of its DATA, what takes it apart, and what there is between the value and the second number.
_Pair = tuple[int, int, Callable[[bytes, int], tuple[bytes, ...]], bytes]


class _Form(NamedTuple):
    """How the calls begin that are recognised."""

    begins: bytes  # up to the stream's number
    lead: bytes  # of the header block, up to the value in which they differ
    behind: bytes  # of the header block, from there on
    value: int  # bytes of it
    fits: Matches | None  # None where there is no such value
    reply: Callable[[bytes], Pieces | None]
    least: int  # bytes of HEADERS and of a DATA without any
    pairs: dict[bytes, _Pair]  # by the size of their DATA, as it stands in frames


class WholeCalls:
    """The calls of `connection` that come whole. `half_closed` has, by stream, the DATA that came, and the answer."""

    def __init__(self, connection: Connection[Opening]) -> None:
        limits = connection.limits
        self.half_closed: Final[dict[bytes, tuple[int, Pieces]]] = {}
        self._connection: Final = connection
        self._sending: Final = connection.sending
        self._requests: Final = connection.requests
        self._blocks: Final = connection.requests.blocks
        self._streams: Final = limits.streams
        self._able: Final = limits.stream_window - _BODY > limits.stream_window // 2 and limits.message >= _BODY
        self._usual: Shape[Opening] | None = None
        self._form: _Form | None = None
        self._begins = _NONE

    def take(self, data: bytes, at: int) -> int:
        """Answer the calls, and forget the streams, whose frames stand at `at`; where the first other frame begins."""
        if self._blocks.usual is not self._usual:
            self._learn()
        if self.half_closed and data.startswith(_RESET, at):
            at = self._forget(data, at)
        return self._answer(data, at) if data.startswith(self._begins, at) else at

    def _learn(self) -> None:
        self._usual = usual = self._blocks.usual
        self._form, self._begins = None, _NONE
        opening = usual.opening if usual else None
        if usual is None or opening is None or opening.at_once is None or not self._able:
            return
        if opening.timeout is not None or opening.content_length is not None:
            return
        fits = opening.at_once.values(usual.name, usual.metadata_before + usual.metadata_after)
        if fits is not None:
            self._begins = _KIND.pack(usual.size << 8 | HEADERS, END_HEADERS)
            self._form = _Form(
                begins=self._begins,
                lead=usual.lead,
                behind=usual.after,
                value=usual.size - len(usual.lead) - len(usual.after),
                fits=fits if usual.name else None,
                reply=opening.at_once.answer,
                least=2 * HEAD_SIZE + usual.size,
                pairs={},
            )

    def _answer(self, data: bytes, at: int) -> int:
        connection, sending, requests, half_closed = self._connection, self._sending, self._requests, self.half_closed
        form, size = self._form, len(data) - at
        if form is None:
            return at
        begins, lead, _, _, fits, reply, least, pairs = form
        most = size // least
        if not (
            connection.accepting
            and sending.started
            and sending.initial_window >= REPLY_MAX
            and sending.window >= most * REPLY_MAX
            and sending.room >= most * (REPLY_MAX + A_FRAME)
            and requests.receivable - size > requests.half
            and self._blocks.means_the_same
            and len(connection.streams) + len(half_closed) + most <= self._streams
        ):
            return at
        began, last, end = at, KEY.pack(connection.last), len(data)
        size_at = least - HEAD_SIZE  # of the DATA
        out = []
        while end - at >= least:
            sized = data[at + size_at : at + size_at + 3]
            whole, size, parts, behind = pairs.get(sized) or _pair(form, sized)
            if end - at < whole or size > _BODY:
                break
            head, key, leads, value, follows, again, body = parts(data, at)
            if head != begins or leads != lead or follows != behind or again != key or not key[3] & 1:
                break
            if not last < key < _NONE or (fits is not None and fits(value) is None):
                break
            try:
                answer = reply(body)
            except Exception:  # noqa: BLE001 - it will be seen, and said, when it is asked in the usual way
                break
            if answer is None:
                break
            out.append(key.join(answer))
            half_closed[key] = size, answer
            last = key
            at += whole
        if out:
            answers = b"".join(out)
            sending.out.append(answers)
            size = len(answers) - len(out) * AROUND
            sending.window -= size
            sending.room -= size + len(out) * A_FRAME
            requests.receivable -= at - began - len(out) * least
            connection.last = int.from_bytes(last)
            connection.answered += len(out)
        return at

    def _forget(self, data: bytes, at: int) -> int:
        half_closed, closed, end = self.half_closed, self._connection.closed, len(data)
        while end - at >= _RESET_SIZE and data.startswith(_RESET, at):
            key = data[at + _KIND.size : at + HEAD_SIZE]
            if half_closed.pop(key, None) is None:
                break
            closed.append(key)
            at += _RESET_SIZE
        return at

    def restore(self, number: int) -> None:
        """Make a Stream of this one, where it is one of `half_closed`."""
        found = self.half_closed.pop(KEY.pack(number), None)
        if found is not None:
            size, answer = found
            self._connection.streams[number] = stream = Stream(self._connection, number)
            stream.local_open = False
            stream.receivable -= size
            stream.sendable -= data_size(answer)

    def restore_all(self) -> None:
        """Make a Stream of each."""
        for key in [*self.half_closed]:
            self.restore(int.from_bytes(key))


def _pair(form: _Form, sized: bytes) -> _Pair:
    size = min(int.from_bytes(sized), _BODY + 1)
    behind = form.behind + _KIND.pack(size << 8 | DATA, 0)
    parts = Struct(f">{_KIND.size}s4s{len(form.lead)}s{form.value}s{len(behind)}s4s{size}s")
    if len(form.pairs) == _SIZES:
        form.pairs.clear()
    form.pairs[sized] = pair = parts.size, size, parts.unpack_from, behind
    return pair
