"""Where paths lead: every kind of link, name and gap, and the names that the answer depends on."""

import os
import socket
from pathlib import Path

import pytest

from extproc.sources.places import Lost, Survey, survey


def found(look: Survey) -> list[tuple[str, str]]:
    """(origin, resolved name) of all places that can be read."""
    return [(p.origin, p.path.name) for p in look.places if p.identity]


def lost(look: Survey) -> list[tuple[str, Lost | None]]:
    return [(p.origin, p.lost) for p in look.places if not p.identity]


def test_a_directory_is_its_resource_files_by_name(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.json", "d.txt", ".hidden.json", "e.json~", "JSON", "..data.yaml"):
        (tmp_path / name).touch()
    (tmp_path / "nested.json").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.json"))
    look = survey([tmp_path])
    assert found(look) == [(f"{tmp_path}/{name}", name) for name in ("a.yml", "b.yaml", "c.json")]
    assert lost(look) == []


def test_a_file_may_have_any_name_and_origins_are_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / ".any name").touch()
    (tmp_path / "conf" / "a.json").touch()
    monkeypatch.chdir(tmp_path)
    assert [p.origin for p in survey([Path("conf/.any name"), Path("conf/../conf")]).places] == [
        "conf/.any name",
        "conf/../conf/a.json",
    ]


def test_a_file_that_two_paths_lead_to_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.touch()
    (tmp_path / "b.json").symlink_to("a.json")
    os.link(file, tmp_path / "c.json")
    assert found(survey([file, tmp_path, tmp_path / "b.json", tmp_path])) == [(str(file), "a.json")]


def test_what_is_missing_is_said_once_and_watched_at_the_nearest_parent(tmp_path: Path) -> None:
    missing = tmp_path / "not" / "there.json"
    look = survey([missing, missing])
    assert lost(look) == [(str(missing), Lost.MISSING)]
    assert look.concerns(tmp_path / "not")
    assert not look.concerns(tmp_path / "other")


def test_links_are_followed_and_every_name_on_the_way_counts(tmp_path: Path) -> None:
    """The layout of a mounted ConfigMap: a.yaml -> ..data/a.yaml, ..data -> ..2024."""
    version = tmp_path / "..2024"
    version.mkdir()
    (version / "a.yaml").touch()
    (tmp_path / "..data").symlink_to("..2024")
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    look = survey([tmp_path])
    assert [(p.origin, p.path) for p in look.places] == [(f"{tmp_path}/a.yaml", version / "a.yaml")]
    for name in ("a.yaml", "..data", "..2024", "..2024/a.yaml", "new.yaml"):
        assert look.concerns(tmp_path / name), name
    for name in ("..2024/other.yaml", "..2025", "new.txt"):
        assert not look.concerns(tmp_path / name), name


def test_dots_after_a_link_go_where_the_link_leads(tmp_path: Path) -> None:
    (tmp_path / "far" / "deep").mkdir(parents=True)
    (tmp_path / "far" / "a.json").touch()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "deep")
    assert found(survey([tmp_path / "link" / ".." / "a.json"])) == [(f"{tmp_path}/link/../a.json", "a.json")]


def test_links_to_nothing_and_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("nothing.json")
    (tmp_path / "b.json").symlink_to("b.json")
    dangling, circle = survey([tmp_path]).places
    assert dangling.lost is Lost.DANGLING
    assert "Too many levels of symbolic links" in circle.refusal


def test_a_path_through_a_file_is_missing_and_a_fifo_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    os.mkfifo(tmp_path / "fifo")
    look = survey([tmp_path / "a.json" / "b.json", tmp_path / "fifo"])
    assert [place.lost for place in look.places] == [Lost.MISSING, Lost.NO_FILE]
