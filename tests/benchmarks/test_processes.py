"""CPU time and memory, of processes that are known to use some."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks.processes import Process, cpu_seconds, memory_mib, tree
from tests.harness.waiting import eventually

SPIN = "import os,subprocess,sys\nsubprocess.Popen([sys.executable,'-c','while True: pass'])\ninput()"


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits, and has a child that works."""
    running = subprocess.Popen([sys.executable, "-c", SPIN], stdin=subprocess.PIPE)
    try:
        yield running
    finally:
        for process in reversed(tree(running.pid)):
            os.kill(process.pid, 9)
        running.communicate()


def test_a_tree_holds_what_was_started_in_it(parent: subprocess.Popen[bytes]) -> None:
    found = eventually(lambda: tree(parent.pid), within=10, saying="a child", until=lambda seen: len(seen) == 2)
    child = found[1]
    assert (found[0].pid, child.parent) == (parent.pid, parent.pid)
    eventually(lambda: cpu_seconds(child.pid), within=20, saying="it works", until=lambda spent: spent > 0.2)
    assert cpu_seconds(parent.pid) < cpu_seconds(child.pid)
    assert 1 < memory_mib(child.pid) < 100


def test_the_gone_have_spent_nothing() -> None:
    assert cpu_seconds(2**22 + 1) == 0


def test_roles_are_told_by_the_command() -> None:
    commands = {
        "/x/_bin/envoy -c worker.json": "envoy",
        "python -m extproc.processes.worker": "worker",
        "python -m extproc up --workers 2": "control",
    }
    assert {command: Process(1, 0, command).role for command in commands} == commands
