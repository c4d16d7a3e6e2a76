"""Every way in which editors and tools save a file: the new content is told, and nothing on the way to it."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from extproc.sources import files
from tests.harness.waiting import eventually_async
from tests.sources.watching import PATIENCE, Watching, meanwhile, replace, text

pytestmark = pytest.mark.usefixtures("leases")


def edit_like_vim(file: Path, content: str) -> None:
    backup = file.with_name(file.name + "~")
    file.rename(backup)
    file.write_text(content)
    backup.unlink()


def edit_like_emacs(file: Path, content: str) -> None:
    (file.parent / f".#{file.name}").symlink_to("user@host.1234")
    shutil.copyfile(file, file.with_name(file.name + "~"))
    file.write_text(content)
    (file.parent / f".#{file.name}").unlink()


def edit_with_sed(file: Path, content: str) -> None:
    subprocess.run(["sed", "-i", f"1c\\{content}", str(file)], check=True)


def edit_with_cp(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    subprocess.run(["cp", str(other), str(file)], check=True)


def edit_with_mv(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    subprocess.run(["mv", str(other), str(file)], check=True)


def edit_by_rename_before_close(file: Path, content: str) -> None:
    with file.with_name("aside").open("w") as out:
        out.write(content)
        out.flush()
        Path(out.name).rename(file)


def edit_by_link(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    other.write_text(content)
    file.unlink()
    os.link(other, file)


def edit_through_another_name(file: Path, content: str) -> None:
    other = file.parent.parent / "other.json"
    os.link(file, other)
    other.write_text(content)


EDITS = [
    replace,
    edit_like_vim,
    edit_like_emacs,
    edit_with_sed,
    edit_with_cp,
    edit_with_mv,
    edit_by_rename_before_close,
    edit_by_link,
    edit_through_another_name,
]


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("given", ["directory", "file"])
async def test_every_way_of_saving(conf: Path, given: str, edit: Callable[[Path, str], None]) -> None:
    """The new content is told, and the way there never stops what the file declares."""
    file = conf / "a.json"
    async with Watching(conf if given == "directory" else file) as watching:
        for number in range(3):
            edit(file, text(f"m{number}"))
            await watching.until({"a.json": [f"m{number}"]})
            (conf.parent / "other.json").unlink(missing_ok=True)
    assert [told for told in watching.told if len(told.get("a.json", [])) != 1] == []


async def test_a_slow_editor_stops_nothing(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the rename to the backup and the new file others are read; the editor is waited for all the same."""
    monkeypatch.setattr(files, "PATIENCE", 30.0)
    file, looks = conf / "a.json", []
    async with Watching(file) as watching:
        file.rename(conf / "a.json~")
        meanwhile(monkeypatch, "survey", lambda: looks.append("one"))
        await eventually_async(lambda: looks or watching.told[1:], within=PATIENCE, saying="the source looks again")
        file.write_text(text("two"))
        await watching.until({"a.json": ["two"]})
    assert watching.told == [{"a.json": ["one"]}, {"a.json": ["two"]}]
