"""`extproc infer` against the real thing: what it tells is what the models saw and what REST says is configured."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.e2e.stage import Stage, experiment, model
from tests.harness.statistics import binomial_interval

MISS = 1e-9  # how often a statistical check may fail a right program


def infer(stage: Stage, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`extproc infer …` as a process of its own, which is told where Envoy and extproc are."""
    environment = {
        **os.environ,
        "EXTPROC_INFERENCE": stage.extproc.inference_url,
        "EXTPROC_ADMIN": stage.extproc.admin_url,
        "XDG_STATE_HOME": str(stage.directory / "user"),
    }
    argv = [sys.executable, "-m", "extproc", "infer", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, env=environment, check=False)


def told(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def running(stage: Stage) -> Stage:
    stage.write(experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris"))
    stage.start("up")
    stage.wait_state("iris-ab")
    return stage


def test_the_table_is_what_the_models_saw_beside_what_is_configured(running: Stage) -> None:
    for called in ("iris", "iris-ab.experiment"):
        running.forget()
        summary = told(infer(running, called, "-i", "400", "--concurrency", "8", "-o", "json"))
        assert (summary["experiment"], summary["requests"], summary["failures"]) == ("iris-ab", 400, {})
        lines = [(c["name"], c["route"], c["requests"], c["configured"]) for c in summary["candidates"]]
        iris, iris2 = len(running.iris.requests), len(running.iris2.requests)
        assert lines == [("iris", ":iris_1:", iris, 0.7), ("iris2", ":iris2_2:", iris2, 0.3)]
        low, high = binomial_interval(400, 0.7, miss=MISS)
        assert low <= iris <= high
    first = infer(running, "iris", "--sticky")
    assert first.returncode == 0, first.stderr
    token = first.stderr.removeprefix("x-seldon-route: ").strip()
    summary = told(infer(running, "iris", "--sticky", "-i", "60", "-o", "json"))
    assert {c["route"]: c["requests"] for c in summary["candidates"] if c["requests"]} == {token: 60}


def test_failures_are_named_and_counted(running: Stage) -> None:
    unknown = infer(running, "wine")
    assert unknown.returncode == 1
    assert json.loads(unknown.stdout)["model"] == "wine"  # Envoy's own body
    assert "nothing is called wine there: `extproc experiment list`" in unknown.stderr
    running.iris2.fail(500)
    done = infer(running, "iris", "-i", "100", "-o", "json")
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    failed = len(running.iris2.requests)
    assert failed > 0  # 0.7^100 < 1e-15
    assert (summary["failed"], summary["failures"]) == (failed, {"500": failed})
    assert [c["failed"] for c in summary["candidates"]] == [0, failed]
    assert f"{failed} of 100 requests failed" in done.stderr


def test_over_grpc(stage: Stage) -> None:
    servers = {name: stage.serve_grpc(name, served="iris") for name in ("iris", "iris2")}
    stage.write(
        experiment("iris-ab", {"iris": 1, "iris2": 1}, default="iris"),
        models=[
            model("iris", grpc_endpoints=[servers["iris"].endpoint]),
            model("iris2", grpc_endpoints=[servers["iris2"].endpoint], served_name="iris", version=2),
        ],
    )
    stage.start("up")
    stage.wait_state("iris-ab")
    summary = told(infer(stage, "iris", "--grpc", "-i", "80", "--concurrency", "4", "-o", "json"))
    lines = {c["route"]: (c["requests"], c["configured"]) for c in summary["candidates"]}
    calls = {name: sum(call.method == "ModelInfer" for call in server.calls) for name, server in servers.items()}
    assert lines == {":iris_1:": (calls["iris"], 0.5), ":iris2_2:": (calls["iris2"], 0.5)}
    assert min(calls.values()) > 0  # 2 × 0.5^80
    token = infer(stage, "iris", "--grpc", "--sticky").stderr.removeprefix("x-seldon-route: ").strip()
    sticky = told(infer(stage, "iris", "--grpc", "--sticky", "-i", "40", "-o", "json"))
    assert {c["route"]: c["requests"] for c in sticky["candidates"] if c["requests"]} == {token: 40}
    unknown = infer(stage, "wine", "--grpc")
    assert unknown.returncode == 1
    assert "UNIMPLEMENTED" in unknown.stderr
    assert "nothing is called wine there, or not over gRPC" in unknown.stderr
    experiment_s_own = infer(stage, "iris-ab.experiment", '{"model_name": "iris", "inputs": []}', "--grpc")
    assert experiment_s_own.returncode == 0, experiment_s_own.stderr
