"""A handed-out port is nobody's but its taker's."""

import socket

from tests.harness.ports import free_port


def test_ports_are_unique() -> None:
    assert len({free_port() for _ in range(200)}) == 200


def test_the_kernel_gives_a_held_port_to_nobody() -> None:
    held = {free_port() for _ in range(50)}
    sockets = [socket.socket() for _ in range(500)]
    try:
        for taker in sockets:
            taker.bind(("127.0.0.1", 0))
        assert not held & {taker.getsockname()[1] for taker in sockets}
    finally:
        for taker in sockets:
            taker.close()


def test_a_server_that_asks_for_the_held_port_gets_it() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), socket.create_connection(("127.0.0.1", port)) as client:
        assert client.getpeername() == ("127.0.0.1", port)
