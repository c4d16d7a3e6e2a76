"""What is compared: each way to split the same two models' requests, as a row of one table.

`native` is the denominator of every ratio. All cases have the same Envoy binary and number of Envoy threads, the same
models behind them and the same load before them.
"""

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["native", "generated", "product", "peer"]

NATIVE: Final = "native"
OURS: Final = "ours"
GRPC: Final = "ours grpc.aio"
AIO: Final = "plain aio"
THREADS: Final = "plain threads"
FLOOR: Final = "floor"
TRACED: Final = "ours traced"
TRACE_SINK: Final = "{trace_sink}"  # in arguments: the URL of a collector that throws everything away


@dataclass(frozen=True, slots=True)
class Case:
    """One row. `arguments` are flags of `extproc up` for a product, and for a peer its command, {port} its port.

    `bodies` is whether a peer's Envoy has the filters that find and replace names in bodies, which are off for the
    requests that are measured.
    """

    name: str
    kind: Kind
    says: str
    arguments: tuple[str, ...] = ()
    bodies: bool = True

    @property
    def flags(self) -> frozenset[str]:
        """The flags of `extproc up` that it needs."""
        return frozenset(word for word in self.arguments if word.startswith("--") and self.kind == "product")


def _module(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", f"benchmarks.peers.{name}", "{port}")


CASES: Final = (
    Case(NATIVE, "native", "Envoy's weighted clusters, written by hand, without ext_proc"),
    Case("fallback", "generated", "extproc's generated routes without ext_proc: Envoy's own split while it is away"),
    Case(OURS, "product", "extproc up"),
    Case("ours, no outcomes", "product", "extproc up --no-outcomes", ("--no-outcomes",)),
    Case(TRACED, "product", "1 % of requests sampled", ("--otlp-endpoint", TRACE_SINK, "--trace-ratio", "0.01")),
    Case(GRPC, "product", "extproc up --transport grpc", ("--transport", "grpc")),
    Case(AIO, "peer", "a grpc.aio server as the tutorial has it", _module("aio")),
    Case(THREADS, "peer", "a thread-pool server as the tutorial has it", _module("thread_pool")),
    Case(FLOOR, "peer", "the same constant answer to everything, nothing read: Envoy's own limit", _module("floor")),
    Case("floor, no bodies", "peer", "and without the filters for names in bodies", _module("floor"), bodies=False),
)


def given(commands: Sequence[str]) -> tuple[Case, ...]:
    """A case for each command of `--peer`."""
    return tuple(Case(f"peer {i}", "peer", text, tuple(shlex.split(text))) for i, text in enumerate(commands, start=1))
