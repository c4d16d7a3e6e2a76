"""The private directory: where it is made, and that nothing but our own leavings is ever removed."""

import fcntl
import socket
from pathlib import Path

import pytest

from extproc.errors import ExtprocError
from extproc.processes.runtime import LOCK, PREFIX, runtime_directory


@pytest.fixture
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    found = tmp_path_factory.mktemp("r")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(found))
    return found


def test_it_is_private_and_gone_at_the_end(place: Path) -> None:
    with runtime_directory(place / "state") as made:
        assert made.parent == place
        assert made.stat().st_mode & 0o777 == 0o700
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(made / "worker-0.sock"))
    assert not list(place.iterdir())


def test_what_a_killed_supervisor_left_is_removed_and_nothing_else(place: Path) -> None:
    left = place / f"{PREFIX}left"
    left.mkdir()
    (left / LOCK).touch()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(left / "worker-0.sock"))
    held = place / f"{PREFIX}held"
    held.mkdir()
    foreign = place / f"{PREFIX}foreign"
    foreign.mkdir()
    (foreign / "notes").touch()
    (foreign / LOCK).touch()
    with (held / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with runtime_directory(place / "state") as made:
            assert {entry.name for entry in place.iterdir()} == {held.name, foreign.name, made.name}
    assert (foreign / "notes").exists()


def test_a_path_that_is_too_long_for_sockets_is_passed_over(
    place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("long" * 25)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setattr("tempfile.tempdir", str(place))
    with runtime_directory(tmp_path) as made:
        assert made.parent == place


def test_no_place_at_all_is_said_with_every_reason(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc/nowhere")
    monkeypatch.setattr("tempfile.tempdir", "/proc/elsewhere")
    long = tmp_path / ("long" * 25)
    with pytest.raises(ExtprocError) as refused, runtime_directory(long):
        pass
    for place in ("/proc/nowhere: ", "/proc/elsewhere: ", f"{long}: too long"):
        assert place in str(refused.value)
