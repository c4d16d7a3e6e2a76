"""Reading a JSON object field by field: the type that was asked for, or the place that does not fit."""

from typing import Any

import pytest

from extproc.cli.document_reader import MisfitError, Reader

DOCUMENT = Reader({
    "text": "a\n\x1bb",
    "whole": 3,
    "number": 0.5,
    "flag": True,
    "null": None,
    "inside": {"text": 5, "list": [{"a": "b"}, 7]},
    "other": [1],
})  # fmt: skip


def test_fields_have_the_type_that_was_asked_for() -> None:
    assert DOCUMENT.text("text") == "a \\x1bb"
    assert DOCUMENT.whole("whole") == 3
    assert (DOCUMENT.number("number"), DOCUMENT.number("whole")) == (0.5, 3.0)
    assert DOCUMENT.flag("flag") is True
    assert [item.text("a") for item in Reader({"x": [{"a": "b"}]}).each("x")] == ["b"]
    assert Reader({"a": True, "b": False}).flags() == {"a": True, "b": False}
    assert DOCUMENT.rest("whole", "number", "flag", "null", "inside") == {"text": "a \\x1bb", "other": "[1]"}


@pytest.mark.parametrize("key", ["null", "nothing"])
def test_what_is_null_or_absent_gives_what_stands_in_for_it(key: str) -> None:
    assert DOCUMENT.text(key, "x") == "x"
    assert DOCUMENT.whole(key, None) is None
    assert DOCUMENT.number(key, 1.0) == 1.0
    assert DOCUMENT.flag(key, None) is None
    assert DOCUMENT.inside(key, None) is None
    assert list(DOCUMENT.each(key)) == []


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda: DOCUMENT.text("nothing"), "nothing is missing"),
        (lambda: DOCUMENT.text("whole"), "whole is no text"),
        (lambda: DOCUMENT.whole("number"), "number is no whole number"),
        (lambda: DOCUMENT.whole("flag"), "flag is no whole number"),
        (lambda: DOCUMENT.number("flag"), "flag is no number"),
        (lambda: Reader({"n": float("inf")}).number("n"), "n is no number"),
        (lambda: Reader({"n": float("nan")}).number("n"), "n is no number"),
        (lambda: Reader({"n": 10**400}).number("n"), "n is no number"),
        (lambda: Reader({"n": -1}).whole("n"), "n is no whole number"),
        (lambda: DOCUMENT.flag("text"), "text is neither true nor false"),
        (lambda: DOCUMENT.inside("text"), "text is no object"),
        (lambda: DOCUMENT.inside("inside").text("text"), r"inside\.text is no text"),
        (
            lambda: [item.text("a") for item in DOCUMENT.inside("inside").each("list")],
            r"inside\.list\[1\] is no object",
        ),
        (lambda: list(DOCUMENT.each("text")), "text is no list"),
        (lambda: list(DOCUMENT.each("nothing", required=True)), "nothing is no list"),
        (DOCUMENT.flags, "text is neither"),
        (lambda: Reader([]), "the document is no object"),
        (lambda: Reader({"\x1b": {}}).text("\x1b"), r"\\x1b is no text"),
    ],
)
def test_what_does_not_fit_is_named(read: Any, said: str) -> None:
    with pytest.raises(MisfitError, match=f"^{said}"):
        read()
