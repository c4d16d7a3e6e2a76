"""What became of each request, counted exactly: of all kinds, through restarts, and with nobody there to count.

extproc's processes stand beside an Envoy started from the rendered bootstrap.
"""

import os
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, model, url
from tests.harness.load import Load, run_load
from tests.harness.ports import free_port
from tests.harness.waiting import eventually

IRIS2 = ":iris2_2:"
TRIAL: Final = experiment(
    "iris-ab", {"iris": 70, "iris2": 30}, default="iris", mirror={"name": "iris3", "percent": 100}
)


class OutcomesStage(Stage):
    """`slow` is a model of its own."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.slow: Final = self.serve_model("slow")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OutcomesStage]:
    stage = OutcomesStage(tmp_path_factory.mktemp("stage"))
    unchecked: dict[str, Any] = {"readiness": {"disabled": True}}
    stage.write(
        TRIAL,
        experiment("broken", {"gone": 1}),
        experiment("retried", {"half": 1}),
        experiment("patient", {"slow": 1}),
        models=[
            *stage.models,
            model("gone", f"127.0.0.1:{free_port()}", **unchecked),
            model("slow", stage.slow.endpoint),
            model("half", f"127.0.0.1:{free_port()}", stage.iris.endpoint, served_name="iris", **unchecked),
        ],
    )
    stage.start("serve")
    for name in ("iris-ab", "broken", "retried", "patient"):
        stage.wait_state(name)
    yield stage
    stage.close()


@pytest.fixture
def stage(request: pytest.FixtureRequest, shared: OutcomesStage) -> OutcomesStage:
    """Everything runs, whatever the last test did to it."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    assert shared.envoy is not None
    envoy = shared.envoy
    if shared.extproc.exit_code is not None:
        shared.extproc.restart()
    else:
        shared.extproc.proceed()
    shared.extproc.wait_ready()
    for server in (shared.iris, shared.iris2):
        server.resume()
    shared.wait_state("iris-ab", within=60)
    eventually(lambda: envoy.healthy("extproc"), within=20, saying="Envoy finds extproc healthy")
    return shared


class Counts(Counter[str]):
    """Requests of one experiment by what they are, as the REST API tells it: `iris weighted 2xx`, `iris3 copy 5xx`."""

    @classmethod
    def of(cls, stage: Stage, name: str = "iris-ab") -> "Counts":
        """Of the current revision. Status classes and outcomes are told apart from each other: each is a count."""
        found = cls()
        document = stage.status(name)
        for candidate in document["candidates"]:
            _add(found, candidate["name"], candidate)
        if "mirror" in document:
            _add(found, f"{document['mirror']['name']} copied", document["mirror"])
        return found


def _add(counts: Counts, name: str, told: dict[str, Any]) -> None:
    outcomes = told["outcomes"]
    assert sum(outcomes["byOutcome"].values()) == sum(outcomes["byCode"].values()) == told["requests"], told
    counts[name] = told["requests"]
    for key in ("byOutcome", "byCode", "flags"):
        for word, count in outcomes[key].items():
            counts[f"{name} {word}"] = count
    counts[f"{name} errors"] = outcomes["errors"]["count"]


def answered(stage: Stage, name: str = "iris-ab") -> int:
    """Requests that candidates have answered."""
    return sum(candidate["requests"] for candidate in stage.status(name)["candidates"])


def added(stage: Stage, before: Counts, requests: int, name: str = "iris-ab") -> Counts:
    """What is more than `before`, once that is exactly so many requests, and all their copies."""

    def look() -> tuple[int, int]:
        now = Counts.of(stage, name)
        now.subtract(before)
        copies = now["iris3 copied"] if name == "iris-ab" else requests
        return sum(now[c] for c in ("iris", "iris2", "gone", "half", "slow")), copies

    eventually(
        look, within=15, saying=f"{requests} requests and copies of {name}", until=lambda seen: min(seen) >= requests
    )
    assert look() == (requests, requests)
    more = Counts.of(stage, name)
    more.subtract(before)
    return Counts({key: count for key, count in more.items() if count})


def give_up(stage: Stage) -> None:
    """A client that leaves before iris2 has answered."""
    before = len(stage.iris2.requests)
    with socket.create_connection(("127.0.0.1", stage.extproc.inference_port)) as client:
        head = f"POST /v2/models/iris/infer HTTP/1.1\r\nhost: models\r\nx-seldon-route: {IRIS2}\r\n"
        client.sendall(f"{head}content-length: 2\r\n\r\n{{}}".encode())
        eventually(lambda: len(stage.iris2.requests) > before, within=10, saying="the model has the request")


