"""What a text from elsewhere may do to a terminal: nothing."""

from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.cli.plain import plain


def test_a_plain_text_stays_as_it_is() -> None:
    assert plain("waiting for iris2 → größer, 日本") == "waiting for iris2 → größer, 日本"


def test_lines_become_one() -> None:
    assert plain(" Envoy said:\n\tno route\r\n") == "Envoy said: no route"


def test_escape_codes_are_spelled_out() -> None:
    assert plain("\x1b[2J\x9b31m\x07\u202e") == "\\x1b[2J\\x9b31m\\x07\\u202e"


@settings(max_examples=50)
@given(st.text(st.characters()))
def test_whatever_comes_is_printable(text: str) -> None:
    assert plain(text).isprintable()
