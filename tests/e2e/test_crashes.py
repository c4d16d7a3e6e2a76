"""What crashes Envoy is set aside, and everything else is served; one that dies of something else accuses nobody."""

import os
import signal
from collections.abc import Callable
from typing import Any, Final

import pytest

from extproc.server.deaths import SOON
from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.e2e.test_filters import FILTER, TYPES, refusals
from tests.harness.client import fetch
from tests.harness.waiting import eventually
from tests.server.embedded import runs

# Envoy 1.40 does not look whether there is the configuration that it is about to read.
DEADLY: Final[dict[str, Any]] = {
    "@type": FILTER,
    "name": "deadly",
    "typed_config": {
        "@type": f"{TYPES}credential_injector.v3.CredentialInjector",
        "credential": {
            "name": "generic",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                "credential": {"name": "key"},
            },
        },
    },
}
SPLIT: Final = experiment("iris-ab", {"iris": 50, "iris2": 50}, default="iris")
SHIFTED: Final = experiment("iris-ab", {"iris": 0, "iris2": 100}, default="iris")


def adds(name: str, header: str) -> dict[str, Any]:
    """A filter that works."""
    appended = {"append": {"header": {"key": header, "value": "1"}}}
    config = {"@type": f"{TYPES}header_mutation.v3.HeaderMutation", "mutations": {"response_mutations": [appended]}}
    return {"@type": FILTER, "name": name, "typed_config": config}


def added(stage: Stage) -> set[str]:
    """The headers of an answer that filters have added; it has to be one."""
    answer = stage.infer()
    assert answer.status == 200, answer
    return {name for name in answer.headers if name.startswith("x-by-")}


def refused(stage: Stage, *expected: str) -> dict[str, str]:
    return eventually(
        lambda: refusals(stage), within=20, saying=f"{expected} refused", until=lambda r: set(r) == set(expected)
    )


def wait_added(stage: Stage, *names: str) -> None:
    eventually(
        lambda: added(stage), within=20, saying=f"filters add {names}", until=set(names).__eq__, not_yet=(OSError,)
    )


def uptime(stage: Stage) -> int:
    (found,) = fetch(f"{stage.extproc.envoy_admin_url}/stats?format=json&filter=^server.uptime$").json["stats"]
    return int(found["value"])


def end_envoy(stage: Stage, number: signal.Signals) -> None:
    pid = next(pid for pid, name in stage.extproc.children.items() if name == "envoy")
    os.kill(pid, number)
    eventually(lambda: runs(pid), within=20, saying="Envoy ends", until=lambda running: not running)


@pytest.fixture(scope="module")
def running(open_stage: Callable[[], Stage]) -> Stage:
    """An Envoy that has had its configuration for longer than it takes to blame anything in it."""
    stage = open_stage()
    stage.write(adds("a", "x-by-a"), SPLIT)
    stage.start("up")
    stage.wait_state("iris-ab")
    since = uptime(stage)
    eventually(lambda: uptime(stage), within=20, saying="it runs for a while", until=lambda t: t - since > SOON + 1)
    return stage


@pytest.fixture
def up(request: pytest.FixtureRequest, running: Stage) -> Stage:
    show_on_failure(request.node, lambda: ("extproc and Envoy", running.tail()))
    return running


def test_an_envoy_that_is_killed_or_crashes_later_accuses_nobody(up: Stage) -> None:
    for number in (signal.SIGSEGV, signal.SIGKILL):
        end_envoy(up, number)
        wait_added(up, "x-by-a")
    assert refusals(up) == {}
    assert "refused" not in up.extproc.log


def test_what_envoy_dies_of_as_soon_as_it_serves_is_set_aside(up: Stage) -> None:
    """As of a filter that crashes with the first request. Here it is a signal in that filter's place."""
    up.write(adds("a", "x-by-other"), SPLIT)
    for _ in range(2):
        wait_added(up, "x-by-other")
        end_envoy(up, signal.SIGSEGV)
    refused(up, "a")
    wait_added(up, "x-by-a")


def test_a_filter_that_crashes_envoy_is_set_aside_alone(up: Stage) -> None:
    up.write(adds("a", "x-by-a"), DEADLY, SHIFTED)
    said = refused(up, "deadly")
    assert "SIGSEGV" in said["deadly"], said
    wait_added(up, "x-by-a")
    up.wait_weights("iris-ab", [0, 100])
    up.wait_state("iris-ab")
    assert up.routes() == {":iris2_2:"}

    up.write(adds("a", "x-by-a"), adds("deadly", "x-by-deadly"), SPLIT)
    wait_added(up, "x-by-a", "x-by-deadly")
    refused(up)


def test_it_is_found_among_others_from_the_first_start_on(stage: Stage) -> None:
    stage.write(adds("a", "x-by-a"), DEADLY, adds("z", "x-by-z"), SPLIT)
    stage.start("up")
    said = refused(stage, "deadly")
    assert "SIGSEGV" in said["deadly"], said
    wait_added(stage, "x-by-a", "x-by-z")
    stage.wait_state("iris-ab")


def test_someone_else_s_envoy_is_given_the_rest(stage: Stage) -> None:
    """Which its own supervisor starts again whenever it dies."""
    stage.write(adds("a", "x-by-a"), SPLIT)
    stage.start("serve")
    stage.wait_state("iris-ab")
    envoy = stage.envoy
    assert envoy is not None
    stage.write(adds("a", "x-by-a"), DEADLY, SHIFTED)

    def look() -> dict[str, str]:
        if not runs(envoy.pid):
            envoy.restart()
        return refusals(stage)

    said = eventually(look, within=20, saying="the filter is refused", until=lambda r: set(r) == {"deadly"})
    assert "connection ended" in said["deadly"], said
    if not runs(envoy.pid):
        envoy.restart()
    eventually(
        lambda: added(stage), within=20, saying="the rest is served", until={"x-by-a"}.__eq__, not_yet=(OSError,)
    )
    stage.wait_weights("iris-ab", [0, 100])
    assert stage.routes() == {":iris2_2:"}
