"""What a fresh checkout and a built package hold: nothing missing, nothing that needs to be there before."""

import os
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from extproc.cli import COMMANDS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TARGETS = ("help", "demo", "test", "lint", "bench", "fuzz", "protos", "clean")


def make(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """`make` in the checkout, as from a user's shell: without the variables of a make that runs these tests."""
    environment = {k: v for k, v in os.environ.items() if k not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "KEEP", "VENV"}}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        env={**environment, **variables},
    )  # fmt: skip


def test_make_alone_lists_every_target() -> None:
    done = make()
    assert done.returncode == 0, done.stderr
    listed = re.findall(r"^  make ([a-z]+) +\S", done.stdout, re.MULTILINE)
    assert tuple(dict.fromkeys(listed)) == TARGETS


@pytest.mark.parametrize("target", ["demo", "test", "lint", "bench", "fuzz", "protos"])
def test_each_target_begins_with_its_environment(target: str, tmp_path: Path) -> None:
    fresh = tmp_path / "venv"
    planned = make("--dry-run", target, f"VENV={fresh}")
    assert planned.returncode == 0, planned.stderr
    steps = [line for line in planned.stdout.splitlines() if str(fresh) in line]
    assert "-m venv" in steps[0] or "Setting up" in steps[0]
    assert any("pip" in step and "install" in step and "--editable" in step for step in steps)
    assert f"{fresh}/bin/" in steps[-1], "the last step does not run in the environment"
    assert not fresh.exists()


@pytest.mark.parametrize(("target", "stamp"), [("demo", ".demo"), ("test", ".dev")])
def test_an_environment_is_renewed_when_pyproject_is_newer(target: str, stamp: str, tmp_path: Path) -> None:
    changed = (ROOT / "pyproject.toml").stat().st_mtime
    for name in (".pip", stamp):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (changed + 1, changed + 1))
    assert "install" not in make("--dry-run", target, f"VENV={tmp_path}").stdout
    os.utime(tmp_path / stamp, (changed - 1, changed - 1))
    renewed = make("--dry-run", target, f"VENV={tmp_path}").stdout
    assert "--editable" in renewed
    assert "-m venv" not in renewed, "made anew, though only what is in it was stale"


def test_without_a_python_that_fits_it_says_which_ones_do(tmp_path: Path) -> None:
    done = make("demo", f"VENV={tmp_path / 'venv'}", "PYTHON=")
    assert done.returncode != 0
    assert "No Python 3.11 or 3.12" in done.stderr
    assert "make PYTHON=" in done.stderr


def test_a_shim_that_does_not_run_is_passed_over(tmp_path: Path) -> None:
    for name, body in (("python3.12", "exit 127"), ("python3.11", f'exec {sys.executable} "$@"')):
        shim = tmp_path / name
        shim.write_text(f"#!/bin/sh\n{body}\n")
        shim.chmod(0o755)
    planned = make("--dry-run", "demo", f"VENV={tmp_path / 'venv'}", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert "python3.11 -m venv" in planned.stdout
    assert "python3.12 -m venv" not in planned.stdout


def test_ci_lints_and_tests_and_ends_with_what_pytest_says() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    lines = [line for line in script.read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "set -euo pipefail"
    assert [line.split("make ")[1].split()[0] for line in lines if "make " in line] == ["lint", "test"]
    assert lines[-1].startswith("exec make test")


def test_every_file_that_is_no_code_is_packaged() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["extproc"]
    package = ROOT / "extproc"
    data = [
        str(path.relative_to(package))
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in {".py", ".pyc"}
    ]
    assert {"py.typed", "demo/iris.json"} <= set(data)
    left_out = [name for name in data if not any(fnmatch(name, pattern) for pattern in patterns)]
    assert not left_out, f"add to package-data in pyproject.toml: {left_out}"


def test_the_demo_names_the_extra_that_it_needs(tmp_path: Path) -> None:
    # As on a machine that has only `pip install extproc`.
    program = """
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {"mlserver_sklearn", "sklearn"} else found(name)
from extproc.cli import main
main("demo")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "the demo needs mlserver_sklearn, sklearn: pip install 'extproc[demo]'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_the_licence_is_the_whole_of_apache_2() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert re.findall(r"^   ([1-9])\. ", text, re.MULTILINE) == [str(number) for number in range(1, 10)]
    assert "END OF TERMS AND CONDITIONS" in text


def test_the_changelog_speaks_of_this_version() -> None:
    from extproc import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_every_command_has_its_module() -> None:
    assert "demo" in COMMANDS
    missing = [module for module, _ in COMMANDS.values() if not (ROOT / f"{module.replace('.', '/')}.py").is_file()]
    assert not missing
