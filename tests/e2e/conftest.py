"""The stage as a fixture; what extproc and Envoy logged is shown when a test fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage


@pytest.fixture
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    """An empty stage: the test writes resources and starts it."""
    built = Stage(tmp_path)
    show_on_failure(request.node, lambda: ("extproc and Envoy", built.tail()))
    try:
        yield built
    finally:
        built.close()
