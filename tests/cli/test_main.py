"""How the command ends: exit codes, and one line on stderr whatever went wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_packaging import ROOT

FULL = Path("/dev/full")  # a disk that is full, for ever


def extproc(*arguments: str, stdout: Path) -> tuple[int, str]:
    """The exit code and the stderr of `extproc <arguments>` with its output in a file."""
    with stdout.open("w") as output:
        done = subprocess.run(
            [sys.executable, "-m", "extproc", *arguments],
            stdout=output, stderr=subprocess.PIPE, text=True, timeout=60, check=False, cwd=ROOT,
        )  # fmt: skip
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments", [("--help",), ("render", "bootstrap"), ("validate", "envoy/examples/iris.json"), ("demo", "--help")]
)
def test_an_output_that_can_t_be_written_is_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    assert extproc(*arguments, stdout=FULL) == (1, "extproc: the output can't be written: No space left on device\n")
    assert extproc(*arguments, stdout=tmp_path / "output") == (0, "")


def test_flags_that_exclude_each_other_are_a_mistake_of_usage(tmp_path: Path) -> None:
    ports = ("--inference-port", "9000", "--admin-port", "9000")
    assert extproc("serve", "--resources", "envoy/examples", *ports, stdout=tmp_path / "output") == (
        2,
        "extproc: --admin-port 9000 is --inference-port's port already: give them different ones\n",
    )
