"""Every case at once, ready for load: its Envoy, its server, and the models that all of them share.

All are started together and idle while another is measured, so that cases can take turns every few seconds. What they
cost while idle (a health check and a look at readiness each second) every measurement has in the same way. Each process
is in a session of its own, as extproc's are: where the scheduler shares by session (sched(7), autogroup), all get the
same.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from benchmarks import envoy_configs
from benchmarks.cases import TRACE_SINK, Case
from extproc.cli.serve import up
from tests.harness.client import fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.extproc import RunningExtproc, rendered
from tests.harness.load import run_load
from tests.harness.ports import free_port
from tests.harness.process import Child
from tests.harness.waiting import eventually

PATH: Final = "/v2/models/iris/infer"
_TYPE: Final = "type.googleapis.com/extproc.v1."
_READY: Final = 60.0  # seconds; with ten stages starting on two cores
_LOOKS: Final = 40  # requests that must all be answered well before a case counts as ready

Where = Literal["beside", "inside"]


@dataclass(frozen=True, slots=True)
class Running:
    """A case that serves. `roots` are the processes that its Envoy and its server begin with, `models` its models'.

    `server` is a peer: a command of anybody's, which may fail.
    """

    case: Case
    port: int
    envoy_admin: str
    roots: tuple[int, ...]
    models: int
    wait: Callable[[], object]
    server: Child | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def ext_proc(self) -> Mapping[str, int]:
        """Envoy's counters of its ext_proc filter, none where it has no such filter."""
        pattern = r"^http\.inference\.ext_proc\."
        text = fetch(f"{self.envoy_admin}/stats?filter={pattern}").text
        return {key.rpartition(".")[2]: int(value) for key, value in re.findall(r"^(\S+): (\d+)$", text, re.MULTILINE)}

    def wait_ready(self) -> None:
        """Wait until every request of several is answered by one of the two models, and a peer decides.

        Raises AssertionError, and ServerError for a peer: without it Envoy serves as well, and faster.
        """
        self.wait()

        def look() -> int:
            if self.server and (code := self.server.exit_code) is not None:
                raise ServerError(f"{self.case.name} has ended with {code}\n{self.server.tail()}")
            before = self._decided()
            result = run_load(self.url, _LOOKS)
            assert result.failed == 0, str(result)
            decided = self._decided() - before
            assert not self.server or decided > _LOOKS // 2, f"it decided {decided} of {_LOOKS} requests"
            return sum(count for route, count in result.by_route.items() if route.startswith(":iris"))

        try:
            eventually(look, within=_READY, saying=f"{self.case.name} serves", until=lambda split: split == _LOOKS)
        except AssertionError as late:
            if self.server:
                raise ServerError(f"{late}\n{self.server.tail()}") from None
            raise

    def _decided(self) -> int:
        return self.ext_proc().get("stream_msgs_received", 0)


class ServerError(Exception):
    """A server that was to be measured does not decide; with the end of its log."""


@dataclass(frozen=True, slots=True)
class _Site:
    """Where the models of a case are, by their ports, and its resources."""

    ports: Mapping[str, int]
    resources: Path

    @classmethod
    def make(cls, resources: Path) -> "_Site":
        made = cls({name: free_port() for name in envoy_configs.WEIGHTS}, resources)
        resources.write_text(json.dumps({"version_info": "1", "resources": made._experiment()}))
        return made

    def _experiment(self) -> list[dict[str, Any]]:
        models = [
            {"@type": f"{_TYPE}Model", "name": name, "endpoints": [f"127.0.0.1:{port}"]}
            for name, port in self.ports.items()
        ]
        candidates = [{"name": name, "weight": weight} for name, weight in envoy_configs.WEIGHTS.items()]
        return [
            *models,
            {"@type": f"{_TYPE}Experiment", "name": "iris-ab", "default": "iris", "candidates": candidates},
        ]


