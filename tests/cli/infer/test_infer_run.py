"""Loads and their end, failures, and route tokens that outlive the command."""

import json
import signal
from pathlib import Path

import pytest

from tests.cli.infer.conftest import Envoy, Run, command, rows
from tests.harness.ports import free_port
from tests.harness.process import Child
from tests.harness.waiting import eventually
from tests.inference.stand_ins import Told


def test_concurrency_is_how_many_are_under_way(run: Run, envoy: Envoy) -> None:
    front = envoy()
    front.delay = 0.02
    assert run("iris", "-i", "40", "--concurrency", "8", "--inference", front.url).code == 0
    assert front.most_under_way == 8


def test_seconds_end_a_run(run: Run, envoy: Envoy) -> None:
    front = envoy()
    front.delay = 0.01
    result = run("iris", "-s", "0.3", "--inference", front.url, "-o", "json")
    assert result.code == 0
    assert 0.3 <= json.loads(result.out)["seconds"] < 5
    assert json.loads(result.out)["requests"] == len(front.got) > 1


def test_failures_are_counted_by_code_and_the_exit_code_is_1(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(), Told(503, ":iris_1:"), Told(503, ":iris_1:"), Told(404, "", b'{"error": "no model"}'))
    result = run("iris", "-i", "8", "--inference", front.url)
    assert result.code == 1
    assert "failed: 4 with 503, 2 with 404" in result.out
    assert rows(result.out)[0][:6] == ["iris", "6", "100.0%", "61.0-100.0%", "-", "4"]
    assert result.err.startswith("extproc: 6 of 8 requests failed, 4 of them with 503: 503 from http://")
    assert "whose model server is not ready" in result.err


@pytest.mark.parametrize("more", [(), ("-i", "1000000"), ("-s", "100"), ("-o", "json")])
@pytest.mark.parametrize("protocol", [(), ("--grpc",)])
def test_nobody_there_is_said_once_and_at_once(run: Run, more: tuple[str, ...], protocol: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    result = run("iris", "--inference", url, *more, *protocol)
    assert result.code == 1
    assert result.err.startswith(f"extproc: {url} can't be reached (")
    assert result.err.endswith("is `extproc up` running? Give the URL of Envoy's inference port with --inference\n")
    assert result.err.count("\n") == 1


def test_sticky_keeps_to_the_candidate_from_run_to_run(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris2_2:"))
    for arguments in (("iris", "--sticky"), ("iris", "--sticky"), ("wine", "--sticky"), ("iris",)):
        assert run(*arguments, "--inference", front.url).code == 0
    assert run("iris", "--sticky", "-i", "3", "--inference", front.url + "/").code == 0
    sent = [got.headers.get("x-seldon-route") for got in front.got]
    assert sent == [None, ":iris2_2:", None, None, *[":iris2_2:"] * 3]


def test_a_sticky_run_stays_with_its_first_answer(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris_1:"))
    result = run("iris", "--sticky", "-i", "20", "--concurrency", "5", "--inference", front.url)
    assert [got.headers.get("x-seldon-route") for got in front.got] == [None, *[":iris_1:"] * 19]
    assert "sent with a route token: the split was not drawn" in result.out


def test_a_token_is_kept_from_a_failed_answer_but_not_from_none(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(500, ":iris_1:"), Told(404, ""), Told())
    assert [run("iris", "--sticky", "--inference", front.url).code for _ in range(3)] == [1, 1, 0]
    assert [got.headers.get("x-seldon-route") for got in front.got] == [None, ":iris_1:", ":iris_1:"]


def test_a_token_that_can_t_be_kept_is_said_after_the_answer(run: Run, envoy: Envoy, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    result = run("iris", "--sticky", "--inference", envoy().url)
    assert result.code == 1
    assert json.loads(result.out)["model_name"] == "iris"
    assert "XDG_STATE_HOME" in result.err


@pytest.mark.usefixtures("run")
def test_ctrl_c_ends_a_run_with_the_table_so_far(envoy: Envoy, tmp_path: Path) -> None:
    front = envoy()
    front.delay = 0.01
    out, err = tmp_path / "out", tmp_path / "err"
    child = Child(command("iris", "-s", "600", "--inference", front.url), stdout=out, stderr=err)
    try:
        eventually(lambda: len(front.got), within=20, saying="requests arrive", until=lambda n: n > 20)
        child.signal(signal.SIGINT)
        assert child.ended(within=10) == 0, child.tail()
    finally:
        child.kill()
    assert "stopped before its end" in out.read_text()
    assert int(rows(out.read_text())[0][1]) >= 20
    assert err.read_text() == ""
