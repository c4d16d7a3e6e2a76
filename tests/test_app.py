"""The composition root as a process: how it ends when it can't start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness.ports import free_port


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("up", "--envoy", "/no/such/envoy"), "extproc: --envoy /no/such/envoy: there is no such program"),
        (("serve", "--state-dir", "/proc/nowhere"), "extproc: the state directory /proc/nowhere can't be used"),
    ],
)
def test_what_can_t_start_says_why_in_its_last_line_and_leaves_nothing_half_begun(
    tmp_path: Path, flags: tuple[str, ...], said: str
) -> None:
    ports = ["--inference-port", "--envoy-admin-port", "--admin-port", "--grpc-port"]
    if flags[0] == "serve":
        ports.append("--worker-port")  # by default the port after, which may be somebody's
    given = [word for flag in ports for word in (flag, str(free_port()))]
    argv = [sys.executable, "-m", "extproc", flags[0], "--state-dir", str(tmp_path / "state"), *given, *flags[1:]]
    ended = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert ended.returncode == 1, ended.stderr
    assert ended.stderr.splitlines()[-1].startswith(said)
    assert "Warning" not in ended.stderr
    assert "Traceback" not in ended.stderr
