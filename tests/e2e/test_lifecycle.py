"""Start, change, stop and undo through the API, with the real Envoy; bad input and faults."""

import json
import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.harness.load import Load
from tests.harness.waiting import eventually

IRIS, IRIS2, IRIS3 = ":iris_1:", ":iris2_2:", ":iris3_1:"


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(experiment("filed", {"iris3": 1}, default="iris3"))
    stage.start("up")
    stage.wait_state("filed")
    return stage


@pytest.fixture
def running(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """An experiment `ab` at 50/50 that the API owns, and `filed`, which the file owns."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    answer = shared.put(ab(50, 50))
    assert answer.status in {200, 201}, answer.text
    shared.wait_state("ab")
    return shared


def ab(iris: int, iris2: int, **fields: Any) -> dict[str, Any]:
    return experiment("ab", {"iris": iris, "iris2": iris2}, **{"default": "iris", **fields})


def history(stage: Stage) -> list[dict[str, Any]]:
    revisions: list[dict[str, Any]] = stage.extproc.admin("/api/v1/experiments/ab/history").json["revisions"]
    return revisions


def test_starting_what_runs_is_a_no_op_and_says_so(running: Stage) -> None:
    before = running.status("ab")["revision"]
    answer = running.put(ab(50, 50))
    assert (answer.status, answer.json["changed"], answer.json["revision"]) == (200, False, before)


def test_every_change_is_a_revision_with_its_author_and_can_be_rolled_back(running: Stage) -> None:
    first = running.status("ab")["revision"]
    updated = running.put(ab(0, 100), "?caller=alice&why=promote").json
    assert (updated["revision"], updated["changed"], updated["source"]) == (first + 1, True, "api")
    assert running.routes() == {IRIS2}
    last = history(running)[-1]
    assert (last["action"], last["caller"], last["why"], last["source"]) == ("updated", "alice", "promote", "api")
    body = json.dumps({"revision": first})
    back = running.extproc.admin(
        "/api/v1/experiments/ab/rollback", method="POST", body=body, headers={"content-type": "application/json"}
    )
    assert (back.status, back.json["revision"]) == (200, first + 2), back.text
    assert running.routes() == {IRIS, IRIS2}
    assert history(running)[-1]["action"] == "rolled_back"


def test_weights_do_not_accumulate(running: Stage) -> None:
    for weights, allowed in (((50, 50), {IRIS, IRIS2}), ((0, 100), {IRIS2}), ((30, 70), {IRIS, IRIS2})):
        running.put(ab(*weights))
        assert running.routes() == allowed
        share = [c["share"] for c in running.status("ab")["candidates"]]
        assert share == [weights[0] / 100, weights[1] / 100]


def test_everything_changes_in_one_update_and_no_request_fails(running: Stage) -> None:
    url = f"{running.extproc.inference_url}/v2/models/iris/infer"
    running.put(ab(50, 50))
    with Load(url) as load:
        load.wait_for(200)
        other = experiment(
            "ab",
            {"iris3": 1, "iris": 3},
            default="iris",
            mirror={"name": "iris2", "percent": 50},
            resource_type="PIPELINE",
        )
        assert running.put(other).status == 200
        load.wait_for(200)
        running.put(ab(50, 50))
        load.wait_for(200)
        assert load.stop().failed == 0


def test_stopped_the_default_answers_alone_and_tokens_are_ignored(running: Stage) -> None:
    stopped = running.stop("ab", "?caller=bob&why=done").json
    assert (stopped["state"], stopped["changed"]) == ("STOPPED", True)
    assert "bob" in stopped["reason"]
    assert running.routes() == {IRIS}
    assert running.routes(headers={"x-seldon-route": IRIS2}) == {IRIS}
    assert running.infer("/v2/models/ab.experiment/infer").status == 404
    assert running.stop("ab").json["changed"] is False
    assert "ab" in [d["name"] for d in running.extproc.admin("/api/v1/experiments").json["experiments"]]
    again = running.put(ab(50, 50))
    assert (again.status, again.json["changed"]) == (201, True)
    assert running.routes() == {IRIS, IRIS2}


def test_what_a_file_owns_can_not_be_changed_through_the_api(running: Stage) -> None:
    for answer in (running.put(experiment("filed", {"iris3": 2}, default="iris3")), running.stop("filed")):
        assert answer.status == 409
        assert str(running.file) in answer.json["problems"][0]["message"]


def test_a_file_can_not_take_over_what_the_api_owns(running: Stage) -> None:
    running.write(experiment("filed", {"iris3": 1}, default="iris3"), ab(0, 1))
    found = eventually(
        lambda: [p for p in running.extproc.admin("/api/v1/experiments").json["problems"] if p["name"] == "ab"],
        within=5,
        saying="the file's claim is reported",
    )
    assert "api already" in found[0]["problems"][0]["message"]
    assert running.routes() == {IRIS, IRIS2}
    running.write(experiment("filed", {"iris3": 1}, default="iris3"))


def test_files_changes_are_revisions_too(running: Stage) -> None:
    running.write(experiment("filed", {"iris3": 1, "iris2": 0}, default="iris3"))
    path = "/api/v1/experiments/filed/history"
    revisions = eventually(
        lambda: running.extproc.admin(path).json["revisions"],
        within=5,
        saying="the change is in the history",
        until=lambda found: len(found[-1]["spec"]["candidates"]) == 2,
    )
    assert {r["source"] for r in revisions} == {str(running.file)}
    running.write(experiment("filed", {"iris3": 1}, default="iris3"))


def test_an_invalid_update_leaves_the_old_split_untouched_and_says_everything(running: Stage) -> None:
    body = {"name": "ab", "default": "nobody", "candidates": [{"name": "iris", "weight": -1}, {"name": "Iris!"}]}
    answer = running.put(body)
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    paths = {problem["path"] for problem in answer.json["problems"]}
    assert {"candidates[0].weight", "candidates[1].name", "default"} <= paths
    assert running.routes() == {IRIS, IRIS2}


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("DELETE", ""), ("GET", "/history")],
)
def test_an_unknown_name_is_404_with_the_closest_names(running: Stage, method: str, path: str) -> None:
    answer = running.extproc.admin(f"/api/v1/experiments/fild{path}", method=method)
    assert answer.status == 404
    assert "did you mean filed" in answer.json["detail"]


def test_requests_that_make_no_sense(running: Stage) -> None:
    admin = running.extproc.admin
    assert admin("/api/v1/experiments/ab", method="PUT", body="{" + " " * 1024 * 1024 + "}").status == 413
    renamed = admin("/api/v1/experiments/other", method="PUT", body=ab(1, 1))
    assert (renamed.status, renamed.json["problems"][0]["path"]) == (422, "name")
    assert admin("/api/v1/experiments/ab", method="PUT", body="{not json").status == 422
    assert admin("/api/v1/experiments/ab/rollback", method="POST", body="x").status == 415
    assert admin("/api/v1/experiments/ab", method="PATCH", body="x").status == 405
    assert admin("/nothing").headers["content-type"].startswith("application/problem+json")


def test_a_seldon_manifest_is_accepted_as_yaml(running: Stage) -> None:
    manifest = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata:
  name: ab
spec:
  default: iris
  candidates:
  - {name: iris, weight: 1}
  - {name: iris2, weight: 3}
"""
    answer = running.extproc.admin(
        "/api/v1/experiments/ab", method="PUT", body=manifest, headers={"content-type": "application/yaml"}
    )
    assert answer.status == 200, answer.text
    assert [c["share"] for c in answer.json["candidates"]] == [0.25, 0.75]


def test_of_concurrent_updates_with_if_match_one_wins(running: Stage) -> None:
    revision = running.status("ab")["revision"]
    weights = [(1, number) for number in range(51, 59)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda w: running.put(ab(*w), headers={"if-match": f'"{revision}"'}), weights))
    assert sorted(a.status for a in answers) == [200] + [412] * 7
    assert running.status("ab")["revision"] == revision + 1
    assert len([r for r in history(running) if r["revision"] > revision]) == 1


