"""The edges of each rule: the last value that is allowed and the first that is not."""

from typing import Any

import pytest

from extproc.core import rules
from extproc.core.resources import Api, Candidate, Endpoint, Experiment, Mirror, Model, Readiness, Retry
from extproc.errors import InvalidResource

HERE = (Endpoint("127.0.0.1", 8081),)


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a--b", "a" * 63, "7b"])
def test_names_that_are_allowed(name: str) -> None:
    assert list(rules.name_problems("name", name)) == []


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a.b", "a/b", "a:b", "a" * 64, "é", "a\n", "a b"])
def test_names_that_are_not(name: str) -> None:
    assert [problem.path for problem in rules.name_problems("name", name)] == ["name"]


@pytest.mark.parametrize("host", ["iris", "iris.svc", "iris.svc.", "iris_2", "1.2.3.4", "::1", "a" * 63, "7.com", "I"])
def test_hosts_that_are_allowed(host: str) -> None:
    assert Model("iris", endpoints=(Endpoint(host, 65535),)).endpoints[0].host == host


@pytest.mark.parametrize(
    "host",
    [
        "", ".", "a..b", "-a", "a-", "1.2.3", "1.2.3.256", "01.2.3.4", ":::", "::1%lo", "a/b", "a.b:c", "a\n", "é",
        "a" * 64, ".".join(["a" * 60] * 5),
    ],
)  # fmt: skip
def test_hosts_that_are_not(host: str) -> None:
    with pytest.raises(InvalidResource, match="is no host:port"):
        Model("iris", endpoints=(Endpoint(host, 80),))


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_are_not_allowed(port: int) -> None:
    with pytest.raises(InvalidResource, match=r"^endpoints\[0\]: "):
        Model("iris", endpoints=(Endpoint("iris", port),))


def experiment(*weights: int, percent: int = 0, timeout: int = 0, retry: Retry | None = None) -> Experiment:
    candidates = tuple(Candidate(f"m{i}", weight) for i, weight in enumerate(weights))
    return Experiment("e", candidates, mirror=Mirror("mirror", percent), timeout=timeout, retry=retry)


def test_the_edges_that_are_allowed() -> None:
    assert experiment(0, 1).candidates[0].weight == 0
    assert experiment(2**32 - 1).candidates[0].weight == 2**32 - 1
    assert experiment(1, percent=1_000_000).mirror == Mirror("mirror", 1_000_000)
    assert experiment(1, timeout=rules.TIMEOUT_MAX).timeout == rules.TIMEOUT_MAX
    assert experiment(1, retry=Retry(10, ("5xx",), rules.TIMEOUT_MAX)).retry is not None
    assert Readiness(interval=100).interval == 100
    assert Readiness(interval=3_600_000).interval == 3_600_000
    assert Model("iris", version=2**32 - 1, endpoints=HERE).version == 2**32 - 1


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"percent": 1_000_001}, "mirror.percent"),
        ({"timeout": rules.TIMEOUT_MAX + 1}, "timeout"),
        ({"retry": Retry(11, ("5xx",))}, "retry.attempts"),
        ({"retry": Retry(1, ("5xx",), rules.TIMEOUT_MAX + 1)}, "retry.per_try_timeout"),
        ({"retry": Retry(1, ("retriable-status-codes",))}, r"retry.retry_on\[0\]"),
    ],
)
def test_the_edges_that_are_not(changes: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidResource, match=f"^{path}: "):
        experiment(1, **changes)


def test_weights_beyond_the_edge() -> None:
    for weight in (-1, 2**32):
        with pytest.raises(InvalidResource, match=r"^candidates\[1\].weight: "):
            experiment(1, weight)
    with pytest.raises(InvalidResource, match=r"^candidates: every weight is 0"):
        experiment(0, 0)


@pytest.mark.parametrize(
    ("path", "valid"), [("/", True), ("/a?b=c", True), ("a", False), ("/a b", False), ("/\n", False)]
)
def test_readiness_paths(path: str, valid: bool) -> None:
    assert (rules.readiness_problems(path, 1000) == []) is valid


@pytest.mark.parametrize(
    ("served", "valid"), [("Iris.v2", True), ("a~_-", True), ("a/b", False), (".", False), ("a b", False)]
)
def test_served_names(served: str, valid: bool) -> None:
    if valid:
        assert Model("iris", endpoints=HERE, served_name=served).served_name == served
    else:
        with pytest.raises(InvalidResource, match=r"^served_name: "):
            Model("iris", endpoints=HERE, served_name=served)


@pytest.mark.parametrize(
    ("served", "valid"),
    [
        ("meta-llama/Llama-3.1-8B:fp8", True), ("a b", True), ("!#[]~", True), ("a" * 255, True), (".", True),
        ("a" * 256, False), ('a"b', False), ("a\\b", False), (" a", False), ("a ", False), ("é", False), ("a\n", False),
    ],
)  # fmt: skip
def test_served_names_in_json(served: str, valid: bool) -> None:
    if valid:
        assert Model("llama", endpoints=HERE, served_name=served, api=Api.OPENAI).served_name == served
    else:
        with pytest.raises(InvalidResource, match=r"^served_name: "):
            Model("llama", endpoints=HERE, served_name=served, api=Api.OPENAI)


def test_openai_is_spoken_over_http() -> None:
    for given in ({"grpc_endpoints": HERE}, {"grpc_cluster": "c"}):
        with pytest.raises(InvalidResource, match=f"^{next(iter(given))}: can't be given with api OPENAI"):
            Model("llama", endpoints=HERE, api=Api.OPENAI, **given)


def test_a_candidate_without_a_name_may_be_the_default() -> None:
    with pytest.raises(InvalidResource) as raised:
        Experiment("e", (Candidate("", 1), Candidate("b", 1)), default="a")
    assert [problem.path for problem in raised.value.problems] == ["candidates[0].name"]
