"""Counting decisions where they are made, over plain memory that another process reads: cells.

A cell is 8 bytes, unsigned, in the byte order of the machine, and has one writer. First come HEAD cells of the worker,
then one cell for each slot; a Decision carries its slot, so that counting it is one addition. Must stay true: what a
reader sees never shrinks while it lives, whatever slots are freed and given away again; and what a worker counts
outlives both itself and the reader, as the memory does.
"""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Final, Protocol

from extproc.core.table import Decision, Outcome, Patch

CELL: Final = 8  # bytes
HEAD: Final = 128  # cells
SLOTS: Final = 2**20  # for 10,000 experiments of three candidates, and six restarts of their reader
SIZE: Final = (HEAD + SLOTS) * CELL  # bytes; only what is written to takes memory

# The cells of the head. The first count decisions by the number of bits that their nanoseconds have.
_BITS: Final = 64
_NANOSECONDS: Final = 65  # of all decisions together
_PROCESS: Final = 66  # the worker's process id
_SPANS_DROPPED: Final = 67
_MARK: Final = 68  # the first slot that was never given away; written by the reader, in the first worker's head

# Upper bounds of buckets in seconds. What has so many bits is below 2^bits nanoseconds.
_FIRST, _LAST = 10, 30  # bits: a microsecond, and a second; the rest is counted by the buckets at both ends
BOUNDS: Final = tuple(2**bits / 1e9 for bits in range(_FIRST, _LAST + 1))

_SLOT: Final = attrgetter("slot")  # of a decision

Counted = tuple[str, str, str]  # experiment, candidate and outcome of a decision

# Slots that are nobody's: what no table knows, and what came when no slot was left.
_UNKNOWN: Final = 0
_CROWDED: Final = 1
_FIXED: Final[Mapping[int, Counted]] = {
    _UNKNOWN: ("", "", Outcome.NO_EXPERIMENT.value),
    _CROWDED: ("", "", "not_told_apart"),
}


class Decisions(Protocol):
    """What was decided since the start, for whoever shows it."""

    def counts(self) -> Mapping[Counted, int]:
        """Decisions by experiment, candidate and outcome."""

    def seconds(self) -> tuple[Sequence[int], float]:
        """Decisions by how long they took, one count for each of BOUNDS and one for all above; and the sum in seconds.

        Not cumulative.
        """


class Meter:
    """The one writer of some cells, at the place where decisions are made. `memory` is SIZE writable bytes, or less."""

    __slots__ = ("_head", "_slots", "_unmeasured")

    def __init__(self, memory: memoryview) -> None:
        cells = memory.cast("B").cast("Q")
        self._head: Final = cells[:HEAD]
        self._slots: Final = cells[HEAD:]
        self._head[_PROCESS] = os.getpid()
        self._unmeasured = 0

    def count(self, decisions: Sequence[Decision], nanoseconds: int | None) -> None:
        """The last of these was answered so long after its request was read; None where that was not measured.

        What is measured stands for everything since it was measured last.
        """
        slots = self._slots
        for slot, times in Counter(map(_SLOT, decisions)).items():
            slots[slot] += times
        self._unmeasured += len(decisions)
        if nanoseconds is not None:
            head, unmeasured = self._head, self._unmeasured
            head[nanoseconds.bit_length()] += unmeasured
            head[_NANOSECONDS] += nanoseconds * unmeasured
            self._unmeasured = 0

    def lost_spans(self, spans: int) -> None:
        """So many more spans were dropped. From one thread at a time, which may be another than that of `count`."""
        self._head[_SPANS_DROPPED] += spans


class Meters:
    """Reads the meters of all workers, and gives each decision its slot, the same one in every table.

    `memories` are the workers', in their order. What was counted for a reader before this one is not shown.
    """

    def __init__(self, memories: Sequence[memoryview]) -> None:
        self._cells: Final = [memory.cast("B").cast("Q") for memory in memories]
        self._end: Final = min(len(cells) for cells in self._cells) - HEAD
        self._slots: Final[dict[Counted, int]] = {}
        self._before: Final[dict[int, int]] = {}  # what a slot had counted when it was given away
        self._free: Final[list[int]] = []
        # Until they have the first table of this reader, workers go on counting in slots that the last one gave away.
        self._next = max(self._cells[0][_MARK], len(_FIXED))
        if self._end - self._next < self._end // 2:
            self._next = len(_FIXED)

    def numbered(self, patch: Patch) -> Patch:
        """The same patch, each decision with its slot."""
        return Patch({key: entry.mapped(self._decision) for key, entry in patch.set.items()}, patch.removed)

    def keep(self, experiments: Collection[str]) -> None:
        """Free the slots of all other experiments. None of those may be in the last table."""
        for counted in [counted for counted in self._slots if counted[0] not in experiments]:
            self._free.append(self._slots.pop(counted))

    def counts(self) -> Mapping[Counted, int]:
        """See Decisions."""
        counts = {counted: self._sum(HEAD + slot) - self._before[slot] for counted, slot in self._slots.items()}
        counts |= {counted: seen for slot, counted in _FIXED.items() if (seen := self._sum(HEAD + slot))}
        return counts

    def seconds(self) -> tuple[Sequence[int], float]:
        """See Decisions."""
        by_bits = [self._sum(bits) for bits in range(_BITS + 1)]
        low, high = by_bits[: _FIRST + 1], by_bits[_LAST + 1 :]
        return [sum(low), *by_bits[_FIRST + 1 : _LAST + 1], sum(high)], self._sum(_NANOSECONDS) / 1e9

    def spans_dropped(self) -> int:
        """How many spans the workers have dropped."""
        return self._sum(_SPANS_DROPPED)

    def processes(self) -> Sequence[int]:
        """Each worker's process id, 0 for one that never ran."""
        return [cells[_PROCESS] for cells in self._cells]

    def _decision(self, decision: Decision) -> Decision:
        counted = (decision.experiment, decision.candidate, decision.outcome.value)
        slot = self._slots.get(counted)
        if slot is None:
            slot = self._new()
            if slot != _CROWDED:
                self._slots[counted] = slot
                self._before[slot] = self._sum(HEAD + slot)
        return replace(decision, slot=slot)

    def _new(self) -> int:
        if self._free:
            return self._free.pop()
        if self._next == self._end:
            return _CROWDED
        self._next += 1
        self._cells[0][_MARK] = self._next
        return self._next - 1

    def _sum(self, cell: int) -> int:
        return sum(cells[cell] for cells in self._cells)
