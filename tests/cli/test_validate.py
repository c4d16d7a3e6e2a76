"""`extproc validate` as users and CI call it: what it prints, and how it exits."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from extproc.cli.validate import validate
from extproc.core.resources import Kind
from tests.wire.given import CLUSTER, a_manifest, a_model, an_experiment


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(validate, [str(argument) for argument in arguments])


def written(path: Path, *resources: Any) -> Path:
    path.write_text(json.dumps({"resources": list(resources)}))
    return path


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    """A file in which all is well."""
    return written(tmp_path / "iris.json", a_model(), a_model(name="iris2"), an_experiment())


def test_a_valid_file_says_what_it_holds(iris: Path) -> None:
    result = run(iris)
    assert (result.exit_code, result.output) == (0, "1 experiment, 2 models: valid\n")


def test_every_problem_has_a_line_with_file_resource_path_and_rule(tmp_path: Path) -> None:
    file = written(
        tmp_path / "f.json",
        a_model(version=0, served_name="/"),
        {**an_experiment(candidates=[{"name": "iris", "weight": 1.5}]), "name": 5},
        {"@type": "x"},
    )
    result = run(file)
    assert result.exit_code == 1
    assert [line.removeprefix(f"{file}: ")[:60] for line in result.output.splitlines()] == [
        "Model iris: version: must be a whole number between 1 and 42",
        "Model iris: served_name: '/' can't stand in a path: use lett",
        "Experiment resources[1]: name: must be a text, not 5: put it",
        "Experiment resources[1]: candidates[0].weight: must be a who",
        "resources[2]: @type: 'x' is not read: it is one of type.goog",
        "1 experiment, 1 model: 5 problems",
    ]


def test_machines_get_json(tmp_path: Path) -> None:
    file = written(tmp_path / "f.json", a_model(version=0), an_experiment())
    result = run("--json", file)
    assert result.exit_code == 1
    told = json.loads(result.output)
    assert told["valid"] is False
    assert told["problems"] == [
        {
            "file": str(file),
            "where": "resources[0]",
            "kind": "Model",
            "name": "iris",
            "path": "version",
            "message": "must be a whole number between 1 and 4294967295",
        }
    ]
    assert [(w["kind"], w["name"], w["path"]) for w in told["warnings"]] == [
        ("Experiment", "iris-ab", "candidates[0].name"),
        ("Experiment", "iris-ab", "candidates[1].name"),
    ]
    assert told["resources"] == {"Experiment": 1, "Model": 1}
    assert run("-o", "json", file).output == result.output


def test_resources_may_arrive_in_any_order_but_strictly_must_be_there(tmp_path: Path) -> None:
    experiment = an_experiment(mirror={"name": "iris3", "percent": 1})
    file = written(tmp_path / "f.json", a_model(), a_model(name="iris2", endpoints=None, cluster="c"), experiment)
    result = run(file)
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{file}: Experiment iris-ab: mirror.name: warning: no Model defines 'iris3' yet")
    assert lines[1].startswith(f"{file}: Model iris2: cluster: warning: no Cluster resource defines 'c' yet")
    assert lines[2:] == ["1 experiment, 2 models: valid, 2 warnings"]
    strict = run("--strict", file)
    assert strict.exit_code == 1
    assert strict.output == result.output.replace("warning: ", "").replace("valid, 2 warnings", "2 problems")


def test_a_candidate_of_another_api_is_a_warning(tmp_path: Path) -> None:
    file = written(tmp_path / "f.json", a_model(), a_model(name="iris2", api="OPENAI"), an_experiment())
    result = run(file)
    assert result.exit_code == 0
    what = "'iris2' speaks another API than the default: the experiment runs without it"
    assert result.output.splitlines() == [
        f"{file}: Experiment iris-ab: candidates[1].name: warning: {what}",
        "1 experiment, 2 models: valid, 1 warning",
    ]
    assert run("--strict", file).exit_code == 1


def test_files_are_judged_together(tmp_path: Path, iris: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(json.dumps(a_manifest()))
    result = run(iris, other)
    assert result.exit_code == 1
    assert result.output.splitlines()[0].startswith(
        f"{other}: Experiment experiment-sample: default: 'iris' is the default of experiment iris-ab already"
    )
    again = written(tmp_path / "again.json", a_model())
    result = run(iris, again)
    assert result.exit_code == 1
    assert f"{again}: Model iris: name: is defined in {iris} already" in result.output


def test_a_directory_stands_for_its_resource_files(tmp_path: Path, iris: Path) -> None:
    (tmp_path / "b.yaml").write_text("---\n")
    (tmp_path / "c.yml").write_text("a: b: c")
    (tmp_path / ".hidden.json").write_text("{")
    (tmp_path / "notes.txt").write_text("{")
    (tmp_path / "sub.json").mkdir()
    (tmp_path / "sub.json" / "d.json").write_text("{")
    result = run(tmp_path, iris)
    assert result.exit_code == 1
    assert result.output.splitlines() == [
        f'{tmp_path / "b.yaml"}: is empty: write {{"resources": []}} if nothing shall run',
        f"{tmp_path / 'c.yml'}: line 1, column 5: mapping values are not allowed here",
        "1 experiment, 2 models: 2 problems",
    ]


def test_an_empty_directory_is_valid(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert (result.exit_code, result.output) == (0, "no resources: valid\n")


def test_a_file_that_cannot_be_opened_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    result = run(tmp_path)
    assert result.exit_code == 1
    line = result.output.splitlines()[0]
    assert line.startswith(f"{tmp_path / 'gone.json'}: is a symbolic link to a file that does not exist")


def test_envoys_own_resources_are_judged_as_deep_as_their_types_go(tmp_path: Path) -> None:
    bad = {"@type": CLUSTER, "name": "c", "connect_timeuot": "1s"}
    result = run(written(tmp_path / "f.json", bad, {"@type": CLUSTER, "name": "d", "connect_timeout": "1s"}))
    assert result.exit_code == 1
    assert ": Cluster c: connect_timeuot: " in result.output.splitlines()[0]
    assert result.output.splitlines()[1:] == ["2 clusters: 1 problem"]


def test_an_http_filter_is_one_of_them(tmp_path: Path) -> None:
    lua = {"@type": "type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua"}
    good = {"@type": Kind.FILTER.value, "name": "mine", "typed_config": lua}
    result = run(written(tmp_path / "f.json", good))
    assert (result.exit_code, result.output) == (0, "1 HTTP filter: valid\n")
    result = run(written(tmp_path / "f.json", good, {**good, "name": "envoy.filters.http.router"}))
    assert ": HttpFilter envoy.filters.http.router: name: " in result.output


def test_a_line_is_one_line_whatever_the_file_holds(tmp_path: Path) -> None:
    result = run(written(tmp_path / "f.json", a_model(name="a\nb\x1b[31m", endpoints=["\r:1"])))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 3
    assert "\x1b" not in result.output


@pytest.mark.parametrize("arguments", [[], ["no-such-file"], ["--bogus", "."], ["-o", "xml", "."]])
def test_a_wrong_call_is_another_exit_code(arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Usage: validate" in result.output


def test_the_command_itself(tmp_path: Path, iris: Path) -> None:
    command = [sys.executable, "-c", "from extproc.cli import main; main()", "validate"]
    environment = {**os.environ, "PYTHONUTF8": "1"}
    good = subprocess.run([*command, iris], capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (good.returncode, good.stdout, good.stderr) == (0, "1 experiment, 2 models: valid\n", "")
    file = written(tmp_path / "bad.json", a_model(version=0))
    bad = subprocess.run([*command, file], capture_output=True, text=True, check=False, timeout=60, env=environment)
    assert (bad.returncode, bad.stderr) == (1, "")
    assert bad.stdout.startswith(f"{file}: Model iris: version: must be")
