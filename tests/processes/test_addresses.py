"""Where workers listen, and where Envoy is told to find them."""

from pathlib import Path
from typing import Any

import pytest

from extproc.errors import InvalidSettings
from extproc.settings import Settings


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        ({}, (50052,)),
        ({"workers": 3}, (50052, 50053, 50054)),
        ({"grpc_port": 7000}, (7001,)),
        ({"grpc_port": 0, "workers": 2}, (0, 0)),
        ({"worker_port": 7000, "workers": 2}, (7000, 7001)),
        ({"worker_port": 0, "workers": 2}, (0, 0)),
        ({"worker_sockets": Path("sockets"), "workers": 2}, ()),
        ({"embedded_envoy": True, "workers": 2}, ()),
    ],
)
def test_the_workers_ports_follow_that_of_grpc(given: dict[str, Any], ports: tuple[int, ...]) -> None:
    assert Settings(**given).worker_ports == ports


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ({}, "127.0.0.1"),
        ({"grpc_host": "10.0.0.7"}, "10.0.0.7"),
        ({"grpc_host": "0.0.0.0"}, "127.0.0.1"),  # noqa: S104 - bound to
        ({"grpc_host": "::"}, "127.0.0.1"),
        ({"grpc_host": "0.0.0.0", "advertise_host": "extproc"}, "extproc"),  # noqa: S104
    ],
)
def test_envoy_is_told_an_address_that_can_be_called(given: dict[str, Any], host: str) -> None:
    assert Settings(**given).dialled_host == host


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workers": 0}, "--workers 0: "),
        ({"grpc_port": 65_535}, "--worker-port 65536: "),
        ({"worker_port": 65_535, "workers": 2}, "--worker-port 65535: "),
        ({"worker_port": 8080}, "--worker-port .* is --admin-port's port already"),
        ({"grpc_port": 8079}, "--worker-port .* is --admin-port's port already"),
        ({"worker_port": 50_050, "workers": 2}, "--worker-port .* is --grpc-port's port already"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidSettings, match=said):
        Settings(**given)
