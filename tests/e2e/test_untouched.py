"""What an experiment leaves to its default is counted apart, exactly, whoever has left it there; and several mirrors.

extproc stands beside an Envoy that goes on alone while it is away.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import pytest

from extproc.core.assignment import held_out, slot
from extproc.wire.hashing import hash64
from tests.e2e.stage import Stage, experiment, model
from tests.harness.client import fetch
from tests.harness.load import run_load
from tests.harness.waiting import eventually

USERS: Final = [f"user-{number}" for number in range(300)]
WITHOUT: Final = 25  # requests that carry no user


def role(user: str) -> str:
    """Where the documented algorithm has a user."""
    if slot(hash64, b"homepage", user.encode()) > 599:
        return "other_slot"
    return "holdout" if held_out(hash64, b"iris-ab", user.encode(), 250_000) else "candidate"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("untouched"))
    try:
        fourth = stage.serve_model("iris4")
        stage.write(
            experiment(
                "iris-ab",
                {"iris": 50, "iris2": 50},
                default="iris",
                stickiness={"header": "x-user", "on_missing": "DEFAULT"},
                holdout=25,
                layer={"name": "homepage", "first_slot": 0, "last_slot": 599},
                mirrors=[{"name": "iris3", "percent": 100}, {"name": "iris4", "percent": 100}],
            ),
            models=[*stage.models, model("iris4", fourth.endpoint)],
        )
        stage.start("serve")
        stage.wait_state("iris-ab")
        yield stage
    finally:
        stage.close()


def ask_all(stage: Stage) -> None:
    """One request of each user, and some of nobody."""
    url = f"{stage.extproc.inference_url}/v2/models/iris/infer"
    known = run_load(url, len(USERS), vary=lambda number: {"x-user": USERS[number]})
    unknown = run_load(url, WITHOUT)
    assert (known.failed, unknown.failed) == (0, 0), f"{known}\n{unknown}"


def counted(document: dict[str, Any]) -> Counter[str]:
    """Requests by who answered, and by why."""
    found: Counter[str] = Counter()
    arms = [("candidate", each) for each in document["candidates"]]
    arms += [(each["name"], each) for each in document["untouched"]]
    arms += [(f"copies to {each['name']}", each) for each in document["mirrors"]]
    for arm, each in arms:
        found[arm] += each["requests"]
        for word, count in each["outcomes"]["byOutcome"].items():
            found[f"{arm} {word}"] += count
    return found


def when_counted(stage: Stage, requests: int) -> Counter[str]:
    """The counts of the revision, once they are of so many requests in all and of the copies of those copied."""

    def look() -> Counter[str]:
        return counted(stage.status("iris-ab"))

    def complete(seen: Counter[str]) -> bool:
        everyone = sum(seen[arm] for arm in ("candidate", "holdout", "other_slot", "no_unit"))
        copied = {seen["copies to iris3"], seen["copies to iris4"]}
        return everyone >= requests and copied == {seen["candidate"]}

    return eventually(look, within=15, saying=f"{requests} requests counted, and their copies", until=complete)


def test_the_holdout_and_the_others_are_counted_exactly(stage: Stage) -> None:
    ask_all(stage)
    found = when_counted(stage, len(USERS) + WITHOUT)
    expected = Counter(map(role, USERS))
    assert min(expected.values()) > 20, "the users reach every role"
    assert {arm: found[arm] for arm in expected} == dict(expected)
    assert found["candidate unit"] == expected["candidate"]
    assert found["holdout holdout"] == expected["holdout"]
    assert found["other_slot other_slot"] == expected["other_slot"]
    assert found["no_unit no_unit"] == found["no_unit"] == WITHOUT

    document = stage.status("iris-ab")
    held = document["untouched"][0]
    assert (held["name"], held["model"], held["percent"]) == ("holdout", "iris", 25.0)
    assert held["outcomes"]["errors"]["low"] == 0 < held["outcomes"]["errors"]["high"]
    assert held["outcomes"]["latency"]["p50"]["low"] > 0
    assert document["split"] is None, "what is assigned by unit is not compared with the weights"
    (revision,) = stage.extproc.admin("/api/v1/experiments/iris-ab/outcomes").json["revisions"]
    assert revision["untouched"]["holdout"]["outcomes"] == held["outcomes"]


def test_metrics_tell_the_roles_apart(stage: Stage) -> None:
    text = fetch(f"{stage.extproc.admin_url}/metrics").body.decode()
    lines = {line for line in text.splitlines() if line.startswith("extproc_requests_total")}
    expected = {**Counter(map(role, USERS)), "no_unit": WITHOUT}
    del expected["candidate"]
    for why, count in expected.items():
        labels = f'candidate="iris",code_class="2xx",experiment="iris-ab",role="{why}"'
        assert f"extproc_requests_total{{{labels}}} {count}.0" in lines, sorted(lines)
    assert 'extproc_holdout_ratio{experiment="iris-ab"} 0.25' in text


def test_envoy_alone_leaves_them_to_the_default_too_and_they_are_counted_by_why(stage: Stage) -> None:
    before = counted(stage.status("iris-ab"))
    stage.extproc.stop()  # in order, so that its counts are kept
    ask_all(stage)
    stage.extproc.restart()
    stage.extproc.wait_ready()
    found = when_counted(stage, 2 * (len(USERS) + WITHOUT))
    # Envoy hashes a header by itself, other than extproc, but each user has one place.
    alone = {arm: found[f"{arm} fallback"] for arm in ("candidate", "holdout", "other_slot", "no_unit")}
    assert sum(alone.values()) == len(USERS) + WITHOUT
    assert alone["no_unit"] == WITHOUT
    assert min(alone.values()) > 10, alone
    assert found["holdout holdout"] == before["holdout holdout"], "what was counted is still there"
