"""Each event is one line; as JSON its parts can be picked out."""

import io
import json
import logging
from collections.abc import Iterator

import pytest

from extproc.telemetry.logs import Format, configure


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    """The root logger as pytest had it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_lines_carry_the_parts_of_an_event() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    extra = {"experiment": "iris-ab", "event": "updated", "detail": "iris 1"}
    logging.getLogger("extproc").info("experiment %s: updated", "iris-ab", extra=extra)
    (line,) = stream.getvalue().splitlines()
    document = json.loads(line)
    assert document.pop("timestamp").endswith("+00:00")
    assert document == {"severity": "INFO", "logger": "extproc", "message": "experiment iris-ab: updated", **extra}


def test_lines_of_a_lower_level_are_left_out() -> None:
    stream = io.StringIO()
    configure("warning", "text", stream)
    logging.getLogger("extproc").info("not this")
    logging.getLogger("extproc").warning("this")
    assert stream.getvalue().endswith(" WARNING extproc: this\n")
    assert "not this" not in stream.getvalue()


@pytest.mark.parametrize("form", ["text", "json"])
def test_lines_of_several_processes_say_which(form: Format) -> None:
    stream = io.StringIO()
    configure("info", form, stream, process="worker-1")
    logging.getLogger("extproc").info("this")
    if form == "json":
        assert json.loads(stream.getvalue())["process"] == "worker-1"
    else:
        assert stream.getvalue().endswith(" INFO    worker-1 extproc: this\n")
