"""A real MLServer behind an experiment: one server, three models, and only their names tell them apart.

It is called as its users call it, with tritonclient's two clients, which send no header of ours.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import tritonclient.grpc
import tritonclient.http

from extproc.demo.training import train
from tests.e2e.stage import Stage, experiment, model
from tests.harness.client import fetch
from tests.harness.ports import free_port
from tests.harness.process import Child
from tests.harness.waiting import eventually

SERVED: Final = {"iris": "iris", "iris2": "iris-v2", "iris3": "iris3"}
MANY: Final = 60  # calls, of which one in half a million million million goes all to one of two
ROW: Final = np.array([[5.1, 3.5, 1.4, 0.2]], dtype=np.float64)


class MLServer:
    """One process that serves every model in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.http, self.grpc, self.metrics = free_port(), free_port(), free_port()
        settings = {
            "host": "127.0.0.1",
            "http_port": self.http,
            "grpc_port": self.grpc,
            "metrics_port": self.metrics,
            "parallel_workers": 0,
            "debug": False,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        # The environment goes before the file.
        environment = {name: "" for name in os.environ if name.startswith("MLSERVER_")}
        argv = [sys.executable, "-c", "from mlserver.cli import main; main()", "start", str(folder)]
        self._child = Child(argv, stdout=folder / "out", stderr=folder / "err", environment=environment)

    def wait_ready(self) -> None:
        for served in SERVED.values():
            url = f"http://127.0.0.1:{self.http}/v2/models/{served}/ready"
            eventually(
                lambda url=url: fetch(url).status,  # type: ignore[misc]
                within=90,
                saying=f"{served} is ready",
                until=lambda status: status == 200,
                not_yet=(OSError,),
            )

    def close(self) -> None:
        self._child.kill()


@pytest.fixture(scope="module")
def port(open_stage: Callable[[], Stage], tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where Envoy listens."""
    folder = tmp_path_factory.mktemp("mlserver")
    train(folder)
    server = MLServer(folder)
    try:
        server.wait_ready()  # before Envoy looks: an experiment is ACTIVE when its models speak one of the protocols
        stage = open_stage()
        where = {"grpc_endpoints": [f"127.0.0.1:{server.grpc}"]}
        stage.write(
            experiment("iris-ab", {"iris": 1, "iris2": 1}, default="iris", mirror={"name": "iris3", "percent": 10}),
            models=[
                model(name, f"127.0.0.1:{server.http}", **where, served_name=served) for name, served in SERVED.items()
            ],
        )
        stage.start("up")
        stage.wait_state("iris-ab")
        yield stage.extproc.inference_port
    finally:
        server.close()


def asked(of: Any, **how: Any) -> Any:
    tensor = of.InferInput("predict", [1, 4], "FP64")
    tensor.set_data_from_numpy(ROW, **how)
    return [tensor]


def test_grpc(port: int) -> None:
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        inputs = asked(tritonclient.grpc)
        for called in ("iris", "iris-ab.experiment"):
            # Without a rename every second call would meet the other model, or none.
            answers = [client.infer(called, inputs, client_timeout=10) for _ in range(MANY)]
            assert {answer.get_response().model_name for answer in answers} == {called}
            assert {int(answer.as_numpy("predict").flat[0]) for answer in answers} == {0}
        sticky = {"x-seldon-route": ":iris2_1:"}
        metadata = client.get_model_metadata("iris", headers=sticky, client_timeout=10)
        assert metadata.name == "iris"
        assert client.is_model_ready("iris", headers=sticky, client_timeout=10)
        plain = client.infer("iris2", inputs, client_timeout=10)
        assert plain.get_response().model_name == "iris2"


def test_http(port: int) -> None:
    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}") as client:
        inputs = asked(tritonclient.http, binary_data=False)  # which is Triton's own extension of the protocol
        outputs = [tritonclient.http.InferRequestedOutput("predict", binary_data=False)]
        answers = [client.infer("iris", inputs, outputs=outputs) for _ in range(MANY)]
        assert {answer.get_response()["model_name"] for answer in answers} == {"iris", "iris-v2"}
        assert {int(answer.as_numpy("predict").flat[0]) for answer in answers} == {0}
