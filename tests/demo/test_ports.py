"""A port that the demo promises must be free before anything starts."""

import socket
from collections.abc import Iterator

import pytest

from extproc.demo.model_servers import endpoints
from extproc.demo.ports import demand_free, is_taken
from extproc.demo.scenario import Served
from extproc.errors import DemoFailed
from tests.harness.ports import free_port


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of something that listens, as Envoy does: with SO_REUSEPORT, so that another could join it."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def test_a_listener_takes_a_port(listener: int) -> None:
    assert is_taken(listener)
    assert not is_taken(free_port())


def test_a_taken_port_names_the_flag_that_changes_it(listener: int) -> None:
    demand_free({"--inference-port": free_port(), "--grpc-port": 0})
    with pytest.raises(DemoFailed, match=rf"port {listener} is taken.*--admin-port, .*extproc demo --free-ports"):
        demand_free({"--inference-port": free_port(), "--admin-port": listener})


def test_models_move_from_ports_that_are_taken(listener: int) -> None:
    free, ours = free_port(), free_port()
    models = {name: Served(f"127.0.0.1:{port}", name, "") for name, port in (("a", free), ("b", listener), ("c", ours))}
    chosen = endpoints(models, frozenset({ours}))
    assert chosen[f"127.0.0.1:{free}"] == f"127.0.0.1:{free}"
    ports = {int(endpoint.rpartition(":")[2]) for endpoint in chosen.values()}
    assert len(ports) == 3
    assert not ports & {listener, ours}


def test_free_ports_are_taken_on_request() -> None:
    free = free_port()
    chosen = endpoints({"a": Served(f"127.0.0.1:{free}", "a", "")}, frozenset(), free=True)
    assert chosen[f"127.0.0.1:{free}"] != f"127.0.0.1:{free}"
