"""Fixtures that start real things and end them, and the check that no test left a process behind."""

import os
import signal
import uuid
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings

from tests.harness.envoy import RunningEnvoy
from tests.harness.extproc import RunningExtproc
from tests.harness.models import ModelServer
from tests.harness.waiting import eventually

_MARK: Final = "TEST_SESSION_OF_EXTPROC"  # stands in the environment of everything a test starts
_LONG: Final = ("test_readme.py", "demo", "e2e", "page", "test_app.py", "processes", "benchmarks")  # in tests/
_LOGS: Final = pytest.StashKey[list[Callable[[], tuple[str, str]]]]()


def pytest_configure() -> None:
    """No example of Hypothesis is bound in time, since a busy machine is no bug; else its profile is as it was."""
    settings.register_profile("untimed", settings.get_profile(settings.get_current_profile_name()), deadline=None)
    settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with long tests come first: else, at the end, one process would run them and the others wait."""
    root = Path(__file__).parents[1]

    def rank(item: pytest.Item) -> int:
        first = item.path.relative_to(root).parts[1]
        return _LONG.index(first) if first in _LONG else len(_LONG)

    items.sort(key=rank)


@pytest.fixture(scope="session", autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails the run when a process that a test started is still there at its end, and ends that process."""
    mark = f"{_MARK}={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    os.environ[name] = value
    yield
    del os.environ[name]
    try:
        eventually(
            lambda: _marked(mark), within=5, saying="every process that a test started is gone", until=lambda p: not p
        )
    finally:
        for pid in _marked(mark):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def model_server() -> Iterator[Callable[..., ModelServer]]:
    """Starts stub model servers: `model_server("iris", served="iris-v2")`."""
    with ExitStack() as stack:
        yield lambda *args, **options: stack.enter_context(ModelServer(*args, **options))


@pytest.fixture
def start_envoy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., RunningEnvoy]]:
    """Starts Envoys: `start_envoy(config)`; the log is shown when the test fails."""
    with ExitStack() as stack:

        def start(config: dict[str, Any], **options: Any) -> RunningEnvoy:
            running = stack.enter_context(RunningEnvoy.start(config, tmp_path, **options))
            show_on_failure(request.node, lambda: ("Envoy", running.tail()))
            return running

        yield start


@pytest.fixture
def start_extproc(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., RunningExtproc]]:
    """Starts the product: `start_extproc("up", "--resources", path)`; its output is shown when the test fails."""
    with ExitStack() as stack:

        def start(*arguments: str | Path, **options: Any) -> RunningExtproc:
            running = stack.enter_context(RunningExtproc.start(arguments, tmp_path, **options))
            show_on_failure(request.node, lambda: ("extproc", running.tail()))
            return running

        yield start


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.when == "call":
        report.sections.extend(log() for log in item.stash.get(_LOGS, []))
    return report


def show_on_failure(item: pytest.Item, log: Callable[[], tuple[str, str]]) -> None:
    item.stash.setdefault(_LOGS, []).append(log)


def _marked(mark: str) -> dict[int, str]:
    """The command lines of all processes but this one that were started with `mark` in their environment."""
    found = {}
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it ended while we looked, or is not ours
            continue
    return found
