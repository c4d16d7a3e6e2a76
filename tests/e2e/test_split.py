"""Calls of the default model are split, sticky, mirrored, rewritten and labelled: extproc chooses, Envoy routes."""

from collections.abc import Callable

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment, model
from tests.harness.load import Load, run_load
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually

MISS = 1e-9  # how often a statistical check may fail a right program
IRIS, IRIS2 = ":iris_1:", ":iris2_2:"


TRIAL = experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris", mirror={"name": "iris3", "percent": 20})


@pytest.fixture(scope="module")
def shared(open_stage: Callable[[], Stage]) -> Stage:
    stage = open_stage()
    stage.write(TRIAL)
    stage.start("up")
    stage.wait_state("iris-ab")
    return stage


@pytest.fixture
def running(request: pytest.FixtureRequest, shared: Stage) -> Stage:
    """The shared stage; tests change nothing but what the models remember."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", shared.tail()))
    shared.forget()
    return shared


@pytest.fixture(scope="module")
def changing(open_stage: Callable[[], Stage]) -> Stage:
    """A running stage whose resources each test replaces by its own."""
    stage = open_stage()
    stage.write()
    stage.start("up")
    return stage


def mirrored(stage: Stage, least: int) -> int:
    """How many copies have arrived, once there are so many."""
    return eventually(
        lambda: len(stage.iris3.requests), within=5, saying=f"{least} copies arrive", until=lambda n: n >= least
    )


def test_the_split_and_the_mirror_follow_the_weights(running: Stage) -> None:
    total = 4000
    result = run_load(f"{running.extproc.inference_url}/v2/models/iris/infer", total)
    assert result.failed == 0, str(result)
    assert set(result.by_route) == {IRIS, IRIS2}
    low, high = binomial_interval(total, 0.7, miss=MISS)
    assert low <= result.by_route[IRIS] <= high, str(result)
    assert len(running.iris.requests) == result.by_route[IRIS]
    assert len(running.iris2.requests) == result.by_route[IRIS2]
    low, high = binomial_interval(total, 0.2, miss=MISS)
    assert low <= mirrored(running, low) <= high


def test_the_mirror_s_rate_does_not_depend_on_the_candidate(running: Stage) -> None:
    """Sticky requests are mirrored at the same rate."""
    total = 2000
    for token in (IRIS, IRIS2):
        running.forget()
        result = run_load(
            f"{running.extproc.inference_url}/v2/models/iris/infer", total, headers={"x-seldon-route": token}
        )
        assert result.by_route == {token: total}, str(result)
        low, high = binomial_interval(total, 0.2, miss=MISS)
        assert low <= mirrored(running, low) <= high


@pytest.mark.parametrize(
    ("header", "routes"),
    [
        (IRIS, {IRIS}),
        (IRIS2, {IRIS2}),
        (f":wine_1:{IRIS2}", {IRIS2}),
        (f"{IRIS2}{IRIS}", {IRIS2}),
        (":iris2_1:", {IRIS, IRIS2}),  # stale: iris2 is at version 2
        (":iris3_1:", {IRIS, IRIS2}),  # the mirror is no candidate
        ("iris2_2", {IRIS, IRIS2}),
        ("\\x00::;'\"%s{}", {IRIS, IRIS2}),
        (":" * 5000, {IRIS, IRIS2}),
    ],
)
def test_a_client_s_token(running: Stage, header: str, routes: set[str]) -> None:
    """A token that names a candidate is kept to; any other is assigned afresh and never an error."""
    result = run_load(f"{running.extproc.inference_url}/v2/models/iris/infer", 80, headers={"x-seldon-route": header})
    # 80 fresh draws all miss one of two candidates with a probability of 0.7^80 + 0.3^80 < 1e-12.
    assert (set(result.by_route), result.failed) == (routes, 0), str(result)


def test_several_token_headers_are_read_as_one(running: Stage) -> None:
    answer = running.infer(headers={"x-seldon-route": f":nobody_1:, {IRIS2}"})
    assert (answer.status, answer.headers["x-seldon-route"]) == (200, IRIS2)


@pytest.mark.parametrize("suffix", ["", "/infer", "/ready", "/versions/3/infer", "?x=1", "/infer?x=1&y=/v2/models/a"])
def test_the_path_is_rewritten_to_the_served_name_for_candidate_and_mirror(changing: Stage, suffix: str) -> None:
    changing.forget()
    changing.apply(
        experiment("iris-ab", {"iris": 0, "iris2": 1}, default="iris", mirror={"name": "iris3", "percent": 100})
    )
    assert changing.infer(f"/v2/models/iris{suffix}").status == 200
    assert [r.path for r in changing.iris2.requests] == [f"/v2/models/iris-v2{suffix}"]
    copy = eventually(lambda: changing.iris3.requests, within=5, saying="the copy arrives")
    assert [r.path for r in copy] == [f"/v2/models/third{suffix}"]
    assert changing.iris.requests == ()


def test_models_get_their_internal_name_and_no_header_of_ours(running: Stage) -> None:
    """Candidate and mirror each see their own `seldon-internal-model`, whatever the client sends."""
    for token in (IRIS, IRIS2):
        running.infer(headers={"x-seldon-route": token, "seldon-internal-model": "evil_1", "x-extproc-route": "evil"})
    eventually(lambda: _until_mirrored(running), within=10, saying="a copy arrives")
    seen = {
        server.name: {r.header("seldon-internal-model") for r in server.requests}
        for server in (running.iris, running.iris2, running.iris3)
    }
    assert seen == {"iris": {"iris_1"}, "iris2": {"iris2_2"}, "iris3": {"iris3_1"}}
    for server in (running.iris, running.iris2, running.iris3):
        for request in server.requests:
            ours = {n for n, _ in request.headers if n.startswith("x-extproc-") or n == "x-seldon-route"}
            assert not ours, request


def _until_mirrored(stage: Stage) -> bool:
    stage.infer()
    return bool(stage.iris3.requests)


@pytest.mark.parametrize(
    ("path", "headers", "split"),
    [
        ("/v2/models/iris/infer", {}, True),
        ("/v2/models/whatever/infer", {"seldon-model": "iris"}, True),
        ("/v2/models/iris-ab.experiment/infer", {}, True),
        ("/v2/models/x/infer", {"seldon-model": "iris-ab.experiment"}, True),
        ("/v2/models/iris2/infer", {}, False),
        ("/v2/models/iris/infer", {"seldon-model": "iris2"}, False),
    ],
)
def test_which_endpoints_are_split(running: Stage, path: str, headers: dict[str, str], split: bool) -> None:
    """The header wins over the path; a candidate's own endpoint answers for itself."""
    result = run_load(running.extproc.inference_url + path, 80, headers=headers)
    assert (set(result.by_route), result.failed) == ({IRIS, IRIS2} if split else {IRIS2}, 0), str(result)


