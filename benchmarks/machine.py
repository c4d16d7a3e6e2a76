"""The machine and the programs of a run, without anything that tells which machine it is."""

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Final

from benchmarks.load import wrk
from tests.harness.envoy import envoy_binary

_PACKAGES: Final = ("extproc", "grpcio", "protobuf", "uvloop")


def describe() -> dict[str, str]:
    """What a reader has to know to judge the numbers."""
    kernel = re.match(r"\d+\.\d+", platform.release())
    return {
        "cpu": _cpu(),
        "cores": str(os.cpu_count()),
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {kernel[0] if kernel else ''}".strip(),
        "python": platform.python_version(),
        "envoy": _first(r"/(\d+\.\d+\.\d+)[^/]*/", [str(envoy_binary()), "--version"]),
        "wrk": _first(r"wrk (\S+)", [wrk(), "-v"]) if wrk() else "",
        **{name: importlib.metadata.version(name) for name in _PACKAGES},
    }


def _cpu() -> str:
    names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return names[0] if names else platform.machine()


def _first(pattern: str, argv: list[str]) -> str:
    said = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(pattern, said.stdout + said.stderr)
    return found[1] if found else ""
