"""The page's pure modules, run where they run: weights that sum up, rates, differences, series."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.stage import Stage
from tests.page.browser import watched

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def scripts(browser: Browser, running: Stage) -> Iterator[Page]:
    """A page where the modules are at home."""
    with watched(browser, running.extproc.admin_url) as page:
        page.goto("/")
        yield page


@pytest.fixture
def call(scripts: Page) -> Call:
    """Calls a function of a module: `call("weights", "fine", [1, 1])`."""

    def called(module: str, function: str, *arguments: object) -> Any:
        script = f"([...given]) => import('/page/{module}.js').then((module) => module.{function}(...given))"
        return scripts.evaluate(script, arguments)

    return called


@pytest.mark.parametrize(
    ("weights", "index", "value", "locked", "expected"),
    [
        ([70, 30], 0, 60, [], [60, 40]),
        ([70, 30], 0, 100, [], [100, 0]),
        ([100, 0, 0], 0, 50, [], [50, 25, 25]),  # those that had nothing share alike
        ([60, 30, 10], 0, 20, [], [20, 60, 20]),
        ([34, 33, 33], 0, 35, [], [35, 33, 32]),
        ([60, 30, 10], 0, 20, [False, True, False], [20, 30, 50]),
        ([60, 30, 10], 0, 95, [False, True, False], [70, 30, 0]),  # what is locked is not taken
        ([60, 30, 10], 0, -5, [], [0, 75, 25]),
        ([60, 40], 0, 10, [False, True], [60, 40]),  # nobody is left to give
        ([4294967295, 4294967295, 1], 2, 4294967295, [], [2147483648, 2147483648, 4294967295]),
    ],
)
def test_weights_move_against_each_other(
    call: Call, weights: list[int], index: int, value: int, locked: list[bool], expected: list[int]
) -> None:
    assert sum(expected) == sum(weights)
    assert call("weights", "rebalance", weights, index, value, locked) == expected


EVERY = """
() => import("/page/weights.js").then(({ rebalance, sum }) => {
  const wrong = [];
  let tried = 0;
  for (let a = 0; a < 7; a += 1) for (let b = 0; b < 7; b += 1) for (let c = 0; c < 7; c += 1) {
    for (let index = 0; index < 3; index += 1) for (let locks = 0; locks < 8; locks += 1) {
      const weights = [a, b, c];
      const locked = [0, 1, 2].map((i) => Boolean(locks & (1 << i)));
      for (let value = -1; value <= a + b + c + 1; value += 1) {
        const next = rebalance(weights, index, value, locked);
        tried += 1;
        const kept = next.every((weight, i) => i === index || !locked[i] || weight === weights[i]);
        if (sum(next) !== sum(weights) || next.some((weight) => weight < 0 || !Number.isInteger(weight)) || !kept) {
          wrong.push([weights, index, value, locked, next]);
        }
      }
    }
  }
  return [tried, wrong.slice(0, 5)];
})
"""


def test_whatever_is_moved_the_sum_stays(scripts: Page) -> None:
    tried, wrong = scripts.evaluate(EVERY)
    assert tried > 80_000
    assert wrong == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [([1, 1], [50, 50]), ([1, 2], [34, 68]), ([70, 30], [70, 30]), ([0, 0], [0, 0]), ([300, 1], [300, 1])],
)
def test_weights_become_fine_enough_to_be_moved(call: Call, given: list[int], expected: list[int]) -> None:
    assert call("weights", "fine", given) == expected
    assert call("weights", "same", given, expected)


def test_the_same_shares_are_no_change(call: Call) -> None:
    assert not call("weights", "same", [1, 1], [50, 51])
    assert not call("weights", "same", [4294967295, 4294967294], [4294967294, 4294967295])


def test_differences_follow_a_candidate_to_its_new_place(call: Call) -> None:
    before = {"name": "ab", "candidates": [{"name": "a", "weight": 1}, {"name": "b", "weight": 2}]}
    after = {"candidates": [{"name": "b", "weight": 2}, {"name": "a", "weight": 3}], "name": "ab", "timeout": "1s"}
    assert call("differences", "differences", before, after) == [
        {"path": "candidates[a].weight", "before": "1", "after": "3"},
        {"path": "timeout", "before": None, "after": "1s"},
    ]


def test_differences_tell_clusters_apart_by_what_they_are_called(call: Call) -> None:
    before = {"candidates": [{"cluster": "a", "weight": 1}, {"name": "b", "cluster": "x", "weight": 2}]}
    after = {"candidates": [{"name": "b", "cluster": "y", "weight": 2}, {"cluster": "a", "weight": 3}]}
    assert call("differences", "differences", before, after) == [
        {"path": "candidates[a].weight", "before": "1", "after": "3"},
        {"path": "candidates[b].cluster", "before": "x", "after": "y"},
    ]


RATES = """
() => import("/page/rates.js").then(({ Rates }) => {
  const rates = new Rates();
  const at = (seconds, requests, revision = 1) =>
    rates.note([{ name: "ab", revision, candidates: [{ name: "a", requests }] }], seconds);
  const now = (revision = 1) => rates.of({ name: "ab", revision }, { name: "a" });
  const seen = [];
  at(0, 100); seen.push(now());
  at(2, 120); seen.push(now());
  at(10, 200); seen.push(now());
  at(20, 200); seen.push(now());  // only the last ten seconds count
  at(21, 5, 2); seen.push(now(2));
  at(23, 9, 2); seen.push(now(2));
  at(24, 0, 2); seen.push(now(2));  // counted anew
  return seen;
})
"""


def test_rates_are_of_the_last_seconds(scripts: Page) -> None:
    assert scripts.evaluate(RATES) == [None, 10, 10, 0, None, 2, None]


def test_a_gap_in_the_timeline_stays_a_gap(scripts: Page) -> None:
    def point(second: int, requests: int) -> dict[str, Any]:
        cells = {"a": {"requests": requests, "errors": 0, "p50": 0.1, "p99": 0.2}}
        return {
            "at": f"2026-01-01T00:00:{second:02}Z",
            "candidates": cells,
            "untouched": {"holdout": {"requests": 3}},
            "mirror": {"requests": 5},
        }

    timeline = {"step": 5, "points": [point(0, 10), point(5, 20), point(30, 30)]}
    script = (
        "([timeline]) => import('/page/series.js').then(({ columns, MEASURES }) =>"
        " columns(timeline, MEASURES[0], ["
        "['a', 'candidate'], ['b', 'candidate'], ['a', 'holdout'], ['m', 'mirror']"
        "].map(([name, role]) => ({ who: { name }, role })), 15))"
    )
    times, a, b, held, m = scripts.evaluate(script, [timeline])
    assert held == [0.6, 0.6, None, 0.6]
    assert [at - times[0] for at in times] == [0, 5, 10, 30]
    assert (a, b, m) == ([2, 4, None, 6], [0, 0, None, 0], [1, 1, None, 1])


@pytest.mark.parametrize(
    ("function", "value", "text"),
    [
        ("percent", 0, "0 %"),
        ("percent", 0.7, "70 %"),
        ("percent", 0.33333, "33.3 %"),
        ("percent", 0.00412, "0.41 %"),
        ("percent", 0.9996, "99.96 %"),
        ("percent", 0.00001, "< 0.01 %"),
        ("percent", None, "–"),
        ("seconds", 0.00042, "420 µs"),
        ("seconds", 0.0031, "3.1 ms"),
        ("seconds", 0.1234, "123 ms"),
        ("seconds", 12.34, "12.3 s"),
        ("rate", 0.02, "< 0.1"),
        ("rate", 3.14, "3.1"),
        ("rate", 12345.6, "12,346"),
        ("count", None, "–"),
    ],
)
def test_numbers_read_well(call: Call, function: str, value: float | None, text: str) -> None:
    assert call("format", function, value).replace("\u00a0", " ") == text
