"""The supervisor as a process: what it starts, what it says, and that whatever happens to it nothing is left behind."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.harness.extproc import RunningExtproc
from tests.harness.ports import free_port
from tests.harness.waiting import eventually
from tests.server.embedded import runs

RESOURCES = {
    "resources": [{"@type": "type.googleapis.com/extproc.v1.Model", "name": "m", "endpoints": ["127.0.0.1:9"]}]
}


@pytest.fixture
def resources(tmp_path: Path) -> Path:
    file = tmp_path / "resources.json"
    file.write_text(json.dumps(RESOURCES))
    return file


@pytest.fixture
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where private directories are made; of a short name, since a socket's path is at most 107 bytes."""
    return tmp_path_factory.mktemp("r")


def run(*flags: str | Path, command: str = "serve", worker_port: bool = True) -> subprocess.CompletedProcess[str]:
    """A command that is to end by itself, on free ports where `flags` name none, but for `worker_port`."""
    ports: tuple[str, ...] = ("--inference-port", "--envoy-admin-port", "--admin-port", "--grpc-port")
    if command == "serve" and worker_port and "--worker-sockets" not in flags:
        ports += ("--worker-port",)  # by default the port after, which may be somebody's
    given = [str(word) for flag in ports if flag not in flags for word in (flag, free_port())]
    argv = [sys.executable, "-m", "extproc", command, *given, *map(str, flags)]
    return subprocess.run(argv, check=False, capture_output=True, text=True, timeout=60)


def wait_gone(pids: set[int]) -> None:
    eventually(
        lambda: {pid for pid in pids if runs(pid)}, within=10, saying="all processes are gone", until=lambda p: not p
    )


def test_killed_it_takes_all_along_and_the_next_one_tidies_up(
    resources: Path, runtime: Path, start_extproc: Callable[..., RunningExtproc]
) -> None:
    started = start_extproc("up", "--resources", resources, environment={"XDG_RUNTIME_DIR": str(runtime)})
    children = started.children
    assert set(children.values()) == {"control", "worker-0", "envoy"}
    (left,) = runtime.iterdir()
    started.kill()
    wait_gone(set(children))
    assert left.exists(), "a killed process removes nothing"
    started.restart()
    started.wait_ready()
    (made,) = runtime.iterdir()
    assert made != left
    assert made.stat().st_mode & 0o777 == 0o700
    children = started.children
    started.stop()
    wait_gone(set(children))
    assert not list(runtime.iterdir())


def test_it_says_its_one_line_once_and_each_process_says_which_it_is(
    resources: Path, start_extproc: Callable[..., RunningExtproc], tmp_path: Path
) -> None:
    """With everything free to choose, a control process that comes back keeps the ports of the first."""
    flags = ("--grpc-port", "0", "--log-format", "json", "--log-level", "debug", "--workers", "2", "--worker-port", "0")
    started = start_extproc("serve", "--resources", resources, *flags)
    line = eventually(lambda: started.output, within=10, saying="the line that everything serves")
    killed = started.processes["control"]
    os.kill(killed, signal.SIGKILL)
    eventually(
        lambda: [entry for entry in map(json.loads, started.log.splitlines()) if "connected" in entry["message"]],
        within=20,
        saying="both workers have connected to both control processes",
        until=lambda entries: len(entries) == 4,
    )
    assert started.processes["control"] != killed
    started.wait_ready()
    port = int(line.split()[2].rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=5):
        pass
    assert started.output == line
    assert line.startswith("serving: grpc 127.0.0.1:")
    log = [json.loads(entry) for entry in started.log.splitlines()]
    assert {entry["process"] for entry in log} == {"supervisor", "control", "worker-0", "worker-1"}
    started.stop()


