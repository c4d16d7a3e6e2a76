"""The stage as fixtures; what extproc and Envoy logged is shown when a test fails.

Starting everything costs seconds, so tests that change nothing share one stage for their module.
"""

from collections.abc import Callable, Iterator
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


@pytest.fixture(scope="module")
def open_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Stage]]:
    """Builds stages that last as long as the module."""
    built: list[Stage] = []

    def build() -> Stage:
        built.append(Stage(tmp_path_factory.mktemp("stage")))
        return built[-1]

    yield build
    for stage in built:
        stage.close()
