"""The demo's parts as they stand on the stage."""

import pytest

from extproc.demo.show import Collector
from extproc.errors import InvalidSettings


@pytest.mark.parametrize(
    ("endpoint", "expected"),
    [
        ("", None),
        ("jaeger:4317", Collector("jaeger:4317", "jaeger:4317")),
        ("http://[::1]:4317/", Collector("http://[::1]:4317/", "[::1]:4317")),
        ("jaeger:4318", Collector("jaeger:4318", "")),
        ("https://jaeger:4317", Collector("https://jaeger:4317", "")),
    ],
)
def test_who_takes_the_models_spans(endpoint: str, expected: Collector | None) -> None:
    assert Collector.given(endpoint, {}) == expected


def test_what_is_no_collector_is_said_before_anything_starts() -> None:
    with pytest.raises(InvalidSettings, match="--otlp-endpoint"):
        Collector.given("nonsense", {})
