"""What the things that tests start have in common: used in a `with` block, each is closed at its end."""

from types import TracebackType
from typing import Self


class Closing:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End it."""
        raise NotImplementedError
