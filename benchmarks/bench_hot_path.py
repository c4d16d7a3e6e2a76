"""Micro-benchmarks of the hot path, one for each step that a decision takes: `make bench`.

Absolute times depend on the machine; what counts is that they stay the same whatever the number of experiments.
"""

from functools import cache
from pathlib import Path
from random import Random

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from extproc.core.compilation import compile_table
from extproc.core.decide import decide
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import Table
from extproc.names import decided_route, intercept_route
from extproc.wire.ext_proc import Published, read

CAPTURED = Path(__file__).parents[1] / "tests" / "fixtures" / "ext_proc"


def table(experiments: int, name: str = "exp{}") -> Table:
    """So many experiments of two candidates each, all ready and accepted."""
    at = (Endpoint("127.0.0.1", 8081),)
    trials = [
        Experiment(name.format(i), (Candidate(f"a{i}", 70), Candidate(f"b{i}", 30)), f"a{i}")
        for i in range(experiments)
    ]
    models = {c.name: Model(c.name, endpoints=at) for trial in trials for c in trial.candidates}
    accepted = {decided_route(t.name, c.name, "http") for t in trials for c in t.candidates}
    return compile_table(trials, models, lambda _model, _protocol: True, accepted)


_built_once = cache(table)  # ten thousand take seconds


@pytest.mark.parametrize("experiments", [1, 10_000])
@pytest.mark.parametrize("token", ["", ":b0_1:", ":stale_1:"], ids=["fresh", "sticky", "stale"])
def bench_decide(benchmark: BenchmarkFixture, experiments: int, token: str) -> None:
    built = _built_once(experiments)
    draw = Random(1).getrandbits
    route = intercept_route("exp0", "a0", "http")
    headers = {"x-seldon-route": token} if token else {}
    decision = benchmark(lambda: decide(built, route, headers, draw(64)))
    assert decision.experiment == "exp0"


@pytest.mark.parametrize("captured", sorted(CAPTURED.glob("intercepted-*.bin")), ids=lambda path: path.stem)
def bench_read(benchmark: BenchmarkFixture, captured: Path) -> None:
    """A ProcessingRequest that a real Envoy sent."""
    message = captured.read_bytes()
    assert benchmark(read, message).phase == "request_headers"


@pytest.mark.parametrize("experiments", [1, 100])
def bench_publish(benchmark: BenchmarkFixture, experiments: int) -> None:
    """A weight change: the whole table compiled anew, and every reply serialised."""
    published = benchmark(lambda: Published(table(experiments)))
    assert len(published.replies) == 2 * experiments + 1
