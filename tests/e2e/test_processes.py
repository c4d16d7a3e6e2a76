"""Every process of extproc killed under load: no request is lost, what was killed is back at once, and nothing is left.

`up` runs with the one worker that is the default, `serve` with two on Unix sockets beside an Envoy of its own.
"""

import os
import re
import signal
from collections.abc import Callable
from typing import Final

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import AS_IN_PRODUCTION, Stage, experiment, url
from tests.harness.client import fetch
from tests.harness.load import Load, Result, run_load
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

IRIS, IRIS2 = ":iris_1:", ":iris2_2:"
TRIAL: Final = experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris")
UNANSWERED: Final = "http.inference.ext_proc.failure_mode_allowed"
MISS: Final = 1e-9
# Requests per second: enough for one to be under way at any time, and what is restarted gets its share of the machine.
RATE: Final = 300.0
BACK_WITHIN: Final = 1.0  # seconds until a worker that died is started again
REPLACED_WITHIN: Final = 8.0  # seconds until one that hangs is, on a machine that is busy; three are what it gets


@pytest.fixture(scope="module")
def up(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(TRIAL)
    stage.start("up", *AS_IN_PRODUCTION)
    return stage


@pytest.fixture(scope="module")
def pair(open_stage: Callable[[], Stage], tmp_path_factory: pytest.TempPathFactory) -> Stage:
    stage = open_stage()
    stage.write(TRIAL)
    sockets = str(tmp_path_factory.mktemp("sockets"))
    stage.start("serve", *AS_IN_PRODUCTION, "--workers", "2", "--worker-sockets", sockets)
    return stage


@pytest.fixture(params=["up", "pair"])
def stage(request: pytest.FixtureRequest) -> Stage:
    """Either of the two, with every process running and every worker in Envoy's rotation."""
    found: Stage = request.getfixturevalue(request.param)
    show_on_failure(request.node, lambda: ("extproc and Envoy", found.tail()))
    found.extproc.wait_ready()
    settled(found)
    return found


def settled(stage: Stage) -> None:
    """Wait until Envoy finds every worker healthy."""
    workers = sum(name.startswith("worker-") for name in stage.extproc.processes)
    eventually(
        lambda: healthy_workers(stage), within=15, saying=f"Envoy finds {workers} workers healthy", until=workers.__eq__
    )


def healthy_workers(stage: Stage) -> int:
    return envoy_stat(stage, "cluster.extproc.membership_healthy")


def envoy_stat(stage: Stage, name: str) -> int:
    """One of Envoy's counters or gauges, whoever's child that Envoy is."""
    (found,) = fetch(f"{stage.extproc.envoy_admin_url}/stats?format=json&filter=^{name}$").json["stats"]
    return int(found["value"])


def check_split(result: Result, share: float = 0.7) -> None:
    assert result.failed == 0, str(result)
    low, high = binomial_interval(result.total, share, miss=MISS)
    assert low <= result.by_route[IRIS] <= high, str(result)
    assert set(result.by_route) == {IRIS, IRIS2}, str(result)


def decisions(stage: Stage) -> int:
    """What extproc counts as decided, since it was started."""
    text = stage.extproc.admin("/metrics").text
    counted = re.findall(r'^extproc_decisions_total\{.*experiment="iris-ab".*\} (\S+)$', text, re.MULTILINE)
    assert counted, text
    return int(sum(map(float, counted)))


def kill(stage: Stage, name: str) -> int:
    """SIGKILL one of extproc's children; returns the process id that it had."""
    pid = stage.extproc.processes[name]
    os.kill(pid, signal.SIGKILL)
    return pid


def wait_other(stage: Stage, name: str, than: int, *, within: float) -> int:
    """Wait until another process has the role `name`."""
    return eventually(
        lambda: stage.extproc.processes.get(name, than),
        within=within,
        saying=f"{name} is another process than {than}",
        until=lambda pid: pid != than,
    )


def test_a_worker_killed_under_load(stage: Stage) -> None:
    run_load(url(stage), 200)
    with Load(url(stage), rate=RATE) as load:
        counted = [decisions(stage)]
        killed = kill(stage, "worker-0")
        wait_other(stage, "worker-0", killed, within=BACK_WITHIN)
        counted.append(decisions(stage))
        load.wait_for(500)
        settled(stage)
        load.wait_for(500)
        counted.append(decisions(stage))
        check_split(load.stop())
    assert counted[0] > 100  # what extproc is too slow for, Envoy splits by itself
    assert counted == sorted(counted), "counters never shrink"
    assert counted[2] > counted[1]
    kept = run_load(url(stage), 200, headers={"x-seldon-route": IRIS2})
    assert kept.by_route == {IRIS2: 200}, str(kept)


def test_the_other_worker_carries_the_requests_of_one_that_is_gone(pair: Stage) -> None:
    """Tokens are kept but for the first few requests, which find a worker that is there no more."""
    settled(pair)
    with Load(url(pair), rate=RATE, headers={"x-seldon-route": IRIS2}) as sticky:
        sticky.wait_for(100)
        os.kill(pair.extproc.pid, signal.SIGSTOP)  # so that nobody starts it again
        try:
            kill(pair, "worker-0")
            sticky.wait_for(600)
        finally:
            os.kill(pair.extproc.pid, signal.SIGCONT)
        kept = sticky.stop()
    assert kept.failed == 0, str(kept)
    assert kept.by_route.get(IRIS, 0) <= 30, str(kept)


def test_a_worker_that_keeps_dying(pair: Stage) -> None:
    """The other one goes on, and so does whoever starts it again."""
    settled(pair)
    with Load(url(pair), rate=RATE) as load:
        for _ in range(3):
            wait_other(pair, "worker-1", kill(pair, "worker-1"), within=5)
        load.wait_for(200)
        check_split(load.stop())
    settled(pair)


def test_a_worker_that_hangs_is_replaced(stage: Stage) -> None:
    """Until then Envoy splits by itself, or the other worker does; afterwards extproc decides again."""
    with Load(url(stage), rate=RATE) as load:
        hung = stage.extproc.processes["worker-0"]
        os.kill(hung, signal.SIGSTOP)
        wait_other(stage, "worker-0", hung, within=REPLACED_WITHIN)
        settled(stage)
        load.wait_for(200)
        check_split(load.stop())
    assert "worker-0 hangs, and is killed" in stage.extproc.log
    kept = run_load(url(stage), 200, headers={"x-seldon-route": IRIS2})
    assert kept.by_route == {IRIS2: 200}, str(kept)


def test_the_control_process_killed_under_load(stage: Stage) -> None:
    """Workers go on by their table, tokens are kept meanwhile, and Envoy, its child of `up` too, lives through it."""
    before = stage.extproc.processes
    unanswered = envoy_stat(stage, UNANSWERED)
    listeners = envoy_stat(stage, "listener_manager.listener_create_success")
    with Load(url(stage), rate=RATE) as load, Load(url(stage), rate=RATE, headers={"x-seldon-route": IRIS2}) as sticky:
        load.wait_for(200)
        killed = kill(stage, "control")
        load.wait_for(300)
        wait_other(stage, "control", killed, within=BACK_WITHIN)
        stage.wait_state("iris-ab", within=30)
        load.wait_for(200)
        kept = sticky.stop()
        check_split(load.stop())
    assert kept.failed == 0, str(kept)
    # On a machine that is short of CPU Envoy may not wait for an answer; each answer that it had kept the token.
    assert kept.by_route.get(IRIS, 0) <= envoy_stat(stage, UNANSWERED) - unanswered, str(kept)
    after = stage.extproc.processes
    assert {name for name, pid in after.items() if pid != before[name]} == {"control"}
    assert envoy_stat(stage, "listener_manager.listener_create_success") == listeners, "it is not the same Envoy"
    other = experiment("other", {"iris2": 100})
    assert stage.put(other).status in {200, 201}
    assert stage.routes("other.experiment", 40) == {IRIS2}
    assert stage.stop("other").status == 200


def test_a_change_is_in_force_on_every_worker_when_the_call_returns(pair: Stage) -> None:
    settled(pair)
    for weights, expected in (({"iris": 100, "iris2": 0}, {IRIS}), ({"iris": 0, "iris2": 100}, {IRIS2})) * 3:
        assert pair.put(experiment("direct", weights)).status in {200, 201}
        assert pair.routes("direct.experiment", 40) == expected
    assert pair.stop("direct").status == 200


def test_ended_in_order_under_load(pair: Stage) -> None:
    """The workers drain, and Envoy, which is somebody else's, goes on by itself."""
    settled(pair)
    with Load(url(pair), rate=RATE) as load:
        load.wait_for(100)
        pair.extproc.stop()
        load.wait_for(200)
        pair.extproc.restart()
        pair.extproc.wait_ready()
        settled(pair)
        check_split(load.stop())
