"""Texts that can't be read to their end, broken in every way that users break them; and how JSON is told from YAML."""

import json

import pytest

from extproc.wire.manifests import read
from extproc.wire.syntax import documents
from tests.wire.given import a_model, the_only

BROKEN: list[tuple[str | bytes, str, str]] = [
    ('{"a": 1,\n  "b": }', "f.json", "line 2, column 8: Expecting value"),
    ('{"a": 1,\n  "b": }', "body", "line 2, column 8: Expecting value"),
    ("a: 1\n", "f.json", "line 1, column 1: Expecting value"),
    ('{"a": 1} {"b": 1}', "f.json", "line 1, column 10: Extra data"),
    ("a: b: c\n", "f.yaml", "line 1, column 5: mapping values are not allowed here"),
    ("a: 1\n  b: 2\n", "f.yml", "line 2, column 4: mapping values are not allowed here"),
    ("a: [1, 2\n", "f.yaml", "line 2, column 1: "),
    ("@type: x\n", "f.yaml", "line 1, column 1: found character '@' that cannot start any token: put \"@type\" in"),
    ("a: *b\n", "f.yaml", "line 1, column 4: *b refers to nothing that stands complete before it"),
    ("a: &a [*a]\n", "f.yaml", "line 1, column 8: *a refers to nothing that stands complete before it"),
    ("a: !!python/object:os.system x\n", "f.yaml", "line 1, column 4: the tag "),
    ("a: !cluster {}\n", "f.yaml", "line 1, column 4: the tag !cluster is not read: leave it out"),
    ("? [a]\n: 1\n", "f.yaml", "line 1, column 3: a key must be a plain text"),
    ("[" * 100_000, "f.json", "is nested too deeply"),
    ("[" * 100_000, "f.yaml", "line 1, column 101: is nested deeper than 100 levels"),
    ("- " * 1000, "f.yaml", "line 1, column 201: is nested deeper than 100 levels"),
    ('{"a": ' + "9" * 5000 + "}", "f.json", "holds a number of too many digits"),
    ("a: " + "9" * 5000, "f.yaml", "line 1, column 4: a number has too many digits"),
    (b"a: 1\nb: \xe9\n", "f.yaml", "line 2: byte 0xe9 is no UTF-8: save the file as UTF-8"),
    ('{"a": 1}'.encode("utf-16"), "f.json", "is UTF-16: save it as UTF-8"),
    (b"a: \x00\n", "f.yaml", "unacceptable character #x0000"),
    ("%YAML 9.9\n---\na: 1\n", "f.yaml", "line 1, column 1: found incompatible YAML document"),
]


@pytest.mark.parametrize(("text", "origin", "expected"), BROKEN, ids=lambda value: str(value)[:40])
def test_a_text_that_cannot_be_read_to_its_end_is_not_read_at_all(
    text: str | bytes, origin: str, expected: str
) -> None:
    document = read(text, origin)
    assert document.offers == ()
    assert len(document.problems) == 1
    assert str(document.problems[0]).startswith(expected)


def test_aliases_of_aliases_cost_no_more_than_their_limit() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    document = read("\n".join(lines), "bomb.yaml")
    assert "aliases stand for more than 100000 values" in str(document.problems[0])


def test_a_byte_order_mark_is_skipped() -> None:
    text = json.dumps(a_model())
    assert the_only(b"\xef\xbb\xbf" + text.encode()) == the_only("\ufeff" + text) == the_only(text)


@pytest.mark.parametrize("origin", ["f.json", "f.JSON", "api"])
def test_json_is_told_by_its_name_or_its_first_character(origin: str) -> None:
    assert documents(' {"a": 1}', origin) == [{"a": 1}]
    assert "Expecting property name" in str(read("{a: 1}", origin).problems[0])


@pytest.mark.parametrize("origin", ["f.yaml", "f.YML", "f.yml"])
def test_yamls_own_braces_are_read_where_the_name_says_yaml(origin: str) -> None:
    assert documents("{a: 1}", origin) == [{"a": 1}]
    assert documents('{"a": 1}\n---\n{b: 2}', origin) == [{"a": 1}, {"b": 2}]


def test_without_a_name_the_first_character_decides() -> None:
    assert documents("a: 1", "api") == [{"a": 1}]
    assert documents("[1, 2]", "api") == [[1, 2]]
