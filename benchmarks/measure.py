"""One measurement of one case: load for some seconds, and what Envoy, the server and the others spent meanwhile."""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks import load
from benchmarks.cases import Case
from benchmarks.processes import Process, cpu_seconds, machine_seconds, tree
from benchmarks.stage import Running


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured.

    `rate` in requests a second, `latency` in seconds by percentile, `cpu` in seconds of CPU time a request by role
    (envoy, worker, control). `decided` is the share of requests that the server decided and Envoy did not have to,
    `others` the share of all cores' time that went to what is neither the case, nor its models, nor its load.
    """

    case: str
    connections: int
    round: int
    rate: float
    latency: Mapping[str, float]
    cpu: Mapping[str, float]
    failed: int
    decided: float
    others: float

    @property
    def server(self) -> float:
        """CPU seconds a request of all of the server's processes."""
        return sum(seconds for role, seconds in self.cpu.items() if role != "envoy")

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def measure(running: Running, *, connections: int, seconds: float, round_: int, experiments: int = 0) -> Sample:
    """Load `running` for so many seconds. Raises RuntimeError when wrk fails or nothing was answered."""
    processes = [process for root in running.roots for process in tree(root)]
    asked, before = running.ext_proc(), _spent(running.case, processes)
    models, machine = cpu_seconds(running.models), machine_seconds()
    done = load.run(running.url, connections=connections, seconds=seconds, experiments=experiments)
    machine, models = machine_seconds() - machine, cpu_seconds(running.models) - models
    after, answered = _spent(running.case, processes), running.ext_proc()
    if not done.requests:
        raise RuntimeError(f"{running.case.name}: no request was answered in {seconds} s")
    own = sum(after.values()) - sum(before.values())
    cpu = {role: (after[role] - before[role]) / done.requests for role in after}
    replies = answered.get("stream_msgs_received", 0) - asked.get("stream_msgs_received", 0)
    return Sample(
        case=running.case.name,
        connections=connections,
        round=round_,
        rate=done.rate,
        latency=done.latency,
        cpu=cpu,
        failed=done.failed,
        decided=min(1.0, replies / done.requests),
        others=max(0.0, machine - models - done.cpu - own) / (done.seconds * (os.cpu_count() or 1)),
    )


def _spent(case: Case, processes: list[Process]) -> dict[str, float]:
    spent: dict[str, float] = {}
    for process in processes:
        # All that a peer consists of is there to decide.
        role = "worker" if case.kind == "peer" and process.role != "envoy" else process.role
        spent[role] = spent.get(role, 0.0) + cpu_seconds(process.pid)
    return spent
