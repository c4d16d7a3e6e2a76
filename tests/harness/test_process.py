"""A child says what it said, ends when told, and its end is told apart from its silence."""

import signal
import sys
from pathlib import Path

import pytest

from tests.harness.process import Child, EndedEarlyError


def _child(tmp_path: Path, code: str) -> Child:
    return Child([sys.executable, "-c", code], stdout=tmp_path / "out", stderr=tmp_path / "err")


def test_waits_for_a_line_and_for_the_end(tmp_path: Path) -> None:
    child = _child(tmp_path, "import signal; print('ready: here', flush=True); signal.pause()")
    try:
        assert child.says("ready: ", within=10) == "ready: here"
        assert child.exit_code is None
        with pytest.raises(AssertionError, match=r"still running after 0\.01 s"):
            child.ended(0.01)
        child.signal(signal.SIGTERM)
        assert child.ended(10) == -signal.SIGTERM
    finally:
        child.kill()


def test_an_early_end_is_told_with_the_log(tmp_path: Path) -> None:
    child = _child(tmp_path, "import sys; sys.exit('the reason')")
    with pytest.raises(EndedEarlyError, match=r"(?s)ended with 1 before it said 'ready'.*the reason"):
        child.says("ready", within=10)


def test_silence_is_told_with_the_log(tmp_path: Path) -> None:
    child = _child(tmp_path, "import signal; print('hm', flush=True); signal.pause()")
    try:
        child.says("hm", within=10)
        with pytest.raises(AssertionError, match=r"(?s)not within 0.05 s.*hm"):
            child.says("ready", within=0.05)
    finally:
        child.kill()
