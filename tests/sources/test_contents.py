"""One reading: whole or not at all, and whether a writer is there."""

import os
from pathlib import Path

from extproc.sources.contents import SIZE_MAX, Writers, read_bytes, writers
from extproc.sources.places import Identity


def test_reads_bytes_and_identity(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(b"\xff\x00{}")
    reading = read_bytes(file)
    assert (reading.data, reading.problem) == (b"\xff\x00{}", "")
    assert reading.identity == Identity.of(file.stat())


def test_the_largest_and_one_more(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with file.open("wb") as out:
        out.truncate(SIZE_MAX)
    assert len(read_bytes(file).data) == SIZE_MAX
    with file.open("ab") as out:
        out.write(b"!")
    reading = read_bytes(file)
    assert (reading.data, reading.problem) == (b"", "is larger than 16 MiB: split it into several files")


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    assert read_bytes(tmp_path / "gone.json").problem == "can't be read: No such file or directory"
    assert read_bytes(tmp_path).problem.startswith("can't be read: Is a directory")
    os.mkfifo(tmp_path / "fifo")
    assert "neither a file nor a directory" in read_bytes(tmp_path / "fifo").problem


def test_knows_of_writers(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("{}")
    assert (read_bytes(file).writers, writers(file)) == (Writers.NONE, Writers.NONE)
    with file.open("r+") as held:
        assert (read_bytes(file).writers, writers(file)) == (Writers.SOME, Writers.SOME)
        assert held.read() == "{}"
    with file.open():
        assert writers(file) is Writers.NONE, "a reader is no writer"
    assert writers(tmp_path / "gone.json") is Writers.UNKNOWN


def test_asking_keeps_no_writer_out(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("{}")
    assert writers(file) is Writers.NONE
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))  # EWOULDBLOCK while a lease is held
