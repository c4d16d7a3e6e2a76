"""A stage for end-to-end tests: stub models, a resource file, extproc, and a real Envoy, in either topology.

`up` is everything in one command; `serve` is extproc alone beside an Envoy started from the rendered bootstrap, so
that each of the two can be killed, paused and restarted by itself.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Literal

from extproc.settings import MESSAGE_TIMEOUT
from tests.harness.client import Answer, fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.extproc import RunningExtproc, rendered
from tests.harness.grpc_models import GrpcModelServer
from tests.harness.load import run_load
from tests.harness.models import ModelServer
from tests.harness.ports import free_port
from tests.harness.waiting import eventually

TYPE: Final = "type.googleapis.com/extproc.v1."

# What extproc decides is told from what Envoy does by itself. A busy machine may keep a worker waiting for longer than
# requests wait for it by default, which is left to the tests of that.
PATIENT: Final = ("--message-timeout", "2000")
AS_IN_PRODUCTION: Final = ("--message-timeout", str(MESSAGE_TIMEOUT))


def model(name: str, *endpoints: str, **fields: Any) -> dict[str, Any]:
    return {"@type": f"{TYPE}Model", "name": name, "endpoints": list(endpoints), **fields}


def experiment(name: str, weights: Mapping[str, int], **fields: Any) -> dict[str, Any]:
    candidates = [{"name": candidate, "weight": weight} for candidate, weight in weights.items()]
    return {"@type": f"{TYPE}Experiment", "name": name, "candidates": candidates, **fields}


class Stage:
    """`models` are the stub servers by name; iris2 is served as `iris-v2` and has version 2, iris3 as `third`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory: Final = directory
        self.file: Final = directory / "resources.json"
        self._stack: Final = ExitStack()
        self.iris: Final = self.serve_model("iris")
        self.iris2: Final = self.serve_model("iris2", served="iris-v2")
        self.iris3: Final = self.serve_model("iris3", served="third")
        self.extproc: RunningExtproc
        self.envoy: RunningEnvoy | None = None

    def close(self) -> None:
        self._stack.close()

    def serve_model(self, name: str, *, served: str = "") -> ModelServer:
        return self._stack.enter_context(ModelServer(name, served=served))

    def serve_grpc(self, name: str, *, served: str = "") -> GrpcModelServer:
        return self._stack.enter_context(GrpcModelServer(name, served=served))

    @property
    def models(self) -> list[dict[str, Any]]:
        return [
            model("iris", self.iris.endpoint),
            model("iris2", self.iris2.endpoint, served_name="iris-v2", version=2),
            model("iris3", self.iris3.endpoint, served_name="third"),
        ]

    def write(self, *resources: dict[str, Any], models: Iterable[dict[str, Any]] | None = None) -> None:
        """Replace the resource file by a rename: the stub models, or `models`, and `resources`."""
        wanted = [*(self.models if models is None else models), *resources]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps({"version_info": "1", "resources": wanted}))
        new.rename(self.file)

    def start(
        self,
        topology: Literal["up", "serve"] = "up",
        *more: str,
        envoy_first: bool = False,
        live: bool = True,
        environment: Mapping[str, str] | None = None,
        runtime: Mapping[str, Any] | None = None,
    ) -> None:
        """Start extproc, with `more` flags, and Envoy, and wait until both serve, Envoy only if it shall go `live`.

        Unless told otherwise extproc is PATIENT. `runtime` are settings of an Envoy that stands beside it (`serve`).
        """
        options: tuple[str | Path, ...] = (*PATIENT, "--resources", self.file, *more)
        if topology == "up":
            self.extproc = self._stack.enter_context(
                RunningExtproc.start(
                    ["up", *options, "--envoy-concurrency", "1"], self.directory, environment=environment
                )
            )
            return
        ports = {flag: free_port() for flag in ("--grpc-port", "--envoy-admin-port")}
        flags = [item for flag, port in ports.items() for item in (flag, str(port))]
        bootstrap = rendered("bootstrap", *flags)
        if runtime:
            bootstrap["layered_runtime"] = {"layers": [{"name": "test", "static_layer": dict(runtime)}]}
        if envoy_first:
            self.envoy = self._start_envoy(bootstrap, ports["--envoy-admin-port"])
        self.extproc = self._stack.enter_context(
            RunningExtproc.start(["serve", *options, *flags], self.directory, environment=environment)
        )
        if self.envoy is None:
            self.envoy = self._start_envoy(bootstrap, ports["--envoy-admin-port"])
        if live:
            self.envoy.wait_live()

    def _start_envoy(self, bootstrap: dict[str, Any], admin_port: int) -> RunningEnvoy:
        return self._stack.enter_context(RunningEnvoy(bootstrap, self.directory, admin_port=admin_port))

    def tail(self) -> str:
        parts = [self.extproc.tail()] if hasattr(self, "extproc") else []
        if self.envoy is not None:
            parts.append(self.envoy.tail())
        return "\n".join(parts)

    def status(self, name: str) -> dict[str, Any]:
        """What REST says of an experiment."""
        document: dict[str, Any] = self.extproc.admin(f"/api/v1/experiments/{name}").json
        return document

    def put(self, resource: dict[str, Any], query: str = "", headers: Mapping[str, str] | None = None) -> Answer:
        """Start or update an experiment through the API."""
        path = f"/api/v1/experiments/{resource['name']}{query}"
        return self.extproc.admin(path, method="PUT", body=resource, headers=headers)

    def stop(self, name: str, query: str = "") -> Answer:
        """Stop an experiment through the API."""
        return self.extproc.admin(f"/api/v1/experiments/{name}{query}", method="DELETE")

    def routes(self, called: str = "iris", count: int = 60, headers: Mapping[str, str] | None = None) -> set[str]:
        """The route tokens of so many answers to calls of one endpoint, none of which may fail.

        60 draws miss a candidate of half the weight with a probability under 1e-18.
        """
        url = f"{self.extproc.inference_url}/v2/models/x/infer"
        result = run_load(url, count, headers={"seldon-model": called, **(headers or {})})
        assert result.failed == 0, str(result)
        return set(result.by_route)

    def wait_state(self, name: str, state: str = "ACTIVE", *, within: float = 15.0) -> dict[str, Any]:
        return eventually(
            lambda: self.status(name),
            within=within,
            saying=f"experiment {name} is {state}",
            until=lambda status: status.get("state") == state,
        )

    def apply(self, *resources: dict[str, Any], models: Iterable[dict[str, Any]] | None = None) -> None:
        """`write`, and wait until Envoy runs exactly these experiments and every candidate is ready."""
        self.write(*resources, models=models)
        for resource in resources:
            wanted = {"resource_type": "MODEL", **resource}

            def running(name: str = resource["name"]) -> dict[str, Any]:
                status = self.status(name)
                spec = {"resource_type": "MODEL", **(status.get("spec") or {})}
                return {"state": status.get("state"), **status.get("conditions", {}), "spec": spec}

            eventually(
                running,
                within=15,
                saying=f"{resource['name']} is ACTIVE as written: {wanted}",
                until=lambda now, wanted=wanted: (
                    now["state"] == "ACTIVE"  # type: ignore[misc]
                    and now["accepted"]
                    and now["spec"] == wanted
                ),
            )

    def wait_weights(self, name: str, weights: list[int], *, within: float = 10.0) -> dict[str, Any]:
        """Wait until extproc decides by these weights and Envoy has taken the routes."""
        return eventually(
            lambda: self.status(name),
            within=within,
            saying=f"experiment {name} has weights {weights}",
            until=lambda s: [c["weight"] for c in s.get("candidates", [])] == weights and s["conditions"]["accepted"],
        )

    def infer(self, path: str = "/v2/models/iris/infer", headers: Mapping[str, str] | None = None) -> Answer:
        return fetch(self.extproc.inference_url + path, headers=headers, body={"inputs": []})

    def forget(self) -> None:
        for server in (self.iris, self.iris2, self.iris3):
            server.forget()


def url(stage: Stage, endpoint: str = "iris") -> str:
    """Where `endpoint` is called."""
    return f"{stage.extproc.inference_url}/v2/models/{endpoint}/infer"
