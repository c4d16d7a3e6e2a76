"""`extproc infer --trace`: the trace of one request, those worth a look of many, and all of them for machines."""

import json

import pytest

from tests.cli.infer.conftest import Envoy, Run
from tests.harness.ports import free_port
from tests.inference.stand_ins import StandIn, Told

JAEGER = "http://127.0.0.1:16686"


def sent(front: StandIn) -> list[str]:
    """The trace ids that were sent."""
    return [got.headers["traceparent"].split("-")[1] for got in front.got]


def test_one_request_says_where_its_trace_is_to_be_seen(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris2_2:"))
    result = run("iris", "--trace", "--inference", front.url)
    (trace,) = sent(front)
    assert result.code == 0
    assert result.err == f"x-seldon-route: :iris2_2:\ntrace: {trace} {JAEGER}/trace/{trace}\n"


def test_the_trace_of_a_failed_request_is_said_too(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(503, ""))
    result = run("iris", "--trace", "--inference", front.url)
    assert result.code == 1
    assert result.err.startswith(f"trace: {sent(front)[0]} ")


def test_no_trace_is_said_of_a_request_that_reached_nobody(run: Run) -> None:
    result = run("iris", "--trace", "--inference", f"http://127.0.0.1:{free_port()}")
    assert (result.code, "trace" in result.err) == (1, False)


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_where_jaeger_is_can_be_said(run: Run, envoy: Envoy, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    front = envoy()
    monkeypatch.setenv("EXTPROC_JAEGER_URL", "https://jaeger.example/ui/" if how == "variable" else "http://not.it")
    flag = ("--jaeger-url", "https://jaeger.example/ui") if how == "flag" else ()
    result = run("iris", "--trace", *flag, "--inference", front.url, "-o", "json")
    (trace,) = sent(front)
    assert json.loads(result.out)["trace"] == {"id": trace, "url": f"https://jaeger.example/ui/trace/{trace}"}


def test_of_many_the_slowest_and_the_failed_are_shown(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris_1:"), Told(route=":iris2_2:"), Told(503, ":iris2_2:"))
    result = run("iris", "--trace", "-i", "9", "--inference", front.url)
    told = [line for line in result.out.splitlines() if JAEGER in line]
    assert [line.partition(",")[0] for line in told[:2]] == ["slowest of :iris2_2:", "slowest of :iris_1:"]
    assert told[2] == f"first with 503: {JAEGER}/trace/{sent(front)[2]}"
    assert {line.rpartition("/")[2] for line in told} <= set(sent(front))
    assert len(told) == 3


def test_of_many_machines_get_all(run: Run, envoy: Envoy) -> None:
    front = envoy(Told(route=":iris_1:"), Told(503, ":iris2_2:"))
    traces = json.loads(run("iris", "--trace", "-i", "6", "--inference", front.url, "-o", "json").out)["traces"]
    assert [trace["id"] for trace in traces] == sent(front)
    assert [(trace["route"], trace["code"]) for trace in traces] == [(":iris_1:", "200"), (":iris2_2:", "503")] * 3
    assert all(trace["url"] == f"{JAEGER}/trace/{trace['id']}" and trace["ms"] > 0 for trace in traces)


def test_without_the_flag_nothing_is_traced(run: Run, envoy: Envoy) -> None:
    front = envoy()
    one, many = (
        json.loads(run("iris", *more, "--inference", front.url, "-o", "json").out) for more in ((), ("-i", "2"))
    )
    assert not {"trace", "traces"} & {*one, *many}
    assert not any("traceparent" in got.headers for got in front.got)


def test_a_traceparent_of_the_users_own_and_the_flag_exclude_each_other(run: Run) -> None:
    result = run("iris", "--trace", "--header", "Traceparent: 00-1-2-01")
    assert result.code == 2
    assert "--trace sends traceparent itself" in result.err
