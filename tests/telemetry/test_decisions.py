"""Counting decisions: exact, by slots that stay, over workers and readers that come and go."""

import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.compilation import compile_table
from extproc.core.decide import decide
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import EMPTY, Decision, Outcome, Patch, Table
from extproc.names import decided_route, intercept_route
from extproc.telemetry.decisions import BOUNDS, CELL, HEAD, SIZE, Counted, Meter, Meters

WEIGHTED = Outcome.WEIGHTED.value
UNKNOWN = Decision("x", "", Outcome.NO_EXPERIMENT)


def memory(slots: int = 100) -> memoryview:
    return memoryview(bytearray((HEAD + slots) * CELL))


def table(*experiments: str) -> Table:
    """Experiments of two candidates each, `a` and `b`, of the same weight."""
    models = {name: Model(name, endpoints=(Endpoint("127.0.0.1", 8081),)) for name in ("a", "b")}
    trials = [Experiment(name, (Candidate("a", 1), Candidate("b", 1))) for name in experiments]
    accepted = {decided_route(name, candidate, "http") for name in experiments for candidate in models}
    return compile_table(trials, models, lambda _model, protocol: protocol == "http", accepted)


def decided(by: Table, experiment: str, draw: int = 0, token: str = "") -> Decision:
    """What is decided there; `draw` 0 falls on `a`, 1 on `b`."""
    headers = {"x-seldon-route": token} if token else {}
    return decide(by, intercept_route(experiment, "a", "http"), headers, draw, bits=1)


def numbered_by(meters: Meters, plain: Table) -> Table:
    """All of a table, numbered."""
    return EMPTY.patched(meters.numbered(Patch(plain.entries)))


def seen(meters: Meters) -> Mapping[Counted, int]:
    return {counted: count for counted, count in meters.counts().items() if count}


def test_each_decision_is_counted_by_experiment_candidate_and_outcome() -> None:
    shared = memory()
    meters, meter = Meters([shared]), Meter(shared)
    numbered = numbered_by(meters, table("x", "y"))
    for experiment, draw, token in (("x", 0, ""), ("x", 0, ""), ("x", 1, ""), ("x", 1, ":a_1:"), ("y", 1, ":z_9:")):
        meter.count([decided(numbered, experiment, draw, token)], 1_000)
    assert seen(meters) == {
        ("x", "a", "weighted"): 2,
        ("x", "b", "weighted"): 1,
        ("x", "a", "sticky"): 1,
        ("y", "b", "stale_token"): 1,
    }


def test_a_request_names_no_counter() -> None:
    """Whatever an Envoy says of routes that nobody knows is one count."""
    shared = memory()
    meters, meter = Meters([shared]), Meter(shared)
    for name in ("gone", "", "made up"):
        meter.count([decided(EMPTY, name)], 1_000)
    assert seen(meters) == {("", "", "no_experiment"): 3}


def test_a_numbered_table_decides_as_the_one_it_was_made_of() -> None:
    plain = table("x", "y")
    numbered = numbered_by(Meters([memory()]), plain)
    for experiment in ("x", "y"):
        for token in ("", ":a_1:", ":z_9:"):
            for draw in (0, 1):
                before, after = decided(plain, experiment, draw, token), decided(numbered, experiment, draw, token)
                assert replace(after, slot=0) == before
                assert after.slot


def test_slots_stay() -> None:
    meters = Meters([memory()])
    old = numbered_by(meters, table("x", "y"))
    new = old.patched(meters.numbered(Patch(table("z").entries, (("x", "http"),))))
    assert new.entries["y", "http"] is old.entries["y", "http"]
    assert numbered_by(meters, table("y", "z")).entries["z", "http"] == new.entries["z", "http"]
    assert decided(numbered_by(meters, table("y")), "y") == decided(old, "y")


def test_several_workers_add_up() -> None:
    memories = [memory(), memory(), memory()]
    meters = Meters(memories)
    numbered = numbered_by(meters, table("x"))
    for shared in memories:
        meter = Meter(shared)
        meter.count([decided(numbered, "x")], 1_000)
        meter.lost_spans(7)
    assert seen(meters) == {("x", "a", WEIGHTED): 3}
    counts, seconds = meters.seconds()
    assert (sum(counts), seconds) == (3, 3e-6)
    assert meters.spans_dropped() == 21
    assert meters.processes() == [os.getpid()] * 3


def test_a_worker_that_comes_back_goes_on_counting() -> None:
    shared = memory()
    meters = Meters([shared])
    numbered = numbered_by(meters, table("x"))
    for _ in range(3):
        Meter(shared).count([decided(numbered, "x")], 1_000)
    assert seen(meters) == {("x", "a", WEIGHTED): 3}


