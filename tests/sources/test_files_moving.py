"""Files, directories and links that come, go and are led elsewhere, a mounted ConfigMap among them."""

import shutil
from pathlib import Path

import pytest

from extproc.sources.files import FileSource
from tests.sources.watching import MISSING, Watching, directories, meanwhile, publish_config_map, shown, swap, text

pytestmark = pytest.mark.usefixtures("leases")


async def test_a_deleted_file_is_gone_and_only_then_missing(conf: Path) -> None:
    file, other = conf / "a.json", conf / "b.json"
    other.write_text(text("two"))
    async with Watching(file, other) as watching:
        file.unlink()
        await watching.until({"a.json": [MISSING], "b.json": ["two"]})
        assert watching.told[-2] == {"b.json": ["two"]}, "its last good version must not be kept"
        file.write_text(text("back"))
        await watching.until({"a.json": ["back"], "b.json": ["two"]})


async def test_a_file_deleted_from_a_directory_is_gone(conf: Path) -> None:
    async with Watching(conf) as watching:
        (conf / "b.json").write_text(text("two"))
        await watching.until({"a.json": ["one"], "b.json": ["two"]})
        (conf / "a.json").unlink()
        await watching.until({"b.json": ["two"]})
        (conf / "b.json").rename(conf / "b.json.disabled")
        await watching.until({})


async def test_a_path_that_appears_later_is_read(tmp_path: Path) -> None:
    file = tmp_path / "not" / "yet" / "a.json"
    async with Watching(file) as watching:
        assert watching.now == {"a.json": [MISSING]}
        directories({"not/yet": "one"}, tmp_path)
        await watching.until({"a.json": ["one"]})


async def test_a_directory_deleted_and_made_again(conf: Path) -> None:
    async with Watching(conf) as watching:
        for number in range(3):
            shutil.rmtree(conf)
            await watching.until({"conf": [MISSING]})
            directories({"conf": f"m{number}"}, conf.parent)
            await watching.until({"a.json": [f"m{number}"]})


async def test_a_directory_replaced_by_rename(conf: Path) -> None:
    """Also when one above it is renamed: neither the directory nor its files notice anything themselves."""
    async with Watching(conf) as watching:
        directories({"new": "two"}, conf.parent)
        swap(conf, conf.with_name("new"))
        await watching.until({"a.json": ["two"]})
        (conf / "a.json").write_text(text("three"))
        await watching.until({"a.json": ["three"]})
    assert all(told.keys() == {"a.json"} for told in watching.told), "the gap of a swap is not told"


async def test_a_parent_replaced_by_rename(tmp_path: Path) -> None:
    directories({"up/conf": "one", "other/conf": "two"}, tmp_path)
    async with Watching(tmp_path / "up" / "conf") as watching:
        (tmp_path / "up").rename(tmp_path / "old")
        (tmp_path / "other").rename(tmp_path / "up")
        await watching.until({"a.json": ["two"]})


async def test_a_file_becomes_a_directory_and_back(conf: Path) -> None:
    path = conf / "a.json"
    async with Watching(path) as watching:
        path.unlink()
        path.mkdir()
        (path / "b.json").write_text(text("two"))
        await watching.until({"b.json": ["two"]})
        shutil.rmtree(path)
        path.write_text(text("three"))
        await watching.until({"a.json": ["three"]})


async def test_a_link_led_elsewhere(tmp_path: Path) -> None:
    directories({"one": "one", "two": "two"}, tmp_path)
    link = tmp_path / "conf"
    link.symlink_to("one")
    async with Watching(link) as watching:
        (tmp_path / "aside").symlink_to("two")
        (tmp_path / "aside").replace(link)
        await watching.until({"a.json": ["two"]})
        link.unlink()
        link.symlink_to("one")
        await watching.until({"a.json": ["one"]})
    assert watching.told == [{"a.json": ["one"]}, {"a.json": ["two"]}, {"a.json": ["one"]}]


async def test_a_config_map_is_swapped_whole(tmp_path: Path) -> None:
    publish_config_map(tmp_path, "..0", a=text("a0"), b=text("b0"))
    async with Watching(tmp_path) as watching:
        assert watching.now == {"a.json": ["a0"], "b.json": ["b0"]}
        publish_config_map(tmp_path, "..1", a=text("a1"), b=text("b1"))
        await watching.until({"a.json": ["a1"], "b.json": ["b1"]})
        publish_config_map(tmp_path, "..2", b=text("b2"), c=text("c2"))
        await watching.until({"b.json": ["b2"], "c.json": ["c2"]})
        assert watching.told[1] == {"a.json": ["a1"], "b.json": ["b1"]}, "old and new are never mixed"


async def test_a_config_map_that_is_swapped_while_it_is_read_is_not_mixed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_config_map(tmp_path, "..0", a=text("a0"), b=text("b0"))
    source = FileSource([tmp_path])
    meanwhile(
        monkeypatch, "read_bytes", lambda: publish_config_map(tmp_path, "..1", a=text("a1"), b=text("b1"), c=text("c1"))
    )
    assert shown(source.read()) == {"a.json": ["a1"], "b.json": ["b1"], "c.json": ["c1"]}
    source.close()
