"""Route tokens outlive the command, each for its own URL and model, and never half-written."""

import json
import os
import threading
from pathlib import Path

import pytest

from extproc.inference.kept_routes import KeptRoutes, RouteNotKeptError, state_folder

URL = "http://127.0.0.1:9000"


def test_a_token_is_kept_for_its_url_and_model(tmp_path: Path) -> None:
    kept = KeptRoutes(tmp_path / "state")
    assert kept.read(URL, "iris") == ""
    kept.keep(URL, "iris", ":iris_1:")
    kept.keep(URL, "wine", ":wine_1:")
    kept.keep("http://other:9000", "iris", ":iris2_2:")
    kept.keep(URL, "iris", ":iris3_1:")
    again = KeptRoutes(tmp_path / "state")
    assert [again.read(URL, "iris"), again.read(URL, "wine")] == [":iris3_1:", ":wine_1:"]
    assert again.read("http://other:9000", "iris") == ":iris2_2:"
    assert again.read("http://other:9000", "wine") == ""


def test_only_the_user_can_read_them_and_nothing_else_is_left(tmp_path: Path) -> None:
    KeptRoutes(tmp_path / "state").keep(URL, "iris", ":iris_1:")
    folder = tmp_path / "state" / "routes"
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"route": 5}', '{"route": ""}', '{"route": "a\\r\\nb: c"}', '{"route": "é"}', "\udcff"],
)
def test_what_is_no_token_is_none(tmp_path: Path, content: str) -> None:
    kept = KeptRoutes(tmp_path)
    kept.keep(URL, "iris", ":iris_1:")
    (file,) = (tmp_path / "routes").iterdir()
    file.write_bytes(content.encode(errors="surrogateescape"))
    assert kept.read(URL, "iris") == ""
    kept.keep(URL, "iris", ":iris_1:")
    assert kept.read(URL, "iris") == ":iris_1:"


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    kept = KeptRoutes(tmp_path)
    kept.keep(URL, "iris", ":iris_1:")
    over = threading.Event()

    def write() -> None:
        for number in range(100):
            kept.keep(URL, "iris", f":iris_{number}:" * 50)
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(kept.read(URL, "iris"))
    writer.join()
    assert "" not in seen
    assert len(list((tmp_path / "routes").iterdir())) == 1


def test_a_folder_that_can_t_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(RouteNotKeptError, match="XDG_STATE_HOME") as refused:
        KeptRoutes(tmp_path / "state").keep(URL, "iris", ":iris_1:")
    assert str(tmp_path / "state") in str(refused.value)


def test_a_failed_write_leaves_the_old_token_and_no_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = KeptRoutes(tmp_path)
    kept.keep(URL, "iris", ":iris_1:")

    def full(_descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RouteNotKeptError, match="No space left"):
        kept.keep(URL, "iris", ":iris2_1:")
    assert kept.read(URL, "iris") == ":iris_1:"
    assert len(list((tmp_path / "routes").iterdir())) == 1


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    KeptRoutes(tmp_path).keep(URL, "iris", ":iris_1:")
    (file,) = (tmp_path / "routes").iterdir()
    assert json.loads(file.read_text()) == {"inference": URL, "model": "iris", "route": ":iris_1:"}


def test_the_state_folder_is_the_user_s() -> None:
    assert state_folder({"XDG_STATE_HOME": "/s", "HOME": "/h"}) == Path("/s/extproc")
    assert state_folder({"XDG_STATE_HOME": "relative", "HOME": "/h"}) == Path("/h/.local/state/extproc")
    assert state_folder({"XDG_STATE_HOME": "", "HOME": "/h"}) == Path("/h/.local/state/extproc")
