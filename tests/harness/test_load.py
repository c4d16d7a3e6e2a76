"""The load generator counts truly, keeps its connections, and is fast enough to be a load."""

from collections.abc import Callable

from tests.harness.load import Load, run_load
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually

Start = Callable[..., ModelServer]


def test_exactly_so_many_on_so_many_connections(model_server: Start) -> None:
    stub = model_server("iris")
    stub.delay(0.02)
    with Load(f"{stub.url}/v2/models/iris/infer", count=60, connections=5) as load:
        eventually(lambda: stub.connections, within=5, saying="5 connections", until=lambda n: n == 5)
        result = load.finish()
    assert (result.by_status, result.by_route, result.errors, result.failed) == ({200: 60}, {"": 60}, 0, 0)
    assert len(stub.requests) == 60


def test_every_request_ends_as_an_answer_or_an_error(model_server: Start) -> None:
    stub = model_server("iris")
    with Load(f"{stub.url}/v2/models/iris/infer", connections=4) as load:
        load.wait_for(50)
        stub.stop()
        eventually(lambda: load.so_far().errors, within=5, saying="errors", until=lambda n: n > 20)
        stub.resume()
        load.wait_for(50)
        result = load.stop()
    assert result.total == result.answers + result.errors
    assert result.answers <= len(stub.requests)
    assert result.failed == result.errors > 20
    assert "Connection" in result.error_texts[0]


def test_other_statuses_are_failures(model_server: Start) -> None:
    stub = model_server("iris")
    stub.fail(503)
    result = run_load(f"{stub.url}/v2/models/iris/infer", 7)
    assert (result.by_status, result.failed, result.errors) == ({503: 7}, 7, 0)


def test_a_request_that_takes_too_long_is_an_error(model_server: Start) -> None:
    stub = model_server("iris")
    stub.hang()
    result = Load(f"{stub.url}/v2/models/iris/infer", count=1, within=0.1).finish()
    assert (result.errors, result.answers) == (1, 0)
    assert "Timeout" in result.error_texts[0]


def test_varies_headers_by_number(model_server: Start) -> None:
    stub = model_server("iris")
    run_load(f"{stub.url}/v2/models/iris/infer", 4, connections=1, vary=lambda n: {"x-seldon-route": f":iris_{n}:"})
    assert [r.header("x-seldon-route") for r in stub.requests] == [f":iris_{n}:" for n in range(4)]


def test_keeps_a_rate(model_server: Start) -> None:
    stub = model_server("iris")
    result = Load(f"{stub.url}/v2/models/iris/infer", count=30, connections=2, rate=150).finish()
    assert result.seconds >= 29 / 150


def test_reaches_a_thousand_a_second(model_server: Start) -> None:
    stub = model_server("iris")
    eventually(
        lambda: run_load(f"{stub.url}/v2/models/iris/infer", 2000).rate,
        within=20,
        saying="1,000 requests a second on an otherwise quiet machine",
        until=lambda rate: rate >= 1000,
    )
