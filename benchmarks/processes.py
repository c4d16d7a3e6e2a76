"""CPU time and memory of processes, and of everything they started, from /proc (proc(5)).

A process's CPU time counts all its threads, user and system. It is exact to a clock tick (10 ms), whatever the
kernel's sampling, since the kernel scales it to the run time that it measures.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")  # seconds
_ENVOY: Final = "envoy"
_WORKER: Final = "extproc.processes.worker"
_PROC: Final = Path("/proc")

Role = str  # "envoy", "worker", "control"


@dataclass(frozen=True, slots=True)
class Process:
    """One process as /proc has it; `command` is its whole command line, joined by blanks."""

    pid: int
    parent: int
    command: str

    @property
    def role(self) -> Role:
        """What it is for: Envoy, a data-plane worker, or everything else that a server consists of."""
        program = Path(self.command.split(" ", 1)[0]).name
        if program.startswith(_ENVOY):
            return "envoy"
        return "worker" if _WORKER in self.command else "control"


def tree(root: int) -> list[Process]:
    """The process `root` and all that descend from it, as they are now."""
    children: dict[int, list[Process]] = defaultdict(list)
    found = []
    for process in _all():
        children[process.parent].append(process)
        if process.pid == root:
            found.append(process)
    for process in found:  # grows while it is walked through
        found += children[process.pid]
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since its start; 0 for one that is gone."""
    try:
        fields = _fields(pid)
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK


def memory_mib(pid: int) -> float:
    """The proportional set size: resident memory, with shared pages divided among those who share them."""
    lines = (_PROC / str(pid) / "smaps_rollup").read_text().splitlines()
    pss = next(line for line in lines if line.startswith("Pss:"))
    return int(pss.split()[1]) / 1024


def machine_seconds() -> float:
    """CPU time that the whole machine was busy with since it started, and time stolen by its host."""
    user, nice, system, _idle, _iowait, irq, softirq, steal, *_ = (
        int(ticks) for ticks in (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:]
    )
    return (user + nice + system + irq + softirq + steal) * _TICK


def _all() -> Iterator[Process]:
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            try:
                parent = int(_fields(int(entry.name))[1])
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue  # it ended while we looked
            yield Process(int(entry.name), parent, command)


def _fields(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: the second, a name in parentheses, may hold blanks."""
    return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
