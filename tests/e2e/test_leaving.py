"""SIGTERM under load: load balancers are told at once, and clients that keep their connections lose no request."""

import http.client
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.harness.waiting import eventually

BUSY, THINKING = 8, 4  # clients
PAUSE = 0.2  # seconds between two requests of a client that thinks, on the connection that it keeps
MODEL = 1.0  # seconds that a model takes: each busy client has a request under way, and the machine time to react
TOLD = "was told to go elsewhere"


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    built = Stage(tmp_path)
    show_on_failure(request.node, lambda: ("extproc and Envoy", built.tail()))
    built.write(experiment("iris-ab", {"iris": 70, "iris2": 30}, default="iris"))
    try:
        built.start("up")
        yield built
    finally:
        built.close()


class Client:
    """Calls on one connection until it is told to leave, or something goes wrong."""

    def __init__(self, port: int, pause: float) -> None:
        self._port = port
        self._pause = pause
        self.answers = 0

    def run(self, stop: threading.Event) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            while not stop.wait(self._pause):
                connection.request("POST", "/v2/models/iris/infer", b"{}", {"content-type": "application/json"})
                answer = connection.getresponse()
                answer.read()
                if answer.status != 200:
                    return f"got {answer.status}"
                self.answers += 1
                if answer.will_close:
                    return TOLD
        except (OSError, http.client.HTTPException) as error:
            return f"failed: {error!r}"
        finally:
            connection.close()
        return "was never told"


def test_sigterm_under_load_fails_nobody(stage: Stage) -> None:
    for model in (stage.iris, stage.iris2):
        model.delay(MODEL)
    readyz = http.client.HTTPConnection("127.0.0.1", stage.extproc.admin_port, timeout=10)

    def ready() -> int:
        readyz.request("GET", "/readyz")
        answer = readyz.getresponse()
        answer.read()
        return answer.status

    stop = threading.Event()
    clients = [Client(stage.extproc.inference_port, pause) for pause in [0.0] * BUSY + [PAUSE] * THINKING]
    with ThreadPoolExecutor(len(clients)) as threads:
        ended = [threads.submit(client.run, stop) for client in clients]
        try:
            eventually(lambda: min(client.answers for client in clients), within=20, saying="everybody is answered")
            assert ready() == 200
            stage.extproc.signal(signal.SIGTERM)
            # A connection that is kept: were it refused, we would not know whether the port is closed already.
            eventually(ready, within=1, saying="a load balancer is told", until=lambda status: status == 503)
            assert not all(each.done() for each in ended), "it was told while requests were still under way"
            assert stage.infer().status == 200, "and whoever did not hear of it is still served"
            assert [each.result(timeout=15) for each in ended] == [TOLD] * len(clients)
        finally:
            stop.set()
    readyz.close()
    code = eventually(
        lambda: stage.extproc.exit_code, within=15, saying="extproc has ended", until=lambda code: code is not None
    )
    assert code == 0, stage.tail()
