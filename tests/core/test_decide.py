"""The decision: precedence, exact counts over every draw, and that no text whatsoever stops it."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import names
from extproc.core.compilation import compile_table
from extproc.core.decide import decide
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.split import DRAW_BITS
from extproc.core.table import EMPTY, Decision, Outcome

MODELS = {
    name: Model(name, version, endpoints=(Endpoint("127.0.0.1", 8080),))
    for name, version in {"iris": 1, "iris2": 7, "iris3": 1, "other": 1}.items()
}
AB = Experiment("ab", (Candidate("iris", 179), Candidate("iris2", 77), Candidate("iris3", 0)), default="iris")
OTHER = Experiment("other", (Candidate("other", 1),), default="other")
GONE = Experiment("gone", (Candidate("unknown", 1),))
EXPERIMENTS = (AB, OTHER, GONE)
ACCEPTED = {
    names.decided_route(e.name, c.name, protocol)
    for e in EXPERIMENTS
    for c in e.candidates
    for protocol in names.PROTOCOLS
    if (c.name, protocol) != ("other", "grpc")
}
TABLE = compile_table(EXPERIMENTS, MODELS, lambda name, _: name in MODELS, ACCEPTED)

HTTP = names.intercept_route("ab", "iris", "http")
GRPC = names.intercept_route("ab", "iris2", "grpc")
DRAWS = st.integers(0, 2**DRAW_BITS - 1)
TOKENS = st.sampled_from([":iris_1:", ":iris2_7:", ":iris3_1:", ":other_1:", ":unknown_1:", ":", "x"])


def sent(token: str) -> Mapping[str, str]:
    return {names.ROUTE_HEADER: token}


@pytest.mark.parametrize("route", [HTTP, GRPC, names.intercept_route("ab", "iris3", "http")])
@pytest.mark.parametrize(
    ("headers", "outcome"),
    [
        ({}, Outcome.WEIGHTED),
        (sent(""), Outcome.WEIGHTED),
        ({"seldon-model": "iris", "cookie": ":iris2_7:"}, Outcome.WEIGHTED),
        (sent(":iris_2:"), Outcome.STALE_TOKEN),
        (sent(":other_1:"), Outcome.STALE_TOKEN),
        (sent("nonsense"), Outcome.STALE_TOKEN),
    ],
)
def test_every_draw_counted(route: str, headers: Mapping[str, str], outcome: Outcome) -> None:
    counts = Counter(decide(TABLE, route, headers, draw, bits=8) for draw in range(256))
    assert counts == {
        Decision("ab", "iris", outcome, "ab/iris", share=179 / 256): 179,
        Decision("ab", "iris2", outcome, "ab/iris2", share=77 / 256): 77,
    }


@pytest.mark.parametrize(
    ("token", "candidate"),
    [
        (":iris_1:", "iris"),
        (":iris2_7:", "iris2"),
        (":iris3_1:", "iris3"),  # of weight 0: never drawn, still reachable
        (":iris2_7::iris_1:", "iris2"),  # the first of several
        (":iris_1:,:iris2_7:", "iris"),
        (":other_1:, :iris2_6:,:iris2_7:", "iris2"),  # the first that names a candidate of this experiment
        (":::iris_1:", "iris"),
        ("\x00:iris_1:\xff", "iris"),
    ],
)
def test_a_token_goes_before_every_draw(token: str, candidate: str) -> None:
    assert {
        (d.candidate, d.outcome) for d in (decide(TABLE, HTTP, sent(token), draw, bits=8) for draw in range(256))
    } == {(candidate, Outcome.STICKY)}


@pytest.mark.parametrize("token", ["iris_1", "iris2_7", ":iris2:", ":IRIS_1:", ":iris_01:", ": iris_1 :", ":ab/iris:"])
def test_what_only_resembles_a_token_is_stale(token: str) -> None:
    assert decide(TABLE, HTTP, sent(token), 0).outcome is Outcome.STALE_TOKEN


@pytest.mark.parametrize(
    ("route", "experiment"),
    [
        ("", ""),
        ("endpoint.iris", "endpoint.iris"),
        (names.intercept_route("nobodys", "iris", "http"), "nobodys"),
        ("/", ""),
        ("/ab/iris/fallback", ""),
    ],
)
def test_a_route_of_no_experiment_is_left_to_envoy(route: str, experiment: str) -> None:
    assert decide(TABLE, route, sent(":iris_1:"), 0) == Decision(experiment, "", Outcome.NO_EXPERIMENT)


def test_an_empty_table_decides() -> None:
    assert decide(EMPTY, HTTP, {}, 0) == Decision("ab", "", Outcome.NO_EXPERIMENT)


def test_protocols_are_decided_apart() -> None:
    http, grpc = (names.intercept_route("other", "other", protocol) for protocol in ("http", "grpc"))
    assert decide(TABLE, http, {}, 0) == Decision("other", "other", Outcome.WEIGHTED, "other/other", share=1.0)
    assert decide(TABLE, grpc, {}, 0) == Decision("other", "", Outcome.NOT_ACCEPTED)


def test_an_experiment_without_a_model_leaves_the_request_to_envoy() -> None:
    route = names.intercept_route("gone", "unknown", "http")
    assert decide(TABLE, route, sent(":unknown_1:"), 0) == Decision("gone", "", Outcome.UNAVAILABLE)


ROUTES = st.one_of(
    st.text(),
    st.builds(lambda *parts: "/".join(parts), st.sampled_from(["ab", "other", "gone", ""]), st.text()),
    st.sampled_from([HTTP, GRPC]),
)


@given(ROUTES, st.one_of(st.text(), st.lists(st.one_of(TOKENS, st.text())).map("".join)), DRAWS)
def test_any_request_gets_a_decision_that_the_table_can_answer(route: str, header: str, draw: int) -> None:
    decision = decide(TABLE, route, sent(header), draw)
    assert isinstance(decision.outcome, Outcome)
    assert decision.label == (names.label(decision.experiment, decision.candidate) if decision.candidate else "")
    assert decision == decide(TABLE, route, dict(sent(header)), draw), "not the same for the same inputs"


@given(st.lists(TOKENS, min_size=1, max_size=6), DRAWS)
def test_the_first_token_of_a_candidate_wins_wherever_it_stands(parts: list[str], draw: int) -> None:
    of_this = {":iris_1:": "iris", ":iris2_7:": "iris2", ":iris3_1:": "iris3"}
    expected = [of_this[part] for part in parts if part in of_this]
    decision = decide(TABLE, HTTP, sent(",".join(parts)), draw)
    if expected:
        assert (decision.candidate, decision.outcome) == (expected[0], Outcome.STICKY)
    else:
        assert decision.outcome is Outcome.STALE_TOKEN
