"""Sees to it that nobody goes through all of what there are thousands of."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NoReturn
from unittest.mock import patch

from extproc.core.layered import Layered

_WALKS = ("__iter__", "keys", "values", "items", "plain")


@contextmanager
def unwalked() -> Iterator[None]:
    """AssertionError in whoever walks over a mapping of all experiments, models, entries or revisions, or copies it."""

    def walk(*_: object) -> NoReturn:
        raise AssertionError("it goes through everything")

    with ExitStack() as stack:
        for name in _WALKS:
            stack.enter_context(patch.object(Layered, name, walk))
        yield
