"""The access log of a real Envoy: whose requests it tells of, and what it does while nobody takes it."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from extproc import names
from extproc.collector import Tracing
from extproc.xds import access_logs, bootstrap
from extproc.xds.access_logs import logged
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.access_log import AccessLogRecorder
from tests.harness.load import run_load
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving

STATS = "access_logs.grpc_access_log."


@contextmanager
def experiments(directory: Path, grpc_port: int) -> Iterator[Stage]:
    """An Envoy with an experiment whose every request is copied, and a model of no experiment; nobody decides."""
    with ModelServer("iris") as model:
        served = {name: a_model(name, model.port, served_name="iris") for name in ("iris", "copies", "plain")}
        trial = an_experiment("iris-ab", {"iris": 1}, default="iris", mirror=("copies", 1_000_000))
        with serving(a_world(served.values(), [trial]), directory, grpc_port=grpc_port) as stage:
            yield stage


def load(stage: Stage, requests: int, endpoint: str = "iris") -> None:
    result = run_load(f"{stage.url}/v2/models/{endpoint}/infer", requests)
    assert result.failed == 0, str(result)


def told(recorder: AccessLogRecorder) -> Counter[str]:
    return Counter(entry.route_name for entry in recorder.entries)


def both(requests: int) -> dict[str, int]:
    return {"iris-ab/iris/fallback": requests, "iris-ab/copies/mirror": requests}


def wait_told(recorder: AccessLogRecorder, requests: int) -> None:
    eventually(
        lambda: dict(told(recorder)),
        within=15,
        saying=f"{requests} requests and their copies are told of, once",
        until=lambda seen: sum(seen.values()) >= 2 * requests,
    )
    assert told(recorder) == both(requests)


def test_only_requests_of_experiments_are_told_of(tmp_path: Path) -> None:
    with AccessLogRecorder() as recorder, experiments(tmp_path, recorder.port) as stage:
        load(stage, 20, "plain")
        assert stage.get("/v2/models/nobody/infer").status == stage.get("/nothing").status == 404
        load(stage, 50)
        wait_told(recorder, 50)
        assert stage.envoy.stats(STATS)[f"{STATS}logs_written"] == 100


def test_what_is_told_while_nobody_listens_is_kept(tmp_path: Path) -> None:
    port = free_port()
    with experiments(tmp_path, port) as stage:
        load(stage, 300)
        with AccessLogRecorder(port) as recorder:
            wait_told(recorder, 300)
            load(stage, 100)
            wait_told(recorder, 400)


def test_a_log_that_nobody_takes_slows_nobody_and_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_logs, "BUFFER", 16 * 1024)
    monkeypatch.setattr(bootstrap, "STREAM_BUFFER", 65_536)
    with AccessLogRecorder() as recorder, experiments(tmp_path, recorder.port) as stage:
        load(stage, 10)
        wait_told(recorder, 10)
        recorder.hang()
        sent = 10
        for _ in range(20):
            load(stage, 200)  # not one of them fails
            sent += 200
            stats = stage.envoy.stats(STATS)
            if stats[f"{STATS}logs_dropped"] > 200:
                break
        else:
            raise AssertionError(f"nothing is dropped: {stats}")
        recorder.proceed()
        load(stage, 1)
        eventually(
            lambda: (sum(told(recorder).values()), stage.envoy.stats(STATS)),
            within=15,
            saying="all that was not dropped arrives",
            until=lambda seen: seen[0] == seen[1][f"{STATS}logs_written"],
        )
        stats = stage.envoy.stats(STATS)
        assert stats[f"{STATS}logs_written"] + stats[f"{STATS}logs_dropped"] == 2 * (sent + 1)


def test_without_outcomes_nothing_is_told() -> None:
    world = a_world([a_model("iris", 1)])
    told = static_config(world, Options())["static_resources"]
    silent = static_config(world, Options(outcomes=False))["static_resources"]
    for config, loggers in ((told, 1), (silent, 0)):
        managers = [one["filter_chains"][0]["filters"][0]["typed_config"] for one in config["listeners"]]
        assert [len(manager.get("access_log", [])) for manager in managers] == [loggers, loggers]
    assert names.XDS_CLUSTER in {cluster["name"] for cluster in told["clusters"]}
    assert names.XDS_CLUSTER not in {cluster["name"] for cluster in silent["clusters"]}


def test_the_trace_is_told_only_where_there_are_traces() -> None:
    tracing = Tracing("127.0.0.1", 4317)
    asked = [
        logged(options)["access_log"][0]["typed_config"].get("additional_request_headers_to_log")
        for options in (Options(), Options(tracing=tracing))
    ]
    assert asked == [None, ["traceparent"]]
