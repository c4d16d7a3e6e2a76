"""A real Envoy that runs a world as static configuration, with stub models behind it; no extproc, unless one is given.

What Envoy does by itself is what happens to users while extproc is away, so that is tested for itself.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from extproc.core.resources import Endpoint
from extproc.xds.static import static_config
from extproc.xds.world import Options, World
from tests.harness.client import Answer, fetch
from tests.harness.envoy import RunningEnvoy
from tests.harness.ports import free_port

PATIENT: Final = 2000  # milliseconds that a request waits for its decision, on a machine that may be busy


@dataclass(frozen=True, slots=True)
class Stage:
    """`url` is the inference listener's."""

    envoy: RunningEnvoy
    url: str

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return fetch(self.url + path, headers=headers)

    def infer(self, path: str, headers: Mapping[str, str] | None = None, body: bytes = b"{}") -> Answer:
        return fetch(self.url + path, headers=headers, body=body)

    @property
    def grpc_target(self) -> str:
        return self.url.removeprefix("http://")


@contextlib.contextmanager
def serving(
    world: World, directory: Path, *, worker_port: int = 0, grpc_port: int = 0, message_timeout: int = PATIENT
) -> Iterator[Stage]:
    """Run `world`; the ports are where a worker and the control process would be, by default nobody is there."""
    port = free_port()
    worker = Endpoint("127.0.0.1", worker_port or free_port())
    options = Options(
        inference_host="127.0.0.1",
        inference_port=port,
        grpc_port=grpc_port or free_port(),
        workers=(worker,),
        message_timeout=message_timeout,
    )
    with RunningEnvoy.start(static_config(world, options), directory) as envoy:
        yield Stage(envoy, f"http://127.0.0.1:{port}")
