"""Models and Experiments as users write them: each rule with its path, all problems at once, none of them twice."""

import json
from typing import Any

import pytest

from extproc.core.resources import (
    Candidate,
    Endpoint,
    Experiment,
    Mirror,
    Model,
    Readiness,
    ResourceType,
    Retry,
    WhenUnavailable,
)
from tests.wire.given import a_model, an_experiment, texts, the_only

NO_NAME = "is no valid name: use lower-case letters, digits and dashes, and begin and end with a letter or digit"
UINT32 = "must be a whole number between 0 and 4294967295"


def problems_of(resource: dict[str, Any]) -> list[str]:
    offer = the_only(json.dumps(resource))
    assert (offer.resource is None) == bool(offer.problems)
    return texts(offer.problems)


def candidates(*pairs: tuple[Any, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in pairs]


EXPERIMENTS_THAT_BREAK_A_RULE: list[tuple[dict[str, Any], str]] = [
    # The rules that stand between users and nonsense, one by one.
    ({"candidates": candidates(("iris", 1), ("iris", 2))}, "candidates[1].name: 'iris' is candidates[0] already"),
    ({"mirror": {"name": "iris2", "percent": 1}}, "mirror.name: 'iris2' is a candidate too"),
    ({"default": "iris9"}, "default: 'iris9' is not among the candidates (iris, iris2)"),
    ({"candidates": []}, "candidates: is empty"),
    ({"candidates": None}, "candidates: is empty"),
    ({"candidates": [], "mirror": {"name": "iris3", "percent": 1}}, "candidates: is empty"),
    ({"candidates": candidates(("iris", 0), ("iris2", 0))}, "candidates: every weight is 0"),
    ({"candidates": candidates(("iris", 1), ("iris2", -1))}, f"candidates[1].weight: {UINT32}, not -1"),
    ({"candidates": candidates(("iris", 1), ("iris2", 1.5))}, f"candidates[1].weight: {UINT32}, not 1.5"),
    ({"candidates": candidates(("iris", 2**32), ("iris2", 1))}, f"candidates[0].weight: {UINT32}, not 4294967296"),
    ({"candidates": candidates(("iris", 1), ("iris2", True))}, f"candidates[1].weight: {UINT32}, not true"),
    ({"mirror": {"name": "iris3", "percent": 100.1}}, "mirror.percent: must be between 0 and 100"),
    ({"mirror": {"name": "iris3", "percent": -0.1}}, "mirror.percent: must be between 0 and 100"),
    ({"mirror": {"name": "iris3", "percent": 1e300}}, "mirror.percent: must be between 0 and 100"),
    ({"mirror": {"name": "iris3", "percent": 33.33333}}, "mirror.percent: has more than four decimals"),
    ({"mirror": {"name": "iris3", "percent": 1e-5}}, "mirror.percent: has more than four decimals"),
    ({"mirror": {"name": "iris3", "percent": float("nan")}}, "mirror.percent: must be a finite number, not NaN"),
    ({"mirror": {"name": "iris3", "percent": "NaN"}}, "mirror.percent: must be a finite number, not 'NaN'"),
    ({"mirror": {"percent": 1}}, "mirror.name: is missing"),
    ({"name": "Iris_AB"}, "name: 'Iris_AB' is no valid name"),
    ({"name": "-iris"}, "name: '-iris' is no valid name"),
    ({"name": "iris.ab"}, "name: 'iris.ab' is no valid name"),
    ({"name": "i" * 64}, "name: has 64 characters: at most 63"),
    ({"name": None}, "name: is missing"),
    ({"candidates": candidates(("iris", 1), ("Iris", 1))}, "candidates[1].name: 'Iris' is no valid name"),
    ({"default": "Iris"}, "default: 'Iris' is no valid name"),
    ({"mirror": {"name": "I", "percent": 1}}, "mirror.name: 'I' is no valid name"),
    ({"default": None, "when_unavailable": "DEFAULT_ONLY"}, "when_unavailable: DEFAULT_ONLY needs a default"),
    ({"timeout": "-1s"}, "timeout: must be between 0s, which means no limit, and 9223372035s"),
    ({"timeout": "9223372036s"}, "timeout: must be between"),
    ({"timeout": "1500ms"}, "timeout: '1500ms' is no duration: write it in seconds, minutes or hours, like '1.5s'"),
    ({"stickiness": {"header": "u", "cookie": {"name": "u"}}}, "stickiness.cookie: stands beside 'header': keep one"),
    ({"stickiness": {"header": "u", "sourceIp": True}}, "stickiness.sourceIp: stands beside 'header': keep one"),
    ({"timeout": 5}, "timeout: must be a duration like '1.5s', not 5"),
    ({"timeout": "0.0005s"}, "timeout: '0.0005s' is finer than a millisecond"),
    ({"retry": {"attempts": 0}}, "retry.attempts: must be between 1 and 10"),
    ({"retry": {"attempts": 11}}, "retry.attempts: must be between 1 and 10"),
    ({"retry": {"retry_on": ["5xx", "6xx"]}}, "retry.retry_on[1]: '6xx' is no retry condition of Envoy"),
    ({"retry": {"per_try_timeout": "-1s"}}, "retry.per_try_timeout: must be between"),
    # What proto3 JSON itself demands.
    ({"resource_type": "MODLE"}, "resource_type: must be one of MODEL, PIPELINE, not 'MODLE'"),
    ({"resource_type": 7}, "resource_type: must be one of MODEL, PIPELINE, not 7"),
    ({"resource_type": True}, "resource_type: must be one of MODEL, PIPELINE, not true"),
    ({"name": 7}, "name: must be a text, not 7: put it in quotes"),
    ({"candidates": {"iris": 1}}, "candidates: must be a list, not an object"),
    ({"candidates": ["iris"]}, "candidates[0]: must be an object, not 'iris'"),
    ({"mirror": "iris3"}, "mirror: must be an object, not 'iris3'"),
    ({"retry": {"retry_on": "5xx"}}, "retry.retry_on: must be a list, not '5xx'"),
    ({"retry": {"retry_on": [5]}}, "retry.retry_on[0]: must be a text, not 5: put it in quotes"),
    ({"weights": [1]}, "weights: is no field of Experiment: it has name, default, candidates, mirror, resource_type"),
    ({"candidats": []}, "candidats: is no field of Experiment: did you mean 'candidates'?"),
    ({"resourceTyp": "MODEL"}, "resourceTyp: is no field of Experiment: did you mean 'resourceType'?"),
    ({"mirror": {"name": "iris3", "percnt": 1}}, "mirror.percnt: is no field of Mirror: did you mean 'percent'?"),
    ({"a key\n": 1}, 'a key\\n"]: is no field of Experiment'),
    ({"resource_type": "MODEL", "resourceType": "MODEL"}, "resourceType: is given as 'resource_type' already"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), EXPERIMENTS_THAT_BREAK_A_RULE, ids=lambda value: str(value)[:60])
def test_an_experiment_that_breaks_one_rule_has_exactly_that_problem(changes: dict[str, Any], expected: str) -> None:
    problems = problems_of(an_experiment(**changes))
    assert len(problems) == 1, problems
    assert expected in problems[0]


MODELS_THAT_BREAK_A_RULE: list[tuple[dict[str, Any], str]] = [
    ({"endpoints": None}, "endpoints: is missing"),
    ({"endpoints": []}, "endpoints: is missing"),
    ({"name": "Iris"}, "name: 'Iris' is no valid name"),
    ({"name": "mirrors"}, "name: 'mirrors' is a cluster of extproc itself"),
    ({"version": 0}, "version: must be a whole number between 1 and 4294967295"),
    ({"version": "two"}, f"version: {UINT32}, not 'two'"),
    ({"cluster": "c"}, "cluster: stands beside endpoints: give one of the two"),
    ({"grpc_endpoints": ["a:1"], "grpc_cluster": "c"}, "grpc_cluster: stands beside grpc_endpoints"),
    ({"served_name": "a/b"}, "served_name: 'a/b' can't stand in a path"),
    ({"served_name": ".."}, "served_name: '..' can't stand in a path"),
    ({"api": "OpenAI"}, "api: must be one of V2, OPENAI, not 'OpenAI'"),
    ({"api": "OPENAI", "served_name": 'a"b'}, "served_name: 'a\"b': use printable ASCII characters"),
    ({"readiness": {"path": "ready"}}, "readiness.path: 'ready' is no path"),
    ({"readiness": {"interval": "0.05s"}}, "readiness.interval: must be between 0.1s and 3600s"),
    ({"readiness": {"interval": "0s"}}, "readiness.interval: must be between 0.1s and 3600s"),
    ({"readiness": {"disabled": "yes"}}, "readiness.disabled: must be true or false, not 'yes'"),
    ({"readiness": []}, "readiness: must be an object, not a list"),
    ({"endpoints": "127.0.0.1:80"}, "endpoints: must be a list, not '127.0.0.1:80'"),
    ({"endpoints": ["iris"]}, "endpoints[0]: 'iris' is no host:port: write it like 127.0.0.1:8080"),
    ({"endpoints": [""]}, "endpoints[0]: '' is no host:port"),
    ({"endpoints": ["ok:80", "iris:0"]}, "endpoints[1]: 'iris:0' is no host:port"),
    ({"endpoints": ["iris:65536"]}, "endpoints[0]: 'iris:65536' is no host:port"),
    ({"endpoints": ["iris:http"]}, "endpoints[0]: 'iris:http' is no host:port"),
    ({"endpoints": ["iris:+80"]}, "endpoints[0]: 'iris:+80' is no host:port"),
    ({"endpoints": [":80"]}, "endpoints[0]: ':80' is no host:port"),
    ({"endpoints": ["a b:80"]}, "endpoints[0]: 'a b:80' is no host:port"),
    ({"endpoints": ["a\n:80"]}, "endpoints[0]: 'a\\n:80' is no host:port"),
    ({"endpoints": ["1.2.3.400:80"]}, "endpoints[0]: '1.2.3.400:80' is no host:port"),
    ({"endpoints": ["http://iris:80"]}, "endpoints[0]: 'http://iris:80' is no host:port: leave out what stands before"),
    ({"endpoints": ["::1:80"]}, "endpoints[0]: '::1:80' is no host:port: put an IPv6 address in brackets"),
    ({"endpoints": ["[::1]"]}, "endpoints[0]: '[::1]' is no host:port"),
    ({"endpoints": ["[iris]:80"]}, "endpoints[0]: '[iris]:80' is no host:port"),
    ({"endpoints": ["[fe80::1%eth0]:80"]}, "endpoints[0]: '[fe80::1%eth0]:80' is no host:port"),
    ({"endpoints": ["[::g]:80"]}, "endpoints[0]: '[::g]:80' is no host:port"),
    ({"endpoints": [8080]}, "endpoints[0]: must be a text, not 8080: put it in quotes"),
    ({"endpoints": [None]}, "endpoints[0]: must be a text, not null"),
    ({"grpc_endpoints": ["iris"]}, "grpc_endpoints[0]: 'iris' is no host:port"),
    ({"endpoint": ["a:1"]}, "endpoint: is no field of Model: did you mean 'endpoints'?"),
]


@pytest.mark.parametrize(("changes", "expected"), MODELS_THAT_BREAK_A_RULE, ids=lambda value: str(value)[:60])
def test_a_model_that_breaks_one_rule_has_exactly_that_problem(changes: dict[str, Any], expected: str) -> None:
    problems = problems_of(a_model(**changes))
    assert len(problems) == 1, problems
    assert problems[0].startswith(expected)


def test_everything_an_experiment_can_say_is_read_in_both_spellings() -> None:
    expected = Experiment(
        name="iris-ab",
        default="iris",
        candidates=(Candidate("iris", 2**32 - 1), Candidate("iris2", 0)),
        mirror=Mirror("iris3", 123_456),
        resource_type=ResourceType.PIPELINE,
        when_unavailable=WhenUnavailable.REJECT,
        timeout=1500,
        retry=Retry(3, ("5xx", "reset"), 250),
    )
    snake = an_experiment(
        candidates=candidates(("iris", 2**32 - 1), ("iris2", 0)),
        mirror={"name": "iris3", "percent": 12.3456},
        resource_type="PIPELINE",
        when_unavailable="REJECT",
        timeout="1.5s",
        retry={"attempts": 3, "retry_on": ["5xx", "reset"], "per_try_timeout": "0.250s"},
    )
    camel = {
        **{k: v for k, v in snake.items() if "_" not in k},
        "resourceType": "PIPELINE",
        "whenUnavailable": "REJECT",
        "retry": {"attempts": 3, "retryOn": ["5xx", "reset"], "perTryTimeout": "0.250s"},
    }
    assert the_only(json.dumps(snake)).resource == expected
    assert the_only(json.dumps(camel)).resource == expected


def test_everything_a_model_can_say_is_read_in_both_spellings() -> None:
    expected = Model(
        name="iris",
        version=2,
        endpoints=(Endpoint("127.0.0.1", 8081), Endpoint("::1", 8082), Endpoint("iris.models.svc", 80)),
        grpc_cluster="iris-grpc",
        served_name="iris-v2",
        readiness=Readiness("/health", 2500, disabled=True),
    )
    snake = a_model(
        version=2,
        endpoints=["127.0.0.1:8081", "[::1]:8082", "iris.models.svc:80"],
        grpc_cluster="iris-grpc",
        served_name="iris-v2",
        readiness={"path": "/health", "interval": "2.5s", "disabled": True},
    )
    camel = {
        **{k: v for k, v in snake.items() if "_" not in k},
        "grpcCluster": "iris-grpc",
        "servedName": "iris-v2",
    }
    assert the_only(json.dumps(snake)).resource == expected
    assert the_only(json.dumps(camel)).resource == expected


def test_what_is_left_out_or_null_has_its_default() -> None:
    plain = the_only(json.dumps(a_model())).resource
    assert plain == Model("iris", endpoints=(Endpoint("127.0.0.1", 8081),))
    nulls = {**a_model(), "version": None, "grpc_endpoints": None, "readiness": None, "served_name": None}
    assert the_only(json.dumps(nulls)).resource == plain
    retry = the_only(json.dumps(an_experiment(retry={}))).resource
    assert isinstance(retry, Experiment)
    assert retry.retry == Retry(1, ("connect-failure", "refused-stream", "reset-before-request"))


def test_numbers_are_read_as_proto3_json_allows_them() -> None:
    resource = the_only(
        json.dumps(
            an_experiment(
                candidates=candidates(("iris", "70"), ("iris2", 30.0)),
                mirror={"name": "iris3", "percent": "0.1"},
                resource_type=1,
            )
        )
    ).resource
    assert isinstance(resource, Experiment)
    assert [c.weight for c in resource.candidates] == [70, 30]
    assert resource.mirror == Mirror("iris3", 1000)
    assert resource.resource_type is ResourceType.PIPELINE


@pytest.mark.parametrize("millionths", [0, 1, 7, 1000, 10_001, 333_333, 578_100, 999_999, 1_000_000])
def test_a_percentage_is_taken_exactly(millionths: int) -> None:
    resource = the_only(json.dumps(an_experiment(mirror={"name": "iris3", "percent": millionths / 10_000}))).resource
    assert isinstance(resource, Experiment)
    assert resource.mirror == Mirror("iris3", millionths)


def test_every_problem_is_told_at_once_in_the_users_spelling() -> None:
    assert problems_of(
        a_model(
            name="Iris",
            versoin=2,
            grpcEndpoints=[5, "iris", "h:70000"],
            readiness={"path": "a b", "interval": 5},
        )
    ) == [
        "versoin: is no field of Model: did you mean 'version'?",
        "grpcEndpoints[0]: must be a text, not 5: put it in quotes",
        "readiness.interval: must be a duration like '1.5s', not 5",
        "grpcEndpoints[1]: 'iris' is no host:port: write it like 127.0.0.1:8080",
        f"name: 'Iris' {NO_NAME}",
        "grpcEndpoints[2]: 'h:70000' is no host:port: write it like 127.0.0.1:8080",
        "readiness.path: 'a b' is no path: it begins with a slash and has no spaces",
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        # A weight that can't be read is not a weight of 0.
        ({"candidates": candidates(("iris", 1.5), ("iris2", 0))}, ["candidates[0].weight"]),
        ({"candidates": [{"name": "iris", "wieght": 1}]}, ["candidates[0].wieght"]),
        # A candidate that can't be read may be the default, and leaves the places of the others as they are.
        ({"candidates": [5, {"name": "b", "weight": -1}]}, ["candidates[0]", "candidates[1].weight"]),
        ({"candidates": [{"name": 1, "weight": 1}]}, ["candidates[0].name"]),
        ({"candidates": 5}, ["candidates"]),
        # A default that can't be read is not a missing one.
        ({"default": 5, "when_unavailable": "DEFAULT_ONLY"}, ["default"]),
        # A bad default is told beside a bad candidate.
        ({"default": "B!", "candidates": [{"nam": "b", "weight": 1}]}, ["candidates[0].nam", "default"]),
        ({"mirror": {"name": 5, "percent": "x"}}, ["mirror.name", "mirror.percent"]),
    ],
)
def test_what_could_not_be_read_is_not_held_against_the_rest(changes: dict[str, Any], expected: list[str]) -> None:
    assert [p.partition(": ")[0] for p in problems_of(an_experiment(**changes))] == expected


def test_endpoints_that_could_not_be_read_are_not_missing() -> None:
    for gap in ({"grpc_endpoints": 5}, {"cluster": 5}, {"grpcCluster": ["x"]}, {"endpoint": ["x:1"]}):
        assert len(problems_of(a_model(endpoints=None, **gap))) == 1, gap
