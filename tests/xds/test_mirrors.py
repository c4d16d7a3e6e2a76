"""Mirrors on a real Envoy: what a copy looks like, how many there are, and that no client ever waits for one."""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from tritonclient.grpc import service_pb2, service_pb2_grpc

from extproc.core.resources import MILLION, Mirror, Model, Readiness, Retry
from extproc.xds import mirrors
from extproc.xds.snapshot import REMEMBERED
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.load import Load
from tests.harness.models import ModelServer
from tests.harness.statistics import binomial_interval
from tests.harness.waiting import eventually
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.stage import Stage, serving

LARGE = 5_000_000
STUCK = 30_000_000  # more than Envoy's default window and all socket buffers hold


@pytest.fixture
def silent() -> Iterator[int]:
    """A port that takes connections and never reads from them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def unchecked(name: str, port: int) -> Model:
    return replace(a_model(name, port), readiness=Readiness(disabled=True))


def test_a_copy_is_the_request_made_for_the_mirror(tmp_path: Path) -> None:
    with ModelServer("iris") as iris, ModelServer("iris3", served="third") as iris3:
        models = [a_model("iris", iris.port), a_model("iris3", iris3.port, served_name="third", version=3)]
        experiment = an_experiment("ab", {"iris": 1}, default="iris", mirror=("iris3", MILLION))
        with serving(a_world(models, [experiment]), tmp_path) as stage:
            forms = ["", "/infer", "/versions/2/infer?a=b"]
            for form in forms:
                answer = stage.infer(
                    f"/v2/models/iris{form}", {"x-extproc-mirror": "x", "x-seldon-route": ":iris_1:", "x-own": "kept"}
                )
                assert (answer.status, answer.headers["x-seldon-route"]) == (200, ":iris_1:")
            eventually(lambda: iris3.requests, within=10, saying="three copies", until=lambda seen: len(seen) == 3)
    assert sorted(request.path for request in iris3.requests) == [f"/v2/models/third{form}" for form in sorted(forms)]
    hosts = {request.header("host") for request in (*iris.requests, *iris3.requests)}
    assert hosts == {stage.url.removeprefix("http://")}
    for request in iris3.requests:
        seen = dict(request.headers)
        assert (request.method, request.body, seen["x-own"]) == ("POST", b"{}", "kept")
        assert seen["seldon-internal-model"] == "iris3_3"
        assert not {name for name in seen if name.startswith("x-extproc-")} | {"x-seldon-route"} & set(seen)


def test_the_rate_is_the_same_for_every_candidate(tmp_path: Path) -> None:
    """Envoy's one random value chooses the candidate and the copy, which must not show."""
    count, rate = 4000, 0.3
    with ModelServer("a") as a, ModelServer("b") as b, ModelServer("c") as c, ModelServer("m", served="m") as m:
        models = [a_model(server.name, server.port) for server in (a, b, c, m)]
        experiment = an_experiment("abc", {"a": 5, "b": 3, "c": 2}, default="a", mirror=("m", int(rate * MILLION)))
        with serving(a_world(models, [experiment]), tmp_path) as stage:
            # The request's number goes with the copy, so that it is known which candidate had the original.
            result = Load(f"{stage.url}/v2/models/a/infer", count=count, vary=lambda n: {"x-n": str(n)}).finish()
            assert result.failed == 0
            eventually(
                lambda: stage.envoy.stats("cluster.mirrors.upstream_rq_active")["cluster.mirrors.upstream_rq_active"],
                within=10,
                saying="no copy is under way",
                until=lambda active: active == 0,
            )
        copied = {request.header("x-n") for request in m.requests}
        assert len(copied) == len(m.requests)  # none came twice
        for server in (a, b, c):
            numbers = {request.header("x-n") for request in server.requests}
            low, high = binomial_interval(len(numbers), rate)  # misses once in a million runs
            assert low <= len(numbers & copied) <= high, server.name