class Stage:
    """Starts cases in `directory`, each Envoy with `concurrency` threads; ends everything that it started.

    `models` says where the models are: in an Envoy of their own, beside all, or inside the Envoy of each case.
    """

    def __init__(self, directory: Path, concurrency: int = 1, models: Where = "beside") -> None:
        self._directory: Final = directory
        self._concurrency: Final = concurrency
        self._where: Final = models
        self._stack: Final = ExitStack()
        self._shared: Final = _Site.make(directory / "resources.json")
        self._sink: Final = free_port()
        self._generated: Final[dict[Path, dict[str, Any]]] = {}
        self._models: Final = self._envoy(envoy_configs.models([*self._shared.ports.values(), self._sink]), 1)

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stack.close()

    def start(self, cases: Iterable[Case]) -> list[Running]:
        """Start all of them, and wait until each one serves. Raises AssertionError with its log when one does not."""
        running = [self._spawn(case) for case in cases]
        self._models.wait_live(_READY)
        for each in running:
            each.wait_ready()
        return running

    def _spawn(self, case: Case) -> Running:
        site = self._shared
        if self._where == "inside":
            site = _Site.make(self._directory / f"{_slug(case.name)}.json")
        match case.kind:
            case "native":
                return self._beside(case, site, lambda port: envoy_configs.native(port, site.ports))
            case "generated":
                return self._beside(case, site, lambda port: envoy_configs.without_ext_proc(self._static(site, port)))
            case "peer":
                at = free_port()
                server = self._server(case, at)
                return self._beside(
                    case, site, lambda port: envoy_configs.for_peer(self._static(site, port), at, case.bodies), server
                )
            case "product":
                return self._product(case, site) if self._where == "beside" else self._sidecar(case, site)

    def _product(self, case: Case, site: _Site) -> Running:
        argv = ["up", "--resources", str(site.resources), "--envoy-concurrency", str(self._concurrency)]
        product = self._extproc(case, argv)
        return Running(
            case,
            product.inference_port,
            product.envoy_admin_url,
            (product.pid,),
            self._models.pid,
            lambda: product.wait_ready(_READY),
        )

    def _sidecar(self, case: Case, site: _Site) -> Running:
        """Beside an Envoy of our own, because the one of `up` can't be given other listeners."""
        sockets, admin = self._directory / f"{_slug(case.name)}-sockets", free_port()
        argv = ["serve", "--resources", str(site.resources), "--worker-sockets", str(sockets)]
        product = self._extproc(case, [*argv, "--envoy-admin-port", str(admin)])
        envoy = self._envoy(
            envoy_configs.hosting(rendered("bootstrap", "--grpc-port", str(product.grpc_port)), site.ports.values()),
            self._concurrency,
            case.name,
            admin,
        )
        roots = (product.pid, envoy.pid)

        def wait() -> None:
            product.wait_ready(_READY)
            envoy.wait_live(_READY)

        return Running(case, product.inference_port, envoy.admin_url, roots, self._models.pid, wait)

    def _extproc(self, case: Case, argv: list[str]) -> RunningExtproc:
        sink = f"http://127.0.0.1:{self._sink}/v1/traces"
        given = [sink if word == TRACE_SINK else word for word in case.arguments]
        return self._stack.enter_context(RunningExtproc([*argv, *given], self._directory / _slug(case.name)))

    def _beside(self, case: Case, site: _Site, config: Callable[[int], dict[str, Any]], *server: Child) -> Running:
        port = free_port()
        given = config(port)
        if self._where == "inside":
            given = envoy_configs.hosting(given, site.ports.values())
        envoy = self._envoy(given, self._concurrency, case.name)
        roots = (envoy.pid, *(each.pid for each in server))
        peer = next(iter(server), None)
        return Running(case, port, envoy.admin_url, roots, self._models.pid, lambda: envoy.wait_live(_READY), peer)

    def _envoy(
        self, config: Mapping[str, Any], concurrency: int, name: str = "models", admin_port: int = 0
    ) -> RunningEnvoy:
        # While a server is slow, Envoy would write a line for each request that it decides by itself.
        quiet = ("--log-level", "error")
        directory = self._directory / _slug(name)
        started = RunningEnvoy(
            config, directory, admin_port=admin_port, arguments=quiet, concurrency=concurrency, new_session=True
        )
        return self._stack.enter_context(started)

    def _server(self, case: Case, port: int) -> Child:
        log = self._directory / f"{_slug(case.name)}.log"
        program, *rest = (word.replace("{port}", str(port)) for word in case.arguments or ("",))
        if not (found := shutil.which(program)):  # as a shell would: a child is started by its path
            raise ServerError(f"{case.name}: there is no command {program!r}")
        return self._child([found, *rest], log, {**os.environ, "PORT": str(port)})

    def _child(self, argv: list[str], log: Path, environment: Mapping[str, str]) -> Child:
        child = Child(argv, stdout=log, stderr=log, environment=environment, new_session=True)
        self._stack.callback(child.kill)
        return child

    def _static(self, site: _Site, port: int) -> dict[str, Any]:
        if site.resources not in self._generated:
            self._generated[site.resources] = envoy_configs.generated(site.resources, port)
        config: dict[str, Any] = deepcopy(self._generated[site.resources])
        [inference] = (each for each in config["static_resources"]["listeners"] if each["name"] == "inference")
        inference["address"]["socket_address"]["port_value"] = port
        return config


def known_flags() -> frozenset[str]:
    """The flags that this `extproc up` has."""
    return frozenset(flag for parameter in up.params for flag in (*parameter.opts, *parameter.secondary_opts))


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name)
