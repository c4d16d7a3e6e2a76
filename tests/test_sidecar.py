"""envoy/sidecar.yaml: its parts name each other, Envoy and extproc accept what it holds, and the pod runs."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.harness.envoy import RunningEnvoy, validate
from tests.harness.extproc import RunningExtproc
from tests.harness.ports import free_port
from tests.harness.waiting import eventually
from tests.test_packaging import ROOT

FILE = ROOT / "envoy/sidecar.yaml"


class Manifest:
    """The file's objects, by what they are used for."""

    def __init__(self, text: str) -> None:
        documents = list(YAML(typ="safe").load_all(text))
        self.config_maps: dict[str, dict[str, str]] = {
            d["metadata"]["name"]: d["data"] for d in documents if d["kind"] == "ConfigMap"
        }
        (self.deployment,) = (d for d in documents if d["kind"] == "Deployment")
        self.pod: dict[str, Any] = self.deployment["spec"]["template"]["spec"]
        self.sidecars: dict[str, Any] = {c["name"]: c for c in self.pod["initContainers"] if "restartPolicy" in c}
        self.containers: list[Any] = [*self.pod["initContainers"], *self.pod["containers"]]

    def files(self, container: Any, path: str) -> dict[str, str]:
        """The ConfigMap that is mounted at `path`, by file name."""
        (mount,) = (m for m in container["volumeMounts"] if m["mountPath"] == path)
        (volume,) = (v for v in self.pod["volumes"] if v["name"] == mount["name"])
        return self.config_maps[volume["configMap"]["name"]]

    @property
    def resources(self) -> dict[str, str]:
        return self.files(self.sidecars["extproc"], _after(self.sidecars["extproc"]["args"], "--resources"))

    def rendered(self, scratch: Path) -> dict[str, Any]:
        """What the first init container writes, by path: its command is run, with `scratch` as its volume."""
        container = self.pod["initContainers"][0]
        (mount,) = container["volumeMounts"]
        command = [word.replace(mount["mountPath"], str(scratch)) for word in container["command"]]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        subprocess.run(command, check=True, timeout=60, env={**os.environ, "PATH": path})
        return {f"{mount['mountPath']}/{file.name}": YAML(typ="safe").load(file) for file in scratch.glob("*.yaml")}


def _after(words: list[str], flag: str) -> str:
    return words[words.index(flag) + 1]


@pytest.fixture(scope="module")
def manifest() -> Manifest:
    return Manifest(FILE.read_text())


def extproc(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "extproc", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )


def test_every_mount_has_its_volume_and_every_volume_its_config(manifest: Manifest) -> None:
    volumes = {v["name"] for v in manifest.pod["volumes"]}
    mounted = {m["name"] for c in manifest.containers for m in c.get("volumeMounts", ())}
    assert mounted == volumes
    named = {v["configMap"]["name"] for v in manifest.pod["volumes"] if "configMap" in v}
    assert named == set(manifest.config_maps)
    assert not any("subPath" in m for c in manifest.containers for m in c.get("volumeMounts", ())), "never updated"


