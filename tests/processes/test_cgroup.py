"""What a container may have is found, whichever version of cgroups says so."""

from pathlib import Path

import pytest

from extproc.processes.cgroup import memory_limit

MIB = 1024 * 1024


def group(directory: Path, told: str, **limits: str) -> tuple[Path, Path]:
    """A tree of cgroups: a limit for each file, `__` standing for a slash."""
    for name, limit in limits.items():
        file = directory / "cgroup" / name.replace("__", "/").replace("_DOT_", ".")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{limit}\n")
    own = directory / "self"
    own.write_text(told)
    return directory / "cgroup", own


@pytest.mark.parametrize(
    ("told", "limits", "expected"),
    [
        ("0::/\n", {"memory_DOT_max": str(512 * MIB)}, 512 * MIB),
        ("0::/\n", {"memory_DOT_max": "max"}, 0),
        ("0::/\n", {}, 0),
        ("0::/a/b\n", {"a__memory_DOT_max": str(256 * MIB), "a__b__memory_DOT_max": "max"}, 256 * MIB),
        ("0::/a/b\n", {"a__memory_DOT_max": str(256 * MIB), "a__b__memory_DOT_max": str(128 * MIB)}, 128 * MIB),
        ("9:cpu:/a\n4:memory:/a\n0::/\n", {"memory__a__memory_DOT_limit_in_bytes": str(64 * MIB)}, 64 * MIB),
        ("4:memory:/a\n0::/\n", {"memory__memory_DOT_limit_in_bytes": str(64 * MIB)}, 64 * MIB),
        ("4:memory:/a\n", {"memory__a__memory_DOT_limit_in_bytes": "9223372036854771712"}, 0),
        ("0::/../up\n", {"memory_DOT_max": str(64 * MIB)}, 64 * MIB),
    ],
)
def test_the_least_limit_above_counts(tmp_path: Path, told: str, limits: dict[str, str], expected: int) -> None:
    assert memory_limit(*group(tmp_path, told, **limits)) == expected


def test_where_nothing_is_told_there_is_none(tmp_path: Path) -> None:
    assert memory_limit(tmp_path, tmp_path / "no such file") == 0
