"""What the supervisor tells a child at its birth, and what the child says to that; nothing here runs."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from extproc.settings import Settings
from extproc.telemetry.logs import Format
from extproc.xds.world import Address


@dataclass(frozen=True, slots=True)
class Logs:
    """How every process logs: `level` as logging.getLevelName has it, in any case."""

    level: str = "info"
    form: Format = "text"


@dataclass(frozen=True, slots=True)
class Spec:
    """What any child is told. `name` is the process's in logs; `parent` is the supervisor's process id."""

    name: str
    parent: int
    settings: Settings
    logs: Logs


@dataclass(frozen=True, slots=True)
class ControlSpec(Spec):
    """What the control process is told: where Envoy finds the workers, and four sorts of open file descriptors.

    `feed` is a listening Unix socket, to which the workers connect. `counters` are the workers', in their order.
    `leaving` is a pipe that is at its end as soon as all of extproc is to end, while Envoy still drains. `notices` is
    where the supervisor tells that Envoy has crashed (processes.notices). `last_good` is a directory in which it leaves
    what the next control process needs of files that are wrong by then (sources.last_good).
    """

    workers: tuple[Address, ...]
    feed: int
    counters: tuple[int, ...]
    leaving: int
    notices: int
    last_good: Path


@dataclass(frozen=True, slots=True)
class WorkerSpec(Spec):
    """What worker `number` is told: where it listens, where the table comes from, and where it counts.

    `counters` (telemetry.decisions) and `pulse` (processes.pulse) are open file descriptors of memory, each of its
    module's SIZE.
    """

    number: int
    address: Address
    feed: Path
    counters: int
    pulse: int


@dataclass(frozen=True, slots=True)
class Report:
    """What a child says, once: that it is ready, with what of it depended on chance, or why it can't be."""

    error: str = ""
    grpc_port: int = 0
    admin_port: int = 0
    bootstrap: dict[str, Any] | None = None  # of the embedded Envoy


def encode(report: Report) -> bytes:
    """A report as one line."""
    return json.dumps(asdict(report)).encode() + b"\n"


def decode(line: bytes) -> Report:
    """The report of a line that `encode` has made."""
    return Report(**json.loads(line))
