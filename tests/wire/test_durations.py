"""Durations as proto3 JSON writes them, exactly."""

import pytest
from google.protobuf.duration_pb2 import Duration
from hypothesis import given
from hypothesis import strategies as st

from extproc.wire import durations


@given(st.integers(-(10**14), 10**14))
def test_text_and_milliseconds_are_one_and_the_same(value: int) -> None:
    text = durations.text(value)
    assert durations.milliseconds(text) == value
    protobuf = Duration()
    protobuf.FromJsonString(text)
    assert protobuf.ToMilliseconds() == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[("0s", 0), ("1s", 1000), ("1.5s", 1500), ("0.001s", 1), ("-0.25s", -250), ("1.500000000s", 1500)],
        *[("007s", 7000), ("30m", 1_800_000), ("720h", 2_592_000_000), ("0.5h", 1_800_000)],
        *[("1.00005m", 60_003), ("-1m", -60_000)],
    ],
)
def test_what_is_read(text: str, value: int) -> None:
    assert durations.milliseconds(text) == value


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0s"), (1, "0.001s"), (1500, "1.5s"), (60_000, "60s"), (-50, "-0.05s")]
)
def test_what_is_written(value: int, text: str) -> None:
    assert durations.text(value) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "s",
        "1",
        "1ms",
        "1d",
        "1h30m",
        "1.s",
        ".5s",
        "1 s",
        " 1s",
        "1s\n",
        "+1s",
        "1e3s",
        "١s",
        "1.0000000001s",
        "--1s",
    ],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration: write it in seconds, minutes or hours, like '1\.5s'"):
        durations.milliseconds(text)


@pytest.mark.parametrize("text", ["0.0005s", "1.0001s", "0.000000001s", "0.00000001h"])
def test_what_is_too_fine(text: str) -> None:
    with pytest.raises(ValueError, match="finer than a millisecond"):
        durations.milliseconds(text)


def test_what_is_too_long() -> None:
    with pytest.raises(ValueError, match="over ten thousand years"):
        durations.milliseconds("315576000000s")
    with pytest.raises(ValueError, match="over ten thousand years"):
        durations.milliseconds("87660000h")
