"""What counting costs a decision: with metrics it must not take more than 1.05 times as long as without.

A decision's whole way through a worker: what Envoy writes into a socket, what is read from it, decided and written,
and what Envoy reads of that. It is without an event loop, which would only make the rest look smaller. Workers with and
without a meter take turns, chunk by chunk, so that both see the same machine; the ratio is taken of each turn.
"""

import asyncio
from itertools import count, islice
from pathlib import Path
from socket import socketpair
from statistics import median
from time import thread_time
from typing import Any, Final, cast

import hpack
import pytest
import uvloop
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.bench_hot_path import table
from extproc.core.table import Patch
from extproc.http2 import frames
from extproc.names import EXT_PROC_FILTER, EXT_PROC_METHOD, ROUTE_NAME_ATTRIBUTE, intercept_route
from extproc.server import lean_protocol
from extproc.server.ext_proc import ExtProc
from extproc.server.health import Health
from extproc.server.lean_protocol import LeanProtocol
from extproc.telemetry.decisions import SIZE, Meter, Meters
from extproc.wire.ext_proc import Published
from extproc.wire.pb.extproc.slim import ext_proc_pb2 as pb

CAPTURED: Final = Path(__file__).parents[1] / "tests" / "fixtures" / "ext_proc" / "intercepted-no-token.bin"
REQUEST: Final = (
    (":method", "POST"),
    (":scheme", "http"),
    (":path", EXT_PROC_METHOD),
    (":authority", "extproc"),
    ("te", "trailers"),
    ("grpc-timeout", "200m"),
    ("content-type", "application/grpc"),
)
DECISIONS: Final = 240  # in a chunk
LARGE: Final = 2**18  # bytes, more than any read has
TURNS: Final = 100
AT_MOST: Final = 1.05


def message() -> bytes:
    """What a real Envoy sent, of an experiment of ours."""
    request = pb.ProcessingRequest.FromString(CAPTURED.read_bytes())
    attributes = request.attributes[EXT_PROC_FILTER].fields
    attributes[ROUTE_NAME_ATTRIBUTE].string_value = intercept_route("exp0", "a0", "http").encode()
    body: bytes = request.SerializeToString()
    return b"\0" + len(body).to_bytes(4) + body


class Worker:
    """A worker's connection to one Envoy, which opens stream after stream, `together` in one read."""

    def __init__(self, service: ExtProc, together: int) -> None:
        self._socket, self._envoy = socketpair()
        self.written = 0
        self._protocol = LeanProtocol(service, Health(), lambda _: None, lambda _: None)
        self._protocol.connection_made(cast("Any", self))
        self._protocol.data_received(
            frames.PREFACE + frames.settings({}) + frames.SETTINGS_ACK + frames.window_update(0, 2**31 - 2**16)
        )
        self._envoy.recv(LARGE)
        self._together = together
        self._numbers = count(1, 2)
        self._encoder = hpack.Encoder()
        self._encoder.header_table_size = 0  # as the worker asks for
        self._message = message()

    def reads(self) -> list[bytes]:
        """What brings the next DECISIONS streams."""
        streams = [self._stream(number) for number in islice(self._numbers, DECISIONS)]
        return [b"".join(streams[at : at + self._together]) for at in range(0, DECISIONS, self._together)]

    def take(self, reads: list[bytes]) -> float:
        """The CPU time that they take, in seconds."""
        receive, worker, envoy = self._protocol.data_received, self._socket, self._envoy
        began = thread_time()
        for read in reads:
            envoy.send(read)
            receive(worker.recv(LARGE))
            envoy.recv(LARGE)
        return thread_time() - began

    def close(self) -> None:
        self._protocol.connection_lost(None)  # counts what is not counted yet
        self._socket.close()
        self._envoy.close()

    def _stream(self, number: int) -> bytes:
        head = frames.frame(frames.HEADERS, frames.END_HEADERS, number, self._encoder.encode(REQUEST))
        return head + frames.frame(frames.DATA, frames.END_STREAM, number, self._message)

    def write(self, data: bytes) -> None:
        """As a transport: take what is said to Envoy."""
        self.written += self._socket.send(data)

    def get_write_buffer_size(self) -> int:
        """As a transport: Envoy has read everything."""
        return 0


@pytest.mark.parametrize("together", [1, 8])
def bench_decisions_with_metrics(benchmark: BenchmarkFixture, monkeypatch: pytest.MonkeyPatch, together: int) -> None:
    """`slower` is the median ratio to the same without metrics: no meter, and no look at the clock."""
    memory = memoryview(bytearray(SIZE))
    meters = Meters([memory])
    published = Published().patched(meters.numbered(Patch(table(1).entries)))

    turns = TURNS if benchmark.enabled else 1  # one shows that it runs

    async def compare() -> list[float]:
        counting = Worker(ExtProc(published, meter=Meter(memory)), together)
        plain = Worker(ExtProc(published), together)
        ratios = []
        for turn in range(turns):
            took = {}
            for worker in (counting, plain) if turn % 2 else (plain, counting):
                reads = worker.reads()
                with monkeypatch.context() as patched:
                    if worker is plain:
                        patched.setattr(lean_protocol, "perf_counter_ns", lambda: 0)
                    took[worker] = worker.take(reads)
            ratios.append(took[counting] / took[plain])
        assert counting.written == plain.written > turns * DECISIONS
        benchmark.pedantic(counting.take, setup=lambda: ((counting.reads(),), {}), rounds=20)  # type: ignore[no-untyped-call]
        for worker in (counting, plain):
            worker.close()
        return ratios

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        ratios = runner.run(compare())
    counted = sum(meters.counts().values())
    assert counted > turns * DECISIONS
    assert counted % DECISIONS == 0
    benchmark.extra_info["slower"] = slower = round(median(ratios), 3)
    print(f"\n{together} in one read: {slower:.3f} times as long with metrics")
    assert slower <= AT_MOST or not benchmark.enabled
