"""Steps of five seconds: what ended in each, how long it took, and what comes late."""

import pytest

from extproc.control.histograms import bucket
from extproc.control.timeline import IDLE, OPEN, STEP, STEPS, Point, Series, window

AT = 1_800_000_000  # the begin of a step
STEP_0 = AT // STEP


def add(series: Series, after: float, *, failed: bool = False, seconds: float = 0.01) -> None:
    series.add(AT + after, failed, bucket(seconds))


def test_each_step_has_its_own_requests() -> None:
    series = Series()
    for after in (0, 1, 4.99, 5, 9):
        add(series, after, failed=after == 1)
    points = series.points()
    assert {step - STEP_0: (point.requests, point.errors) for step, point in points.items()} == {0: (3, 1), 1: (2, 0)}


def test_percentiles_are_kept_when_a_step_is_closed() -> None:
    series = Series()
    for number in range(100):
        add(series, 0, seconds=0.01 if number < 90 else 1.0)
    before = series.points()[STEP_0]
    assert before.p50 == pytest.approx(0.01, rel=0.03)
    assert before.p99 == pytest.approx(1.0, rel=0.03)
    for later in range(1, OPEN + 2):
        add(series, later * STEP)
    assert series.points()[STEP_0] == before


def test_what_comes_after_a_step_is_closed_still_counts() -> None:
    series = Series()
    for step in range(OPEN + 2):
        add(series, step * STEP)
    add(series, 0, failed=True)
    point = series.points()[STEP_0]
    assert (point.requests, point.errors) == (2, 1)


def test_after_a_pause_everything_that_comes_at_once_is_in_its_own_step() -> None:
    """As when extproc hung, and Envoy kept its entries."""
    series = Series()
    for step in range(20):
        for _ in range(step + 1):
            add(series, step * STEP)
    assert [point.requests for point in series.points().values()] == list(range(1, 21))


def test_a_series_holds_an_hour() -> None:
    series = Series()
    for step in range(STEPS * 2):
        add(series, step * STEP)
    points = series.points()
    assert len(points) <= STEPS + OPEN
    assert max(points) == STEP_0 + STEPS * 2 - 1


def test_the_window_is_from_the_first_request_to_the_last_step_that_is_over() -> None:
    points = [{STEP_0: Point(1), STEP_0 + 3: Point(1)}, {STEP_0 + 1: IDLE}]
    assert window(points, AT + 4 * STEP + 0.5) == range(STEP_0, STEP_0 + 3)  # Envoy may still tell of the fourth
    assert window(points, AT + 4 * STEP + 1) == range(STEP_0, STEP_0 + 4)
    assert window(points, AT + STEPS * STEP + 3 * STEP) == range(STEP_0 + 3, STEP_0 + STEPS + 2)
    assert list(window([], AT)) == list(window(points, AT)) == []
