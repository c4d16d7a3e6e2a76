"""Fuzzes the connection with atheris: `python -m tests.fuzz [libFuzzer options]`, or `make fuzz`."""

import logging
import sys

import atheris

with atheris.instrument_imports(include=["extproc.http2"]):
    from tests.fuzz.connection import feed

if __name__ == "__main__":
    logging.disable()
    atheris.Setup(sys.argv, feed)
    atheris.Fuzz()