def test_every_request_is_counted_once_in_its_class(stage: Stage) -> None:
    before = Counts.of(stage)
    drawn = run_load(url(stage), 200)
    run_load(url(stage), 40, headers={"x-seldon-route": IRIS2})
    stale = run_load(url(stage), 20, headers={"x-seldon-route": ":gone_9:"})
    stage.iris2.fail(500)
    run_load(url(stage), 10, headers={"x-seldon-route": IRIS2})
    stage.iris2.fail(404)
    run_load(url(stage), 5, headers={"x-seldon-route": IRIS2})
    stage.iris2.hang(probes=False)
    for _ in range(3):
        give_up(stage)
    stage.iris2.resume()
    more = added(stage, before, 278)
    assert more["iris weighted"] == drawn.by_route[":iris_1:"]
    assert more["iris2 weighted"] == drawn.by_route[IRIS2]
    assert more["iris stale_token"] == stale.by_route[":iris_1:"]
    assert (more["iris2 sticky"], more["iris sticky"]) == (40 + 10 + 5 + 3, 0)
    assert (more["iris2 5xx"], more["iris2 4xx"], more["iris2 0"], more["iris2 DC"]) == (10, 5, 3, 3)
    assert (more["iris2 errors"], more["iris errors"]) == (13, 0)
    assert more["iris3 copied mirrored"] == more["iris3 copied"] == 278
    split = stage.status("iris-ab")["split"]
    assert split["requests"] == Counts.of(stage)["iris weighted"] + Counts.of(stage)["iris2 weighted"]
    assert split["expected"] == pytest.approx({"iris": 0.7, "iris2": 0.3})


def test_what_envoy_splits_by_itself_is_told_apart(stage: Stage) -> None:
    """The workers hang; who counts does not."""
    assert stage.envoy is not None
    envoy = stage.envoy
    before, compared = Counts.of(stage), stage.status("iris-ab")["split"]
    workers = [pid for name, pid in stage.extproc.processes.items() if name.startswith("worker-")]
    assert workers
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        eventually(lambda: not envoy.healthy("extproc"), within=10, saying="Envoy finds the workers unhealthy")
        assert run_load(url(stage), 100).failed == 0
        more = added(stage, before, 100)
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    assert more["iris fallback"] + more["iris2 fallback"] == 100
    assert stage.status("iris-ab")["split"] == compared, "only what extproc draws is compared with the weights"


def test_a_refused_connection_is_an_error_and_a_retry_no_request(stage: Stage) -> None:
    assert stage.envoy is not None
    broken, retried = Counts.of(stage, "broken"), Counts.of(stage, "retried")
    assert run_load(url(stage, "x"), 20, headers={"seldon-model": "broken.experiment"}).by_status == {503: 20}
    result = run_load(url(stage, "x"), 40, headers={"seldon-model": "retried.experiment"})
    assert stage.envoy.stats("cluster.half.upstream_rq_retry$") != {"cluster.half.upstream_rq_retry": 0}
    more = added(stage, broken, 20, "broken")
    assert (more["gone weighted"], more["gone 5xx"], more["gone UF"], more["gone errors"]) == (20, 20, 20, 20)
    more = added(stage, retried, 40, "retried")
    assert (more["half weighted"], more["half 2xx"], more["half 5xx"]) == (40, result.by_status[200], result.failed)


def test_a_restart_under_load_loses_nothing(stage: OutcomesStage) -> None:
    """Nor is a request lost, or counted twice, that is under way meanwhile."""
    slow = stage.slow
    before, alone = Counts.of(stage), Counts.of(stage, "patient")
    slow.hang(probes=False)
    patient = {"seldon-model": "patient.experiment"}
    with (
        Load(url(stage, "x"), count=1, connections=1, headers=patient, within=60) as hanging,
        Load(url(stage), rate=200, connections=8) as load,
    ):
        eventually(lambda: slow.requests, within=10, saying="the slow model has a request")
        load.wait_for(100)
        stage.extproc.stop()
        load.wait_for(100)
        stage.extproc.restart()
        stage.extproc.wait_ready()
        stage.wait_state("iris-ab", within=60)
        load.wait_for(100)
        result = load.stop()
        slow.resume()  # which closes its connection: the answer is Envoy's
        assert hanging.finish().by_status == {503: 1}
    assert result.failed == 0, str(result)
    added(stage, before, result.total)
    more = added(stage, alone, 1, "patient")
    assert (more["slow weighted"], more["slow 5xx"], more["slow UC"]) == (1, 1, 1)