def test_without_a_default_only_the_experiment_s_own_endpoint_is_split(changing: Stage) -> None:
    changing.forget()
    changing.apply(experiment("trial", {"iris": 1, "iris2": 1}))
    url = changing.extproc.inference_url
    own = run_load(f"{url}/v2/models/x/infer", 80, headers={"seldon-model": "trial.experiment"})
    assert (set(own.by_route), own.failed) == ({IRIS, IRIS2}, 0), str(own)
    assert run_load(f"{url}/v2/models/iris/infer", 40).by_route == {IRIS: 40}
    assert run_load(f"{url}/v2/models/iris2/infer", 40).by_route == {IRIS2: 40}


@pytest.mark.parametrize(
    ("path", "headers", "name"),
    [
        ("/v2/models/wine/infer", {}, "wine"),
        ("/v2/models/iris22/infer", {}, "iris22"),
        ("/v2/models/iris/infer", {"seldon-model": "wine"}, "wine"),
        ("/v2/models/gone.experiment/infer", {}, "gone.experiment"),
    ],
)
def test_an_unknown_model_is_404_from_envoy_and_named(
    running: Stage, path: str, headers: dict[str, str], name: str
) -> None:
    answer = running.infer(path, headers)
    assert answer.status == 404
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.json["model"] == name
    assert name in answer.json["error"]


def test_pipelines_are_named_as_pipelines(changing: Stage) -> None:
    changing.forget()
    changing.apply(experiment("pipes", {"iris": 1, "iris2": 1}, default="iris", resource_type="PIPELINE"))
    result = run_load(
        f"{changing.extproc.inference_url}/v2/models/x/infer", 80, headers={"seldon-model": "iris.pipeline"}
    )
    assert set(result.by_route) == {":iris.pipeline:", ":iris2.pipeline:"}, str(result)
    assert {r.header("seldon-internal-model") for r in changing.iris2.requests} == {"iris2.pipeline"}
    kept = run_load(
        f"{changing.extproc.inference_url}/v2/models/x/infer",
        40,
        headers={"seldon-model": "iris.pipeline", "x-seldon-route": ":iris2.pipeline:"},
    )
    assert kept.by_route == {":iris2.pipeline:": 40}, str(kept)


@pytest.mark.parametrize("fault", ["hangs", "dead"])
def test_a_mirror_that_hangs_or_is_dead_changes_nothing(changing: Stage, fault: str) -> None:
    changing.forget()
    changing.apply(
        experiment("iris-ab", {"iris": 1, "iris2": 1}, default="iris", mirror={"name": "iris3", "percent": 100})
    )
    if fault == "hangs":
        changing.iris3.hang(probes=False)
    else:
        changing.iris3.stop()
    try:
        result = run_load(f"{changing.extproc.inference_url}/v2/models/iris/infer", 2000, connections=16)
    finally:
        changing.iris3.resume()
    assert result.failed == 0, str(result)
    low, high = binomial_interval(2000, 0.5, miss=MISS)
    assert low <= result.by_route[IRIS] <= high, str(result)


def test_a_zero_weight_is_never_drawn_but_reached_by_its_token(changing: Stage) -> None:
    changing.forget()
    changing.apply(experiment("iris-ab", {"iris": 1, "iris2": 0}, default="iris"))
    assert run_load(f"{changing.extproc.inference_url}/v2/models/iris/infer", 200).by_route == {IRIS: 200}
    assert changing.infer(headers={"x-seldon-route": IRIS2}).headers["x-seldon-route"] == IRIS2


def test_sigterm_drains_and_exits_0_and_leaves_nothing(stage: Stage) -> None:
    stage.write(TRIAL)
    stage.start("up")
    stage.wait_state("iris-ab")
    assert stage.extproc.output.startswith("ready: inference http://127.0.0.1:")
    with Load(f"{stage.extproc.inference_url}/v2/models/iris/infer", connections=2) as load:
        load.wait_for(50)
        stage.extproc.stop()
        result = load.stop()
    assert result.by_status == {200: result.answers}, str(result)  # what was begun before the end was answered
    with pytest.raises(OSError, match="refused"):
        stage.infer()


def test_a_model_without_any_experiment_has_its_own_route(changing: Stage) -> None:
    changing.forget()
    changing.write(models=[model("iris2", changing.iris2.endpoint, served_name="iris-v2", version=2)])
    eventually(lambda: changing.infer("/v2/models/iris2/infer").status == 200, within=10, saying="iris2 answers")
    answer = changing.infer("/v2/models/iris2/infer")
    assert (answer.headers["x-seldon-route"], answer.json["model_name"]) == (IRIS2, "iris-v2")
