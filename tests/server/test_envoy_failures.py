"""An embedded Envoy that can't be found, run or configured: an error that says why, after a few attempts."""

import asyncio
import errno
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import AsyncMock, Mock

import pytest

from extproc.errors import EnvoyFailed, EnvoyMissing
from extproc.server import envoy as module
from extproc.server.envoy import find_envoy
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually_async
from tests.server.embedded import Embedded, script


@pytest.fixture
def stub(model_server: Callable[..., ModelServer]) -> ModelServer:
    return model_server("iris")


async def test_young_deaths_are_waited_after_ever_longer_and_end_in_an_error(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.1)
    begin = time.monotonic()
    running = Embedded(stub, tmp_path, script(tmp_path, "echo 'critical main no such thing' >&2", "exit 7"))
    with pytest.raises(
        EnvoyFailed, match=r"does not start: it ended with code 7\. Its last words:\nmain: no such thing"
    ):
        await running.task
    assert time.monotonic() - begin >= 0.1 + 0.2
    assert running.process.restarts == module.ATTEMPTS - 1
    await running.end()


async def test_a_taken_port_is_an_error_that_says_so(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.0)
    running = Embedded(stub, tmp_path)
    with socket.create_server(("127.0.0.1", running.admin_port)), pytest.raises(EnvoyFailed, match="in use"):
        await running.task
    assert running.times_ready == 0
    await running.end()


async def test_a_bootstrap_that_envoy_refuses_is_an_error_with_its_reason(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.0)
    running = Embedded(stub, tmp_path, more={"no_such_field": 1})
    with pytest.raises(EnvoyFailed, match="no_such_field"):
        await running.task
    await running.end()


async def test_a_binary_that_can_not_be_run_is_an_error_with_the_reason(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.0)
    file = tmp_path / "garbage"
    file.write_bytes(b"\x7fELF of another machine")
    file.chmod(0o755)
    running = Embedded(stub, tmp_path, str(file))
    with pytest.raises(EnvoyFailed, match="Exec format error"):
        await running.task
    await running.end()


async def test_a_bootstrap_that_can_not_be_written_is_an_error_with_the_reason(
    stub: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file where the directory should be")
    running = Embedded(stub, tmp_path)
    with pytest.raises(EnvoyFailed, match=r"can't be written to .*state/envoy.json: "):
        await running.task
    await running.end()


async def test_a_machine_without_room_for_a_process_has_it_later(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is an Envoy kept from starting by a state directory that can only be read."""
    monkeypatch.setattr(module, "BACK_OFF", 0.01)
    full = AsyncMock(side_effect=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    running = Embedded(stub, tmp_path)
    await running.until_serving()
    first = running.pid
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", full)
        patched.setattr(Path, "chmod", Mock(side_effect=OSError(errno.EROFS, "Read-only file system")))
        os.kill(first, signal.SIGKILL)
        await eventually_async(
            lambda: full.await_count, within=10, saying="more than it gives up after", until=module.ATTEMPTS.__lt__
        )
        assert not running.task.done()
    await running.until_serving()
    assert running.pid != first
    await running.end()


async def test_a_machine_without_room_for_the_first_process_is_told(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = AsyncMock(side_effect=OSError(errno.EAGAIN, "Resource temporarily unavailable"))
    monkeypatch.setattr(asyncio, "create_subprocess_exec", full)
    running = Embedded(stub, tmp_path)
    with pytest.raises(EnvoyFailed, match="Envoy can't be started: Resource temporarily unavailable"):
        await running.task
    await running.end()


def test_finds_the_one_of_the_package_or_the_one_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert os.access(find_envoy(), os.X_OK)
    given = script(tmp_path)
    assert find_envoy(given) == given
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_envoy("stand-in") == given


def test_a_missing_one_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EnvoyMissing, match="--envoy /no/such: there is no such program"):
        find_envoy("/no/such")
    monkeypatch.setitem(sys.modules, "envoy", None)
    with pytest.raises(EnvoyMissing, match=r"pip install 'extproc\[envoy\]'"):
        find_envoy()


async def test_a_crash_that_is_explained_is_no_attempt_to_start_the_same_again(
    stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.0)
    asked: list[str] = []

    async def explained(ended: str) -> bool:
        asked.append(ended)
        return len(asked) <= module.ATTEMPTS

    running = Embedded(stub, tmp_path, script(tmp_path, "kill -SEGV $$"), explained=explained)
    with pytest.raises(EnvoyFailed, match="was ended by SIGSEGV"):
        await running.task
    assert asked == ["SIGSEGV"] * 2 * module.ATTEMPTS
    await running.end()


@pytest.mark.parametrize("last", ["kill -KILL $$", "kill -TERM $$", "exit 1"])
async def test_only_a_crash_is_asked_about(
    last: str, stub: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BACK_OFF", 0.0)

    async def explained(ended: str) -> bool:
        raise AssertionError(ended)

    running = Embedded(stub, tmp_path, script(tmp_path, last), explained=explained)
    with pytest.raises(EnvoyFailed, match="does not start"):
        await running.task
    await running.end()