def test_killed_it_loses_what_was_not_on_disk_and_nothing_else(stage: Stage) -> None:
    assert stage.envoy is not None
    envoy = stage.envoy
    before = Counts.of(stage)
    run_load(url(stage), 50, headers={"x-seldon-route": IRIS2})
    added(stage, before, 50)
    log = stage.extproc.state_dir / "extproc.db-wal"
    counted = log.stat().st_mtime_ns
    eventually(lambda: log.stat().st_mtime_ns, within=15, saying="they are on disk", until=lambda at: at > counted)
    run_load(url(stage), 30)
    added(stage, before, 80)
    stage.extproc.kill()
    eventually(lambda: not envoy.healthy("extproc-xds"), within=10, saying="Envoy notices")
    assert run_load(url(stage), 70).failed == 0
    stage.extproc.restart()
    stage.extproc.wait_ready()

    def fallbacks() -> int:
        more = Counts.of(stage)
        more.subtract(before)
        return more["iris fallback"] + more["iris2 fallback"]

    eventually(fallbacks, within=15, saying="70 fallbacks are counted", until=lambda n: n >= 70)
    assert fallbacks() == 70
    more = Counts.of(stage)
    more.subtract(before)
    assert more["iris2 sticky"] == 50
    assert 0 <= more["iris weighted"] + more["iris2 weighted"] <= 30


def test_nobody_is_slowed_while_extproc_hangs_and_all_is_counted_later(stage: Stage) -> None:
    assert stage.envoy is not None
    envoy = stage.envoy
    before = Counts.of(stage)
    stage.extproc.pause()
    eventually(lambda: not envoy.healthy("extproc"), within=10, saying="Envoy finds extproc unhealthy")
    result = run_load(url(stage), 500)
    assert result.failed == 0, str(result)
    stage.extproc.proceed()
    added(stage, before, 500)


def test_revisions_and_the_timeline_tell_the_same(stage: Stage) -> None:
    path = "/api/v1/experiments/iris-ab"
    before = answered(stage)
    stage.write(experiment("iris-ab", {"iris": 0, "iris2": 1}, default="iris"), models=stage.models)
    stage.wait_weights("iris-ab", [0, 1])
    eventually(lambda: stage.status("iris-ab")["revision"], within=10, saying="revision 2", until=lambda n: n == 2)
    run_load(url(stage), 60)
    eventually(lambda: answered(stage), within=10, saying="60 requests of revision 2", until=lambda n: n == 60)
    first, second = stage.extproc.admin(f"{path}/outcomes").json["revisions"]
    assert (first["revision"], second["revision"]) == (1, 2)
    assert sum(candidate["requests"] for candidate in first["candidates"].values()) == before
    assert first["mirror"]["name"] == "iris3"
    assert {name: candidate["requests"] for name, candidate in second["candidates"].items()} == {"iris": 0, "iris2": 60}
    assert (second["mirror"], second["split"]["observed"]) == (None, {"iris": 0.0, "iris2": 1.0})

    def told() -> int:
        points = stage.extproc.admin(f"{path}/timeline").json["points"]
        return sum(candidate["requests"] for point in points for candidate in point["candidates"].values())

    # Since the last restart, which is all that a timeline knows of.
    eventually(told, within=15, saying="the timeline has at least the last requests", until=lambda n: n >= 60)
    assert stage.extproc.admin("/api/v1/experiments/nobody/timeline").status == 404


def test_everything_in_one_loses_nothing_at_its_end(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """`up` ends its Envoy, which would take along what it has not told yet, and lets requests under way end."""
    stage = OutcomesStage(tmp_path)
    show_on_failure(request.node, lambda: ("extproc", stage.tail()))
    try:
        both = [*stage.models, model("slow", stage.slow.endpoint)]
        stage.write(TRIAL, experiment("patient", {"slow": 1}), models=both)
        stage.start("up")
        for name in ("iris-ab", "patient"):
            stage.wait_state(name)
        stage.slow.delay(0.5)
        with Load(url(stage, "x"), count=1, connections=1, headers={"seldon-model": "patient.experiment"}) as last:
            eventually(lambda: stage.slow.requests, within=10, saying="the slow model has a request")
            assert run_load(url(stage), 100).failed == 0
            stage.extproc.stop()
            assert last.finish().by_status == {200: 1}
        stage.extproc.restart()
        stage.extproc.wait_ready()
        assert (answered(stage), answered(stage, "patient")) == (100, 1)
    finally:
        stage.close()
