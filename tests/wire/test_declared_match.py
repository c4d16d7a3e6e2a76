"""`match` and clusters as users write them: read whole, with the path of every flaw, and written back as they were."""

import json
from typing import Any

import pytest

from extproc.core.matches import Match
from extproc.core.resources import Experiment
from extproc.wire.manifests import write
from tests.wire.given import a_manifest, an_experiment, texts, the_only

BETA = {"headers": [{"name": "x-beta", "string_match": {"exact": "yes"}}]}
SHOP = {
    "default": "checkout-v1",
    "candidates": [
        {"cluster": "checkout-v1", "weight": 90},
        {"name": "next", "cluster": "outbound|80||checkout-v2", "weight": 10},
    ],
    "mirror": {"cluster": "checkout-v3", "percent": 5},
    "match": {"path_separated_prefix": "/checkout", **BETA},
}


def problems_of(text: str) -> list[str]:
    offer = the_only(text)
    assert (offer.resource is None) == bool(offer.problems)
    return texts(offer.problems)


def read(**changes: Any) -> Experiment:
    offer = the_only(json.dumps(an_experiment(**changes)))
    assert isinstance(offer.resource, Experiment), offer.problems
    return offer.resource


@pytest.mark.parametrize("match", [{}, BETA, SHOP["match"], {"prefix": "/é", "headers": [{"name": "a"}]}])
def test_it_reads_back_as_it_was_written(match: dict[str, Any]) -> None:
    experiment = read(match=match)
    assert experiment.match == Match.of(match)
    assert write(experiment)["match"] == match


def test_numbers_stay_what_they_were() -> None:
    match = {"headers": [{"name": "a", "range_match": {"start": -5, "end": 2**53 - 1}}]}
    assert json.dumps(write(read(match=match))["match"], sort_keys=True) == json.dumps(match, sort_keys=True)


def test_camel_case_is_read_and_absent_is_absent() -> None:
    given = {"queryParameters": [{"name": "a", "presentMatch": True, "stringMatch": None}], "prefix": None}
    assert write(read(match=given))["match"] == {"query_parameters": [{"name": "a", "present_match": True}]}
    assert read(match=None).match is None
    assert "match" not in write(read())


def test_clusters_read_back_as_they_were_written() -> None:
    written = write(read(**SHOP))
    assert written == an_experiment(**SHOP)
    assert [(c.name, c.cluster) for c in read(**SHOP).candidates] == [
        ("checkout-v1", "checkout-v1"),
        ("next", "outbound|80||checkout-v2"),
    ]


@pytest.mark.parametrize(
    ("match", "problem"),
    [
        ('"/"', "match: must be an object, not '/'"),
        ('{"prefix": "/", "prefix": "/a"}', "match.prefix: is given twice"),
        ('{"headers": [{"name": NaN}]}', "match.headers[0].name: must be a finite number"),
        ('{"headers": [{"range_match": {"end": 9007199254740993}}]}', "match.headers[0].range_match.end: has more"),
        ('{"safeRegex": {}, "safe_regex": {}}', "match.safe_regex: is given as 'safeRegex' already"),
        ('{"headers": [{"presentMatch": true, "present_match": true}]}', "match.headers[0].present_match: is given as"),
        ('{"nothing": 1}', "match.nothing: is nothing to match an experiment by"),
    ],
)
def test_a_flaw_has_its_path(match: str, problem: str) -> None:
    whole = json.dumps(an_experiment(match="HERE")).replace('"HERE"', match)
    (found,) = problems_of(whole)
    assert found.startswith(problem), found


def test_all_problems_are_told_at_once() -> None:
    found = problems_of(
        json.dumps(an_experiment(match={"filter_state": []}, timeout="-1s", candidates=SHOP["candidates"]))
    )
    assert [problem.partition(":")[0] for problem in found] == ["default", "timeout", "match.filter_state"]


def test_a_gap_in_the_match_is_no_missing_match() -> None:
    (problem,) = problems_of(json.dumps(an_experiment(**{**SHOP, "match": "/"})))
    assert problem.startswith("match: must be an object")


def test_seldon_s_manifests_have_no_match() -> None:
    (problem,) = problems_of(json.dumps(a_manifest(match=BETA)))
    assert problem.startswith("spec.match: is no field of a Seldon Experiment's spec")
