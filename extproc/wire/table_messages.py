"""Changes of the table as bytes, from the control process to the workers, and the numbers that come back.

A table is sent as patches of bounded size, so that a worker which takes in thousands of experiments goes on answering
between two of them. Pickled: both ends are processes of ours, started by one supervisor from one installation, over a
socket that nobody else can reach; and what is sent are the frozen values of `core` themselves.
"""

import pickle
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from extproc.core.differences import differing
from extproc.core.table import Patch, Table

SET_MAX: Final = 200  # entries in one message: about 2 ms of a worker's time

LENGTH: Final = struct.Struct("!I")  # stands before each message, in bytes
HELLO: Final = struct.Struct("!I?")  # what a worker says first: its number, and whether it decides by a table already
NUMBER: Final = struct.Struct("!Q")  # what it says from then on: each version that it has come to decide by


@dataclass(frozen=True, slots=True)
class TableMessage:
    """One step towards the table of `version`, which is whole after the step that is the `last`.

    A `fresh` step starts from nothing; any other continues what the messages before it have made.
    """

    version: int
    fresh: bool
    last: bool
    patch: Patch


def difference(old: Table, new: Table) -> Patch:
    """What makes `new` of `old`, where entries that did not change are the same objects."""
    others = differing(old.entries, new.entries)
    return Patch(
        {key: new.entries[key] for key in others if key in new.entries},
        tuple(key for key in others if key not in new.entries),
    )


def steps(patch: Patch, version: int, *, fresh: bool = False) -> Iterator[TableMessage]:
    """`patch` as messages: at least one, none with more than SET_MAX entries."""
    entries = iter(patch.set.items())
    part, removed = dict(islice(entries, SET_MAX)), patch.removed
    while True:
        following = dict(islice(entries, SET_MAX))
        yield TableMessage(version, fresh, not following, Patch(part, removed))
        if not following:
            return
        part, removed, fresh = following, (), False


def encode(message: TableMessage) -> bytes:
    """The message with its length before it."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return LENGTH.pack(len(body)) + body


def decode(body: bytes) -> TableMessage:
    """The message of these bytes, which `encode` has made, without the length."""
    message: TableMessage = pickle.loads(body)  # noqa: S301 - from our own control process, see above
    return message
