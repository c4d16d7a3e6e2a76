"""The rules of what an experiment is matched by, and of clusters, each with its path as the user spelled it."""

from typing import Any

import pytest

from extproc.core.matches import Match
from extproc.core.resources import Candidate, Experiment, Mirror, ResourceType
from extproc.errors import InvalidResource

SHOP = (Candidate("", 1, "v1"), Candidate("second", 1, "outbound|80||v2"))


def fraction(percent: Any) -> dict[str, Any]:
    return {"runtime_fraction": {"default_value": percent}}


def problems(match: dict[str, Any] | None = None, candidates: tuple[Candidate, ...] = (), **fields: Any) -> list[str]:
    candidates = candidates or (Candidate("iris", 1), Candidate("iris2", 1))
    given = None if match is None else Match.of(match)
    try:
        Experiment("ab", candidates, match=given, **fields)
    except InvalidResource as invalid:
        return [str(problem) for problem in invalid.problems]
    return []


@pytest.mark.parametrize(
    "match",
    [
        {},
        {"prefix": "/a", "case_sensitive": False, "grpc": {}},
        {"path": "/a"},
        {"safeRegex": {"regex": "/a"}},
        {"pathSeparatedPrefix": "/a"},
        {"headers": [{"name": "x-user"}, {"name": "X-Seldon-Route"}], "queryParameters": [], "cookies": []},
        {"headers": "what is no list is for Envoy's types to say"},
        {"headers": [7, {"name": 7}]},
        fraction({}),
        fraction({"numerator": 100}),
        fraction({"numerator": 1_000_000, "denominator": "MILLION"}),
        fraction({"numerator": 10_000, "denominator": 1}),
        {"prefix": None, "tls_context": None},
    ],
)
def test_what_is_allowed(match: dict[str, Any]) -> None:
    assert problems(match) == []


@pytest.mark.parametrize(
    ("match", "path", "why"),
    [
        ({"prefx": "/"}, "match.prefx", "use one of prefix, path, safe_regex,"),
        ({"filterState": []}, "match.filter_state", "let your filter set a header"),
        ({"dynamic_metadata": []}, "match.dynamic_metadata", "before any filter"),
        ({"tls_context": {}}, "match.tls_context", "takes no TLS"),
        ({"connect_matcher": {}}, "match.connect_matcher", "for tunnels"),
        ({"path_match_policy": {}}, "match.path_match_policy", "use safe_regex"),
        ({"prefix": "/", "safe_regex": {}}, "match.safe_regex", "stands beside prefix"),
        ({"prefix": "checkout"}, "match.prefix", "must begin with a slash"),
        ({"path": ""}, "match.path", "must begin with a slash"),
        ({"path": "/checkout?step=1"}, "match.path", "must begin with a slash and hold no query"),
        ({"headers": [{"name": "a"}, {"name": "X-Extproc-Route"}]}, "match.headers[1].name", "is internal"),
        ({"headers": [{"name": "seldon-internal-model"}]}, "match.headers[0].name", "is internal"),
        ({"runtime_fraction": {}}, "match.runtime_fraction", "must be like"),
        ({"runtime_fraction": 5}, "match.runtime_fraction", "must be like"),
        (
            {"runtime_fraction": {"default_value": {}, "runtime_key": "x"}},
            "match.runtime_fraction.runtime_key",
            "change the fraction in the experiment",
        ),
        (fraction({"numerator": 101}), "match.runtime_fraction.default_value.numerator", "between 0 and 100"),
        (fraction({"numerator": -1}), "match.runtime_fraction.default_value.numerator", "between 0 and 100"),
        (fraction({"numerator": 0.5}), "match.runtime_fraction.default_value.numerator", "a whole number"),
        (fraction({"numerator": True}), "match.runtime_fraction.default_value.numerator", "a whole number"),
        (fraction({"denominator": "TEN"}), "match.runtime_fraction.default_value.denominator", "must be one of"),
        (fraction({"denominator": []}), "match.runtime_fraction.default_value.denominator", "must be one of"),
    ],
)
def test_what_is_not(match: dict[str, Any], path: str, why: str) -> None:
    (problem,) = problems(match)
    assert problem.startswith(f"{path}: "), problem
    assert why in problem


