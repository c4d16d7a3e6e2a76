"""A trace for each request, sent for real over both protocols, and which of them are shown."""

import re

import pytest

from extproc.inference.call import Answer, Call
from extproc.inference.grpc_calls import open_grpc
from extproc.inference.rest import open_rest
from extproc.inference.traces import Traced, Traces
from extproc.wire.inference import model_infer_request
from tests.harness.ports import free_port
from tests.inference.stand_ins import Told, grpc_stand_in, rest_stand_in

SAMPLED = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-01")


def check(sent: list[str], answers: list[Answer]) -> None:
    """Each request began a trace of its own, and its answer knows which."""
    found = [SAMPLED.fullmatch(header) for header in sent]
    assert [match and match[1] for match in found] == [answer.trace for answer in answers]
    assert len({answer.trace for answer in answers}) == len(answers) == 2
    assert len({match[2] for match in found if match}) == 2
    assert "0" * 32 not in {answer.trace for answer in answers}


async def test_each_request_over_rest_begins_a_trace() -> None:
    with rest_stand_in(Told(), Told(503)) as envoy:
        async with open_rest(Call(envoy.url, "iris", b"{}", traced=True), 1) as send:
            answers = [await send(""), await send(":iris_1:")]
        check([got.headers["traceparent"] for got in envoy.got], answers)


async def test_each_request_over_grpc_begins_a_trace() -> None:
    body = model_infer_request({"inputs": []}, "iris")
    with grpc_stand_in(Told("OK", body=b""), Told("UNAVAILABLE", body=b"")) as envoy:
        async with open_grpc(Call(envoy.url, "iris", body, traced=True)) as send:
            answers = [await send(""), await send(":iris_1:")]
        check([got.headers["traceparent"] for got in envoy.got], answers)


async def test_a_request_that_is_not_to_be_traced_begins_none() -> None:
    with rest_stand_in() as envoy:
        async with open_rest(Call(envoy.url, "iris", b"{}"), 1) as send:
            assert (await send("")).trace == ""
        assert "traceparent" not in envoy.got[0].headers


async def test_a_request_that_reached_nobody_has_no_trace_to_look_at() -> None:
    async with open_rest(Call(f"http://127.0.0.1:{free_port()}", "iris", b"{}", traced=True), 1) as send:
        answer = await send("")
    traces = Traces(keep_every=True)
    traces.note(answer)
    assert answer.trace
    assert (traces.every, traces.slowest, traces.failed) == ([], {}, {})


def answered(trace: str, seconds: float, route: str = ":iris_1:", code: str = "200") -> Answer:
    return Answer(code, code == "200", seconds, route, trace=trace)


@pytest.mark.parametrize("keep_every", [True, False])
def test_the_slowest_of_each_candidate_and_the_first_failure_of_each_code(keep_every: bool) -> None:
    traces = Traces(keep_every)
    for answer in (
        answered("a", 0.2),
        answered("b", 0.3),
        answered("c", 0.1),
        answered("d", 0.1, ":iris2_2:"),
        answered("e", 9.0, ":iris2_2:", "503"),
        answered("f", 9.5, ":iris2_2:", "503"),
    ):
        traces.note(answer)
    assert traces.slowest == {
        ":iris_1:": Traced("b", ":iris_1:", "200", 0.3),
        ":iris2_2:": Traced("d", ":iris2_2:", "200", 0.1),
    }
    assert traces.failed == {"503": Traced("e", ":iris2_2:", "503", 9.0)}
    assert [traced.trace for traced in traces.every] == (list("abcdef") if keep_every else [])
