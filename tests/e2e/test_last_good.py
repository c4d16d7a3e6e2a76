"""What is in force outlives the control process, however it came into force."""

import json
import os
import signal
from collections.abc import Callable

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.e2e.test_files import ab, problems
from tests.harness.waiting import eventually


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(ab(1, 0))
    stage.start("up")
    return stage


@pytest.fixture
def running(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    shared.apply(ab(1, 0))
    eventually(lambda: problems(shared) == [], within=5, saying="nothing is refused")
    return shared


def kill_control(stage: Stage) -> None:
    killed = stage.extproc.processes["control"]
    os.kill(killed, signal.SIGKILL)
    eventually(
        lambda: stage.extproc.processes.get("control", killed),
        within=10,
        saying="it is started again",
        until=lambda pid: pid != killed,
    )


def test_what_came_into_force_beside_what_was_refused(running: Stage) -> None:
    """One resource of the file is wrong all the time; another is changed, a third removed, and then the file breaks."""
    wrong = experiment("wrong", {"iris2": -1}, default="iris2")
    running.apply(ab(1, 0), experiment("other", {"iris3": 1}, default="iris3"))
    running.write(ab(0, 1), wrong)
    running.wait_weights("iris-ab", [0, 1])
    eventually(lambda: running.status("other").get("state"), within=5, saying="it is stopped", until="STOPPED".__eq__)
    running.file.write_text(running.file.read_text()[:-20])
    eventually(lambda: "line" in json.dumps(problems(running)), within=5, saying="the problem is reported")
    assert running.status("other")["state"] == "STOPPED"
    kill_control(running)
    running.wait_state("iris-ab", within=30)
    assert [c["weight"] for c in running.status("iris-ab")["candidates"]] == [0, 1]
    assert running.status("other")["state"] == "STOPPED"
