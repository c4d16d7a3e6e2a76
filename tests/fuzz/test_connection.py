"""The fuzz target runs, and finds nothing in half a minute; `make fuzz` gives it ten."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from tests.fixtures.envoy_streams import recorded
from tests.fuzz.connection import feed

SECONDS = int(os.environ.get("FUZZ_SECONDS", "30"))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris has no release for this interpreter")
@pytest.mark.timeout(180)
def test_no_bytes_break_the_connection(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for name in ("plain", "traced"):
        (corpus / name).write_bytes(b"\xff" + recorded(name)[:2000])
    options = [f"-max_total_time={SECONDS}", "-max_len=3000", "-len_control=0", f"-artifact_prefix={tmp_path}/"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", *options, str(corpus)],
        capture_output=True,
        text=True,
        timeout=SECONDS + 120,
        check=False,
    )
    found = [file.read_bytes() for file in tmp_path.glob("crash-*")]
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nthe input: {found}"
    assert "Done " in done.stderr


def test_the_target_takes_anything() -> None:
    random = Random(1)
    for _ in range(300):
        feed(random.randbytes(random.randrange(400)))
    stream = recorded("plain")
    for _ in range(100):
        at = random.randrange(len(stream))
        feed(bytes([random.randrange(256) | 1]) + stream[:at] + random.randbytes(3) + stream[at + 3 :])