def test_events_tell_what_happened(running: Stage) -> None:
    running.put(ab(1, 2))
    events = [e["event"] for e in running.status("ab")["events"]]
    assert "updated" in events
    assert len(events) <= 20
    running.iris2.stop()
    running.wait_state("ab", "DEGRADED")
    running.iris2.resume()
    running.wait_state("ab", "ACTIVE")
    events = [e["event"] for e in running.status("ab")["events"]]
    assert [e for e in events if e.startswith("candidate_")][-2:] == ["candidate_down", "candidate_back"]
    assert events[-1] == "active"


def test_it_survives_kill_9(stage: Stage) -> None:
    stage.write()
    stage.start("serve")
    stage.put(ab(0, 100), "?caller=alice")
    stage.extproc.kill()
    stage.extproc.restart()
    stage.extproc.wait_ready()
    status = stage.wait_state("ab")
    assert (status["revision"], status["source"]) == (1, "api")
    assert stage.routes() == {IRIS2}


def test_a_state_directory_that_can_not_be_written_refuses_changes_and_routing_goes_on(stage: Stage) -> None:
    """The disk is full, as far as extproc can tell: no file of its own may grow any more."""
    stage.write()
    stage.start("up")
    assert stage.put(ab(50, 50)).status == 201
    stage.wait_state("ab")
    unlimited = resource.prlimit(stage.extproc.processes["control"], resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    for refused in (stage.put(ab(0, 100)), stage.stop("ab")):
        assert refused.status == 503, refused.text
        assert "state" in refused.json["detail"]
    assert stage.routes() == {IRIS, IRIS2}
    resource.prlimit(stage.extproc.processes["control"], resource.RLIMIT_FSIZE, unlimited)
    assert stage.put(ab(0, 100)).status == 200
    assert stage.routes() == {IRIS2}


def test_a_corrupt_database_is_not_overwritten(stage: Stage) -> None:
    stage.write()
    database = stage.directory / "state" / "extproc.db"
    database.parent.mkdir(parents=True)
    database.write_bytes(b"no database at all" * 1000)
    with pytest.raises(AssertionError, match=r"extproc\.db"):
        stage.start("up")
    assert database.read_bytes() == b"no database at all" * 1000