def test_several_mirrors_draw_independently(tmp_path: Path) -> None:
    count, rates = 4000, {"m": 0.5, "n": 0.3}
    with ExitStack() as stack:
        a, b = (stack.enter_context(ModelServer(name)) for name in "ab")
        m, n, all_of_it = (stack.enter_context(ModelServer(name, served=name)) for name in ("m", "n", "o"))
        models = [a_model(server.name, server.port) for server in (a, b, m, n, all_of_it)]
        to = (*(Mirror(name, int(rate * MILLION)) for name, rate in rates.items()), Mirror("o", MILLION))
        experiment = an_experiment("ab", {"a": 6, "b": 4}, default="a", mirrors=to)
        stage = stack.enter_context(serving(a_world(models, [experiment]), tmp_path))
        result = Load(f"{stage.url}/v2/models/a/infer", count=count, vary=lambda i: {"x-n": str(i)}).finish()
        assert result.failed == 0
        eventually(lambda: len(all_of_it.requests), within=10, saying="a copy of each", until=lambda got: got == count)
        eventually(
            lambda: stage.envoy.stats("cluster.mirrors.upstream_rq_active")["cluster.mirrors.upstream_rq_active"],
            within=10,
            saying="no copy is under way",
            until=lambda active: active == 0,
        )
        served = {server.name: {r.header("x-n") for r in server.requests} for server in (a, b, m, n)}
        assert len(m.requests) == len(served["m"]), "a copy came twice"
    # Each misses once in a million runs.
    for name, among, rate in (
        ("m", served["a"] | served["b"], rates["m"]),
        ("n", served["m"], rates["n"]),
        ("n", served["a"], rates["n"]),
        ("m", served["b"] & served["n"], rates["m"]),
    ):
        low, high = binomial_interval(len(among), rate)
        assert low <= len(among & served[name]) <= high


def test_copies_of_grpc_calls(tmp_path: Path) -> None:
    with ExitStack() as stack:
        a, b, m = (stack.enter_context(GrpcModelServer(name)) for name in "abm")  # each takes its own name alone
        models = [a_model(server.name, grpc=server.port) for server in (a, b, m)]
        experiment = an_experiment("ab", {"a": 1, "b": 1}, default="a", mirror=("m", MILLION))
        stage = stack.enter_context(serving(a_world(models, [experiment]), tmp_path))
        channel = stack.enter_context(grpc.insecure_channel(stage.grpc_target))
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
        for _ in range(40):
            stub.ModelInfer(
                service_pb2.ModelInferRequest(model_name="a"), metadata=(("seldon-model", "a"),), timeout=10
            )
        eventually(lambda: len(m.calls), within=10, saying="40 copies", until=lambda n: n == 40)
        low, high = binomial_interval(40, 0.5)
        assert low <= len(a.calls) <= high
        assert len(a.calls) + len(b.calls) == 40
        assert {call.header("seldon-internal-model") for call in m.calls} == {"m_1"}
        assert {call.header("x-extproc-mirror") for call in m.calls} == {None}


@pytest.mark.parametrize("millionths", [0, MILLION])
def test_none_and_all(tmp_path: Path, millionths: int) -> None:
    with ModelServer("a") as a, ModelServer("b") as b, ModelServer("m") as m:
        models = [a_model(server.name, server.port) for server in (a, b, m)]
        experiment = an_experiment("ab", {"a": 1, "b": 1}, default="a", mirror=("m", millionths))
        with serving(a_world(models, [experiment]), tmp_path) as stage:
            assert Load(f"{stage.url}/v2/models/a/infer", count=100).finish().failed == 0
            expected = 100 if millionths else 0
            # The copies of a route without a mirror would come before the answer to one that is copied for certain.
            eventually(lambda: len(m.requests), within=10, saying=f"{expected} copies", until=lambda n: n == expected)


