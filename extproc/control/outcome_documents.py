"""Outcomes as the JSON that REST speaks. Pure.

Rates and shares are from 0 to 1, durations in seconds; intervals are of 95 % (`comparison`).
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from extproc.control.comparison import Estimate, error_rate, fit, percentiles
from extproc.control.histograms import Histogram
from extproc.control.outcomes import CandidateOutcomes, RevisionOutcomes, Role, SplitOutcomes
from extproc.control.timeline import STEP, Point, Step

NOTHING = CandidateOutcomes()


def with_outcomes(document: dict[str, Any], current: RevisionOutcomes | None) -> dict[str, Any]:
    """An experiment's document with the outcomes of its current revision; None for one that has none yet."""
    counted = current.candidates if current else {}
    document["candidates"] = [
        {**candidate, **_candidate(counted.get(candidate["name"], NOTHING))} for candidate in document["candidates"]
    ]
    copied = current.mirrors if current else {}
    if mirror := document.get("mirror"):
        document["mirror"] = {**mirror, **_candidate(copied.get(mirror["name"], NOTHING))}
    if mirrors := document.get("mirrors"):
        document["mirrors"] = [{**mirror, **_candidate(copied.get(mirror["name"], NOTHING))} for mirror in mirrors]
    aside = current.untouched if current else {}
    if left := document.get("untouched"):
        document["untouched"] = [{**each, **_candidate(aside.get(Role(each["name"]), NOTHING))} for each in left]
    document["split"] = _split(current.split) if current else None
    return document


def revision_outcomes_document(outcomes: RevisionOutcomes) -> dict[str, Any]:
    """One revision; its number is null until it is recorded, and its `mirror` is the first of its `mirrors`."""
    mirrors = [{"name": name, **_candidate(mirror)} for name, mirror in outcomes.mirrors.items()]
    return {
        "revision": outcomes.number,
        "from": _time(outcomes.since),
        "candidates": {name: _candidate(candidate) for name, candidate in outcomes.candidates.items()},
        "mirror": next(iter(mirrors), None),
        "mirrors": mirrors,
        "untouched": {role.value: _candidate(left) for role, left in outcomes.untouched.items()},
        "split": _split(outcomes.split),
    }


def timeline_document(steps: Iterable[Step]) -> dict[str, Any]:
    """A timeline; a point's `mirror` is the first of its `mirrors`, null where none had requests in that hour."""
    return {"step": STEP, "points": [_step(step) for step in steps]}


def _candidate(outcomes: CandidateOutcomes) -> dict[str, Any]:
    rate = error_rate(outcomes)
    return {
        "requests": outcomes.requests,
        "outcomes": {
            "byOutcome": dict(outcomes.by_outcome),
            "byCode": dict(outcomes.by_code),
            "flags": dict(outcomes.flags),
            "errors": {
                "count": outcomes.errors,
                "rate": rate and rate.value,
                "low": rate and rate.low,
                "high": rate and rate.high,
            },
            "latency": _percentiles(outcomes.duration),
            "upstream": _percentiles(outcomes.upstream),
            "bytes": {"received": outcomes.received, "sent": outcomes.sent},
        },
    }


def _percentiles(histogram: Histogram) -> dict[str, Any] | None:
    return {f"p{percent}": _estimate(e) for percent, e in percentiles(histogram).items()} or None


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {"value": estimate.value, "low": estimate.low, "high": estimate.high}


def _split(split: SplitOutcomes) -> dict[str, Any] | None:
    fitted = fit(split)
    if fitted is None:
        return None
    return {
        "requests": fitted.requests,
        "expected": dict(fitted.expected),
        "observed": dict(fitted.observed),
        "chiSquared": fitted.chi_squared,
        "pValue": fitted.p_value,
        "mismatch": fitted.mismatch,
    }


def _step(step: Step) -> dict[str, Any]:
    copied = {name: _point(point) for name, point in step.mirrors.items()}
    return {
        "at": _time(datetime.fromtimestamp(step.at, UTC)),
        "candidates": {name: _point(point) for name, point in step.candidates.items()},
        "mirror": next(iter(copied.values()), None),
        "mirrors": copied,
        "untouched": {role.value: _point(point) for role, point in step.untouched.items()},
    }


def _point(point: Point) -> dict[str, Any]:
    return {"requests": point.requests, "errors": point.errors, "p50": point.p50, "p99": point.p99}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
