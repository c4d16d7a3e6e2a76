"""Entries are counted exactly once, each where it belongs; time is the test's."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.control.accumulator import Outcomes
from extproc.control.outcomes import FALLBACK, MIRRORED, CandidateOutcomes, Counted, Role
from extproc.control.terms import Shares
from extproc.control.timeline import SERIES, STEP
from extproc.core.resources import Candidate, Experiment, Mirror
from extproc.core.units import Layer, OnMissing, Stickiness, UnitSource
from extproc.wire.access_log import Entry

AB = Experiment("ab", (Candidate("a", 3), Candidate("b", 1)), mirror=Mirror("m", 1_000_000))
SHARES: Shares = {"http": {"a": 0.75, "b": 0.25}, "grpc": {}}
NOW = 1_800_000_000.0


def entry(
    route_name: str = "ab/a", outcome: str = "", status: int = 200, at: float = NOW, *flags: str, trace: str = ""
) -> Entry:
    return Entry(route_name, outcome, at, 0.010, 0.008, status, flags, 100, 1000, trace)


@pytest.fixture
def outcomes() -> Outcomes:
    built = Outcomes()
    built.in_force(1, AB, SHARES, NOW - 100)
    return built


def candidates(outcomes: Outcomes, name: str = "ab") -> dict[str, CandidateOutcomes]:
    current = outcomes.current(name)
    assert current is not None
    return dict(current.candidates)


def test_each_request_is_in_its_class(outcomes: Outcomes) -> None:
    outcomes.account(
        [
            *[entry("ab/a")] * 5,
            *[entry("ab/b")] * 2,
            entry("ab/a", "sticky"),
            entry("ab/a/fallback"),
            entry("ab/b", status=503),
            entry("ab/b", "stale_token", 404),
            entry("ab/a", "", 0, NOW, "DC"),
            *[entry("ab/m/mirror")] * 3,
            entry("ab/m/mirror", status=500),
        ]
    )
    found = candidates(outcomes)
    assert found["a"].by_outcome == {"weighted": 6, "sticky": 1, FALLBACK: 1}
    assert found["a"].by_code == {"2xx": 7, "0": 1}
    assert found["a"].flags == {"DC": 1}
    assert (found["a"].requests, found["a"].errors) == (8, 1)
    assert found["b"].by_code == {"2xx": 2, "5xx": 1, "4xx": 1}
    assert found["b"].by_outcome == {"weighted": 3, "stale_token": 1}
    current = outcomes.current("ab")
    assert current is not None
    assert current.mirrors["m"].by_outcome == {MIRRORED: 4}
    assert current.mirrors["m"].by_code == {"2xx": 3, "5xx": 1}
    assert current.split.observed == {"a": 6, "b": 3}
    assert current.split.expected == {"a": 6.75, "b": 2.25}
    assert outcomes.unattributed == 0


LEFT = replace(
    AB,
    default="a",
    holdout=100_000,
    stickiness=Stickiness(UnitSource.HEADER, "x-user", on_missing=OnMissing.DEFAULT),
    layer=Layer("l", 0, 799),
)


def test_what_is_left_to_the_default_is_counted_apart_and_never_part_of_the_split() -> None:
    outcomes = Outcomes()
    outcomes.in_force(1, LEFT, SHARES, NOW - 100)
    outcomes.account(
        [
            *[entry("ab/a")] * 3,
            *[entry("ab/.default", "holdout")] * 4,
            entry("ab/.default/grpc", "holdout", 503),
            entry("ab/.holdout/fallback"),
            entry("ab/.default", "other_slot"),
            *[entry("ab/.other_slot/fallback")] * 2,
            entry("ab/.no_unit/fallback"),
        ]
    )
    current = outcomes.current("ab")
    assert current is not None
    assert {role: left.by_outcome for role, left in current.untouched.items()} == {
        Role.HOLDOUT: {"holdout": 5, FALLBACK: 1},
        Role.OTHER_SLOT: {"other_slot": 1, FALLBACK: 2},
        Role.NO_UNIT: {FALLBACK: 1},
    }
    assert current.untouched[Role.HOLDOUT].errors == 1
    assert current.candidates["a"].requests == 3
    assert current.split.observed == {"a": 3, "b": 0}
    assert outcomes.totals()[Counted("ab", "a", Role.HOLDOUT)].by_code == {"2xx": 5, "5xx": 1}
    assert outcomes.timeline("ab", NOW + 60)[0].untouched[Role.OTHER_SLOT].requests == 3
    assert outcomes.unattributed == 0


def test_what_says_not_why_it_was_left_to_the_default_is_counted_for_nobody() -> None:
    outcomes = Outcomes()
    outcomes.in_force(1, replace(LEFT, layer=None), SHARES, NOW - 100)
    outcomes.account([entry("ab/.default"), entry("ab/.default", "weighted"), entry("ab/.default", "other_slot")])
    assert outcomes.unattributed == 3


def test_another_default_answers_for_what_is_left_from_then_on() -> None:
    outcomes = Outcomes()
    outcomes.in_force(1, LEFT, SHARES, NOW - 100)
    outcomes.account([entry("ab/.default", "holdout")])
    outcomes.in_force(2, replace(LEFT, default="b"), SHARES, NOW + 10)
    outcomes.account([entry("ab/.default", "holdout", at=NOW + 20)])
    assert {by.candidate for by in outcomes.totals() if by.role is Role.HOLDOUT} == {"a", "b"}
    assert [each.untouched[Role.HOLDOUT].requests for each in outcomes.revisions("ab")] == [1, 1]


def test_times_and_bytes_add_up(outcomes: Outcomes) -> None:
    outcomes.account([entry()] * 4 + [entry()._replace(upstream=-1.0)])
    found = candidates(outcomes)["a"]
    assert (found.duration.count, found.upstream.count) == (5, 4)
    assert found.duration.total == pytest.approx(0.05)
    assert (found.received, found.sent) == (500, 5000)


def test_weighted_is_weighted_told_or_not(outcomes: Outcomes) -> None:
    """With traces extproc tells every outcome."""
    outcomes.account([entry("ab/a"), entry("ab/a", b"weighted".decode())])
    current = outcomes.current("ab")
    assert current is not None
    assert current.candidates["a"].by_outcome == {"weighted": 2}
    assert current.split.expected == {"a": 1.5, "b": 0.5}


def test_what_is_remembered_of_a_route_ends_with_the_next_change(outcomes: Outcomes) -> None:
    outcomes.account([entry("ab/a"), entry("ab/m/mirror")])
    outcomes.in_force(1, AB, {"http": {"a": 1.0}, "grpc": {}}, NOW + 10)
    outcomes.account([entry("ab/a", at=NOW + 11), entry("ab/a", at=NOW + 9), entry("ab/m/mirror", at=NOW + 11)])
    outcomes.in_force(2, replace(AB, timeout=1000), SHARES, NOW + 20)
    outcomes.account([entry("ab/a", at=NOW + 21), entry("ab/a", at=NOW + 19), entry("ab/m/mirror", at=NOW + 21)])
    first, second = outcomes.revisions("ab")
    assert (first.candidates["a"].requests, first.mirrors["m"].requests) == (4, 2)
    assert first.split.expected == {"a": 2 * 0.75 + 2.0, "b": 0.5}
    assert (second.candidates["a"].requests, second.mirrors["m"].requests) == (1, 1)


def test_each_mirror_has_its_own() -> None:
    outcomes = Outcomes()
    two = Experiment("ab", (Candidate("a", 1),), mirrors=(Mirror("m", 1_000_000), Mirror("n", 500_000)))
    outcomes.in_force(1, two, SHARES, NOW - 1)
    outcomes.account([entry("ab/m/mirror"), entry("ab/n/mirror"), entry("ab/n/grpc/mirror")])
    current = outcomes.current("ab")
    assert current is not None
    assert {name: mirror.requests for name, mirror in current.mirrors.items()} == {"m": 1, "n": 2}


def test_a_fallback_is_one_whatever_extproc_may_have_said(outcomes: Outcomes) -> None:
    outcomes.account([entry("ab/a/fallback", "sticky"), entry("ab/m/mirror", "sticky")])
    current = outcomes.current("ab")
    assert current is not None
    assert current.candidates["a"].by_outcome == {FALLBACK: 1}
    assert current.mirrors["m"].by_outcome == {MIRRORED: 1}
    assert sum(current.split.observed.values()) == 0


@pytest.mark.parametrize(
    "route_name", ["", "endpoint.iris", "endpoint.a/grpc", "no/a", "ab", "ab/z", "ab/a/other", "ab/a/mirror", "ab/m"]
)
def test_what_belongs_to_nothing_is_counted_as_that(outcomes: Outcomes, route_name: str) -> None:
    outcomes.account([entry(route_name)])
    assert (outcomes.unattributed, outcomes.counted) == (1, 1)
    assert all(not found.requests for found in candidates(outcomes).values())


def test_candidates_may_have_the_names_of_marks() -> None:
    odd = Experiment("odd", tuple(Candidate(name, 1) for name in ("grpc", "mirror", "fallback")))
    outcomes = Outcomes()
    outcomes.in_force(1, odd, {}, NOW - 1)
    routes = ["odd/grpc", "odd/grpc/grpc", "odd/mirror", "odd/mirror/grpc/fallback", "odd/fallback/fallback"]
    outcomes.account([entry(route) for route in routes])
    assert {name: found.by_outcome for name, found in candidates(outcomes, "odd").items()} == {
        "grpc": {"weighted": 2},
        "mirror": {"weighted": 1, FALLBACK: 1},
        "fallback": {FALLBACK: 1},
    }


def test_requests_are_told_apart_by_revision(outcomes: Outcomes) -> None:
    outcomes.in_force(2, replace(AB, candidates=(Candidate("a", 1), Candidate("b", 1))), SHARES, NOW)
    outcomes.account([entry(at=NOW - 0.5), entry(at=NOW), entry(at=NOW + 60), entry("ab/m/mirror", at=NOW - 0.1)])
    found = outcomes.revisions("ab")
    assert [(r.number, r.candidates["a"].requests, r.mirrors["m"].requests) for r in found] == [(1, 1, 1), (2, 2, 0)]


def test_grpc_is_compared_with_its_own_shares() -> None:
    outcomes = Outcomes()
    outcomes.in_force(1, AB, {"http": {"a": 0.75, "b": 0.25}, "grpc": {"b": 1.0}}, NOW - 1)
    outcomes.account([*[entry("ab/a")] * 4, *[entry("ab/b/grpc")] * 10])
    current = outcomes.current("ab")
    assert current is not None
    assert current.split.expected == {"a": 3.0, "b": 11.0}
    assert current.split.observed == {"a": 4, "b": 10}


def test_totals_outlast_revisions_and_go_with_the_experiment(outcomes: Outcomes) -> None:
    trace = "0af7651916cd43dd8448eb211c80319c"
    outcomes.account([entry(trace=trace), entry("ab/m/mirror", status=500)])
    for number in range(2, 40):
        outcomes.in_force(number, AB, SHARES, NOW + number)
    totals = outcomes.totals()
    assert set(totals) == {Counted("ab", "a"), Counted("ab", "m", Role.MIRROR)}
    assert totals[Counted("ab", "a")].by_code == {"2xx": 1}
    assert totals[Counted("ab", "m", Role.MIRROR)].by_code == {"5xx": 1}
    (exemplar,) = totals[Counted("ab", "a")].exemplars.values()
    assert (exemplar.trace, exemplar.seconds, exemplar.at) == (trace, 0.010, NOW + 0.010)
    outcomes.drop("ab")
    assert (outcomes.totals(), outcomes.experiments) == ({}, frozenset())
    outcomes.account([entry()])
    assert outcomes.unattributed == 1


def test_the_timeline_has_a_point_for_every_candidate_with_requests(outcomes: Outcomes) -> None:
    outcomes.account([entry(), entry("ab/b", status=500), entry("ab/m/mirror"), entry(at=NOW + 2 * STEP)])
    steps = outcomes.timeline("ab", NOW + 4 * STEP)
    assert [int(step.at - NOW) for step in steps] == [0, 5, 10, 15][: len(steps)]
    first = steps[0]
    found = {name: (point.requests, point.errors) for name, point in first.candidates.items()}
    assert found == {"a": (1, 0), "b": (1, 1)}
    assert first.mirrors["m"].requests == 1
    assert [step.candidates["a"].requests for step in steps] == [1, 0, 1]
    assert outcomes.timeline("nobody", NOW) == []


def test_timelines_are_bounded_in_number() -> None:
    outcomes = Outcomes()
    for number in range(SERIES + 10):
        name = f"e{number}"
        outcomes.in_force(1, replace(AB, name=name), SHARES, NOW - 1)
        outcomes.account([entry(f"{name}/a")])
    assert len([n for n in outcomes.experiments if outcomes.timeline(n, NOW + 60)]) == SERIES
    assert len(outcomes.totals()) == SERIES + 10
    outcomes.drop("e0")
    outcomes.in_force(1, replace(AB, name="late"), SHARES, NOW - 1)
    outcomes.account([entry("late/a")])
    assert outcomes.timeline("late", NOW + 60)


ROUTES = ["ab/a", "ab/b", "ab/a/fallback", "ab/b/grpc", "ab/m/mirror", "endpoint.a", "no/a", "ab/z"]
ENTRIES = st.builds(
    Entry,
    st.sampled_from(ROUTES) | st.text(max_size=20),
    st.sampled_from(["", "sticky", "stale_token"]),
    st.floats(0, 4e9),
    st.floats(-1, 1e9),
    st.floats(-1, 1e9),
    st.integers(-5, 70_000),
    st.sampled_from([(), ("UF",), ("DC", "UC")]),
    st.integers(0, 2**40),
    st.integers(0, 2**40),
    st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c"]),
)


@given(st.lists(ENTRIES, max_size=40))
def test_whatever_comes_the_sums_are_what_came(entries: list[Entry]) -> None:
    outcomes = Outcomes()
    outcomes.in_force(1, AB, SHARES, NOW - 100)
    outcomes.account(entries)
    current = outcomes.current("ab")
    assert current is not None
    everyone = [*current.candidates.values(), *current.mirrors.values()]
    assert sum(found.requests for found in everyone) + outcomes.unattributed == len(entries) == outcomes.counted
    for found in everyone:
        assert sum(found.by_outcome.values()) == sum(found.by_code.values()) == found.requests == found.duration.count
        assert set(found.by_code) <= {"0", "1xx", "2xx", "3xx", "4xx", "5xx"}
    by_route = Counter(e.route_name for e in entries)
    assert current.mirrors["m"].requests == by_route["ab/m/mirror"]
    assert sum(t.duration.count for t in outcomes.totals().values()) == len(entries) - outcomes.unattributed


def test_what_can_never_be_recorded_does_not_wait_for_it(outcomes: Outcomes) -> None:
    """A file may change again, and again, before its first change is on disk."""
    specs = [replace(AB, timeout=n) for n in range(1, 6)]
    for n, spec in enumerate(specs):
        outcomes.in_force(1, spec, SHARES, NOW + n)
        outcomes.account([entry(at=NOW + n)])
    assert outcomes.changed() == []
    outcomes.in_force(2, specs[-1], SHARES, NOW + 9)
    outcomes.account([entry(at=NOW)])
    assert [(name, term.number) for name, term in outcomes.changed()] == [("ab", 2)]
    assert not outcomes._unsaved
