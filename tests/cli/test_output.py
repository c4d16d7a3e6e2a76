"""What is written to stdout: plain without a terminal, coloured on one, and readable in every encoding."""

import io
import json
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from extproc.cli.output import Output, write_document, write_line, write_table
from extproc.wire import yaml12

LONG = "x" * 300


@pytest.fixture(autouse=True)
def no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


def into(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Makes stdout a file of that encoding."""
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding=encoding))
    return written


def test_without_a_terminal_there_are_no_escape_codes_and_no_blanks_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table = Table(box=None)
    table.add_column("NAME")
    table.add_row(Text("iris", style="red"))
    table.add_row("a longer name")
    write_table(table, Output.TEXT)
    assert capsys.readouterr().out == " NAME\n iris\n a longer name\n"


def test_on_a_terminal_there_is_colour(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    write_table(Text("ACTIVE", style="green"), Output.TEXT)
    assert capsys.readouterr().out == "\x1b[32mACTIVE\x1b[0m\n"


@pytest.mark.parametrize(("output", "lines"), [(Output.TEXT, 4), (Output.WIDE, 1)])
def test_80_columns_and_in_a_pipe_wide_is_as_wide_as_it_needs(
    output: Output, lines: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write_table(Text(LONG), output)
    assert capsys.readouterr().out.count("\n") == lines


def test_a_narrow_terminal_loses_no_name(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table = Table("NAME", "SPLIT", box=None, pad_edge=False)
    table.columns[1].no_wrap = True
    table.add_row("iris-ab", "x" * 60)
    write_table(table, Output.TEXT)
    assert capsys.readouterr().out.splitlines()[1].split() == ["iris-ab", "x" * 60]


def test_nothing_in_a_text_is_read_as_markup_or_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    write_table("[red]a[/red] :smile: :iris_1:", Output.TEXT)
    assert capsys.readouterr().out == "[red]a[/red] :smile: :iris_1:\n"


@pytest.mark.parametrize(("encoding", "line"), [("utf-8", "██░ 70→50 größer 日"), ("latin-1", "##. 70>50 größer ?")])
def test_what_an_encoding_does_not_have_is_replaced(encoding: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written = into(monkeypatch, encoding)
    write_line("██░ 70→50 größer 日")
    write_table("██░ 70→50 größer 日", Output.TEXT)
    assert written.getvalue().decode(encoding).splitlines() == [line, line]


def test_json_is_the_document(capsys: pytest.CaptureFixture[str]) -> None:
    document = {"b": [1, 0.1, None, True], "a": "größer\x9b31m"}
    write_document(document, Output.JSON)
    out = capsys.readouterr().out
    assert json.loads(out) == document
    assert list(json.loads(out)) == ["b", "a"]
    assert out.isascii()


def test_a_long_text_stays_on_one_line_of_yaml(capsys: pytest.CaptureFixture[str]) -> None:
    write_document({"why": "because " * 100}, Output.YAML)
    assert capsys.readouterr().out.count("\n") == 1


@settings(max_examples=50)
@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(-(2**53), 2**53), st.text(max_size=20))
        | st.sampled_from(["no", "1e5", "0o7", "1.5s", "@type", "~", "a: b", "- x", "null", " ", "", LONG, "a\nb "]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=10,
    )
)
def test_yaml_reads_back_as_what_was_written(document: Any) -> None:
    with pytest.MonkeyPatch.context() as patch:
        written = into(patch, "utf-8")
        write_document(document, Output.YAML)
        text = written.getvalue().decode()
    assert yaml12.documents(text) == [document]
    assert text.isascii()
