"""Whose shares stand beside the observed ones."""

from typing import Any

import pytest

from tests.cli.infer.conftest import EXPERIMENT, Envoy, Run, rows
from tests.inference.stand_ins import Told

HELD_OUT = [{"name": "holdout", "model": "iris", "percent": 10.0}]


@pytest.mark.parametrize(
    ("change", "called", "configured", "note"),
    [
        ({}, "iris", ["70.0%", "30.0%"], ""),
        ({}, "iris-ab.experiment", ["70.0%", "30.0%"], ""),
        ({}, "iris2", ["-", "-"], "no experiment splits iris2"),
        ({}, "iris.pipeline", ["-", "-"], "no experiment splits iris.pipeline"),
        ({"spec": {"default": "iris", "resource_type": "PIPELINE"}}, "iris.pipeline", ["70.0%", "30.0%"], ""),
        ({"spec": {"default": "iris", "resource_type": "PIPELINE"}}, "iris", ["-", "-"], "no experiment splits iris"),
        ({"spec": {}}, "iris", ["-", "-"], "no experiment splits iris"),
        ({"state": "STOPPED"}, "iris", ["-", "-"], "no experiment splits iris"),
        (
            {"state": "DEGRADED", "reason": "running without iris2"},
            "iris",
            ["70.0%", "30.0%"],
            "iris-ab is DEGRADED: running without iris2",
        ),
        ({"state": "REJECTED", "candidates": [], "spec": None}, "iris", ["-", "-"], "no experiment splits iris"),
        ({"candidates": "what"}, "iris", ["-", "-"], "configured is not known"),
        # What is held out goes to the default too: 70 % of the nine tenths that are left, and the tenth.
        ({"untouched": HELD_OUT}, "iris", ["73.0%", "27.0%"], ""),
        ({"spec": {"default": "iris2"}, "untouched": HELD_OUT}, "iris2", ["63.0%", "37.0%"], ""),
        (
            {"untouched": HELD_OUT, "spec": {"default": "iris", "stickiness": {"header": "x-user"}}},
            "iris",
            ["73.0%", "27.0%"],
            'iris-ab assigns units by {"header": "x-user"}: configured is the share of units, not of requests',
        ),
        (
            {"spec": {"default": "iris", "match": {"path": "/a"}}},
            "iris",
            ["70.0%", "30.0%"],
            'iris-ab is only for what matches {"path": "/a"}: configured is the share of those requests',
        ),
    ],
)
def test_what_is_configured_is_that_of_the_experiment_that_splits_what_is_called(
    run: Run, envoy: Envoy, change: dict[str, Any], called: str, configured: list[str], note: str
) -> None:
    front = envoy(Told(route=":iris_1:"), Told(route=":iris2_2:"))
    front.experiments = [{**EXPERIMENT, **change}]
    result = run(called, "-i", "4", "--inference", front.url, "--admin", front.url)
    assert result.code == 0
    assert [cells[4] for cells in rows(result.out)[:2]] == configured
    last = result.out.splitlines()[-1]
    assert last.startswith(note or "all "), result.out


def test_without_the_admin_the_rest_of_the_table_stands(run: Run, envoy: Envoy) -> None:
    result = run("iris", "-i", "4", "--inference", envoy().url)
    assert result.code == 0
    assert rows(result.out)[0][:5] == ["iris", "4", "100.0%", "51.0-100.0%", "-"]
    assert "connection refused): say with --admin who tells" in result.out


def test_a_change_while_requests_were_sent_is_said(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris_1:"))
    front.experiments = [EXPERIMENT]
    changed = [{**candidate, "weight": 50} for candidate in EXPERIMENT["candidates"]]
    front.experiments_later = [{**EXPERIMENT, "candidates": changed}]
    result = run("iris", "-i", "4", "--inference", front.url, "--admin", front.url)
    assert [cells[4] for cells in rows(result.out)[:2]] == ["50.0%", "50.0%"]
    assert "iris-ab was changed while requests were sent: configured is what it is now" in result.out