def test_a_reader_that_comes_back_counts_anew_and_not_what_is_still_counted_for_the_one_before() -> None:
    shared = memory()
    meter = Meter(shared)
    old = numbered_by(Meters([shared]), table("x", "y"))
    meter.count([decided(old, "x")], 1_000)
    meters = Meters([shared])
    new = numbered_by(meters, table("y", "x"))
    meter.count([decided(old, "x")], 1_000)  # the worker has the new table a moment later
    meter.count([decided(old, "y")], 1_000)
    assert seen(meters) == {}
    meter.count([decided(new, "x")], 1_000)
    assert seen(meters) == {("x", "a", WEIGHTED): 1}


def test_readers_come_back_as_often_as_they_like() -> None:
    shared = memory(slots=60)
    meter = Meter(shared)
    for _ in range(50):
        meters = Meters([shared])
        numbered = numbered_by(meters, table("x"))
        meter.count([decided(numbered, "x")], 1_000)
        assert seen(meters) == {("x", "a", WEIGHTED): 1}


def test_what_is_gone_is_dropped_and_its_slots_count_from_nothing() -> None:
    shared = memory(slots=16)  # seven for an experiment, and two that are nobody's
    meters, meter = Meters([shared]), Meter(shared)
    numbered = numbered_by(meters, table("x", "y"))
    for experiment in ("x", "y"):
        meter.count([decided(numbered, experiment)], 1_000)
    numbered_by(meters, table("y"))
    meters.keep({"x", "y"})  # stopped, and still listed
    assert seen(meters) == {("x", "a", WEIGHTED): 1, ("y", "a", WEIGHTED): 1}
    meters.keep({"y"})
    assert seen(meters) == {("y", "a", WEIGHTED): 1}
    reused = numbered_by(meters, table("y", "z"))
    assert ("z", "a", WEIGHTED) not in seen(meters)
    meter.count([decided(reused, "z")], 1_000)
    assert seen(meters) == {("y", "a", WEIGHTED): 1, ("z", "a", WEIGHTED): 1}


@given(st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=4), max_size=12))
def test_whatever_comes_and_goes_counts_are_those_of_each_since_it_came(steps: list[set[str]]) -> None:
    shared = memory(slots=70)  # eight slots for each of at most eight
    meters, meter = Meters([shared]), Meter(shared)
    expected: dict[str, int] = {}
    for running in steps:
        numbered = numbered_by(meters, table(*sorted(running)))
        meters.keep(running)
        expected = {name: expected.get(name, 0) + 1 for name in running}
        for name in running:
            meter.count([decided(numbered, name)], 1_000)
        assert seen(meters) == {(name, "a", WEIGHTED): count for name, count in expected.items()}


def test_what_finds_no_slot_is_counted_together() -> None:
    shared = memory(slots=12)
    meters, meter = Meters([shared]), Meter(shared)
    numbered = numbered_by(meters, table(*(f"x{i}" for i in range(30))))
    for i in range(30):
        meter.count([decided(numbered, f"x{i}")], 1_000)
    counts = seen(meters)
    assert sum(counts.values()) == 30
    assert counts["", "", "not_told_apart"] > 20


def test_a_time_stands_for_all_that_came_since_the_one_before() -> None:
    shared = memory()
    meters, meter = Meters([shared]), Meter(shared)
    for _ in range(3):
        meter.count([UNKNOWN] * 5, None)
    assert (sum(meters.seconds()[0]), meters.counts()) == (0, {("", "", "no_experiment"): 15})
    meter.count([UNKNOWN] * 2, 1_000_000)
    counts, seconds = meters.seconds()
    assert {BOUNDS[i]: count for i, count in enumerate(counts) if count} == {2**20 / 1e9: 17}
    assert seconds == pytest.approx(17e-3)


def test_times_are_counted_by_the_smallest_bound_that_holds_them() -> None:
    shared = memory()
    meters, meter = Meters([shared]), Meter(shared)
    times = [0, 1, 1000, 1023, 1024, 5_000, 1_000_000, 3_000_000_000]
    for nanoseconds in times:
        meter.count([UNKNOWN], nanoseconds)
    meter.count([UNKNOWN] * 40, 2_000)
    counts, seconds = meters.seconds()
    exact = [*times, *[2_000] * 40]
    bounds = [0.0, *BOUNDS, float("inf")]
    assert list(counts) == [sum(low <= t / 1e9 < high for t in exact) for low, high in pairwise(bounds)]
    assert seconds == sum(exact) / 1e9


def test_the_memory_is_as_large_as_it_says() -> None:
    assert len(memory((SIZE // CELL) - HEAD)) == SIZE
