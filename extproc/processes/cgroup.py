"""How much memory this process may have: the least limit of its cgroup and of those above.

https://docs.kernel.org/admin-guide/cgroup-v2.html#memory-interface-files and, for version 1,
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from extproc.settings import HEAP_MIN

MIB: Final = 1024 * 1024

_MOUNTED: Final = Path("/sys/fs/cgroup")
_OWN: Final = Path("/proc/self/cgroup")
_UNLIMITED: Final = 1 << 60  # bytes; version 1 says so with a number of about this size


def memory_limit(mounted: Path = _MOUNTED, own: Path = _OWN) -> int:
    """In bytes; 0 where there is none, or where it can't be told."""
    limits = []
    for file in _files(mounted, own):
        with suppress(OSError, ValueError):  # "max", or a group that is not seen from in here
            limits.append(int(file.read_text()))
    least = min(limits, default=_UNLIMITED)
    return least if least < _UNLIMITED else 0


def envoys_share() -> int:
    """What of it Envoy may have where it shares it with extproc, in MiB; 0 for any, or for too little to divide."""
    share = memory_limit() // MIB * 3 // 4
    return share if share >= HEAP_MIN else 0


def _files(mounted: Path, own: Path) -> Iterator[Path]:
    try:
        lines = own.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top, name = (mounted / "memory", "memory.limit_in_bytes") if controllers else (mounted, "memory.max")
        below = top / group.lstrip("/")
        yield from (each / name for each in (below, *below.parents) if each.is_relative_to(top))
