"""What every test of the file source stands on."""

from pathlib import Path

import pytest

from extproc.sources import contents
from extproc.sources.contents import Writers
from tests.sources.watching import text


@pytest.fixture(params=["leases", "no leases"])
def leases(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """As the files' owner, who may ask the kernel for writers, and as someone who may not."""
    if request.param == "no leases":
        monkeypatch.setattr(contents, "_writers", lambda _: Writers.UNKNOWN)
    return bool(request.param == "leases")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A directory with one file, a.json, that offers `one`."""
    directory = tmp_path / "conf"
    directory.mkdir()
    (directory / "a.json").write_text(text("one"))
    return directory
