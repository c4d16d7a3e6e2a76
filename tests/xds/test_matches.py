"""What an experiment can be matched by, held against the real Envoy: what it refuses, we refuse."""

from pathlib import Path
from typing import Any

import pytest

from extproc.core.matches import PATHS, Match
from extproc.core.resources import Experiment
from extproc.xds.encode import Json, typed
from extproc.xds.http import socket_address
from extproc.xds.matches import narrowed, problems
from extproc.xds.static import static_config
from extproc.xds.world import Options
from tests.harness.envoy import validate
from tests.xds.given import a_cluster, a_model, a_world, an_experiment, between_clusters

VALUE = {"string_match": {"exact": "a"}}
TAKEN: list[dict[str, Any]] = [
    {},
    {"prefix": ""},
    {"path": "/a", "case_sensitive": False},
    {"path_separated_prefix": "/a"},
    {"safe_regex": {"google_re2": {}, "regex": "(?i)/é\\pL+"}},
    {"safe_regex": {"regex": "/" + "a" * 95}},
    {"headers": [{"name": "a", "string_match": {"safe_regex": {"regex": ".{47}"}}}]},
    {"headers": [{"name": "X-A", **VALUE}, {"name": ":method", "present_match": True, "invert_match": True}]},
    {"headers": [{"name": "a", "range_match": {"start": "-5", "end": 7}, "treat_missing_header_as_empty": True}]},
    {"headers": [{"name": "a", "string_match": {"contains": "x", "ignore_case": True}}, {"name": "a"}]},
    {"headers": [{"name": "a", "exact_match": "x"}, {"name": "a", "safe_regex_match": {"regex": "x|y"}}]},
    {"query_parameters": [{"name": "a", **VALUE}, {"name": "b", "present_match": True}, {"name": "c"}]},
    {"cookies": [{"name": "a", **VALUE, "invert_match": True}]},
    {"grpc": {}},
    {"runtime_fraction": {"default_value": {"numerator": 5, "denominator": "HUNDRED"}}},
]
# What Envoy refuses, and where we say so.
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "unknown field": ({"headers": [{"nme": "a"}]}, "match.headers[0].nme"),
    "no list": ({"headers": "a"}, "match.headers"),
    "no text": ({"prefix": 5}, "match.prefix"),
    "two matchers": ({"headers": [{"name": "a", **VALUE, "present_match": True}]}, "match.headers[0].string_match"),
    "bad regex": ({"safe_regex": {"regex": "("}}, "match.safe_regex.regex"),
    "no regex": ({"safe_regex": {"regex": ""}}, "match.safe_regex.regex"),
    "not RE2's": ({"headers": [{"name": "a", "string_match": {"safe_regex": {"regex": "(?=a)"}}}]},
                  "match.headers[0].string_match.safe_regex.regex"),
    "repeated too often": ({"safe_regex": {"regex": "((a{100}){100}){10}"}}, "match.safe_regex.regex"),
    "too large": ({"safe_regex": {"regex": "/" + "a" * 96}}, "match.safe_regex.regex"),
    "larger than it looks": ({"safe_regex": {"regex": ".{49}"}}, "match.safe_regex.regex"),
    "a limit of its own": ({"safe_regex": {"google_re2": {"max_program_size": 1}, "regex": "b.*c[a-z]+"}},
                  "match.safe_regex.google_re2.max_program_size"),
    "no header": ({"headers": [VALUE]}, "match.headers[0].name"),
    "a line's end": ({"headers": [{"name": "a\nb", **VALUE}]}, "match.headers[0].name"),
    "matches nothing": ({"headers": [{"name": "a", "string_match": {}}]}, "match.headers[0].string_match"),
    "empty prefix": ({"headers": [{"name": "a", "string_match": {"prefix": ""}}]},
                     "match.headers[0].string_match.prefix"),
    "empty old prefix": ({"headers": [{"name": "a", "prefix_match": ""}]}, "match.headers[0].prefix_match"),
    "ignored case": (
        {"headers": [{"name": "a", "string_match": {"ignore_case": True, "safe_regex": {"regex": "a"}}}]},
        "match.headers[0].string_match.ignore_case",
    ),
    "slash at the end": ({"path_separated_prefix": "/a/"}, "match.path_separated_prefix"),
    "a query": ({"path_separated_prefix": "/a?b"}, "match.path_separated_prefix"),
    "no parameter": ({"query_parameters": [{"present_match": True}]}, "match.query_parameters[0].name"),
    "a long parameter": ({"query_parameters": [{"name": "é" * 513}]}, "match.query_parameters[0].name"),
    "no cookie": ({"cookies": [VALUE]}, "match.cookies[0].name"),
    "a cookie of any value": ({"cookies": [{"name": "a"}]}, "match.cookies[0].string_match"),
}  # fmt: skip
# What Envoy takes, and would never find.
FUTILE: dict[str, tuple[dict[str, Any], str]] = {
    "a name with a space": ({"headers": [{"name": "a b", **VALUE}]}, "match.headers[0].name"),
    "an extension": ({"headers": [{"name": "a", "string_match": {"custom": {"name": "x"}}}]},
                     "match.headers[0].string_match.custom"),
}  # fmt: skip


