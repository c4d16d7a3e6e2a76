"""The embedded Envoy, the real one: it serves, is started again, drained, and never left behind."""

import asyncio
import logging
import os
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from extproc.server import envoy as module
from extproc.server.envoy import EnvoyOptions, EnvoyProcess, find_envoy
from tests.harness.client import fetch
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually, eventually_async
from tests.server.embedded import Embedded, runs, script


@pytest.fixture
def stub(model_server: Callable[..., ModelServer]) -> ModelServer:
    return model_server("iris")


@pytest.fixture
async def embedded(stub: ModelServer, tmp_path: Path) -> AsyncIterator[Embedded]:
    running = Embedded(stub, tmp_path)
    try:
        yield running
    finally:
        await running.end()


async def test_serves_and_stops(embedded: Embedded, tmp_path: Path) -> None:
    await embedded.until_serving()
    await eventually_async(lambda: embedded.times_ready, within=10, saying="readiness is told")
    file = tmp_path / "state" / "envoy.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    embedded.task.cancel()
    await asyncio.wait([embedded.task])
    assert (await embedded.ask()).status == 200, "cancelling leaves it to stop()"
    pid = embedded.pid
    await embedded.process.stop()
    assert not runs(pid)
    assert embedded.times_ready == 1


async def test_is_started_again_when_it_dies(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """At once, and as often as it takes, because none of them died young."""
    monkeypatch.setattr(module, "YOUNG", 0.0)
    monkeypatch.setattr(module, "BACK_OFF", 60.0)
    for restarts in range(1, module.ATTEMPTS + 2):
        await embedded.until_serving()
        os.kill(embedded.pid, signal.SIGKILL)
        await eventually_async(lambda: embedded.process.restarts, within=10, saying="a restart", until=restarts.__eq__)
    await embedded.until_serving()
    await eventually_async(lambda: embedded.times_ready, within=10, saying="readiness is told")
    assert embedded.times_ready == 1, "once, however often it is started"
    assert "Envoy was ended by SIGKILL and is started again" in caplog.messages


async def test_a_request_under_way_gets_its_answer(embedded: Embedded, stub: ModelServer) -> None:
    await embedded.until_serving()
    stub.forget()
    stub.delay(0.5)
    request = asyncio.create_task(embedded.ask())
    await eventually_async(lambda: stub.requests, within=10, saying="the request has arrived upstream")
    await embedded.end()
    assert (await request).status == 200
    with pytest.raises(ConnectionRefusedError):
        await embedded.ask()


async def test_one_that_does_not_end_is_killed(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "DRAIN", 0.2)
    await embedded.until_serving()
    pid = embedded.pid
    os.kill(pid, signal.SIGSTOP)
    await embedded.end()
    assert not runs(pid)
    assert "Envoy did not end and is killed" in caplog.messages


async def test_a_request_that_never_ends_does_not_keep_it(
    embedded: Embedded, stub: ModelServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "DRAIN", 0.3)
    await embedded.until_serving()
    stub.forget()
    stub.hang()
    request = asyncio.create_task(embedded.ask(within=30))
    await eventually_async(lambda: stub.requests, within=10, saying="the request has arrived upstream")
    await embedded.end()
    with pytest.raises(OSError, match=r".") as cut:
        await request
    assert not isinstance(cut.value, TimeoutError)
    assert "requests are still under way after 0.3 s" in caplog.messages


async def test_one_that_has_no_inference_port_yet_has_no_requests_under_way(
    stub: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    running = Embedded(stub, tmp_path, more={"static_resources": {}})
    try:
        await eventually_async(lambda: running.times_ready, within=20, saying="Envoy is up", until=(1).__eq__)
    finally:
        await running.end()
    assert not [message for message in caplog.messages if "under way" in message]


async def test_its_log_is_passed_on_by_level_and_component(
    stub: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="envoy")
    long = module.LINE_MAX + 10
    lines = [
        "info main starting",
        "warning upstream watch out",
        "  and a second line of it",
        "error config no: good",
    ]
    running = Embedded(
        stub,
        tmp_path,
        script(
            tmp_path,
            "echo 'before any of it' >&2",
            *(f"echo '{line}' >&2" for line in lines),
            f"head -c {long} /dev/zero | tr '\\0' x >&2",
            "printf '\\ncritical main \\377 no newline' >&2",
            f"touch '{tmp_path}/written'",
            "sleep 60",
        ),
    )
    await eventually_async(
        lambda: [record for record in caplog.records if record.name == "envoy"],
        within=10,
        saying="all lines but the last, which has no end yet",
        until=lambda records: sum(len(record.message) for record in records[5:]) >= long,
    )
    await eventually_async((tmp_path / "written").exists, within=10, saying="the last line is written")
    os.killpg(running.pid, signal.SIGKILL)
    await eventually_async(lambda: running.process.restarts, within=10, saying="its end is noticed")
    await running.end()
    told = [(record.levelname, record.message) for record in caplog.records if record.name == "envoy"]
    assert told[:5] == [
        ("WARNING", "before any of it"),
        ("DEBUG", "main: starting"),
        ("WARNING", "upstream: watch out"),
        ("WARNING", "  and a second line of it"),
        ("ERROR", "config: no: good"),
    ]
    assert ("CRITICAL", "main: \N{REPLACEMENT CHARACTER} no newline") in told


async def test_of_a_crash_it_tells_where_and_not_with_what(
    stub: ModelServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Envoy prints the request that it was at, with its headers, and what it has read and not used yet."""
    caplog.set_level(logging.DEBUG, logger="envoy")
    lines = [
        "critical backtrace Caught Segmentation fault, suspect faulting address 0x0",
        "critical backtrace #0: [0x1]",
        "ActiveStream 0x2, stream_id_: 3",
        "  request_headers_: authorization, Bearer SECRET",
        'current slice length: 6 contents: "SECRET"',
        "critical backtrace the end",
    ]
    running = Embedded(stub, tmp_path, script(tmp_path, *(f"echo '{line}' >&2" for line in lines), "exec sleep 60"))
    await eventually_async(
        lambda: [record.message for record in caplog.records if record.name == "envoy"],
        within=10,
        saying="its last words",
        until=lambda told: told == [f"backtrace: {line.split(' ', 2)[2]}" for line in lines if "backtrace" in line],
    )
    await running.end()
    assert "SECRET" not in caplog.text


async def test_stopping_what_never_ran_or_has_ended_does_nothing(stub: ModelServer, tmp_path: Path) -> None:
    options = EnvoyOptions(find_envoy(), tmp_path, free_port())
    never = EnvoyProcess({}, options, lambda: None)
    await never.stop()
    running = Embedded(stub, tmp_path, script(tmp_path, "exit 0"))
    await eventually_async(lambda: running.process.restarts, within=10, saying="it has ended once")
    await running.end()
    await running.process.stop()


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_killed_parent_leaves_no_envoy_and_ctrl_c_does_not_reach_it(tmp_path: Path, loop: str) -> None:
    admin_port = free_port()
    address = {"socket_address": {"address": "127.0.0.1", "port_value": admin_port}}
    program = (
        f"import signal, asyncio, {loop}, pathlib\n"
        "from extproc.server.envoy import EnvoyOptions, EnvoyProcess, find_envoy\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"options = EnvoyOptions(find_envoy(), pathlib.Path({str(tmp_path)!r}), {admin_port}, 1)\n"
        f"running = EnvoyProcess({{'admin': {{'address': {address}}}}}, options, lambda: tell())\n"
        "def tell(): print(running._process.pid, flush=True)\n"
        f"{loop}.run(running.run())\n"
    )
    argv = [sys.executable, "-c", program]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, start_new_session=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert os.getpgid(pid) != parent.pid, "Ctrl-C in a terminal goes to the whole process group"
        os.killpg(parent.pid, signal.SIGINT)
        assert fetch(f"http://127.0.0.1:{admin_port}/ready").text == "LIVE\n"
        assert runs(pid)
        parent.kill()
    eventually(lambda: not runs(pid), within=5, saying="the Envoy of the killed parent is gone")
