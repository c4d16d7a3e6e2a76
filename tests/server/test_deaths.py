"""What counts as a crash of an Envoy: of our own what its parent says, of another what its streams look like."""

import asyncio
import gc
from collections.abc import Sequence
from dataclasses import dataclass, field
from weakref import ref

import pytest

from extproc.server import deaths as module
from extproc.server.deaths import AS_SEEN, Deaths, Life
from extproc.xds.discovery import ORDER, Request
from extproc.xds.snapshot import CLUSTER, LISTENER, Snapshot
from extproc.xds.subscription import Subscription

CURRENT = Snapshot({url: {"inference": url.encode()} for url in ORDER}, frozenset())
NODE = "one"


@dataclass
class Plane:
    """Notes what it is told, and answers as it is to."""

    corrects: bool = True
    told: list[tuple[Snapshot, tuple[str, ...], str]] = field(default_factory=list)
    published: asyncio.Event = field(default_factory=asyncio.Event)

    def crashed(self, snapshot: Snapshot, types: Sequence[str], ended: str) -> bool:
        self.told.append((snapshot, tuple(types), ended))
        return self.corrects

    def deaths(self, *, ours: bool) -> Deaths:
        return Deaths(self.crashed, self.published.wait, ours=ours)


def life(deaths: Deaths, answers: int, version: str = "", snapshot: Snapshot = CURRENT) -> Life:
    """A stream of an Envoy that answers the first few responses."""
    its = Life(Subscription())
    deaths.began(its)
    now = asyncio.get_running_loop().time()
    its.subscription.set_snapshot(snapshot)
    deaths.asked(NODE, version)
    for number, url in enumerate(ORDER):
        names = ("inference",)
        (response,), _ = its.subscription.receive(Request(url, "", "", names))
        its.sent = now
        if number == answers:
            break
        _, events = its.subscription.receive(Request(url, response.version, response.nonce, names))
        if events:
            its.accepted = now
    return its


@pytest.mark.parametrize(("answers", "types"), [(0, (CLUSTER,)), (1, (LISTENER,)), (3, ())])
async def test_our_own_crashed_with_what_it_was_taking_or_had_just_taken(answers: int, types: tuple[str, ...]) -> None:
    plane = Plane()
    deaths = plane.deaths(ours=True)
    its = life(deaths, answers)
    judging = asyncio.create_task(deaths.judge("SIGSEGV"))
    await asyncio.sleep(0)
    assert plane.told == [], "it may have answered more than was read yet"
    deaths.ended(its, NODE)
    await asyncio.wait([judging], timeout=0.01)
    assert plane.told == [(CURRENT, types, "SIGSEGV")]
    assert not judging.done(), "what it would be given is being built"
    plane.published.set()
    assert await judging


async def test_it_is_not_told_to_go_on_where_nothing_was_set_aside() -> None:
    plane = Plane(corrects=False)
    deaths = plane.deaths(ours=True)
    deaths.ended(life(deaths, 1), NODE)
    assert not await deaths.judge("SIGSEGV")
    assert len(plane.told) == 1
    assert not await deaths.judge("SIGSEGV"), "and the next one had not even connected"
    assert len(plane.told) == 1


async def test_what_it_has_run_for_a_while_it_did_not_die_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SOON", 0.0)
    plane = Plane()
    deaths = plane.deaths(ours=True)
    deaths.ended(life(deaths, 3), NODE)
    assert not await deaths.judge("SIGSEGV")
    assert plane.told == []


async def test_one_that_lives_on_has_not_died(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is somebody else's, which takes its configuration here as well."""
    monkeypatch.setattr(module, "LAST_WORDS", 0.01)
    plane = Plane()
    deaths = plane.deaths(ours=True)
    life(deaths, 1)
    assert not await deaths.judge("SIGSEGV")
    assert plane.told == []


async def test_someone_else_s_has_crashed_when_a_new_process_comes_instead() -> None:
    plane = Plane()
    deaths = plane.deaths(ours=False)
    deaths.ended(life(deaths, 1), NODE)
    assert plane.told == []
    life(deaths, 1)
    assert plane.told == [(CURRENT, (LISTENER,), AS_SEEN)]
    life(deaths, 1)
    assert len(plane.told) == 1, "one came for one that is gone"


async def test_each_of_several_counts_once() -> None:
    plane = Plane()
    deaths = plane.deaths(ours=False)
    for its in (life(deaths, 1), life(deaths, 1)):
        deaths.ended(its, NODE)
    for _ in range(3):
        life(deaths, 3)
    assert len(plane.told) == 2


async def test_what_those_were_to_take_who_never_come_back_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = Plane()
    deaths = plane.deaths(ours=False)
    lost = Snapshot(CURRENT.resources, frozenset({"lost"}))
    kept = ref(lost)
    its = life(deaths, 1, snapshot=lost)
    deaths.ended(its, "pod-1")
    del its, lost
    monkeypatch.setattr(module, "BACK", 0.0)
    life(deaths, 3)
    gc.collect()
    assert kept() is None


@pytest.mark.parametrize("case", ["cut off", "after it took all", "late answer", "late return", "another node"])
async def test_someone_else_s_has_not_crashed(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = Plane()
    deaths = plane.deaths(ours=False)
    its = life(deaths, 3 if case == "after it took all" else 1)
    if case == "late answer":
        monkeypatch.setattr(module, "SOON", 0.0)
    deaths.ended(its, "two" if case == "another node" else NODE)
    if case == "late return":
        monkeypatch.setattr(module, "BACK", 0.0)
    life(deaths, 3, "version" if case == "cut off" else "")
    life(deaths, 3)
    assert plane.told == []
