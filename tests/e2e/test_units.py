"""Units end to end: users keep their candidate on every worker, with extproc away and after it has come back."""

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from extproc.core.assignment import bucket, rendezvous
from extproc.wire.hashing import hash64
from tests.e2e.stage import Stage, experiment
from tests.harness.client import Answer, fetch
from tests.harness.statistics import binomial_interval

WEIGHTS = {"iris": 60, "iris2": 40}
USERS = [f"user-{i}" for i in range(120)]
CANDIDATES = [(name.encode(), weight) for name, weight in WEIGHTS.items()]
# What the documented algorithm says of each user, computed here by itself.
EXPECTED = {
    user: CANDIDATES[rendezvous(hash64, bucket(hash64, b"iris-ab", user.encode()), CANDIDATES)][0].decode()
    for user in USERS
}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("units"))
    try:
        stage.write(
            experiment(
                "iris-ab",
                WEIGHTS,
                default="iris",
                stickiness={"header": "x-user"},
                overrides=[{"candidate": "iris2", "units": ["qa"]}],
            )
        )
        stage.start("up", "--workers", "2")
        yield stage
    finally:
        stage.close()


def ask(stage: Stage, user: str, **headers: str) -> Answer:
    return fetch(f"{stage.extproc.inference_url}/v2/models/iris/infer", headers={"x-user": user, **headers}, body=b"{}")


def served(answer: Answer) -> str:
    assert answer.status == 200, answer
    return {":iris_1:": "iris", ":iris2_2:": "iris2"}[answer.headers["x-seldon-route"]]


def test_every_worker_gives_a_user_the_candidate_of_the_documented_algorithm(stage: Stage) -> None:
    for _ in range(2):
        assert {user: served(ask(stage, user)) for user in USERS} == EXPECTED


def test_overrides_and_tokens_come_first(stage: Stage) -> None:
    assert served(ask(stage, "qa")) == "iris2"
    user = next(user for user, candidate in EXPECTED.items() if candidate == "iris2")
    assert served(ask(stage, user, **{"x-seldon-route": ":iris_1:"})) == "iris"


def test_requests_without_a_user_are_drawn_for(stage: Stage) -> None:
    drawn = [served(fetch(f"{stage.extproc.inference_url}/v2/models/iris/infer", body=b"{}")) for _ in range(200)]
    low, high = binomial_interval(200, 0.4)  # misses once in a million runs
    assert low <= drawn.count("iris2") <= high


def test_assign_tells_what_happens(stage: Stage) -> None:
    def run(*arguments: str, given: str = "") -> str:
        command = [
            sys.executable,
            "-m",
            "extproc",
            "experiment",
            "assign",
            *arguments,
            "--admin",
            stage.extproc.admin_url,
        ]
        return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60).stdout

    told = json.loads(run("iris-ab", *USERS[:20], "qa", "-o", "json"))["assignments"]
    assert {row["unit"]: row["candidate"] for row in told} == {**{u: EXPECTED[u] for u in USERS[:20]}, "qa": "iris2"}
    rows = run("iris-ab", "-f", "-", "--csv", given="\n".join([*USERS[:3], ""])).splitlines()
    assert rows[0] == "unit,candidate,outcome,why"
    assert [row.split(",")[:3] for row in rows[1:]] == [[user, EXPECTED[user], "unit"] for user in USERS[:3]]
    assert "is on the list of an override" in run("iris-ab", "qa")
