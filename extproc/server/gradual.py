"""JSON of any number of documents, made piece by piece.

Must stay true: however many there are, making them holds the event loop for little longer than `HOLD` at a time, so
that changes, Envoy and probes have their turns. Each document tells of one moment; two of one text may not.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

HOLD: Final = 0.005  # seconds; a document of an experiment takes about a tenth of that


async def text(arrays: Mapping[str, Iterable[dict[str, Any]]], *, lines: bool) -> tuple[bytes, float]:
    """An object of these arrays, in UTF-8: each document on a line of its own, or all in one line.

    The documents are taken from their iterables one after another, each when it is its turn. With the text comes for
    how many seconds the event loop was held.
    """
    line = b"\n" if lines else b""
    loop = asyncio.get_running_loop()
    held, since = 0.0, loop.time()
    pieces: list[bytes] = []
    for name, documents in arrays.items():
        pieces += (b"," if pieces else b"{", line, json.dumps(name).encode(), b":[")
        opened = len(pieces)
        for document in documents:
            one = json.dumps(document, separators=(",", ":")).encode()  # indentation would cost four times as much
            pieces += (b"," if len(pieces) > opened else b"", line, one)
            if (spent := loop.time() - since) >= HOLD:
                await asyncio.sleep(0)
                held, since = held + spent, loop.time()
        pieces.append(b"]")
    return b"".join((*pieces, line, b"}")) if pieces else b"{}", held + loop.time() - since