def test_the_selector_finds_the_pods(manifest: Manifest) -> None:
    spec = manifest.deployment["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_extproc_starts_first_then_envoy_then_the_application(manifest: Manifest) -> None:
    assert [c["name"] for c in manifest.pod["initContainers"]] == ["bootstrap", "extproc", "envoy"]
    assert list(manifest.sidecars) == ["extproc", "envoy"]
    assert all(c["restartPolicy"] == "Always" and "startupProbe" in c for c in manifest.sidecars.values())
    assert [c["name"] for c in manifest.pod["containers"]] == ["application"]


def test_no_container_may_more_than_it_has_to(manifest: Manifest) -> None:
    assert manifest.pod["securityContext"]["runAsNonRoot"] is True
    for container in manifest.containers:
        context = container["securityContext"]
        assert context["runAsUser"] > 0, "runAsNonRoot wants a number where the image has none"
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert {"requests", "limits"} <= set(container["resources"])


def test_the_image_runs_extproc_as_the_user_that_owns_its_state(manifest: Manifest) -> None:
    sidecar = manifest.sidecars["extproc"]
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"USER {sidecar['securityContext']['runAsUser']}\n" in dockerfile
    home = re.search(r"^WORKDIR (/var\S+)", dockerfile, re.MULTILINE)
    assert home
    assert home[1] in [m["mountPath"] for m in sidecar["volumeMounts"] if not m.get("readOnly")]
    assert manifest.pod["securityContext"]["fsGroup"] == sidecar["securityContext"]["runAsUser"]


def test_the_bootstrap_is_rendered_where_envoy_looks_for_it(manifest: Manifest, tmp_path: Path) -> None:
    path = _after(manifest.sidecars["envoy"]["command"], "--config-path")
    assert manifest.rendered(tmp_path)[path] == YAML(typ="safe").load(ROOT / "envoy/bootstrap.yaml")
    assert validate(manifest.rendered(tmp_path)[path], tmp_path) == ""


def test_the_resources_are_valid(manifest: Manifest, tmp_path: Path) -> None:
    for name, text in manifest.resources.items():
        (tmp_path / name).write_text(text)
    checked = extproc("validate", "--strict", tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def probe(container: Any, kind: str, ports: dict[int, int]) -> int:
    """Run a container's probe as the kubelet does, with other ports; its exit code."""
    command = container[kind]["exec"]["command"]
    moved = [re.sub(r"\b(8080|9901)\b", lambda found: str(ports[int(found[0])]), word) for word in command]
    if moved[0] == "python":
        moved[0] = sys.executable
    return subprocess.run(moved, capture_output=True, check=False, timeout=30).returncode


def test_the_pod_runs(
    manifest: Manifest,
    tmp_path: Path,
    start_extproc: Callable[..., RunningExtproc],
    start_envoy: Callable[..., RunningEnvoy],
) -> None:
    """The same commands in the same order, each probe failing before and passing after."""
    config = tmp_path / "config"
    config.mkdir()
    for name, text in manifest.resources.items():
        (config / name).write_text(text)
    ports = {port: free_port() for port in (8080, 9901, 50051)}
    extproc_sidecar, envoy_sidecar = manifest.sidecars["extproc"], manifest.sidecars["envoy"]
    assert probe(extproc_sidecar, "startupProbe", ports) != 0

    moved = [str(config) if word == "/etc/extproc" else word for word in extproc_sidecar["args"]]
    running = start_extproc(
        *moved,
        *("--admin-port", str(ports[8080]), "--envoy-admin-port", str(ports[9901]), "--grpc-port", str(ports[50051])),
    )
    for kind in ("startupProbe", "livenessProbe"):
        eventually(lambda kind=kind: probe(extproc_sidecar, kind, ports) == 0, within=10, saying=f"its {kind} passes")  # type: ignore[misc]
    assert probe(envoy_sidecar, "startupProbe", ports) != 0

    volume = tmp_path / "bootstrap"
    volume.mkdir()
    (bootstrap,) = manifest.rendered(volume).values()
    start_envoy(json.loads(json.dumps(bootstrap).replace("50051", str(ports[50051]))), admin_port=ports[9901])
    for kind in ("startupProbe", "readinessProbe"):
        assert probe(envoy_sidecar, kind, ports) == 0
    listed = running.admin("/api/v1/experiments").json
    assert [experiment["name"] for experiment in listed["experiments"]] == ["iris-ab"]


def test_the_application_asks_the_default_model_and_nothing_else(manifest: Manifest) -> None:
    (application,) = manifest.pod["containers"]
    (experiment,) = (
        resource
        for text in manifest.resources.values()
        for resource in json.loads(text)["resources"]
        if resource["@type"].endswith(".Experiment")
    )
    script = application["command"][-1]
    assert f"/v2/models/{experiment['default']}/infer" in script
    assert {"name": "MODELS", "value": "http://127.0.0.1:9000"} in application["env"]
    assert subprocess.run(["sh", "-n", "-c", script], check=False).returncode == 0
