"""Sums over answers: exact counts, shares, percentiles."""

import pytest

from extproc.demo import report, scenario
from extproc.demo.report import Line
from extproc.demo.scenario import Scenario
from extproc.demo.traffic import Answer

SAID = Scenario.read(scenario.FILE.read_text())


def answers(route: str, model: str, count: int, correct: int, seconds: float = 0.01) -> list[Answer]:
    return [Answer(0.0, seconds, route, model, correct=i < correct) for i in range(count)]


def test_a_phase_has_a_line_for_each_candidate() -> None:
    phase = report.phase(
        [*answers(":iris_1:", "iris", 30, 27, 0.002), *answers(":iris2_2:", "iris-v2", 10, 10, 0.004)], SAID
    )
    assert phase.requests == 40
    assert phase.candidates == (
        Line("iris", 70, configured=0.7, observed=0.75, requests=30, accuracy=0.9, p50_ms=2.0, p99_ms=2.0),
        Line("iris2", 30, configured=0.3, observed=0.25, requests=10, accuracy=1.0, p50_ms=4.0, p99_ms=4.0),
    )


def test_a_candidate_that_answered_nothing_has_no_accuracy() -> None:
    line = report.phase(answers(":iris_1:", "iris", 3, 3), SAID).candidates[1]
    assert (line.requests, line.observed, line.accuracy, line.p50_ms) == (0, 0.0, None, None)


def test_answers_of_strangers_count_as_requests_of_nobody() -> None:
    phase = report.phase([*answers(":iris_1:", "iris", 3, 3), *answers("", "iris", 1, 1)], SAID)
    assert phase.requests == 4
    assert [line.requests for line in phase.candidates] == [3, 0]


def test_an_answer_is_mislabelled_when_its_header_names_another_model() -> None:
    right = [*answers(":iris_1:", "iris", 2, 0), *answers(":iris2_2:", "iris-v2", 2, 0)]
    assert report.mislabelled(right, SAID) == 0
    wrong = [*answers(":iris_1:", "iris-v2", 1, 0), *answers(":iris2_1:", "iris-v2", 1, 0), *answers("", "iris", 1, 0)]
    assert report.mislabelled(right + wrong, SAID) == 3


@pytest.mark.parametrize(
    ("count", "percent", "milliseconds"),
    [(0, 50, None), (1, 99, 1.0), (2, 50, 1.0), (3, 50, 2.0), (100, 50, 50.0), (100, 99, 99.0), (101, 99, 100.0)],
)
def test_percentiles_are_values_that_occurred(count: int, percent: int, milliseconds: float | None) -> None:
    assert report.percentile([i / 1000 for i in range(1, count + 1)], percent) == milliseconds
