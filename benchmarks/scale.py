"""What N experiments cost: throughput, memory, start, and how fast a change of weights is in effect.

Each experiment has two candidates and a mirror of its own that gets a tenth; half of them are called by their default
model's path, half by their own name in a header. All of their models are served by one cluster, so that what grows is
the experiments, and not the health checks of models.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks import envoy_configs, load, prober
from benchmarks.cases import OURS, Case
from benchmarks.compare import Spread
from benchmarks.measure import Sample, measure
from benchmarks.processes import cpu_seconds, memory_mib, tree
from benchmarks.stage import Running
from extproc.core.resources import Kind
from tests.harness.client import fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.extproc import RunningExtproc
from tests.harness.ports import free_port
from tests.harness.waiting import eventually

EXPERIMENTS: Final = (1, 100, 1_000, 10_000)
CONNECTIONS: Final = 32
CALLS: Final = 3  # of each experiment, before anything is measured
CHANGES: Final = 5  # changes of weights at each size; the median counts

_TYPE: Final = "type.googleapis.com/extproc.v1."
_START: Final = 600.0  # seconds that a start may take before it counts as failed


@dataclass(frozen=True, slots=True)
class Scale:
    """What was found at one size; times in seconds, memory in MiB by role.

    `ready` is from starting `extproc up` to its ready line, `serving` to the first answer of the last experiment; `cpu`
    is what each role has spent by then. `samples` are what was measured under load, a round each.
    """

    experiments: int
    read: float
    build: float
    configuration: int
    ready: float
    serving: float
    cpu: dict[str, float]
    memory: dict[str, list[float]]
    workers: float
    fallback: float
    rate: float
    relative_rate: Spread
    samples: list[Sample]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Started:
    experiments: int
    running: Running
    up: RunningExtproc
    built: dict[str, Any]
    ready: float
    serving: float
    cpu: dict[str, float]


def scales(
    directory: Path, sizes: Sequence[int], *, rounds: int, seconds: float, changes: int, say: Callable[[str], None]
) -> list[Scale]:
    """Start one `extproc up` for each size, and measure all of them. Raises AssertionError when one does not serve."""
    with ExitStack() as stack:
        port = free_port()
        models = RunningEnvoy(envoy_configs.models([port]), directory / "models", new_session=True)
        stack.enter_context(models).wait_live()
        started = []
        for size in sizes:
            started.append(_start(stack, directory / str(size), size, port, models))
            say(f"{size:,} experiments: ready after {started[-1].ready:.1f} s")
        for each in started:
            _warm_up(each, seconds)
        samples = [
            _measured(each, round_, seconds, say)
            for round_ in range(rounds)
            for each in (started if round_ % 2 == 0 else reversed(started))
        ]
        return [_finish(each, samples, sizes[0], changes, say) for each in started]


def resources(experiments: int, port: int) -> Iterator[dict[str, Any]]:
    """So many experiments, their models, and what the prober needs."""
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    yield {
        "@type": Kind.CLUSTER.value,
        "name": "models",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "models",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "circuit_breakers": {"thresholds": [{"max_requests": 100_000, "max_pending_requests": 100_000}]},
    }
    names = [f"{letter}{i}" for i in range(experiments) for letter in "abc"]
    for name in (*names, *prober.CANDIDATES):
        yield {"@type": f"{_TYPE}Model", "name": name, "cluster": "models"}
    for i in range(experiments):
        yield {
            "@type": f"{_TYPE}Experiment",
            "name": f"e{i}",
            "default": f"a{i}",
            "candidates": [{"name": f"a{i}", "weight": 70}, {"name": f"b{i}", "weight": 30}],
            "mirror": {"name": f"c{i}", "percent": 10},
        }


def _start(stack: ExitStack, directory: Path, experiments: int, port: int, models: RunningEnvoy) -> _Started:
    directory.mkdir(parents=True)
    file = directory / "resources.json"
    file.write_text(json.dumps({"version_info": "1", "resources": list(resources(experiments, port))}))
    argv = [sys.executable, "-m", "benchmarks.building", str(file)]
    built = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    begun = time.monotonic()
    up = RunningExtproc(["up", "--resources", str(file), "--envoy-concurrency", "1"], directory)
    stack.enter_context(up).wait_ready(_START)
    ready = time.monotonic() - begun
    case = Case(OURS, "product", f"{experiments:,} experiments")
    running = Running(case, up.inference_port, up.envoy_admin_url, (up.pid,), models.pid, lambda: None)
    last = f"e{experiments - 1}"
    eventually(
        lambda: _token(up, last),
        within=_START,
        saying=f"{last} is split",
        until=lambda token: token.startswith((f":a{last[1:]}_", f":b{last[1:]}_")),
    )
    serving = time.monotonic() - begun
    cpu: dict[str, float] = {}
    for process in tree(up.pid):
        cpu[process.role] = cpu.get(process.role, 0.0) + cpu_seconds(process.pid)
    return _Started(experiments, running, up, built, ready, serving, cpu)


def _token(up: RunningExtproc, experiment: str) -> str:
    answer = fetch(
        f"{up.inference_url}/v2/models/any/infer",
        headers={"seldon-model": f"{experiment}.experiment"},
        body={"inputs": []},
    )
    return answer.headers.get("x-seldon-route", "")


def _warm_up(each: _Started, seconds: float) -> None:
    """Have every experiment called: what is done once for each is no part of what a request costs."""
    asked = 0
    while asked < CALLS * each.experiments:
        run = load.run(each.running.url, connections=CONNECTIONS, seconds=seconds, experiments=each.experiments)
        if not run.requests:
            raise RuntimeError(f"with {each.experiments} experiments no request was answered in {seconds} s")
        asked += run.requests


def _measured(each: _Started, round_: int, seconds: float, say: Callable[[str], None]) -> tuple[int, Sample]:
    sample = measure(
        each.running, connections=CONNECTIONS, seconds=seconds, round_=round_, experiments=each.experiments
    )
    say(f"round {round_ + 1}, {each.experiments:,} experiments: {sample.rate:,.0f}/s")
    return each.experiments, sample


def _finish(
    each: _Started, samples: list[tuple[int, Sample]], smallest: int, changes: int, say: Callable[[str], None]
) -> Scale:
    memory: dict[str, list[float]] = {}
    for process in tree(each.up.pid):
        memory.setdefault(process.role, []).append(memory_mib(process.pid))
    change = prober.changes(each.up.admin_url, each.up.inference_url, changes)
    say(f"{each.experiments:,} experiments: workers {change.workers:.3f} s, fallback {change.fallback:.3f} s")
    rates = {size: {s.round: s.rate for n, s in samples if n == size} for size in (each.experiments, smallest)}
    shares = [rate / rates[smallest][round_] for round_, rate in rates[each.experiments].items()]
    return Scale(
        experiments=each.experiments,
        read=each.built["read"],
        build=each.built["build"],
        configuration=each.built["bytes"],
        ready=each.ready,
        serving=each.serving,
        cpu=each.cpu,
        memory=memory,
        workers=change.workers,
        fallback=change.fallback,
        rate=Spread.of(list(rates[each.experiments].values())).median,
        relative_rate=Spread.of(shares),
        samples=[sample for experiments, sample in samples if experiments == each.experiments],
    )
