"""`python -m benchmarks.v2_names`, once and briefly: every way is measured at both sizes, and the ratio is told."""

import re
import shutil
import subprocess
import sys

import pytest

from benchmarks.v2_names import SIZES, WAYS, message
from tests.test_packaging import ROOT


@pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (Debian and Ubuntu: nghttp2-client)")
def test_every_way_is_measured_at_both_sizes() -> None:
    argv = [sys.executable, "-m", "benchmarks.v2_names", "--rounds", "1", "--requests", "200"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stdout + done.stderr
    found = re.findall(r"^  (.+?) +([0-9.]+)  (?:envoy|worker) ", done.stdout, re.MULTILINE)
    assert [way for way, _ in found] == [*WAYS] * len(SIZES)
    assert all(float(spent) > 0 for _, spent in found), done.stdout
    assert done.stdout.count("times that") == len(SIZES)


@pytest.mark.parametrize(("size", "called"), [(size, called) for size in SIZES.values() for called, _ in WAYS.values()])
def test_what_is_sent_is_of_its_size(size: int, called: str) -> None:
    assert abs(len(message(called, size)) - size) < 64
