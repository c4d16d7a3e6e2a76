"""`extproc demo` itself: real models in real MLServers behind a real Envoy, and the numbers it reports."""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from tests.harness.otlp import Collector
from tests.harness.process import Child
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

# Three MLServers start, each of which imports for seconds; on a busy machine that adds up.
pytestmark = pytest.mark.timeout(400)
ENDS_WITHIN: Final = 300.0  # seconds
REQUESTS: Final = 300


def processes(folder: Path) -> dict[int, str]:
    """The command lines of all processes that speak of `folder`: what a demo in it has started."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended while we looked
            continue
        if str(folder) in line and int(process.name) != os.getpid():
            found[int(process.name)] = line
    return found


@contextmanager
def demo(tmp_path: Path, *flags: str, environment: Mapping[str, str] | None = None) -> Iterator[Child]:
    """A running demo in `<tmp_path>/demo`; whatever it leaves behind is ended, and is a failure."""
    folder = tmp_path / "demo"
    child = Child(
        [sys.executable, "-m", "extproc", "demo", "--directory", folder, *flags],
        stdout=tmp_path / "stdout",
        stderr=tmp_path / "stderr",
        environment=environment,
        directory=tmp_path,
    )
    try:
        yield child
    finally:
        child.kill()
        left = processes(folder)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
    assert not left, f"left behind: {left}"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


@pytest.fixture(scope="module")
def numbers(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> dict[str, Any]:
    """What one whole demo reports, having ended with 0; one request of five is traced."""
    tmp_path = tmp_path_factory.mktemp("demo")
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.2"}
    flags = ("--free-ports", "--requests", str(REQUESTS), "-o", "json")
    with demo(tmp_path, *flags, "--otlp-endpoint", f"127.0.0.1:{collector.port}", environment=sampler) as running:
        code = running.ended(within=ENDS_WITHIN)
        logs = "\n".join(f"--- {log.name}\n{log.read_text()[-2000:]}" for log in (tmp_path / "demo").glob("*.log"))
        assert code == 0, f"{running.tail()}\n{logs}"
    reported: dict[str, Any] = json.loads((tmp_path / "stdout").read_text())
    return reported


@pytest.mark.parametrize(("phase", "weights"), [(0, {"iris": 70, "iris2": 30}), (1, {"iris": 20, "iris2": 80})])
def test_the_split_is_the_one_that_the_file_asks_for(
    numbers: dict[str, Any], phase: int, weights: dict[str, int]
) -> None:
    shown = numbers["phases"][phase]
    assert shown["requests"] == REQUESTS
    candidates = {candidate["name"]: candidate for candidate in shown["candidates"]}
    assert {name: candidate["weight"] for name, candidate in candidates.items()} == weights
    assert sum(candidate["requests"] for candidate in candidates.values()) == REQUESTS
    for name, weight in weights.items():
        low, high = binomial_interval(REQUESTS, weight / 100)
        assert low <= candidates[name]["requests"] <= high
        assert candidates[name]["observed"] == pytest.approx(candidates[name]["requests"] / REQUESTS)


def test_each_candidate_is_as_good_as_its_own_model(numbers: dict[str, Any]) -> None:
    for phase in numbers["phases"]:
        for candidate in phase["candidates"]:
            assert 0.8 < candidate["accuracy"] <= 1
            assert 0 < candidate["p50_ms"] <= candidate["p99_ms"]


def test_the_mirror_gets_its_share_of_all_requests(numbers: dict[str, Any]) -> None:
    assert numbers["requests"] >= 2 * REQUESTS
    low, high = binomial_interval(numbers["requests"], 0.2)
    assert (numbers["mirror"], numbers["mirror_percent"]) == ("iris3", 20)
    assert low <= numbers["mirrored"] <= high


def test_every_answer_says_truly_which_model_it_is_from(numbers: dict[str, Any]) -> None:
    assert numbers["mislabelled"] == 0


def test_the_edit_is_live_while_requests_flow(numbers: dict[str, Any]) -> None:
    assert 0 < numbers["live_after_ms"] < 5000


@pytest.mark.usefixtures("numbers")
@pytest.mark.parametrize("model", ["iris", "iris2", "iris3"])
def test_a_models_own_spans_are_below_the_request_that_envoy_sent_it(collector: Collector, model: str) -> None:
    """The mirror's too; and a readiness check is no trace."""
    known = {span.id: span for span in collector.spans}
    own = [span for span in collector.spans if span.service == f"mlserver-{model}"]
    served = [span for span in own if span.kind == "SERVER"]
    assert {span.name for span in served} == {"POST /v2/models/{model_name}/infer"}
    assert all(span.parent for span in own)
    # Envoy's very last spans may be lost with it.
    above = [known[span.parent] for span in served if span.parent in known]
    assert above
    assert {(span.service, span.name) for span in above} == {("extproc-envoy", f"router {model} egress")}


def test_ctrl_c_in_the_middle_ends_everything(tmp_path: Path) -> None:
    with demo(tmp_path, "--free-ports") as running:
        running.says("Starting three MLServers", within=120)
        eventually(
            lambda: [line for line in processes(tmp_path / "demo").values() if "mlserver" in line],
            within=60,
            saying="all three MLServers have been started",
            until=lambda lines: len(lines) == 3,
        )
        running.signal(signal.SIGINT)
        assert running.ended(within=60) == 1
        assert "interrupted; everything that it had started is stopped" in running.tail()
        assert not processes(tmp_path / "demo")


def test_a_step_that_fails_is_told_with_its_log(tmp_path: Path) -> None:
    broken = tmp_path / "site" / "joblib"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('joblib is broken here')")
    with demo(tmp_path, "--free-ports", environment={"PYTHONPATH": str(broken.parent)}) as running:
        assert running.ended(within=60) == 1
        said = (tmp_path / "stderr").read_text()
    assert said.startswith("extproc: the training ended with 1\n  the end of ")
    assert "ImportError: joblib is broken here" in said
