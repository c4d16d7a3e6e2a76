"""The `extproc` command run in this process as its entry point runs it, and an admin HTTP for it to speak to."""

import io
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from extproc.cli import main
from tests.cli.fake_admin import FakeAdmin


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended, and what it wrote."""

    code: int
    out: str
    err: str


Extproc = Callable[..., Ran]


@pytest.fixture
def admin() -> Iterator[FakeAdmin]:
    """An admin HTTP without experiments; that a client broke the contract fails its test."""
    fake = FakeAdmin()
    try:
        yield fake
        assert fake.violations == []
    finally:
        fake.close()


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock shows UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def extproc(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    in_utc: None,
) -> Extproc:
    """Runs `extproc <arguments>` as ada, in UTC, without a terminal: `extproc("experiment", "list", stdin=b"")`."""
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "EXTPROC_ADMIN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LOGNAME", "ada")

    def run(*arguments: str | Path, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        with pytest.raises(SystemExit) as ended:
            main(*map(str, arguments))
        captured = capsys.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err)

    return run


@pytest.fixture
def experiment(extproc: Extproc, admin: FakeAdmin) -> Extproc:
    """Runs `extproc experiment <arguments>` against `admin`."""
    return lambda *arguments, stdin=b"": extproc("experiment", *arguments, "--admin", admin.url, stdin=stdin)
