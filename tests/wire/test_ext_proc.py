"""Requests as a real Envoy sends them, and answers as the official schema reads them."""

import dataclasses
import typing

import betterproto2
import pytest
from envoy_data_plane.envoy.config.core.v3 import HeaderMap, HeaderValue, HeaderValueOptionHeaderAppendAction
from envoy_data_plane.envoy.service.ext_proc.v3 import HttpHeaders
from envoy_data_plane.envoy.service.ext_proc.v3 import ProcessingRequest as OfficialRequest
from envoy_data_plane.envoy.service.ext_proc.v3 import ProcessingResponse as OfficialResponse
from envoy_data_plane.google.protobuf import Struct, Value
from hypothesis import given
from hypothesis import strategies as st

from extproc import names
from extproc.core.table import EMPTY, Decision, Entry, Outcome, Table
from extproc.wire.ext_proc import (
    NEUTRAL,
    NotAProcessingRequest,
    Phase,
    ProcessingRequest,
    Published,
    read,
    replies,
    telling,
)
from tests.fixtures.ext_proc import captured

PHASES: tuple[Phase, ...] = typing.get_args(Phase)
HTTP_ROUTE = "iris-ab/iris/fallback"
GRPC_ROUTE = "iris-ab/iris/grpc/fallback"


def request(*headers: HeaderValue, attributes: dict[str, Struct] | None = None) -> bytes:
    """Request headers as someone sends them who is not today's Envoy."""
    return bytes(
        OfficialRequest(
            request_headers=HttpHeaders(headers=HeaderMap(headers=list(headers))), attributes=attributes or {}
        )
    )


@pytest.mark.parametrize(
    ("name", "route_name", "headers"),
    [
        ("intercepted-no-token", HTTP_ROUTE, {}),
        ("intercepted-body", HTTP_ROUTE, {}),
        ("intercepted-token", HTTP_ROUTE, {names.ROUTE_HEADER: ":iris2_1:"}),
        ("intercepted-tokens", HTTP_ROUTE, {names.ROUTE_HEADER: ":gone_1:, :iris2_1::iris_1:"}),
        ("intercepted-headers", HTTP_ROUTE, {names.ROUTE_HEADER: ":gone_1:,:iris2_1:"}),
        ("intercepted-empty-token", HTTP_ROUTE, {names.ROUTE_HEADER: ""}),
        ("intercepted-not-utf8", HTTP_ROUTE, {names.ROUTE_HEADER: ":caf\xe9_1:\xff:iris2_1:"}),
        ("intercepted-grpc", GRPC_ROUTE, {}),
        ("every-phase-request_headers", "", {}),
    ],
)
def test_request_headers_are_read_as_envoy_sends_them(name: str, route_name: str, headers: dict[str, str]) -> None:
    assert read(captured(name))[:4] == ("request_headers", route_name, headers, b"")


@pytest.mark.parametrize(
    ("name", "bare"),
    [
        ("intercepted-no-token", True),
        ("intercepted-grpc", True),
        ("intercepted-token", False),
        ("intercepted-empty-token", False),
        ("every-phase-request_headers", False),
    ],
)
def test_what_clients_have_no_say_in_is_bare(name: str, bare: bool) -> None:
    assert read(captured(name)).bare is bare


@pytest.mark.parametrize("phase", [phase for phase in PHASES if phase != "request_headers"])
def test_of_other_phases_only_the_kind_is_read(phase: Phase) -> None:
    assert read(captured(f"every-phase-{phase}")) == ProcessingRequest(phase, "", {})


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        ((HeaderValue("x-seldon-route", value=":a_1:"),), {"x-seldon-route": ":a_1:"}),
        ((HeaderValue("x-seldon-route", raw_value=b":a_1:"),), {"x-seldon-route": ":a_1:"}),
        ((HeaderValue("x-seldon-route", value="old", raw_value=b"new"),), {"x-seldon-route": "new"}),
        ((HeaderValue("X-Seldon-Route", value=":a_1:"),), {"x-seldon-route": ":a_1:"}),
        ((HeaderValue("x-seldon-route"),), {"x-seldon-route": ""}),
        (
            tuple(HeaderValue("x-seldon-route", raw_value=value) for value in (b":a_1:", b"", b":b_1:")),
            {"x-seldon-route": ":a_1:,,:b_1:"},
        ),
        ((HeaderValue("cookie", value="secret"), HeaderValue(":path", raw_value=b"/v2")), {}),
        (
            (HeaderValue("x-seldon-route", raw_value=bytes(range(256))),),
            {"x-seldon-route": "".join(map(chr, range(256)))},
        ),
    ],
)
def test_headers_of_others_than_todays_envoy(sent: tuple[HeaderValue, ...], headers: dict[str, str]) -> None:
    assert read(request(*sent)).headers == headers


def test_a_value_that_is_not_utf8_does_not_cost_the_message() -> None:
    message = request(HeaderValue("x-seldon-route", value=":a_1:?"))
    assert read(message.replace(b"?", b"\xff")).headers == {"x-seldon-route": ":a_1:\xff"}


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"another.filter": Struct(fields={"xds.route_name": Value(string_value="a/b")})},
        {names.EXT_PROC_FILTER: Struct()},
        {names.EXT_PROC_FILTER: Struct(fields={"request.id": Value(string_value="a/b")})},
        {names.EXT_PROC_FILTER: Struct(fields={"xds.route_name": Value(number_value=1.0)})},
        {names.EXT_PROC_FILTER: Struct(fields={"xds.route_name": Value(string_value="")})},
    ],
)
def test_a_route_name_that_was_not_sent_is_empty(attributes: dict[str, Struct]) -> None:
    assert read(request(attributes=attributes)).route_name == ""


