"""Logs on stderr, as lines for people or as JSON objects for machines.

Must stay true: one event is one line, and a JSON line has the same text as the other, with its parts beside it.
"""

import logging
import sys
from typing import Final, Literal, TextIO

from pythonjsonlogger.json import JsonFormatter

Format = Literal["text", "json"]

TEXT: Final = "%(asctime)s %(levelname)-7s {process}%(name)s: %(message)s"
# The names of OpenTelemetry's log data model where it has one, else those that most collectors look for.
JSON_NAMES: Final = {"levelname": "severity", "name": "logger"}


def configure(level: str, form: Format, stream: TextIO | None = None, *, process: str = "") -> None:
    """Send every log of this process to `stream`, stderr by default, from `level` ("debug" to "error") on.

    `process` is which of several that write there this one is; empty where it is the only one.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields=JSON_NAMES,
            static_fields={"process": process} if process else {},
            timestamp=True,
        )
        if form == "json"
        else logging.Formatter(TEXT.format(process=f"{process} " if process else ""))
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("grpc", "hpack"):  # they have lines for every stream
        logging.getLogger(noisy).setLevel(logging.WARNING)
