"""When streams have to be over. Must stay true: it holds no more than twice as many entries as there are deadlines."""

from heapq import heapify, heappop, heappush
from typing import Final

_SLACK: Final = 64


class Deadlines:
    """Numbers of streams, each with a time in seconds; a stream has one at most."""

    __slots__ = ("_heap", "_when", "next")

    def __init__(self) -> None:
        self._when: Final[dict[int, float]] = {}
        self._heap: list[tuple[float, int]] = []  # may hold some of streams that are over
        self.next: float | None = None  # when `due` is to be asked, at the latest

    def add(self, number: int, when: float) -> None:
        """The stream has to be over at `when`."""
        self._when[number] = when
        heappush(self._heap, (when, number))
        self.next = self._heap[0][0]

    def remove(self, number: int) -> None:
        """The stream is over."""
        self._when.pop(number, None)
        if len(self._heap) > 2 * len(self._when) + _SLACK:
            self._heap = [(when, stream) for stream, when in self._when.items()]
            heapify(self._heap)
            self.next = self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[int]:
        """The streams that should be over by now, the latest last; they have no deadline any more."""
        late = []
        while self._heap and self._heap[0][0] <= now:
            _, number = heappop(self._heap)
            if self._when.pop(number, None) is not None:
                late.append(number)
        self.next = self._heap[0][0] if self._heap else None
        return late
