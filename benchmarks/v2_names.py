"""What it costs that a model is named in a gRPC message: `python -m benchmarks.v2_names`.

The same call is sent to models and to experiments, some of which are served under the name that the message says, so
that nothing is to be renamed. The measure is CPU time, of Envoy and of the worker, taken in turns in several rounds: a
decision costs what an experiment takes more than a model, a rename what it takes more than that same experiment.
"""

import argparse
import re
import shutil
import statistics
import subprocess
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Final

from benchmarks.processes import cpu_seconds, tree
from benchmarks.product import serving
from extproc.wire.pb.extproc.slim.inference_pb2 import ModelInferRequest
from tests.harness.extproc import RunningExtproc

TARGET: Final = 2.0  # times a decision's cost, at most, on top of it, for a KiB
SIZES: Final = {"1 KiB": 1024, "1 MiB": 1024 * 1024}

_METHOD: Final = "/inference.GRPCInferenceService/ModelInfer"
_DONE: Final = re.compile(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed")

_SERVED: Final = {"plain": "plain", "same": "same", "same2": "same", "iris": "iris-v1", "iris2": "iris-v2"}
MODELS: Final = {name: {"served_name": served} for name, served in _SERVED.items()}

# Each way to call: the endpoint, and whether a header says it too.
WAYS: Final = {
    "model": ("plain", True),
    "experiment": ("same", True),
    "experiment, renamed": ("iris", True),
    "experiment, renamed, no header": ("iris", False),
}


def message(called: str, size: int) -> bytes:
    """A gRPC message of that size."""
    request = ModelInferRequest(model_name=called, raw_input_contents=[bytes(size - 64)]).SerializeToString()
    return b"\0" + len(request).to_bytes(4) + request


def main() -> None:
    """Measure, and print a table and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=20_000, help="of a KiB each; of larger ones fewer")
    given = parser.parse_args()
    h2load = shutil.which("h2load")
    if h2load is None:
        parser.exit(1, "h2load is missing: install it (Debian and Ubuntu: apt install nghttp2-client)\n")
    with (
        tempfile.TemporaryDirectory() as directory,
        serving(Path(directory), MODELS, ("same", "iris"), "grpc_endpoints") as product,
    ):
        for what, size in SIZES.items():
            spent: dict[str, list[dict[str, float]]] = defaultdict(list)
            requests = max(200, given.requests * 1024 // size)
            for _ in range(given.rounds):
                for way, (called, said) in WAYS.items():
                    data = Path(directory) / f"{called}-{size}"
                    data.write_bytes(message(called, size))
                    header = [f"--header=seldon-model: {called}"] if said else []
                    spent[way].append(measure(product, [h2load, f"--data={data}", *header], requests))
            report(what, spent)


def report(what: str, spent: dict[str, list[dict[str, float]]]) -> None:
    """Print what was measured for messages of one size."""
    middle = {way: statistics.median(sum(each.values()) for each in runs) for way, runs in spent.items()}
    print(f"a message of {what}, µs of CPU a request")
    for way, runs in spent.items():
        roles = "".join(f"{role} {statistics.median(each[role] for each in runs):7.1f}  " for role in runs[0])
        print(f"  {way:31} {middle[way]:7.1f}  {roles}")
    decision = middle["experiment"] - middle["model"]
    rename = middle["experiment, renamed"] - middle["experiment"]
    print(f"  a decision costs {decision:.1f} µs; the rename adds {rename:.1f} µs, {rename / decision:.2f} times that")
    if what == "1 KiB":
        print(f"  target: at most {TARGET:.2f} times")


def measure(product: RunningExtproc, command: list[str], requests: int) -> dict[str, float]:
    """CPU µs a request by role. Raises RuntimeError when a request fails."""
    processes = [process for process in tree(product.pid) if process.role in ("envoy", "worker")]
    before = {process.role: cpu_seconds(process.pid) for process in processes}
    grpc = ["--header=content-type: application/grpc", "--header=te: trailers"]
    load = [f"--requests={requests}", "--clients=8", "--max-concurrent-streams=1", "--threads=1"]
    argv = [*command, *grpc, *load, product.inference_url + _METHOD]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = _DONE.search(said)
    if not found or found.groups() != (str(requests), "0"):
        raise RuntimeError(f"{argv}: {said}")
    return {p.role: (cpu_seconds(p.pid) - before[p.role]) * 1e6 / requests for p in processes}


if __name__ == "__main__":
    main()