@pytest.mark.parametrize("message", [b"", b"\x50\x01", bytes(OfficialRequest(observability_mode=True))])
def test_a_message_of_no_known_phase_has_none(message: bytes) -> None:
    assert read(message) == ProcessingRequest(None, "", {})


@pytest.mark.parametrize("message", [b"garbage", b"\xff", b"\x12\x7f", b"\x12\x05\x0a\x03\x0a\x01"])
def test_garbage_is_told_from_a_request(message: bytes) -> None:
    with pytest.raises(NotAProcessingRequest, match=f"these {len(message)} bytes are no ProcessingRequest"):
        read(message)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_are_refused(message: bytes) -> None:
    _read_or_refused(message)


@given(st.sampled_from([f"every-phase-{phase}" for phase in PHASES] + ["intercepted-tokens"]), st.data())
def test_a_damaged_request_is_a_request_or_is_refused(name: str, data: st.DataObject) -> None:
    message = bytearray(captured(name))
    message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    _read_or_refused(bytes(message[: data.draw(st.integers(0, len(message)))]))


def _read_or_refused(message: bytes) -> None:
    try:
        request = read(message)
    except NotAProcessingRequest:
        return
    assert request.phase in {None, *PHASES}
    assert set(request.headers) <= {names.ROUTE_HEADER}


def official(reply: bytes) -> tuple[str, OfficialResponse]:
    response = OfficialResponse.parse(reply)
    return betterproto2.which_one_of(response, "response")[0], response


def test_there_is_a_neutral_answer_to_each_phase() -> None:
    assert set(NEUTRAL) == set(PHASES)


@pytest.mark.parametrize("phase", PHASES)
def test_a_neutral_answer_is_of_its_kind_and_changes_nothing(phase: Phase) -> None:
    kind, response = official(NEUTRAL[phase])
    assert kind == phase
    assert response == OfficialResponse(**{phase: type(getattr(response, phase))()})


def deciding(*labels: str) -> Table:
    """A table that decides for these labels, and can leave a request to Envoy."""
    pairs = [(label, *label.split("/")) for label in labels]
    decisions = tuple(Decision(experiment, name, Outcome.WEIGHTED, label) for label, experiment, name in pairs)
    left = (Decision("iris-ab", "", Outcome.UNAVAILABLE),)
    sticky = {decision.candidate: decision for decision in decisions[1:]}
    return Table({("iris-ab", "http"): Entry((1,), decisions[:1], left, sticky)})


def test_a_decision_without_a_label_changes_nothing() -> None:
    assert replies(EMPTY) == {"": NEUTRAL["request_headers"]}
    assert replies(deciding("a/b"))[""] == NEUTRAL["request_headers"]


def test_every_other_decision_tells_envoy_its_label() -> None:
    labels = ("iris-ab/iris", "iris-ab/iris2", f"{'e' * 63}/{'c' * 63}")
    answers = replies(deciding(*labels))
    assert answers.keys() == {"", *labels}
    for label in labels:
        kind, response = official(answers[label])
        assert kind == "request_headers"
        assert response.request_headers is not None
        common = response.request_headers.response
        assert common is not None
        assert common.clear_route_cache
        assert common.header_mutation is not None
        (option,) = common.header_mutation.set_headers
        assert option.header == HeaderValue(names.LABEL_HEADER, raw_value=label.encode())
        assert option.append_action is HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
        assert not common.header_mutation.remove_headers


@pytest.mark.parametrize("outcome", Outcome)
def test_a_reply_can_tell_its_outcome_and_says_the_same_otherwise(outcome: Outcome) -> None:
    neutral, reply = replies(deciding("iris-ab/iris")).values()
    kind, told = official(telling(reply, Decision("iris-ab", "iris", outcome, "iris-ab/iris")))
    assert kind == "request_headers"
    assert told.request_headers == official(reply)[1].request_headers
    said = Struct(fields={"outcome": Value(string_value=outcome.value)})
    assert told.dynamic_metadata == Struct(fields={names.METADATA: Value(struct_value=said)})
    assert telling(neutral, Decision("iris-ab", "", outcome)) == neutral


@pytest.mark.parametrize("outcome", Outcome)
def test_only_a_weighted_decision_that_is_not_traced_keeps_its_outcome_to_itself(outcome: Outcome) -> None:
    published = Published(deciding("iris-ab/iris"))
    decision = Decision("iris-ab", "iris", outcome, "iris-ab/iris")
    reply = published.replies["iris-ab/iris"]
    assert published.reply(decision, traced=True) == telling(reply, decision) != reply
    assert published.reply(decision) == (reply if outcome is Outcome.WEIGHTED else telling(reply, decision))


def test_what_is_published_can_not_disagree_or_change() -> None:
    published = Published(deciding("iris-ab/iris"))
    assert published.replies == replies(published.table)
    assert Published() == Published(EMPTY)
    with pytest.raises(dataclasses.FrozenInstanceError):
        published.table = EMPTY  # type: ignore[misc]
