"""Values of JSON: how messages show them and their places, and keys that are given twice."""

from typing import Any

import pytest

from extproc.wire.values import Doubled, doubled, json_object, shown, step, without


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (1.5, "1.5"),
        (float("nan"), "NaN"),
        ("a\n", "'a\\n'"),
        ("\ud800", "'\\ud800'"),
        ({"a": 1}, "an object"),
        ([1], "a list"),
        pytest.param(10**5000, "a number of too many digits", id="10**5000"),
        ("x" * 100, "'" + "x" * 59 + "…"),
    ],
)
def test_a_value_is_shown_short_and_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [("", "a", "a"), ("a", "b_c", "a.b_c"), ("", "@type", "@type"), ("a", "b.c", 'a["b.c"]'), ("", "", '[""]')],
)
def test_the_path_of_a_key(path: str, key: str, expected: str) -> None:
    assert step(path, key) == expected


def test_keys_given_twice_stay_marked_when_another_key_is_taken_out() -> None:
    value = json_object([("a", 1), ("b", 2), ("a", 3), ("c", 4), ("c", 5)])
    assert isinstance(value, Doubled)
    assert value == {"a": 3, "b": 2, "c": 5}
    assert doubled(value) == {"a", "c"}
    rest = without(value, "c")
    assert rest == {"a": 3, "b": 2}
    assert doubled(rest) == {"a"}
    assert value["c"] == 5
    assert doubled(json_object([("a", 1), ("b", 2)])) == frozenset()