@pytest.mark.parametrize(
    ("percent", "millionths"),
    [
        ({}, 0),
        ({"numerator": 100}, 1_000_000),
        ({"numerator": 5}, 50_000),
        ({"numerator": 7, "denominator": "TEN_THOUSAND"}, 700),
        ({"numerator": 7, "denominator": 2}, 7),
    ],
)
def test_how_many_take_part(percent: dict[str, Any], millionths: int) -> None:
    assert Match.of(fraction(percent)).taking == millionths


def test_without_a_fraction_all_take_part() -> None:
    assert Match.of({"prefix": "/"}).taking == 1_000_000


def test_two_spellings_and_two_orders_are_one_match() -> None:
    written = Match.of({"queryParameters": [{"presentMatch": True, "name": "a"}], "prefix": "/", "path": None})
    assert written == Match.of({"prefix": "/", "query_parameters": [{"name": "a", "present_match": True}]})
    assert written.body == {"prefix": "/", "query_parameters": [{"name": "a", "present_match": True}]}


def test_clusters_need_a_match() -> None:
    assert problems({}, SHOP) == []
    assert problems({"prefix": "/"}, SHOP, default="second", mirror=Mirror("", 1, "v3")) == []
    (problem,) = problems(None, SHOP)
    assert problem.startswith("match: is missing: ")


def test_a_candidate_is_called_like_its_cluster_where_that_is_a_name() -> None:
    assert Candidate("", 1, "v1").name == "v1"
    assert Mirror("", 1, "v1").name == "v1"
    (problem,) = problems({}, (Candidate("", 1, "outbound|80||v2"),))
    assert problem.startswith("candidates[0].name: is missing, and 'outbound|80||v2' can't be one")
    (problem,) = problems({}, (Candidate("V2", 1, "v2"),))
    assert problem.startswith("candidates[0].name: 'V2' is no valid name")
    (problem,) = problems({}, (Candidate("", 1, "v1"), Candidate("v1", 1, "v2")))
    assert problem.startswith("candidates[1].name: 'v1' is candidates[0] already")


def test_an_a_a_test_may_name_one_cluster_twice() -> None:
    assert problems({}, (Candidate("a", 1, "v1"), Candidate("b", 1, "v1"))) == []


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"candidates": (*SHOP, Candidate("iris", 1))}, "candidates[2].name"),
        ({"candidates": (Candidate("iris", 1), *SHOP[:1])}, "candidates[1].cluster"),
        ({"candidates": SHOP, "mirror": Mirror("iris", 1)}, "mirror.name"),
        (
            {"candidates": (Candidate("iris", 1),), "mirrors": (Mirror("", 1, "v1"), Mirror("m", 1))},
            "mirrors[0].cluster",
        ),
        ({"candidates": (Candidate("a", 1, "extproc"),)}, "candidates[0].cluster"),
        ({"candidates": SHOP, "mirror": Mirror("m", 1, "mirrors")}, "mirror.cluster"),
        ({"candidates": SHOP, "resource_type": ResourceType.PIPELINE}, "resource_type"),
        ({"candidates": SHOP, "default": "iris"}, "default"),
        ({"candidates": (Candidate("", 1),)}, "candidates[0].name"),
    ],
)
def test_models_and_clusters_do_not_mix(fields: dict[str, Any], path: str) -> None:
    (problem,) = problems({}, **fields)
    assert problem.startswith(f"{path}: "), problem


def test_who_serves_is_never_mistaken_for_a_model() -> None:
    between = Experiment("ab", (Candidate("iris", 1, "v1"),), "iris", Mirror("m", 1, "iris2"), match=Match.of({}))
    assert between.backends == ("cluster/v1", "cluster/iris2")
    assert (between.of_clusters, between.intercepts) == (True, "")
    of_models = Experiment("ab", (Candidate("iris", 1),), "iris")
    assert (of_models.of_clusters, of_models.intercepts) == (False, "iris")
