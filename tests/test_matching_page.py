"""docs/matching.md and its example: what they show is read, judged and taken by Envoy as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from extproc.cli import command
from extproc.core.match_rules import FIELDS
from tests.harness.envoy import validate
from tests.test_packaging import ROOT

PAGE = (ROOT / "docs" / "matching.md").read_text()
EXAMPLE = ROOT / "envoy" / "examples" / "checkout.yaml"
TYPE = "type.googleapis.com/"
SHOWN: list[dict[str, Any]] = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
]


def named(experiment: dict[str, Any]) -> list[dict[str, Any]]:
    """What the experiment names, defined."""
    return [
        {"@type": TYPE + "envoy.config.cluster.v3.Cluster", "name": each["cluster"], "type": "STATIC"}
        if "cluster" in each
        else {"@type": TYPE + "extproc.v1.Model", "name": each["name"], "endpoints": ["127.0.0.1:8081"]}
        for each in [*experiment["candidates"], *([experiment["mirror"]] if "mirror" in experiment else [])]
    ]


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("experiment", SHOWN, ids=lambda experiment: experiment["name"])
def test_what_is_shown_is_valid_and_envoy_takes_it(experiment: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "shown.json"
    file.write_text(json.dumps({"resources": [*named(experiment), experiment]}))
    assert run("validate", "--strict", file)[0] == 0
    assert validate(json.loads(run("render", "config", "--resources", file)[1]), tmp_path) == ""


def test_the_example_is_valid_and_envoy_takes_it(tmp_path: Path) -> None:
    assert run("validate", "--strict", EXAMPLE) == (0, "1 experiment, 3 clusters, 1 route configuration: valid\n")
    assert validate(json.loads(run("render", "config", "--resources", EXAMPLE)[1]), tmp_path) == ""


def test_the_problem_is_said_as_the_page_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = json.loads(json.dumps(SHOWN[0]))
    experiment["match"]["headers"][0]["string_match"] = {"safe_regex": {"regex": "(de"}}
    monkeypatch.chdir(tmp_path)
    Path("bad.json").write_text(json.dumps({"resources": [*named(experiment), experiment]}))
    (told,) = re.findall(r"^\$ extproc validate bad\.json\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert run("validate", "bad.json") == (1, told)


def test_every_field_that_can_be_matched_is_on_the_page() -> None:
    assert all(f"`{field}`" in PAGE for field in FIELDS)
