"""Outcomes as people see them: intervals, units, a split that fits, and one that does not."""

from typing import Any

import pytest
from hypothesis import given, settings

from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_tables import experiment_list, experiment_status
from extproc.cli.experiment_view import ExperimentView, listed
from tests.cli.documents import a_document, a_list, broken
from tests.cli.test_experiment_tables import drawn

MISMATCH = {
    "requests": 2000,
    "expected": {"iris": 0.7, "iris2": 0.3},
    "observed": {"iris": 0.85, "iris2": 0.15},
    "chiSquared": 214.3,
    "pValue": 1.6e-48,
    "mismatch": True,
}
FITTING = {**MISMATCH, "observed": {"iris": 0.71, "iris2": 0.29}, "pValue": 0.2713, "mismatch": False}


def outcomes(rate: float | None = 0.0041, **latency: tuple[float, float, float | None]) -> dict[str, Any]:
    return {
        "byCode": {"2xx": 720, "5xx": 3},
        "errors": {"count": 3, "rate": rate, "low": 0.0014, "high": 0.0121},
        "latency": {p: dict(zip(("value", "low", "high"), e, strict=True)) for p, e in latency.items()} or None,
    }


def measured(split: Any = FITTING, **changes: Any) -> dict[str, Any]:
    """An experiment with requests: iris has answered many, iris2 few, the mirror none."""
    document = a_document(split=split, **changes)
    iris, iris2 = document["candidates"]
    iris["outcomes"] = outcomes(p50=(0.00312, 0.00304, 0.0032), p90=(0.02, 0.019, 0.021), p99=(1.5, 1.25, 2.0))
    iris2["outcomes"] = outcomes(0.0, p50=(0.00031, 0.0003, 0.00033), p90=(0.02, 0.01, 0.1), p99=(0.5, 0.25, None))
    document["mirror"] |= {"requests": 0, "outcomes": outcomes(None)}
    return document


def status(document: dict[str, Any], *, wide: bool = False, width: int = 80) -> list[str]:
    return drawn(experiment_status(ExperimentView.of(document), wide=wide), width)


def test_a_status_shows_errors_and_latencies_with_their_intervals() -> None:
    lines = status(measured())
    at = next(i for i, line in enumerate(lines) if "ERRORS" in line)
    assert lines[at : at + 3] == [
        "CANDIDATE  ERRORS              P50                 P99",
        "iris       0.41 % (0.14–1.21)  3.12 ms (3.04–3.2)  1.5 s (1.25–2)",
        "iris2      0 % (0.14–1.21)     310 µs (300–330)    500 ms (from 250)",
    ]
    assert "split       iris 71 %, iris2 29 % of 2000 fresh requests: fits the weights" in lines


def test_a_wide_one_shows_every_percentile_and_the_mirror_as_soon_as_it_has_answered() -> None:
    document = measured()
    document["mirror"] |= {"requests": 9, "outcomes": outcomes(1.0, p50=(12, 11, 13))}
    lines = status(document, wide=True, width=200)
    at = next(i for i, line in enumerate(lines) if "ERRORS" in line)
    assert lines[at].split() == ["CANDIDATE", "ERRORS", "P50", "P90", "P99"]
    assert lines[at + 3].split() == ["iris3", "(mirror)", "100", "%", "(0.14–1.21)", "12", "s", "(11–13)", "-", "-"]


def test_a_mismatch_is_said_with_what_was_to_be() -> None:
    lines = status(measured(MISMATCH), width=200)
    assert (
        "split       MISMATCH: iris 85 % instead of 70 %, iris2 15 % instead of 30 % of 2000 fresh requests"
        " (p-value 1.6e-48)"
    ) in lines


@pytest.mark.parametrize("wide", [False, True])
def test_a_list_marks_a_mismatch(wide: bool) -> None:
    experiments, _ = listed(a_list(measured(MISMATCH, name="wrong"), measured(name="right")))
    lines = drawn(experiment_list(experiments, (), wide=wide), 200)
    (marked,) = [line for line in lines if "MISMATCH" in line]
    assert marked.startswith("wrong: split MISMATCH: iris 85 % instead of 70 %, iris2 15 % instead of 30 % of 2000")


def test_without_requests_there_is_no_table_and_no_split() -> None:
    lines = status(a_document(split=None))
    assert not any("ERRORS" in line or line.startswith("split") for line in lines)


@settings(max_examples=50)
@given(broken(measured(MISMATCH)))
def test_whatever_fits_can_be_drawn(document: Any) -> None:
    try:
        shown = ExperimentView.of(document)
    except MisfitError as misfit:
        assert str(misfit).isprintable()
        return
    for wide in (False, True):
        assert drawn(experiment_status(shown, wide=wide))
        assert drawn(experiment_list([shown], (), wide=wide))
