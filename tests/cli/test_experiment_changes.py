"""What a revision changed, in words."""

from typing import Any

import pytest

from extproc.cli.experiment_changes import changes
from extproc.cli.experiment_view import revisions
from tests.wire.given import an_experiment


def told(*specs: dict[str, Any]) -> list[str]:
    about = {"action": "updated", "at": ""}
    document = {"revisions": [{**about, "revision": i, "spec": spec} for i, spec in enumerate(specs, start=1)]}
    return [change for _, change in changes(revisions(document))]


def split(**weights: int) -> list[dict[str, Any]]:
    return [{"name": name, "weight": weight} for name, weight in weights.items()]


MIRROR = {"name": "iris3", "percent": 10}


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ({}, {}, ""),
        ({}, {"candidates": split(iris=50, iris2=50)}, "iris 70→50, iris2 30→50"),
        ({}, {"candidates": split(iris=70, iris3=30)}, "+iris3 30, -iris2"),
        ({}, {"default": None}, "default iris→none"),
        ({"default": None}, {"default": "iris2"}, "default none→iris2"),
        ({}, {"mirror": MIRROR}, "mirror none→iris3 10 %"),
        ({}, {"match": {"prefix": "/a"}}, 'match unset→{"prefix": "/a"}'),
        (
            {"candidates": [{"cluster": "iris", "weight": 70}, {"name": "iris2", "cluster": "a", "weight": 1}]},
            {"candidates": [{"cluster": "iris", "weight": 71}, {"name": "iris2", "cluster": "b", "weight": 1}]},
            "iris 70→71, iris2 cluster a→b",
        ),
        ({"mirror": MIRROR}, {"mirror": {**MIRROR, "percent": 0.5}}, "mirror iris3 10 %→iris3 0.5 %"),
        ({"mirror": MIRROR}, {}, "mirror iris3 10 %→none"),
        (
            {"mirror": MIRROR},
            {"mirrors": [MIRROR, {"name": "iris4", "percent": 1}]},
            "mirror iris3 10 %→iris3 10 % + iris4 1 %",
        ),
        ({}, {"resource_type": "PIPELINE", "timeout": "2s"}, "resource_type unset→PIPELINE, timeout unset→2s"),
        ({"retry": {"attempts": 2}}, {"retry": {"attempts": 3}}, 'retry {"attempts": 2}→{"attempts": 3}'),
        ({}, {"candidates": list(reversed(split(iris=70, iris2=30)))}, ""),
    ],
)
def test_a_change(before: dict[str, Any], after: dict[str, Any], change: str) -> None:
    assert told(an_experiment(**before), an_experiment(**after))[1] == change


def test_the_first_revision_tells_what_it_began_as() -> None:
    spec = an_experiment(mirror=MIRROR, timeout="2s")
    assert told(spec) == ["iris 70, iris2 30, default iris, mirror iris3 10 %, timeout 2s"]


def test_each_is_told_against_the_one_before() -> None:
    first, second = an_experiment(), an_experiment(timeout="2s")
    assert told(first, second, second, first)[1:] == ["timeout unset→2s", "", "timeout 2s→unset"]
