"""`python -m benchmarks.chat`, once and briefly: every way is measured, and the ratio is told."""

import re
import subprocess
import sys

import pytest

from benchmarks import load
from benchmarks.chat import WAYS, body
from tests.test_packaging import ROOT


@pytest.mark.skipif(not load.wrk(), reason=load.MISSING)
def test_every_way_is_measured() -> None:
    argv = [sys.executable, "-m", "benchmarks.chat", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"^(.+?) +([0-9.]+) µs of CPU a request: ", done.stdout, re.MULTILINE))
    assert list(found) == list(WAYS)
    assert all(float(spent) > 0 for spent in found.values()), done.stdout
    assert "times that" in done.stdout


def test_what_is_sent_is_a_kib() -> None:
    assert {len(body(called)) for _, called in WAYS.values()} == {1024}