def matched(match: dict[str, Any]) -> Experiment:
    return an_experiment("ab", {"a": 1, "b": 1}, default="a", match=Match.of(match))


@pytest.mark.parametrize("match", TAKEN, ids=str)
def test_there_is_nothing_wrong_with(match: dict[str, Any]) -> None:
    assert problems(matched(match)) == []


def test_envoy_takes_all_of_them_on_the_routes_of_models_and_of_clusters(tmp_path: Path) -> None:
    models = [a_model(f"{name}{i}", grpc=1) for i in range(len(TAKEN)) for name in "abc"]
    of_models = [
        an_experiment(f"m{i}", {f"a{i}": 1, f"b{i}": 2}, default=f"a{i}", match=Match.of(match), mirror=(f"c{i}", 5))
        for i, match in enumerate(TAKEN)
    ]
    of_clusters = [
        between_clusters(f"c{i}", {"x": 1, "y": 1}, match, default="x", mirror=("z", 5), holdout=5)
        for i, match in enumerate(TAKEN)
    ]
    world = a_world(models, of_models + of_clusters, clusters=[a_cluster(name) for name in "xyz"])
    assert validate(static_config(world, Options()), tmp_path) == ""


@pytest.mark.parametrize("why", REFUSED)
def test_what_envoy_refuses_is_refused(why: str, tmp_path: Path) -> None:
    match, path = REFUSED[why]
    assert [problem.path for problem in problems(matched(match))] == [path]
    assert (
        validate(_served_by(match if not match.keys().isdisjoint(PATHS) else {"prefix": "/", **match}), tmp_path) != ""
    )


def _served_by(match: Json) -> Json:
    routes = [{"match": match, "direct_response": {"status": 200}}]
    manager = typed(
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="x",
        http_filters=[
            {
                "name": "envoy.filters.http.router",
                "typed_config": typed("envoy.extensions.filters.http.router.v3.Router"),
            }
        ],
        route_config={"virtual_hosts": [{"name": "x", "domains": ["*"], "routes": routes}]},
    )
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    listener = {"name": "x", "address": socket_address("127.0.0.1", 0), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener]}}


@pytest.mark.parametrize("why", FUTILE)
def test_what_can_t_match_or_be_checked_is_refused(why: str) -> None:
    match, path = FUTILE[why]
    assert [problem.path for problem in problems(matched(match))] == [path]


def test_without_a_match_there_is_nothing_to_say() -> None:
    assert problems(an_experiment("ab", {"a": 1})) == []


def test_a_path_takes_the_place_of_the_endpoint_s_which_becomes_a_header_s() -> None:
    half = {"default_value": {"numerator": 50}}
    match = {"path": "/v2/models/a.experiment/infer", "headers": [{"name": "x"}], "runtime_fraction": half}
    experiment = matched(match)
    assert narrowed({"path_separated_prefix": "/v2/models/a.experiment", "grpc": {}}, experiment) == {
        "path": "/v2/models/a.experiment/infer",
        "grpc": {},
        "headers": [
            {"name": "x"},
            {
                "name": ":path",
                "string_match": {"safe_regex": {"regex": "/v2/models/a[.]experiment([/?].*)?"}},
            },
        ],
    }


def test_without_a_path_the_endpoint_s_stays() -> None:
    assert narrowed({"prefix": "/"}, matched({"headers": [{"name": "x"}]})) == {
        "prefix": "/",
        "headers": [{"name": "x"}],
    }
    assert narrowed({"prefix": "/"}, an_experiment("ab", {"a": 1})) == {"prefix": "/"}
