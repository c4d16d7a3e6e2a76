"""YAML by the core schema of YAML 1.2, and nothing beyond what JSON can say."""

import math
from typing import Any

import pytest

from extproc.wire.values import Doubled, Unreadable
from extproc.wire.yaml12 import documents


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # What YAML 1.1 would have made a boolean, a date, a number in base 60 or a merge.
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("2026-01-01", "2026-01-01"),
        ("12:30:45", "12:30:45"), ("1_000", "1_000"), ("0b1", "0b1"), ("=", "="), ("<<", "<<"),
        ("true", True), ("False", False), ("~", None), ("null", None), ("NULL", None),
        ("0", 0), ("-7", -7), ("+7", 7), ("007", 7), ("0o17", 15), ("0x1F", 31), ("-0x1F", "-0x1F"),
        ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0), ("-1.5E-3", -0.0015),
        (".inf", math.inf), ("-.INF", -math.inf),
        ("1e3x", "1e3x"), ("'7'", "7"), ('"true"', "true"), ("|\n  7\n", "7\n"), ("''", ""),
        ("!!str 7", "7"), ("! 7", "7"), ("!!int 7", 7), ("!!float 1.5", 1.5), ("!!null ~", None), ("!!bool true", True),
        ("!!map {a: 1}", {"a": 1}), ("!!seq [1]", [1]), ("&a x", "x"),
        ("{1: a, true: b, null: c, 1.5: d}", {"1": "a", "true": "b", "null": "c", "1.5": "d"}),
        ("a: &x 1\nb: *x", {"a": 1, "b": 1}), ("&k a: 1\nb: *k", {"a": 1, "b": "a"}),
        ("a:\nb: []\nc: {}", {"a": None, "b": [], "c": {}}),
        ("- - 1\n  - 2\n- a: {b: [c]}", [[1, 2], {"a": {"b": ["c"]}}]),
        ("%YAML 1.1\n---\nno: yes", {"no": "yes"}),
    ],
)  # fmt: skip
def test_a_text_has_this_value(text: str, value: Any) -> None:
    assert documents(text) == [value]
    assert type(documents(text)[0]) is type(value)


def test_not_a_number_is_one() -> None:
    (value,) = documents(".nan")
    assert math.isnan(value)


def test_documents_are_kept_apart() -> None:
    assert documents("a\n---\n---\nb\n...\n---\nc") == ["a", None, "b", "c"]
    assert documents("") == []
    with pytest.raises(Unreadable, match=r"line 3, column 1: \*x refers to nothing"):
        documents("&x a\n---\n*x")


def test_a_key_given_twice_is_marked() -> None:
    (value,) = documents("a: 1\nb: 2\na: 3\n'b': 4\nc: 5")
    assert isinstance(value, Doubled)
    assert value == {"a": 3, "b": 4, "c": 5}
    assert value.doubled == {"a", "b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("!!set {a}", "line 1, column 1: the tag tag:yaml.org,2002:set is not read: leave it out"),
        ("!!binary aGk=", "line 1, column 1: the tag tag:yaml.org,2002:binary is not read"),
        ("!!timestamp 2026-01-01", "the tag tag:yaml.org,2002:timestamp is not read"),
        ("? {a: 1}\n: 2", "line 1, column 3: a key must be a plain text"),
        ("a: &x [1]\n*x : 2", "line 2, column 1: a key must be a plain text"),
        ("a: 'x", "line 1, column 6: found unexpected end of stream"),
    ],
)
def test_what_is_not_read_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(Unreadable) as raised:
        documents(text)
    assert message in str(raised.value)


def test_100_levels_are_deep_enough_and_101_too_deep() -> None:
    assert documents("[" * 100 + "]" * 100)
    with pytest.raises(Unreadable, match="line 1, column 101: is nested deeper than 100 levels"):
        documents("[" * 101 + "]" * 101)
