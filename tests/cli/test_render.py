"""`extproc render` as users call it, and the bootstrap that is checked in."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from ruamel.yaml import YAML

from extproc.cli.render import render
from extproc.errors import ExtprocError
from tests.harness.envoy import validate
from tests.wire.given import a_model, an_experiment

CHECKED_IN = Path(__file__).parents[2] / "envoy" / "bootstrap.yaml"
CLUSTER = {
    "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "name": "mine",
    "type": "STATIC",
    "loadAssignment": {"clusterName": "mine"},
}


def run(*arguments: str | int | Path) -> Result:
    return CliRunner().invoke(render, [str(argument) for argument in arguments])


def from_yaml(text: str) -> dict[str, Any]:
    document: dict[str, Any] = YAML(typ="safe", pure=True).load(text)
    return document


def written(path: Path, *resources: Any) -> Path:
    path.write_text(json.dumps({"resources": list(resources)}))
    return path


def test_the_checked_in_bootstrap_is_what_is_printed() -> None:
    printed = run("bootstrap")
    assert printed.exit_code == 0, printed.output
    assert CHECKED_IN.read_text() == printed.output, (
        "envoy/bootstrap.yaml is stale: extproc render bootstrap > envoy/bootstrap.yaml"
    )


def test_the_configuration_is_told_how_long_a_request_waits(tmp_path: Path) -> None:
    file = written(tmp_path / "r.json", a_model())
    assert '"message_timeout": "0.200s"' in run("config", "--resources", file).output
    assert '"message_timeout": "1.500s"' in run("config", "--resources", file, "--message-timeout", 1500).output


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    as_json = json.loads(run("bootstrap", "-o", "json").output)
    assert from_yaml(run("bootstrap").output) == as_json
    assert validate(as_json, tmp_path) == ""


def test_the_bootstrap_takes_its_places_from_flags_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXTPROC_GRPC_PORT", "5555")
    printed = run("bootstrap", "--grpc-host", "extproc", "--envoy-admin-port", "4444", "-o", "json")
    config = json.loads(printed.output)
    assert config["admin"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 4444}
    for cluster in config["static_resources"]["clusters"]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        assert endpoint["endpoint"]["address"]["socket_address"] == {"address": "extproc", "port_value": 5555}


def test_the_whole_configuration_is_one_that_envoy_accepts(tmp_path: Path) -> None:
    models = [a_model(), a_model(name="iris2"), a_model(name="other", endpoints=[], cluster="mine")]
    one = written(tmp_path / "1.json", *models, CLUSTER)
    (tmp_path / "more").mkdir()
    written(tmp_path / "more" / "2.json", an_experiment())
    printed = run("config", "--resources", one, "--resources", tmp_path / "more", "--inference-port", "9009")
    assert printed.exit_code == 0, printed.output
    config = json.loads(printed.output)
    assert validate(config, tmp_path) == ""
    names = {cluster["name"] for cluster in config["static_resources"]["clusters"]}
    assert names == {"extproc", "extproc-xds", "mirrors", "mine", "iris", "iris2"}
    (inference, _) = config["static_resources"]["listeners"]
    assert inference["address"]["socket_address"]["port_value"] == 9009
    assert f"{an_experiment()['name']}/iris2/fallback" in printed.output
    again = run(
        "config", "--resources", one, "--resources", tmp_path / "more", "--inference-port", "9009", "-o", "yaml"
    )
    assert from_yaml(again.output) == config


def test_what_is_not_valid_is_not_rendered(tmp_path: Path) -> None:
    file = written(tmp_path / "f.json", a_model(version=0), {**CLUSTER, "typ": "STATIC"})
    result = run("config", "--resources", file, "--resources", tmp_path / "missing.json")
    assert isinstance(result.exception, ExtprocError)  # the command's frame prints it and exits 1
    message = str(result.exception)
    assert f"{file}: Model iris: version: must be a whole number" in message
    assert f"{file}: Cluster mine: typ: Envoy's Cluster has no such field: did you mean 'type'?" in message
    assert f"{tmp_path / 'missing.json'}: does not exist" in message
    assert result.output == ""


def test_resources_have_to_be_named() -> None:
    assert run("config").exit_code == 2