def test_a_control_process_that_ends_in_order_ends_everything(
    resources: Path, start_extproc: Callable[..., RunningExtproc]
) -> None:
    started = start_extproc("serve", "--resources", resources)
    eventually(lambda: started.output, within=20, saying="the line that everything serves")
    children = started.children
    os.kill(started.processes["control"], signal.SIGTERM)
    eventually(lambda: started.exit_code, within=20, saying="extproc has ended with code 0", until=lambda c: c == 0)
    wait_gone(set(children))


@pytest.mark.parametrize("flag", ["--grpc-port", "--admin-port", "--worker-port"])
def test_a_port_that_is_taken_is_named_and_ends_everything(flag: str, resources: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        more = ("--worker-port", "0") if flag != "--worker-port" else ()
        ended = run("--resources", resources, "--state-dir", tmp_path / "state", flag, str(port), *more)
    assert ended.returncode == 1, ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last.startswith("extproc: the ")
    assert f":{port} can't be listened on (" in last
    assert last.endswith(f": choose another with {flag}")
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (("--workers", "0"), 2, "--workers"),
        (("--worker-sockets", "/proc/nowhere"), 1, "extproc: --worker-sockets /proc/nowhere"),
        (("--worker-sockets", "/tmp/" + "long" * 30), 1, "extproc: --worker-sockets /tmp/long"),  # noqa: S108
        (("--grpc-port", "65535"), 2, "extproc: --worker-port 65536"),
        (("--grpc-port", "7000", "--admin-port", "7001"), 2, "extproc: --worker-port"),
    ],
    ids=["no workers", "no directory", "too long", "no ports left", "two for one port"],
)
def test_what_makes_no_sense_is_said(flags: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    # Nothing of it gets as far as to listen on a port, and what the default of one would be is in question.
    ended = run("--state-dir", tmp_path / "state", *flags, worker_port=False)
    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_sockets_that_somebody_listens_on_are_left_to_him(
    resources: Path, runtime: Path, start_extproc: Callable[..., RunningExtproc], tmp_path: Path
) -> None:
    flags: tuple[str | Path, ...] = ("--resources", resources, "--worker-sockets", runtime)
    started = start_extproc("serve", *flags)
    before = [(left, left.stat().st_ino) for left in runtime.iterdir()]
    assert [left.name for left, _ in before] == ["worker-0.sock"]
    ended = run(*flags, "--state-dir", tmp_path / "other")
    assert ended.returncode == 1, ended.stderr
    assert "somebody listens on worker-0.sock: end the other extproc" in ended.stderr
    assert [(left, left.stat().st_ino) for left in runtime.iterdir()] == before
    started.restart()  # killed, so that its sockets are left, and nobody listens on them
    started.wait_ready()
    started.stop()


def loaded(module: str) -> set[str]:
    """The top-level packages that are loaded with a module."""
    code = f"import json, sys, {module}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return set(json.loads(done.stdout))


@pytest.mark.parametrize(
    ("module", "without"),
    [
        ("extproc.processes.supervisor", {"grpc", "google", "aiohttp", "envoy_data_plane", "ruamel", "sqlite3"}),
        ("extproc.processes.worker", {"grpc", "aiohttp", "envoy_data_plane", "ruamel", "sqlite3", "opentelemetry"}),
    ],
)
def test_small_processes_stay_small(module: str, without: set[str]) -> None:
    assert not loaded(module) & without


def test_neither_does_one_that_hangs_hold_up_the_start(runtime: Path, resources: Path, tmp_path: Path) -> None:
    """It takes no connections, and no more of them can wait for it."""
    with ExitStack() as stack:
        hanging = stack.enter_context(socket.socket(socket.AF_UNIX))
        hanging.bind(str(runtime / "worker-0.sock"))
        hanging.listen(0)
        while True:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
            waiting.setblocking(False)
            if waiting.connect_ex(str(runtime / "worker-0.sock")):
                break
        ended = run("--resources", resources, "--worker-sockets", runtime, "--state-dir", tmp_path / "state")
    assert ended.returncode == 1, ended.stderr
    assert "somebody listens on worker-0.sock" in ended.stderr
