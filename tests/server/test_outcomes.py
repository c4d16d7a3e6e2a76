"""Outcomes around a real plane and a real store: what is in force, what is kept, and what a restart takes up again."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest

from extproc.control.drafts import API, Author, Draft
from extproc.control.lifecycle import Lifecycle
from extproc.control.outcome_store import Row
from extproc.control.plane import Outlets, Plane
from extproc.control.store import Store
from extproc.core.resources import Candidate, Experiment, Mirror
from extproc.errors import StoreUnwritable
from extproc.server.outcomes import OutcomeKeeper
from extproc.wire.access_log import Entry
from tests.control.test_admission import experiment, model, valid
from tests.harness.unwalked import unwalked

FILES = "files"
AB = Experiment("ab", (Candidate("iris", 1), Candidate("iris2", 3)), mirror=Mirror("iris3", 1_000_000))
OTHER = Experiment("ab", (Candidate("iris", 1), Candidate("iris2", 3)))


class Stage:
    """A keeper over a lifecycle and a plane of two sources; `at` is the time."""

    def __init__(self, directory: Path) -> None:
        self.at = datetime(2026, 1, 1, tzinfo=UTC)
        self.directory = directory
        self.open()

    def open(self) -> None:
        self.store = Store.open(self.directory)
        outlets = Outlets(publish=lambda _: None, stale=lambda: None, now=lambda: self.at)
        self.plane = Plane((API, FILES), lambda _: (), outlets)
        self.lifecycle = Lifecycle(self.store, self.plane, lambda: self.at, timedelta(hours=1))
        self.keeper = OutcomeKeeper(self.store, self.plane, self.lifecycle, lambda: self.at)
        self.lifecycle.resume()
        self.offer()

    def offer(self, *experiments: Experiment) -> None:
        self.plane.offer(FILES, [valid("a.json", model("iris"), model("iris2"), model("iris3"), *experiments)])

    def later(self, seconds: float = 10) -> None:
        self.at += timedelta(seconds=seconds)

    def change(self, spec: Experiment) -> None:
        draft = self.lifecycle.start(spec, Author())
        assert isinstance(draft, Draft)
        self.lifecycle.apply(self.lifecycle.record(draft))

    def stop(self, name: str) -> None:
        draft = self.lifecycle.stop(name, Author())
        assert isinstance(draft, Draft)
        self.lifecycle.apply(self.lifecycle.record(draft))

    def record_files(self) -> None:
        for draft in self.lifecycle.observe():
            self.lifecycle.apply(self.lifecycle.record(draft))

    def answers(self, route_name: str, count: int = 1) -> None:
        entry = Entry(route_name, "", self.at.timestamp(), 0.01, 0.01, 200, (), 1, 1, "")
        self.keeper.outcomes.account([entry] * count)

    def requests(self, name: str = "ab") -> list[tuple[int | None, dict[str, int]]]:
        """Each revision, with the requests of its candidates."""
        return [
            (r.number, {n: c.requests for n, c in r.candidates.items()}) for r in self.keeper.outcomes.revisions(name)
        ]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    built = Stage(tmp_path)
    yield built
    built.store.close()


async def test_what_was_counted_is_there_again_after_a_restart(stage: Stage) -> None:
    stage.change(AB)
    stage.answers("ab/iris", 3)
    stage.later()
    stage.change(OTHER)
    stage.answers("ab/iris2", 2)
    before = stage.keeper.outcomes.revisions("ab")
    await stage.keeper.stop()
    stage.store.close()
    stage.later()
    stage.open()
    assert stage.keeper.outcomes.revisions("ab") == before
    stage.answers("ab/iris")
    assert stage.requests() == [(1, {"iris": 3, "iris2": 0}), (2, {"iris": 1, "iris2": 2})]


async def test_a_process_that_is_killed_loses_what_it_has_not_written(stage: Stage) -> None:
    stage.change(AB)
    stage.answers("ab/iris", 3)
    await stage.keeper._save()
    stage.answers("ab/iris", 2)
    stage.store.close()
    stage.open()
    assert stage.requests() == [(1, {"iris": 3, "iris2": 0})]
    assert not stage.keeper.outcomes.totals(), "counters begin anew"


def test_a_change_of_a_weight_goes_through_nothing_else(stage: Stage) -> None:
    others = [replace(AB, name=f"e{i}", default=f"m{i}", candidates=(Candidate(f"m{i}", 1),)) for i in range(50)]
    stage.offer(*others)
    stage.change(AB)
    stage.record_files()
    stage.later()
    in_force = stage.keeper.outcomes.in_force
    with unwalked(), patch.object(stage.keeper.outcomes, "in_force", side_effect=in_force) as told:
        stage.change(OTHER)
    assert [call.args[1].name for call in told.call_args_list] == ["ab"]


async def test_requests_from_before_a_restart_belong_to_the_revision_of_then(stage: Stage) -> None:
    """Envoy keeps its entries while nobody listens; here of a revision without any until then."""
    stage.change(AB)
    stage.later()
    stage.change(OTHER)
    started = stage.at
    stage.later()
    stage.store.close()
    stage.open()
    now, stage.at = stage.at, started
    stage.answers("ab/iris", 5)
    stage.at = now
    stage.answers("ab/iris")
    assert stage.requests()[-1] == (2, {"iris": 6, "iris2": 0})


def test_a_file_s_change_counts_from_when_it_is_in_force(stage: Stage) -> None:
    stage.offer(experiment("filed", "iris"))
    stage.answers("filed/iris")
    assert stage.requests("filed")[0][0] is None
    stage.later()
    stage.record_files()
    stage.answers("filed/iris")
    ((number, requests),) = stage.requests("filed")
    assert (number, requests["iris"]) == (1, 2)
    stage.later()
    stage.offer(replace(experiment("filed", "iris"), timeout=1000))
    stage.answers("filed/iris", 5)
    stage.later()
    stage.record_files()
    assert [(number, requests["iris"]) for number, requests in stage.requests("filed")] == [(1, 2), (2, 5)]


async def test_an_experiment_s_outcomes_stay_as_long_as_it_is_listed(stage: Stage) -> None:
    stage.change(AB)
    stage.answers("ab/iris")
    stage.stop("ab")
    stage.keeper._drop()
    assert stage.requests()
    await stage.keeper._save()
    stage.later(2 * 3600)
    for name in stage.lifecycle.expired():
        stage.lifecycle.forget(name)
        stage.lifecycle.drop(name)
    stage.keeper._drop()
    assert not stage.requests()
    await stage.keeper.stop()
    assert stage.store.outcomes.load() == {}


def test_a_restart_between_stop_and_start_tells_the_two_apart(stage: Stage) -> None:
    stage.change(AB)
    stage.answers("ab/iris")
    stage.stop("ab")
    stage.later()
    stage.change(AB)
    stage.answers("ab/iris2")
    assert stage.requests() == [(1, {"iris": 1, "iris2": 0}), (3, {"iris": 0, "iris2": 1})]


async def test_a_full_disk_is_said_once_and_costs_nothing_while_it_lasts(
    stage: Stage, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.change(AB)

    def full(_: object) -> None:
        raise StoreUnwritable("the disk is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(stage.keeper._store, "save", full)
        for _ in range(3):
            stage.answers("ab/iris")
            await stage.keeper._save()
    assert caplog.text.count("the disk is full") == 1
    await stage.keeper.stop()
    (term,) = stage.store.outcomes.load()["ab"]
    assert term.candidates["iris"].requests == 3


async def test_of_many_experiments_those_that_wait_longest_are_written_first(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("extproc.server.outcomes.PART", 2)
    written: list[list[str]] = []
    save = stage.keeper._store.save

    def noted(rows: list[Row]) -> None:
        written.append([row.name for row in rows])
        save(rows)

    monkeypatch.setattr(stage.keeper._store, "save", noted)
    for name in "abcde":
        stage.change(replace(AB, name=name, default=f"m{name}", candidates=(Candidate(f"m{name}", 1),)))
        stage.later()
    stage.keeper.outcomes.changed()
    for name in "abcdea":
        stage.answers(f"{name}/m{name}")
    await stage.keeper._save(3)
    assert written == [["a", "b"], ["c"]]
    stage.answers("a/ma")
    await stage.keeper.stop()
    assert written[2:] == [["d", "e"], ["a"]]
    kept = stage.store.outcomes.load()
    assert {name: terms[-1].candidates[f"m{name}"].requests for name, terms in kept.items()} == {
        "a": 3, "b": 1, "c": 1, "d": 1, "e": 1,
    }  # fmt: skip


async def test_what_is_gone_is_not_written(stage: Stage) -> None:
    stage.change(AB)
    stage.answers("ab/iris")
    stage.keeper.outcomes.drop("ab")
    assert stage.keeper.outcomes.changed() == []


async def test_ending_waits_for_a_write_that_is_under_way(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or older counts would be written after the last ones."""
    monkeypatch.setattr("extproc.server.outcomes.SAVE", 0.001)
    stage.change(AB)
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), asyncio.Event()
    save = stage.keeper._store.save

    def slow(rows: list[Row]) -> None:
        if not begun.is_set():
            loop.call_soon_threadsafe(begun.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(5)
        save(rows)

    monkeypatch.setattr(stage.keeper._store, "save", slow)
    stage.answers("ab/iris")
    running = asyncio.create_task(stage.keeper.run())
    async with asyncio.timeout(5):
        await begun.wait()
    stage.answers("ab/iris")
    running.cancel()
    await asyncio.wait([running])
    stopping = asyncio.create_task(stage.keeper.stop())
    ended, _ = await asyncio.wait([stopping], timeout=0.2)
    assert not ended
    go_on.set()
    await stopping
    (term,) = stage.store.outcomes.load()["ab"]
    assert term.candidates["iris"].requests == 2
