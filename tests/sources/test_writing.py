"""When content is trusted, by what was told about its file and by who may be writing; time is an argument here."""

from pathlib import Path

import pytest

from extproc.sources.contents import Reading, Writers
from extproc.sources.places import Identity
from extproc.sources.watch import Change, What
from extproc.sources.writing import AWHILE, BRIEFLY, LONG, Writing


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "a.json"
    file.write_text("{}")
    return file


def reading(file: Path, writers: Writers, data: bytes = b"{}") -> Reading:
    return Reading(data, Identity.of(file.stat()), writers)


def told(*what: What, file: Path) -> Writing:
    writing = Writing()
    writing.begin(0.0)
    for one in what:
        writing.note(Change(file, one))
    writing.dirty.discard(file)
    return writing


def trusted_after(writing: Writing, file: Path, writers: Writers, data: bytes = b"{}") -> float:
    """In how many seconds of steadiness the content is trusted; what is asked for on the way must be kept."""
    found = reading(file, writers, data)
    now = 0.0
    while not writing.trusts(file, found, at_start=False):
        assert file in writing.dirty
        assert not writing.restless, "it must not be read again at once"
        assert writing.unsure is not None, "nobody would read it again"
        now += writing.unsure
        writing.begin(now)
    assert writing.unsure is None
    return now


@pytest.mark.parametrize("what", [(), (What.CLOSED,), (What.MOVED_IN,), (What.WRITTEN_TO, What.CLOSED)])
def test_without_a_writer_content_is_trusted_at_once(file: Path, what: tuple[What, ...]) -> None:
    assert trusted_after(told(*what, file=file), file, Writers.NONE) == 0
    assert trusted_after(told(*what, file=file), file, Writers.NONE, b"") == 0


@pytest.mark.parametrize(
    ("what", "writers", "data", "enough"),
    [
        ((), Writers.UNKNOWN, b"{}", BRIEFLY),
        ((What.MOVED_IN,), Writers.UNKNOWN, b"{}", BRIEFLY),
        ((What.MOVED_IN,), Writers.SOME, b"{}", BRIEFLY),
        ((What.CLOSED,), Writers.UNKNOWN, b"{}", AWHILE),
        ((What.CLOSED,), Writers.SOME, b"{}", LONG),
        ((What.CLOSED,), Writers.UNKNOWN, b"", LONG),
        ((What.MOVED_IN,), Writers.UNKNOWN, b"", LONG),
    ],
)
def test_else_it_must_stay_the_same_for_a_while(
    file: Path, what: tuple[What, ...], writers: Writers, data: bytes, enough: float
) -> None:
    assert trusted_after(told(*what, file=file), file, writers, data) == enough


def test_what_changed_in_between_must_stay_the_same_anew(file: Path) -> None:
    writing = told(What.CLOSED, file=file)
    first = reading(file, Writers.UNKNOWN)
    assert not writing.trusts(file, first, at_start=False)
    writing.begin(AWHILE)
    file.write_text("{ }")
    assert not writing.trusts(file, reading(file, Writers.UNKNOWN), at_start=False)
    writing.begin(1.5 * AWHILE)
    assert not writing.trusts(file, reading(file, Writers.UNKNOWN), at_start=False)
    writing.begin(2 * AWHILE)
    assert writing.trusts(file, reading(file, Writers.UNKNOWN), at_start=False)


def test_a_writer_whom_nothing_was_told_of_is_waited_for(file: Path) -> None:
    writing = told(file=file)
    assert not writing.trusts(file, reading(file, Writers.SOME), at_start=True)
    assert writing.unsure is None
    assert not writing.restless
    with file.open("a"):
        assert writing.incomplete(file)
    assert not writing.incomplete(file), "the kernel knows of no writer any more"


def test_at_the_start_what_can_not_be_known_is_trusted(file: Path) -> None:
    assert told(file=file).trusts(file, reading(file, Writers.UNKNOWN), at_start=True)


def test_written_to_is_incomplete_until_closed_or_replaced(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.sources.writing.writers", lambda _: Writers.UNKNOWN)
    for end in (What.CLOSED, What.MOVED_IN, What.GONE):
        writing = told(What.WRITTEN_TO, file=file)
        assert writing.incomplete(file)
        writing.note(Change(file, What.ALTERED))
        assert writing.incomplete(file), "a chmod ends no writing"
        writing.note(Change(file, end))
        assert not writing.incomplete(file)


def test_a_new_file_without_content_is_incomplete_and_a_new_link_is_not(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extproc.sources.writing.writers", lambda _: Writers.UNKNOWN)
    assert not told(What.CREATED, file=file).incomplete(file)
    file.write_text("")
    assert told(What.CREATED, file=file).incomplete(file)
    link = file.with_name("b.json")
    link.symlink_to(file)
    assert not told(What.CREATED, file=link).incomplete(link)
    assert not told(What.CREATED, file=file.with_name("gone.json")).incomplete(file.with_name("gone.json"))


def test_lost_changes_make_everything_unknown_and_dirty(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.sources.writing.writers", lambda _: Writers.UNKNOWN)
    writing = told(What.WRITTEN_TO, file=file)
    writing.doubt([file])
    assert writing.dirty == {file}
    assert writing.restless
    assert not writing.incomplete(file)


def test_forgets_files_but_not_names_that_will_be_files(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("extproc.sources.writing.writers", lambda _: Writers.UNKNOWN)
    new, other = file.with_name("new.json"), file.with_name("other.txt")
    writing = Writing()
    for path in (file, new, other):
        writing.note(Change(path, What.WRITTEN_TO))
    writing.keep({file}, lambda path: path.suffix == ".json")
    assert writing.dirty == {file}
    assert [writing.incomplete(path) for path in (file, new, other)] == [True, True, False]


def test_a_file_that_is_none_any_more_is_not_waited_for(file: Path) -> None:
    writing = told(What.CLOSED, file=file)
    assert not writing.trusts(file, reading(file, Writers.UNKNOWN), at_start=False)
    writing.keep(set(), lambda _: True)
    assert writing.unsure is None