@pytest.mark.parametrize("retry", [None, Retry(2, ("5xx",))], ids=["", "retry"])
def test_large_bodies_are_copied_whole(tmp_path: Path, retry: Retry | None) -> None:
    with ModelServer("a") as a, ModelServer("m") as m:
        models = [a_model("a", a.port), a_model("m", m.port)]
        experiment = an_experiment("x", {"a": 1}, default="a", mirror=("m", MILLION), retry=retry)
        body = bytes(range(256)) * (LARGE // 256)
        with serving(a_world(models, [experiment]), tmp_path) as stage:
            assert stage.infer("/v2/models/a/infer", body=body).status == 200
            eventually(lambda: m.requests, within=10, saying="the copy")
        assert [request.body for request in a.requests] == [body]
        assert [request.body for request in m.requests] == [body]


def answered_at_once(stage: Stage, body: bytes) -> None:
    """Requests, more than one after another, that would hang if they waited for the mirror."""
    for _ in range(5):
        assert stage.infer("/v2/models/a/infer", body=body).status == 200


@pytest.mark.parametrize("size", [2, LARGE])
def test_a_mirror_that_hangs(tmp_path: Path, size: int) -> None:
    with ModelServer("a") as a, ModelServer("m") as m:
        experiment = an_experiment("x", {"a": 1}, default="a", mirror=("m", MILLION))
        with serving(a_world([a_model("a", a.port), unchecked("m", m.port)], [experiment]), tmp_path) as stage:
            m.hang()
            answered_at_once(stage, b"x" * size)
            eventually(lambda: m.requests, within=10, saying="5 copies hang", until=lambda seen: len(seen) == 5)


@pytest.mark.parametrize("size", [2, STUCK])
def test_a_mirror_that_does_not_read(tmp_path: Path, silent: int, size: int) -> None:
    """Without the large window of the cluster `mirrors` the client of the large body is stopped."""
    with ModelServer("a") as a:
        experiment = an_experiment("x", {"a": 1}, default="a", mirror=("m", MILLION))
        with serving(a_world([a_model("a", a.port), unchecked("m", silent)], [experiment]), tmp_path) as stage:
            answered_at_once(stage, b"x" * size)


def test_a_mirror_that_is_dead(tmp_path: Path) -> None:
    with ModelServer("a") as a:
        experiment = an_experiment("x", {"a": 1}, default="a", mirror=("m", MILLION))
        for dead in (a_model("m"), unchecked("m", 1)):
            with serving(a_world([a_model("a", a.port), dead], [experiment]), tmp_path) as stage:
                answered_at_once(stage, b"x" * LARGE)


def test_a_copy_is_given_up_in_the_end(tmp_path: Path, silent: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirrors, "TIMEOUT", "1s")
    for function in REMEMBERED:
        function.forget()
    total, active = "cluster.mirrors.upstream_rq_total", "cluster.mirrors.upstream_rq_active"
    with ModelServer("a") as a, ModelServer("m") as m:
        m.hang()
        models = [a_model("a", a.port), unchecked("m", m.port), unchecked("stuck", silent)]
        experiments = [
            an_experiment("x", {"a": 1}, default="a", mirror=("stuck", MILLION)),
            an_experiment("y", {"a": 1}, mirror=("m", MILLION)),
        ]
        with serving(a_world(models, experiments), tmp_path) as stage:
            stage.infer("/v2/models/y.experiment/infer")
            stage.infer("/v2/models/a/infer", body=b"x" * STUCK)
            eventually(
                lambda: stage.envoy.stats("cluster.mirrors.upstream_rq_"),
                within=10,
                saying="both copies were made, and none is under way",
                until=lambda stats: (stats[total], stats[active]) == (2, 0),
            )
    for function in REMEMBERED:
        function.forget()


def test_one_mirror_that_does_not_read_does_not_stop_another(tmp_path: Path, silent: int) -> None:
    """All copies share connections, so one that is stuck may not use up what all may send."""
    with ModelServer("a") as a, ModelServer("b") as b, ModelServer("m") as m:
        models = [a_model("a", a.port), a_model("b", b.port), a_model("m", m.port), unchecked("stuck", silent)]
        experiments = [
            an_experiment("x", {"a": 1}, default="a", mirror=("stuck", MILLION)),
            an_experiment("y", {"b": 1}, default="b", mirror=("m", MILLION)),
        ]
        with serving(a_world(models, experiments), tmp_path) as stage:
            answered_at_once(stage, b"x" * STUCK)
            assert stage.infer("/v2/models/b/infer", body=b"x" * LARGE).status == 200
            (copy,) = eventually(lambda: m.requests, within=10, saying="the other mirror's copy")
            assert len(copy.body) == LARGE


def test_a_mirror_that_is_not_defined_is_left_out(tmp_path: Path) -> None:
    with ModelServer("a") as a:
        experiment = an_experiment("x", {"a": 1}, default="a", mirror=("nobody", MILLION))
        with serving(a_world([a_model("a", a.port)], [experiment]), tmp_path) as stage:
            answered_at_once(stage, b"{}")
            assert Counter(stage.envoy.stats("cluster.mirrors.upstream_rq_total").values()) == {0: 1}
