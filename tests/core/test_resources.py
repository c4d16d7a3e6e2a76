"""A value that exists is valid; one that is not says everything that is wrong with it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from extproc.core.resources import (
    Api,
    Candidate,
    Endpoint,
    Experiment,
    Kind,
    Mirror,
    Model,
    PassThrough,
    Readiness,
    Retry,
    kind_of,
)
from extproc.errors import InvalidResource

HERE = (Endpoint("127.0.0.1", 8081),)


def test_a_model_fills_in_what_follows_from_its_name() -> None:
    model = Model("iris", endpoints=HERE)
    assert (model.version, model.served_name, model.readiness_path) == (1, "iris", "/v2/models/iris/ready")
    assert (model.speaks_http, model.speaks_grpc) == (True, False)
    assert Model("llama", endpoints=HERE, api=Api.OPENAI).readiness_path == "/v1/models"
    served = Model("iris", grpc_cluster="g", served_name="iris-v2")
    assert served.readiness_path == "/v2/models/iris-v2/ready"
    assert (served.speaks_http, served.speaks_grpc) == (False, True)
    assert Model("iris", endpoints=HERE, readiness=Readiness("/up")).readiness_path == "/up"


def test_an_endpoint_is_written_with_brackets_where_it_needs_them() -> None:
    assert str(Endpoint("::1", 80)) == "[::1]:80"
    assert str(Endpoint("iris", 80)) == "iris:80"


def test_a_mirrors_percentage_has_four_decimals() -> None:
    assert Mirror("m", 123_456).percent == 12.3456


def test_an_experiment_names_its_models_candidates_first() -> None:
    candidates = (Candidate("a", 1), Candidate("b", 0))
    assert Experiment("e", candidates).backends == ("a", "b")
    assert Experiment("e", candidates, mirror=Mirror("m", 1)).backends == ("a", "b", "m")


@pytest.mark.parametrize(
    ("make", "paths"),
    [
        (lambda: Model("Iris", version=0, endpoints=(Endpoint("a b", 1),), served_name="/"),
         ["name", "version", "endpoints[0]", "served_name"]),
        (lambda: Readiness("x", 1), ["readiness.path", "readiness.interval"]),
        (lambda: Experiment("E", (Candidate("a", -1), Candidate("a", 0)), default="z", mirror=Mirror("a", -1)),
         ["name", "candidates[1].name", "candidates[0].weight", "default", "mirror.name", "mirror.percent"]),
        (lambda: Experiment("e", (Candidate("a", 1),), timeout=-1, retry=Retry(0, (), -1)),
         ["timeout", "retry.attempts", "retry.per_try_timeout", "retry.retry_on"]),
    ],
)  # fmt: skip
def test_an_invalid_value_is_never_born_and_tells_every_problem(make: Callable[[], object], paths: list[str]) -> None:
    with pytest.raises(InvalidResource) as raised:
        make()
    assert [problem.path for problem in raised.value.problems] == paths
    assert all(str(problem) in str(raised.value) for problem in raised.value.problems)


def test_values_do_not_change() -> None:
    model = Model("iris", endpoints=HERE)
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.name = "other"  # type: ignore[misc]
    assert hash(model) == hash(Model("iris", endpoints=HERE))


def test_every_resource_has_its_kind_and_word() -> None:
    assert kind_of(Model("iris", endpoints=HERE)) is Kind.MODEL
    assert kind_of(Experiment("e", (Candidate("a", 1),))) is Kind.EXPERIMENT
    assert kind_of(PassThrough(Kind.ROUTES, "r", {})) is Kind.ROUTES


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": [{"b": 1}]}, {"a": [{"b": True}]}, False),
        ({"a": 0}, {"a": False}, False),
        ({"a": 1, "b": True}, {"b": True, "a": 1}, True),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"a": 2}, False),
    ],
    ids=str,
)
def test_envoys_own_resources_are_compared_as_json(one: dict[str, Any], other: dict[str, Any], equal: bool) -> None:
    """Else a change from 1 to true in a cluster's metadata would be none, until extproc is started again."""
    first, second = (PassThrough(Kind.CLUSTER, "c", body) for body in (one, other))
    assert (first == second) is equal
    assert not equal or hash(first) == hash(second)
    assert [kind.word for kind in Kind] == ["Model", "Experiment", "Cluster", "RouteConfiguration", "HttpFilter"]
