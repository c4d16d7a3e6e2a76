"""A real Envoy starts, is asked, and ends, also when its test is killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.harness.bootstrap import proxy_to
from tests.harness.client import fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.load import run_load
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually


def test_carries_load_and_tells_its_state(
    start_envoy: Callable[..., RunningEnvoy], model_server: Callable[..., ModelServer]
) -> None:
    port, stub = free_port(), model_server("iris")
    running = start_envoy(proxy_to(port, stub))
    result = run_load(f"http://127.0.0.1:{port}/v2/models/iris/infer", 500)
    assert (result.by_status, result.errors) == ({200: 500}, 0)
    assert running.stats("^http.inference.downstream_rq_2xx$") == {"http.inference.downstream_rq_2xx": 500}
    assert running.healthy("up")
    assert any("clusters" in section["@type"].lower() for section in running.config_dump())
    running.restart()
    running.wait_live()
    assert fetch(f"http://127.0.0.1:{port}/v2/models/iris/ready").status == 200
    running.stop()


def test_a_bad_configuration_fails_with_the_log(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="no_such_field"):
        RunningEnvoy.start({"no_such_field": 1}, tmp_path)


def test_a_killed_test_leaves_no_envoy(tmp_path: Path) -> None:
    script = (
        "import pathlib, signal, sys\n"
        "from tests.harness.envoy import RunningEnvoy\n"
        "print(RunningEnvoy.start({}, pathlib.Path(sys.argv[1])).pid, flush=True)\n"
        "signal.pause()\n"
    )
    argv = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as test:
        assert test.stdout is not None
        pid = int(test.stdout.readline())
        assert Path(f"/proc/{pid}/comm").read_text().startswith("envoy")
        os.kill(test.pid, signal.SIGKILL)
    eventually(lambda: not _runs(pid), within=5, saying="the Envoy of the killed test is gone")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
