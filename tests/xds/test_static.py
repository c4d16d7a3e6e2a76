"""Envoy itself on the whole configuration: `--mode validate`, from JSON and from our own bytes."""

import subprocess
from pathlib import Path

import pytest

from extproc.xds.encode import encode
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.envoy import envoy_binary, validate
from tests.xds.worlds import WORLDS


@pytest.mark.parametrize("name", WORLDS)
def test_envoy_accepts_it(name: str, tmp_path: Path) -> None:
    assert validate(static_config(WORLDS[name], Options()), tmp_path) == ""


def test_envoy_accepts_our_encoding_of_it(tmp_path: Path) -> None:
    # A bootstrap with the suffix .pb is read as binary protobuf, with unknown fields refused.
    file = tmp_path / "bootstrap.pb"
    file.write_bytes(encode("envoy.config.bootstrap.v3.Bootstrap", static_config(WORLDS["grpc"], Options())))
    argv = [str(envoy_binary()), "--mode", "validate", "-c", str(file), "--disable-hot-restart", "-l", "error"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
