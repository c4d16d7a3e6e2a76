"""What it costs that a model is named in the body: `python -m benchmarks.chat`.

The same KiB is sent to a model and to an experiment, named in the path and named in the body. The measure is CPU time,
of Envoy and of the worker, taken in turns in several rounds: a decision costs what an experiment takes more than a
model, both named in the path, and a chat's decision what it takes more than that same model.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

from benchmarks.load import MISSING, wrk
from benchmarks.processes import cpu_seconds, tree
from benchmarks.product import serving
from tests.harness.extproc import RunningExtproc

TARGET: Final = 2.0  # times a decision's cost, at most, on top of it

_SCRIPT: Final = Path(__file__).with_name("wrk_body.lua")
_CHAT: Final = "/v1/chat/completions"

# Each way to name a model: the path, and what is called in the body.
WAYS: Final = {
    "path, model": ("/v2/models/iris3/infer", "iris3"),
    "path, experiment": ("/v2/models/iris/infer", "iris"),
    "body, model": (_CHAT, "chat3"),
    "body, experiment": (_CHAT, "chat"),
}


def body(called: str) -> str:
    """A KiB of chat; the name stands where OpenAI's client puts it, after the messages."""
    empty = json.dumps({"messages": [{"role": "user", "content": ""}], "model": called, "stream": True})
    return empty.replace('""', json.dumps("a" * (1024 - len(empty))))


def main() -> None:
    """Measure, and print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=8)
    given = parser.parse_args()
    if not wrk():
        parser.exit(1, f"{MISSING}\n")
    spent: dict[str, list[dict[str, float]]] = defaultdict(list)
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory), models(), ("iris", "chat"), "endpoints") as product,
    ):
        for _ in range(given.rounds):
            for way, (path, called) in WAYS.items():
                url = product.inference_url + path
                spent[way].append(measure(product, url, body(called), given.connections, given.seconds))
    middle = {way: statistics.median(sum(each.values()) for each in runs) for way, runs in spent.items()}
    for way, runs in spent.items():
        roles = "".join(f"{role} {statistics.median(each[role] for each in runs):6.1f}  " for role in runs[0])
        print(f"{way:18} {middle[way]:6.1f} µs of CPU a request: {roles}")
    decision = middle["path, experiment"] - middle["path, model"]
    chat = middle["body, experiment"] - middle["path, experiment"]
    print(
        f"a decision costs {decision:.1f} µs; the name in the body adds {chat:.1f} µs, {chat / decision:.2f} times that"
    )
    print(f"target: at most {TARGET:.2f} times")


def measure(product: RunningExtproc, url: str, body: str, connections: int, seconds: int) -> dict[str, float]:
    """CPU µs a request by role. Raises RuntimeError when wrk fails or a request does."""
    processes = [process for process in tree(product.pid) if process.role in ("envoy", "worker")]
    before = {process.role: cpu_seconds(process.pid) for process in processes}
    argv = [wrk(), "--threads", "1", "--connections", str(connections), "--duration", f"{seconds}s"]
    said = subprocess.run(
        [*argv, "--script", str(_SCRIPT), url, "--", body], capture_output=True, text=True, check=True
    )
    told: dict[str, int] = json.loads(said.stdout.splitlines()[-1])
    if told["failed"] or not told["requests"]:
        raise RuntimeError(f"{url}: {told}")
    return {p.role: (cpu_seconds(p.pid) - before[p.role]) * 1e6 / told["requests"] for p in processes}


def models() -> dict[str, dict[str, Any]]:
    """Two kinds of three models, each of another name for its server."""
    return {
        f"{stem}{number}": {"served_name": f"{stem}{number}-as-its-server-calls-it", **said}
        for stem, said in (("iris", {}), ("chat", {"api": "OPENAI"}))
        for number in ("", 2, 3)
    }


if __name__ == "__main__":
    main()
