"""One `extproc up` and one browser for all tests of the page; each test has an experiment and a page of its own."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.conftest import show_on_failure
from tests.e2e.stage import Stage, experiment
from tests.page.browser import chromium_binary, launched, watched

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if not chromium_binary():
        pytest.skip("no chromium: name one in CHROMIUM_BIN, or apt-get install chromium")
    with launched() as running:
        yield running


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Stage]:
    built = Stage(tmp_path_factory.mktemp("page"))
    try:
        built.write(experiment("filed", {"iris3": 1}))
        built.start("up", "--admin-write", "--jaeger-url", "http://jaeger.example:16686")
        yield built
    finally:
        built.close()


@pytest.fixture
def stage(running: Stage, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """With the experiment `iris-ab` at 70 to 30, with a mirror."""
    show_on_failure(request.node, lambda: ("extproc and Envoy", running.tail()))
    running.put(iris_ab(70, 30))
    yield running
    running.stop("iris-ab")


@pytest.fixture
def open_page(browser: Browser, stage: Stage) -> Iterator[Open]:
    """Opens the page: `open_page("#/experiments/iris-ab", width=400, scheme="dark")`."""
    with ExitStack() as stack:

        def opened(where: str = "", **options: Any) -> Page:
            page: AbstractContextManager[Page] = watched(browser, stage.extproc.admin_url, **options)
            found = stack.enter_context(page)
            found.goto(f"/{where}")
            return found

        yield opened


def iris_ab(*weights: int, **fields: Any) -> dict[str, Any]:
    named = dict(zip(("iris", "iris2"), weights, strict=True))
    return experiment("iris-ab", named, default="iris", mirror={"name": "iris3", "percent": 10}, **fields)
