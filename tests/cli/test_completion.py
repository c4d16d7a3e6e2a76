"""Shell completion as a shell asks for it, and the scripts, by the shells themselves."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.cli.admin_client import AdminClient
from tests.cli.conftest import Extproc
from tests.cli.fake_admin import FakeAdmin
from tests.cli.raw_server import RawServer, http
from tests.harness.ports import free_port
from tests.wire.given import an_experiment

Completed = Callable[[str], list[str]]


@pytest.fixture
def completed(extproc: Extproc, monkeypatch: pytest.MonkeyPatch) -> Completed:
    """What bash is given for a line whose last word is not complete."""

    def complete(line: str) -> list[str]:
        monkeypatch.setenv("_EXTPROC_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        ran = extproc()
        assert ran.code == 0
        assert ran.err == ""
        return [item.removeprefix("plain,") for item in ran.out.splitlines() if item]

    return complete


@pytest.fixture
def two(admin: FakeAdmin, monkeypatch: pytest.MonkeyPatch) -> FakeAdmin:
    """An admin HTTP with iris-ab, at revision 2, and other."""
    client = AdminClient(admin.url)
    client.start(an_experiment())
    client.start(an_experiment(timeout="1s"))
    client.start(an_experiment(name="other", default=None))
    return admin


@pytest.mark.parametrize("command", ["stop", "status", "get", "history", "rollback"])
def test_names_come_from_the_admin_of_the_environment(
    command: str, two: FakeAdmin, completed: Completed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTPROC_ADMIN", two.url)
    assert completed(f"extproc experiment {command} ") == ["iris-ab", "other"]
    assert completed(f"extproc experiment {command} o") == ["other"]
    assert completed(f"extproc experiment {command} x") == []


def test_names_come_from_the_admin_of_the_line(two: FakeAdmin, completed: Completed) -> None:
    assert completed(f"extproc experiment get --admin {two.url} i") == ["iris-ab"]


def test_revisions(two: FakeAdmin, completed: Completed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTPROC_ADMIN", two.url)
    assert completed("extproc experiment rollback iris-ab ") == ["1", "2"]
    assert completed("extproc experiment rollback nobody ") == []


def test_commands_options_and_states_are_completed_without_asking(admin: FakeAdmin, completed: Completed) -> None:
    assert completed("extproc experiment st") == ["start", "status", "stop"]
    assert completed("extproc experiment status --t") == ["--timeout"]
    assert [state.upper() for state in completed("extproc experiment status x --for A")] == ["ACTIVE"]
    assert completed("extproc completion ") == ["bash", "zsh", "fish"]
    assert admin.requests == []


@pytest.mark.parametrize("admin_url", ["http://127.0.0.1:{free}", "rubbish", "http://a..b"])
def test_nothing_is_said_when_nothing_can_be_asked(
    admin_url: str, completed: Completed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXTPROC_ADMIN", admin_url.format(free=free_port()))
    assert completed("extproc experiment stop ") == []
    assert completed("extproc experiment stop --admin rubbish ") == []


def test_an_admin_that_hangs_is_soon_given_up(completed: Completed, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = time.monotonic()
    with RawServer(b"", drip=0.01) as server:
        monkeypatch.setenv("EXTPROC_ADMIN", server.url)
        assert completed("extproc experiment stop ") == []
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize(
    "body",
    ['{"experiments": 5}', '{"experiments": [{}]}', '{"experiments": [{"name": "a\\nplain,b"}, {"name": "$(x)"}]}'],
)
def test_only_names_are_offered(body: str, completed: Completed, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(http("200 OK", "application/json", body)) as server:
        monkeypatch.setenv("EXTPROC_ADMIN", server.url)
        assert completed("extproc experiment stop ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_names_the_program_and_is_one_to_its_shell(shell: str, extproc: Extproc) -> None:
    ran = extproc("completion", shell)
    assert ran.code == 0
    assert f"_EXTPROC_COMPLETE={shell}_complete" in ran.out
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=ran.out, text=True, check=True, timeout=30)


def test_bash_completes_with_the_script(extproc: Extproc, tmp_path: Path) -> None:
    program = tmp_path / "extproc"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m extproc "$@"\n')
    program.chmod(0o755)
    # What bash does at a press of the tab key after `extproc experiment roll`.
    press = """
COMP_WORDS=(extproc experiment roll)
COMP_CWORD=2
_extproc_completion extproc roll experiment
echo "${COMPREPLY[@]}"
"""
    done = subprocess.run(
        ["bash", "-c", extproc("completion", "bash").out + press],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        text=True,
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["rollback"], done.stderr


def test_an_unknown_shell_is_a_usage_error(extproc: Extproc) -> None:
    ran = extproc("completion", "tcsh")
    assert ran.code == 2
    assert "'bash', 'zsh', 'fish'" in ran.err
