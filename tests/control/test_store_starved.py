"""Without room or leave to write, a change is refused with the reason, what is there stays, and room makes all well."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PROGRAM: Final = (sys.executable, "-m", "tests.control.store_starved")
# A file system that only the program sees and that is gone with it.
OWN_DISK: Final = (
    "unshare",
    "--mount",
    *(() if os.geteuid() == 0 else ("--map-root-user",)),
    "sh",
    "-c",
    'mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"',
)


def told(*command: str | Path) -> dict[str, Any]:
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@pytest.fixture
def own_disk(tmp_path: Path) -> tuple[str | Path, ...]:
    """What to put before a command that gets a small disk of its own."""
    try:
        trial = subprocess.run([*OWN_DISK, tmp_path, "true"], check=False, capture_output=True, text=True, timeout=10)
    except FileNotFoundError:
        pytest.skip("this system has no unshare(1) to give a program a disk of its own")
    if trial.returncode:
        pytest.skip(f"this system lets no program have a disk of its own: {trial.stderr.strip()}")
    return (*OWN_DISK, tmp_path)


def check(story: dict[str, Any], state_dir: Path, reason: str) -> None:
    made = 1
    for starved in story["starved"]:
        expected = f"StoreUnwritable: {state_dir}/extproc.db can't be written, nothing was changed: {reason}"
        assert starved["failure"] == expected, starved
        assert starved["during"] == list(range(1, made + 1)), starved
        made += 1
    assert story["made"] == [""] * (made + 1)
    made += not story["restarted"]["failure"]
    assert story["restarted"]["during"] == list(range(1, made + 1))
    assert story["at the end"] == list(range(1, made + 2))


def test_a_full_disk(own_disk: tuple[str | Path, ...], tmp_path: Path) -> None:
    story = told(*own_disk, *PROGRAM, "full", tmp_path)
    check(story, tmp_path, "database or disk is full (SQLITE_FULL): make room on its disk")
    assert story["restarted"]["failure"] == story["starved"][0]["failure"]


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    story = told(*PROGRAM, "limited", tmp_path)
    check(story, tmp_path, "disk I/O error (SQLITE_IOERR_WRITE): see whether its disk is full or failing")


def test_a_read_only_disk(own_disk: tuple[str | Path, ...], tmp_path: Path) -> None:
    before, during, after = told(*own_disk, *PROGRAM, "read-only", tmp_path)["opened"]
    assert (before, after) == ("", "")
    assert during.startswith(f"StoreUnwritable: the state directory {tmp_path} can't be used: ")
    assert "Read-only file system" in during
    assert during.endswith("--state-dir")
