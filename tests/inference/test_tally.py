"""What the answers add up to: every count exact."""

import pytest

from extproc.inference.call import Answer
from extproc.inference.tally import Candidate, Summary, Tally
from extproc.intervals import wilson

CONFIGURED = (Candidate("iris", ":iris_1:", 0.7), Candidate("iris2", ":iris2_2:", 0.3))


def ok(route: str, seconds: float = 0.001) -> Answer:
    return Answer("200", True, seconds, route)


def failed(code: str, route: str = "") -> Answer:
    return Answer(code, False, 0.5, route)


def tallied(*answers: Answer, configured: tuple[Candidate, ...] = CONFIGURED) -> Summary:
    tally = Tally()
    for answer in answers:
        tally.note(answer)
    return tally.summary(2.0, configured)


def test_shares_intervals_and_what_is_configured_stand_beside_each_other() -> None:
    summary = tallied(*[ok(":iris_1:")] * 3, ok(":iris2_2:"))
    assert [(c.name, c.requests, c.share, c.configured) for c in summary.candidates] == [
        ("iris", 3, 0.75, 0.7),
        ("iris2", 1, 0.25, 0.3),
    ]
    assert [c.interval for c in summary.candidates] == [wilson(3, 4), wilson(1, 4)]
    assert (summary.requests, summary.failed, summary.failures) == (4, 0, {})


def test_a_candidate_without_answers_has_its_line() -> None:
    silent = tallied(ok(":iris_1:")).candidates[1]
    assert (silent.name, silent.requests, silent.share, silent.latency.p50_ms) == ("iris2", 0, 0.0, None)


def test_whoever_else_answers_has_a_line_after_them() -> None:
    summary = tallied(ok(":iris_1:"), ok(":wine_12:"), ok(":iris.pipeline:"), ok(""))
    assert [(c.name, c.route, c.configured) for c in summary.candidates[2:]] == [
        ("", "", None),
        ("iris", ":iris.pipeline:", None),
        ("wine", ":wine_12:", None),
    ]


def test_nothing_configured_is_known() -> None:
    assert [(c.name, c.configured) for c in tallied(ok(":iris_1:"), configured=()).candidates] == [("iris", None)]


def test_a_candidate_that_no_model_defines_gets_no_one_else_s_answers() -> None:
    undefined = (Candidate("iris", ":iris_1:", 0.5), Candidate("ghost", "", 0.5))
    lines = tallied(ok(""), ok(":iris_1:"), configured=undefined).candidates
    assert [(c.name, c.requests) for c in lines] == [("iris", 1), ("ghost", 0), ("", 1)]


def test_failures_are_counted_by_code_and_by_candidate() -> None:
    summary = tallied(
        ok(":iris_1:"),
        *[failed("503", ":iris2_2:")] * 2,
        failed("500", ":iris2_2:"),
        failed("404"),
        *[failed("timeout")] * 3,
    )
    assert (summary.requests, summary.failed) == (8, 7)
    assert list(summary.failures.items()) == [("timeout", 3), ("503", 2), ("500", 1), ("404", 1)]
    # A failure that is a candidate's counts for its share; one that is nobody's does not.
    assert [(c.requests, c.failed, c.share) for c in summary.candidates] == [(1, 0, 0.25), (3, 3, 0.75)]


def test_latencies_are_of_answers_without_failure_in_milliseconds() -> None:
    answers = [ok(":iris_1:", n / 1000) for n in range(100, 0, -1)]
    summary = tallied(*answers, failed("500", ":iris_1:"), ok(":iris2_2:", 9.0))
    latency = summary.candidates[0].latency
    assert (latency.p50_ms, latency.p90_ms, latency.p99_ms) == (50, 90, 99)
    assert summary.latency.p99_ms == 100


def test_the_first_failure_of_a_code_is_kept_as_an_example() -> None:
    tally = Tally()
    for answer in (failed("503", ":a_1:"), failed("503", ":b_1:"), ok(":a_1:")):
        tally.note(answer)
    assert tally.examples == {"503": failed("503", ":a_1:")}


def test_of_nothing_there_is_a_summary_too() -> None:
    summary = tallied(configured=())
    assert (summary.requests, summary.candidates, summary.latency.p50_ms) == (0, (), None)


def test_as_json() -> None:
    document = tallied(ok(":iris_1:"), configured=()).as_json()
    assert document["candidates"][0]["latency"] == {"p50_ms": 1.0, "p90_ms": 1.0, "p99_ms": 1.0}
    assert document["candidates"][0]["interval"] == pytest.approx(wilson(1, 1))
