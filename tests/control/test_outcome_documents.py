"""Outcomes as JSON: the format that the page, the CLI and users' scripts read."""

from datetime import UTC, datetime
from typing import Any

from extproc.control.histograms import Histogram
from extproc.control.outcome_documents import revision_outcomes_document, timeline_document, with_outcomes
from extproc.control.outcomes import CandidateOutcomes, RevisionOutcomes, Role, SplitOutcomes
from extproc.control.timeline import IDLE, Point, Step

SOME = CandidateOutcomes(
    1000,
    {"weighted": 990, "fallback": 10},
    {"2xx": 995, "5xx": 3, "0": 2},
    {"UF": 3, "DC": 2},
    Histogram.of([0.004] * 990 + [0.5] * 10),
    Histogram.of([0.003] * 995),
    500,
    6000,
)
NONE = CandidateOutcomes()
OUTCOMES = RevisionOutcomes(
    3,
    datetime(2026, 3, 1, 12, tzinfo=UTC),
    {"a": SOME, "b": NONE},
    {"m": SOME, "n": NONE},
    SplitOutcomes({"a": 990, "b": 0}, {"a": 495.0, "b": 495.0}),
    {Role.HOLDOUT: SOME, Role.NO_UNIT: NONE},
)


def document(*names: str, mirror: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {"name": "ab", "candidates": [{"name": name, "weight": 1} for name in names]}
    return {**found, "mirror": {"name": mirror, "percent": 100.0}} if mirror else found


def test_a_document_tells_the_outcomes_of_each_candidate() -> None:
    told = with_outcomes(document("a", "b", mirror="m"), OUTCOMES)
    a, b = told["candidates"]
    assert (a["name"], a["weight"], a["requests"]) == ("a", 1, 1000)
    assert a["outcomes"]["byOutcome"] == {"weighted": 990, "fallback": 10}
    assert a["outcomes"]["byCode"] == {"2xx": 995, "5xx": 3, "0": 2}
    assert a["outcomes"]["flags"] == {"UF": 3, "DC": 2}
    assert a["outcomes"]["bytes"] == {"received": 500, "sent": 6000}
    errors = a["outcomes"]["errors"]
    assert (errors["count"], errors["rate"]) == (5, 0.005)
    assert errors["low"] < 0.005 < errors["high"]
    for times, near in (("latency", 0.004), ("upstream", 0.003)):
        assert set(a["outcomes"][times]) == {"p50", "p90", "p99"}
        median = a["outcomes"][times]["p50"]
        assert median["low"] <= median["value"] <= median["high"]
        assert abs(median["value"] - near) < 0.05 * near
    assert told["mirror"]["requests"] == 1000
    assert told["split"] == {
        "requests": 990,
        "expected": {"a": 0.5, "b": 0.5},
        "observed": {"a": 1.0, "b": 0.0},
        "chiSquared": 990.0,
        "pValue": told["split"]["pValue"],
        "mismatch": True,
    }
    assert b["requests"] == 0
    assert b["outcomes"]["errors"] == {"count": 0, "rate": None, "low": None, "high": None}
    assert (b["outcomes"]["latency"], b["outcomes"]["upstream"]) == (None, None)


def test_without_outcomes_there_are_zeros() -> None:
    told = with_outcomes(document("a", mirror="m"), None)
    assert (told["candidates"][0]["requests"], told["mirror"]["requests"], told["split"]) == (0, 0, None)


def test_another_revision_s_candidate_and_mirror_have_none() -> None:
    told = with_outcomes(document("new", mirror="other"), OUTCOMES)
    assert (told["candidates"][0]["requests"], told["mirror"]["requests"]) == (0, 0)


def test_several_mirrors_have_each_their_own() -> None:
    several = {**document("a", mirror="m"), "mirrors": [{"name": "m", "percent": 1.0}, {"name": "n", "percent": 2.0}]}
    told = with_outcomes(several, OUTCOMES)
    assert told["mirror"]["requests"] == 1000
    assert [(mirror["percent"], mirror["requests"]) for mirror in told["mirrors"]] == [(1.0, 1000), (2.0, 0)]


def test_what_is_left_to_the_default_is_told_like_a_candidate() -> None:
    aside = [{"name": "holdout", "model": "a", "percent": 5.0}, {"name": "other_slot", "model": "a", "percent": 20.0}]
    told = with_outcomes({**document("a"), "untouched": aside}, OUTCOMES)
    held, elsewhere = told["untouched"]
    assert (held["percent"], held["requests"], elsewhere["requests"]) == (5.0, 1000, 0)
    assert held["outcomes"] == told["candidates"][0]["outcomes"]
    assert revision_outcomes_document(OUTCOMES)["untouched"]["holdout"]["outcomes"] == held["outcomes"]
    assert list(revision_outcomes_document(OUTCOMES)["untouched"]) == ["holdout", "no_unit"]


def test_a_revision_is_told_whole() -> None:
    told = revision_outcomes_document(OUTCOMES)
    assert (told["revision"], told["from"]) == (3, "2026-03-01T12:00:00.000Z")
    assert {name: candidate["requests"] for name, candidate in told["candidates"].items()} == {"a": 1000, "b": 0}
    assert (told["mirror"]["name"], told["mirror"]["requests"]) == ("m", 1000)
    assert told["split"]["mismatch"]
    assert [(mirror["name"], mirror["requests"]) for mirror in told["mirrors"]] == [("m", 1000), ("n", 0)]
    alone = RevisionOutcomes(None, OUTCOMES.since, {"a": NONE}, {}, SplitOutcomes({"a": 0}, {"a": 0.0}))
    assert revision_outcomes_document(alone)["mirror"] is None
    assert revision_outcomes_document(alone)["split"] is None


def test_a_timeline_is_told_by_steps() -> None:
    point = Point(10, 1, 0.003, 0.009)
    primary, mirror = Role.PRIMARY, Role.MIRROR
    begun = [("a", primary, point), ("b", primary, IDLE), ("m", mirror, IDLE), ("n", mirror, point)]
    steps = [
        Step(1_800_000_000, [*begun, ("a", Role.HOLDOUT, point)]),
        Step(1_800_000_005, [("a", primary, IDLE), ("old", Role.HOLDOUT, point), ("a", Role.HOLDOUT, IDLE)]),
    ]
    busy = {"requests": 10, "errors": 1, "p50": 0.003, "p99": 0.009}
    idle = {"requests": 0, "errors": 0, "p50": None, "p99": None}
    assert timeline_document(steps) == {
        "step": 5,
        "points": [
            {
                "at": "2027-01-15T08:00:00.000Z",
                "candidates": {"a": busy, "b": idle},
                "mirror": idle,
                "mirrors": {"m": idle, "n": busy},
                "untouched": {"holdout": busy},
            },
            {
                "at": "2027-01-15T08:00:05.000Z",
                "candidates": {"a": idle},
                "mirror": None,
                "mirrors": {},
                "untouched": {"holdout": busy},
            },
        ],
    }
