"""What is kept of files for the process that reads them next."""

import json
from pathlib import Path

import pytest

from extproc.core.offers import Document
from extproc.core.resources import Kind, PassThrough, Resource
from extproc.errors import Problem
from extproc.sources.files import FileSource
from extproc.sources.last_good import LastGood
from extproc.wire import manifests

UNREADABLE = Document("a.json", problems=(Problem("", "line 1"),))


def resource(name: str) -> bytes:
    model = {"@type": "type.googleapis.com/extproc.v1.Model", "name": name, "endpoints": ["127.0.0.1:9"]}
    return json.dumps({"resources": [model]}).encode()


def names(document: Document) -> list[str]:
    return [offer.name for offer in document.offers]


def in_force(*of: str) -> list[Resource]:
    offers = [offer for name in of for offer in manifests.read(resource(name), "a.json").offers]
    return [offer.resource for offer in offers if offer.resource is not None]


def test_of_a_file_that_is_refused_in_part_what_is_in_force_is_kept(tmp_path: Path) -> None:
    first = LastGood(tmp_path)
    first.note("a.json", resource("one"))
    first.keep(refused={})
    first.keep(refused={"a.json": in_force("two"), "never.json": []})
    assert names(LastGood(tmp_path).instead_of(UNREADABLE)) == ["two"]
    first.keep(refused={"a.json": []})
    assert LastGood(tmp_path).instead_of(UNREADABLE) == Document("a.json")
    first.keep(refused={})
    assert names(LastGood(tmp_path).instead_of(UNREADABLE)) == ["one"]
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}
    first.forget("a.json")
    assert not list(tmp_path.iterdir())


def test_envoy_s_own_resources_come_back_as_they_were(tmp_path: Path) -> None:
    own = PassThrough(Kind.CLUSTER, "own", {"name": "own", "alt_stat_name": "\u00e9\U0001f600", "lb_policy": "RANDOM"})
    for origin in ("a.json", "a.yaml"):
        LastGood(tmp_path).keep(refused={origin: []})
        first = LastGood(tmp_path)
        first.keep(refused={origin: [own]})
        (offer,) = LastGood(tmp_path).instead_of(Document(origin, problems=UNREADABLE.problems)).offers
        assert offer.resource == own


def test_what_was_good_is_there_for_the_next_one(tmp_path: Path) -> None:
    first = LastGood(tmp_path)
    first.note("a.json", resource("one"))
    first.keep(refused={})
    first.note("a.json", resource("two"))
    first.keep(refused={"a.json": in_force("one")})
    assert names(LastGood(tmp_path).instead_of(UNREADABLE)) == ["one"]
    first.keep(refused={})  # the other file that it clashed with is gone
    assert names(LastGood(tmp_path).instead_of(UNREADABLE)) == ["two"]
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_what_is_the_same_is_not_read_again(tmp_path: Path) -> None:
    LastGood(tmp_path).note("a.json", resource("one"))
    first = LastGood(tmp_path)
    first.note("a.json", resource("one"))
    first.keep(refused={})
    later, document = LastGood(tmp_path), Document("a.json")
    later.note("a.json", resource("one"))
    assert later.instead_of(document) is document
    later.note("a.json", resource("two"))
    assert names(later.instead_of(document)) == ["one"]


def test_what_is_gone_does_not_come_back(tmp_path: Path) -> None:
    file, kept = tmp_path / "a.json", tmp_path / "kept"
    kept.mkdir()
    file.write_bytes(resource("one"))
    for _ in range(2):
        source = FileSource([file], last_good := LastGood(kept))
        source.read()
        last_good.keep(refused={})
        source.close()
        file.unlink(missing_ok=True)
    assert not list(kept.iterdir())
    assert LastGood(kept).instead_of(UNREADABLE) is UNREADABLE


def test_without_room_for_it_nothing_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nowhere = LastGood(tmp_path / "nowhere")
    nowhere.note("a.json", resource("one"))
    nowhere.keep(refused={})
    nowhere.forget("b.json")
    assert nowhere.instead_of(UNREADABLE) is UNREADABLE
    assert "what a.json holds can't be kept in" in caplog.text
    without = LastGood()
    without.note("a.json", resource("one"))
    without.keep(refused={})
    assert without.instead_of(UNREADABLE) is UNREADABLE
