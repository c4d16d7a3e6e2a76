"""`python -m benchmarks.peers.floor PORT`: the least that an ext_proc server can do; no server that decides is faster.

It knows the lengths of frames and nothing else of HTTP/2, reads no header and no message, and gives every stream the
same constant answer. What it reaches is what Envoy's own part leaves, on the machine that it runs on.
"""

import asyncio
import sys
from struct import Struct
from typing import Final, cast

import uvloop

from benchmarks.peers.decision import CANDIDATES, labelled

_HEAD: Final = Struct(">IBI")  # a frame's length and kind, its flags, its stream
_DATA, _HEADERS, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 4, 6, 8
_END_HEADERS, _END, _ACK = 4, 5, 1
_PREFACE: Final = 24  # bytes, which are not looked at either
_OPENING: Final = b"\x88\x00\x0ccontent-type\x10application/grpc"  # HPACK: `:status: 200`, and a literal
_TRAILER: Final = b"\x00\x0bgrpc-status\x010"


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


class Floor(asyncio.Protocol):
    def __init__(self) -> None:
        message = labelled(CANDIDATES[0]).SerializeToString()
        self._message: Final = b"\0" + len(message).to_bytes(4) + message
        self._rest = b""
        self._at = _PREFACE

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        settings = Struct(">HIHI").pack(1, 0, 4, 2**28)  # no dynamic table, a window that is never filled
        self._transport.write(frame(_SETTINGS, 0, 0, settings) + frame(_WINDOW_UPDATE, 0, 0, (2**30).to_bytes(4)))

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, out = self._at, []
        while len(data) - at >= _HEAD.size:
            size_and_kind, flags, stream = _HEAD.unpack_from(data, at)
            end = at + _HEAD.size + (size_and_kind >> 8)
            if end > len(data):
                break
            kind = size_and_kind & 0xFF
            if kind == _DATA and end - at > _HEAD.size:
                out.append(frame(_HEADERS, _END_HEADERS, stream, _OPENING))
                out.append(frame(_DATA, 0, stream, self._message))
                out.append(frame(_HEADERS, _END, stream, _TRAILER))
            elif kind in {_SETTINGS, _PING} and not flags & _ACK:
                out.append(frame(kind, _ACK, 0, data[at + _HEAD.size : end] if kind == _PING else b""))
            at = end
        self._rest, self._at = data[at:], max(at - len(data), 0)
        if out:
            self._transport.write(b"".join(out))


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Floor, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
