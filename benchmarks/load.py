"""Load by wrk: as many requests as so many connections carry, each with one request under way at a time.

That is a closed loop: where an answer takes longer, fewer requests are sent, so the latencies of two cases belong to
their own throughputs. https://github.com/wg/wrk
"""

import json
import math
import resource
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MISSING: Final = "wrk is not installed: apt install wrk (Debian, Ubuntu), dnf install wrk (Fedora), brew install wrk"
PERCENTILES: Final = ("p50", "p90", "p99", "p99.9")

_SCRIPT: Final = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk did.

    `seconds` is how long it sent, `latency` in seconds by percentile. `failed` counts answers of 400 and up and
    connections that broke. `cpu` is wrk's own CPU time, in seconds.
    """

    requests: int
    seconds: float
    latency: dict[str, float]
    failed: int
    cpu: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


def wrk() -> str:
    """The path of wrk, "" when it is not installed."""
    return shutil.which("wrk") or ""


def run(url: str, *, connections: int, seconds: float, experiments: int = 0) -> Load:
    """Load `url` for so many seconds; `experiments` as in wrk.lua, 0 for the path of the URL alone.

    Raises RuntimeError when wrk fails.
    """
    # wrk knows whole seconds only, and reports when it is interrupted as when its time is over.
    argv = [wrk(), "--threads", "1", "--connections", str(connections), "--duration", f"{math.ceil(seconds) + 1}s"]
    argv += ["--timeout", "5s", "--script", str(_SCRIPT), url, "--", str(experiments)]
    before = _children_seconds()
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as running:
        try:
            said = running.communicate(timeout=seconds)[0]
        except subprocess.TimeoutExpired:
            running.send_signal(signal.SIGINT)
            said = running.communicate(timeout=30)[0]
    last = (said.splitlines() or [""])[-1]
    if running.returncode or not last.startswith("{"):
        raise RuntimeError(f"{' '.join(argv)} failed ({running.returncode}):\n{said}")
    told = json.loads(last)
    latency = {name: told[name] / 1e6 for name in PERCENTILES}
    return Load(told["requests"], told["micros"] / 1e6, latency, told["failed"], _children_seconds() - before)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
