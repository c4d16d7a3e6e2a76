"""Micro-benchmarks of the lean transport without its socket: what Envoy writes at once, read, decided and answered.

A round is a read of so many streams, each with its HEADERS and its DATA, behind Envoy's RST_STREAMs for as many that
were answered; divide by their number for one request. `bench_frame_loop_traced` is the same with a traceparent of its
own on each.
"""

import itertools
from collections.abc import Iterator

import hpack
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.bench_hot_path import CAPTURED, table
from extproc.core.table import Decision
from extproc.http2 import frames
from extproc.http2.connection import Connection
from extproc.http2.grpc_calls import Call
from extproc.http2.grpc_methods import DECISIVE, Methods, Opening
from extproc.http2.whole_calls import WholeCalls
from extproc.names import EXT_PROC_METHOD
from extproc.server.at_once import AtOnce, Known
from extproc.server.ext_proc import ExtProc, Ledger
from extproc.wire.ext_proc import Published

FIELDS = (  # as Envoy sends them
    (":method", "POST"),
    (":path", EXT_PROC_METHOD),
    (":authority", "extproc"),
    (":scheme", "http"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
)
LATER = (("x-envoy-internal", "true"), ("x-forwarded-for", "192.0.2.2"))
LATE = 64  # streams after which Envoy's reset of one comes
ROUNDS = 300


class Exchange:
    """A connection, and the reads that Envoy's part in it is."""

    def __init__(self) -> None:
        self._service = ExtProc(Published(table(1, "iris-ab")))
        self._ledger = Ledger()
        at_once = AtOnce(self._service, Known(), self._ledger)
        methods = Methods(
            {EXT_PROC_METHOD: lambda call: self._service.open(call.metadata, self._ledger)}, {EXT_PROC_METHOD: at_once}
        )
        self.connection = Connection[Opening](methods.interpret, DECISIVE, Call, 0.0, shorter_way=WholeCalls)
        self._encoder = hpack.Encoder()
        self._encoder.header_table_size = 0
        windows = frames.settings({frames.INITIAL_WINDOW_SIZE: 2**28}) + frames.window_update(0, 2**30)
        self.answer(frames.PREFACE + windows + frames.SETTINGS_ACK)

    def answer(self, read: bytes) -> tuple[bytes, list[Decision]]:
        self.connection.receive(read, 0.0)
        written = self.connection.take()
        decided = [*self._ledger.decisions]
        self._service.settle(self._ledger, 0)
        return written, decided

    def reads(self, streams: int, *, traced: bool) -> Iterator[bytes]:
        message = (CAPTURED / "intercepted-no-token.bin").read_bytes()
        body = b"\0" + len(message).to_bytes(4) + message
        numbers = itertools.count(1, 2)
        while True:
            some = [*itertools.islice(numbers, streams)]
            over = [number - 2 * LATE for number in some if number > 2 * LATE]
            read = b"".join(frames.rst_stream(number, frames.ErrorCode.INTERNAL_ERROR) for number in over)
            for number in some:
                trace = (("traceparent", f"00-{number:032x}-b5f83800d959d071-00"), ("tracestate", ""))
                block = self._encoder.encode((*FIELDS, *(trace if traced else ()), *LATER), huffman=False)
                read += frames.frame(frames.HEADERS, frames.END_HEADERS, number, block)
                read += frames.frame(frames.DATA, 0, number, body)
            yield read


def measure(benchmark: BenchmarkFixture, streams: int, *, traced: bool) -> None:
    exchange = Exchange()
    reads = [*itertools.islice(exchange.reads(streams, traced=traced), ROUNDS + 1)]
    coming = iter(reads)

    def setup() -> tuple[tuple[bytes], dict[str, object]]:
        return (next(coming),), {}

    _, decided = benchmark.pedantic(exchange.answer, setup=setup, rounds=ROUNDS)  # type: ignore[no-untyped-call]
    assert len(decided) == streams
    assert not exchange.connection.over


@pytest.mark.parametrize("streams", [1, 8, 32])
def bench_frame_loop(benchmark: BenchmarkFixture, streams: int) -> None:
    measure(benchmark, streams, traced=False)


@pytest.mark.parametrize("streams", [1, 8, 32])
def bench_frame_loop_traced(benchmark: BenchmarkFixture, streams: int) -> None:
    measure(benchmark, streams, traced=True)
