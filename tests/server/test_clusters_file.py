"""What Envoy runs, kept across a restart; a file that can't be used is as good as none."""

import logging
import stat
from pathlib import Path

import pytest

from extproc.server.clusters_file import NAME, recall, remember


def test_what_is_remembered_is_recalled(tmp_path: Path) -> None:
    assert recall(tmp_path) == {}
    remember(tmp_path, {"iris": b"\x00\xff", "iris2": b""})
    remember(tmp_path, {"iris": b"\x00\xff"})
    assert recall(tmp_path) == {"iris": b"\x00\xff"}
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"iris": 1}', '{"iris": "*"}', "null"])
def test_a_damaged_file_is_told_and_not_used(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / NAME).write_text(text)
    assert recall(tmp_path) == {}
    assert NAME in caplog.text


def test_a_directory_that_is_gone_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    remember(tmp_path / "gone", {"iris": b""})
    assert "can't be kept" in caplog.text


def test_nobody_else_can_read_it(tmp_path: Path) -> None:
    (tmp_path / f".{NAME}.new").touch(mode=0o644)  # left by one that was killed
    remember(tmp_path, {"iris": b"with a private key"})
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600
