"""What a person reads: the table's cells, the sums below it, and what to try with --keep."""

import io
import re
import shlex
from pathlib import Path

from rich.console import Console

from extproc.demo.report import Line, Phase, Result
from extproc.demo.screen import Screen

PHASE = Phase(
    1000,
    (
        Line("iris", 70, configured=0.7, observed=0.712, requests=712, accuracy=0.9221, p50_ms=111.26, p99_ms=1300.0),
        Line("iris2", 30, configured=0.3, observed=0.288, requests=288, accuracy=None, p50_ms=None, p99_ms=None),
    ),
)
RESULT = Result(
    (PHASE,), live_after_ms=31.4, requests=2016, mirror="iris3", mirror_percent=20, mirrored=402, mislabelled=0
)


def screen() -> tuple[Screen, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, width=80)  # what a pipe and a small terminal have
    return Screen(console, console), text


def test_the_table_shows_configured_and_observed_shares() -> None:
    shown, text = screen()
    shown.tables("iris-ab", RESULT)
    rows = [
        re.split(r"\s{2,}", line.strip())
        for line in text.getvalue().splitlines()
        if line.startswith(" iris") and "%" in line
    ]
    assert rows == [
        ["iris", "70.0%", "71.2%", "712", "92.2%", "111.3 ms", "1300.0 ms"],
        ["iris2", "30.0%", "28.8%", "288", "-", "-", "-"],
    ]
    assert "iris-ab with iris 70, iris2 30: 1,000 requests" in text.getvalue()


def test_below_it_stand_the_copies_and_the_edit() -> None:
    shown, text = screen()
    shown.tables("iris-ab", RESULT)
    flat = " ".join(text.getvalue().split())
    assert "Mirrored to iris3: 402 of all 2,016 requests (19.9%; configured 20%)." in flat
    assert "The edit was live 31 ms after the file was saved." in flat


def test_the_bar_counts() -> None:
    shown, text = screen()
    with shown.bar("iris 70, iris2 30", 10) as bar:
        bar.show(10)
    assert "10/10" in text.getvalue()


def test_keep_prints_a_command_that_can_be_pasted() -> None:
    shown, text = screen()
    shown.kept("http://127.0.0.1:9000", "http://127.0.0.1:8080", Path(".demo/iris.json"), "iris")
    lines = text.getvalue().splitlines()
    command = next(line for line in lines if line.startswith("curl "))
    assert shlex.split(command)[:3] == ["curl", "-si", "http://127.0.0.1:9000/v2/models/iris/infer"]
    assert any("http://127.0.0.1:8080/api/v1/experiments" in line for line in lines)
    assert any(".demo/iris.json" in line for line in lines)
