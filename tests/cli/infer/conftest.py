"""`extproc infer` run in this process, stand-ins for Envoy, and what is read off a printed table."""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Extproc, Ran
from tests.harness.ports import free_port
from tests.inference.stand_ins import StandIn, rest_stand_in

Run = Callable[..., Ran]
Envoy = Callable[..., StandIn]

EXPERIMENT: dict[str, Any] = {
    "name": "iris-ab",
    "state": "ACTIVE",
    "reason": "all candidates ready",
    "candidates": [
        {"name": "iris", "weight": 70, "share": 0.7, "ready": True, "route": ":iris_1:"},
        {"name": "iris2", "weight": 30, "share": 0.3, "ready": True, "route": ":iris2_2:"},
    ],
    "spec": {"name": "iris-ab", "default": "iris", "candidates": []},
}


@pytest.fixture
def run(extproc: Extproc, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `extproc infer …` with a state folder of the test's own, and an admin address where nobody is."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("EXTPROC_ADMIN", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("EXTPROC_INFERENCE", raising=False)
    return lambda *arguments, stdin=b"": extproc("infer", *arguments, stdin=stdin)


@pytest.fixture
def envoy() -> Iterator[Envoy]:
    """Stand-ins for Envoy over REST: `envoy(Told(…), …)`."""
    with ExitStack() as stack:
        yield lambda *told: stack.enter_context(rest_stand_in(*told))


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "extproc", "infer", *arguments]


def rows(printed: str) -> list[list[str]]:
    """The cells of the printed table's rows, candidates first; the row of all lacks what only a candidate has."""
    lines = printed.splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("CANDIDATE")) + 1
    cells = (line.rsplit(maxsplit=8) for line in lines[first:])
    return [row for row in cells if len(row) > 1 and re.fullmatch(r"[\d.,-]+", row[-1])]
