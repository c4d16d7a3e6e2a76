"""What Envoy crashes with is found and set aside, and nothing else ever is."""

from itertools import chain, combinations

import pytest

from extproc.control.blame import crashed, is_corrected, refused, survived
from extproc.control.in_force import Admission
from extproc.control.refusals import LISTENER
from extproc.control.state import State, accepted, offered
from extproc.core.offers import Document, Offer
from extproc.core.resources import Candidate, Experiment, Kind, PassThrough
from extproc.xds.snapshot import ROUTES
from tests.control.filter_offers import NAMES, in_force, offer, refused_names

SIGNAL = "SIGSEGV"


def lives(state: State) -> State:
    """Envoy takes what there is, and lives on."""
    return survived(accepted(state, state.effective, frozenset()), state.effective)


class Envoy:
    """Dies of a filter at a version; while it takes it, or of the first request after that."""

    def __init__(self, deadly: set[tuple[str, int]], at_once: bool = True) -> None:
        self._deadly = deadly
        self._at_once = at_once
        self.deaths = 0

    def settle(self, state: State) -> State:
        for _ in range(30):
            if not self._deadly & set(in_force(state).items()):
                return lives(state)
            self.deaths += 1
            taken = state.effective
            if not self._at_once:
                state = accepted(state, taken, frozenset())
                assert self.deaths == 1 or not refused_names(state), "nobody is accused while it is not known"
            state = crashed(state, taken, [LISTENER] if self._at_once else [], SIGNAL)
        raise AssertionError(f"still dying of {in_force(state)}")


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("running", [True, False])
@pytest.mark.parametrize("bad", NAMES)
def test_one_of_many_is_found_and_the_others_are_in_force(bad: str, running: bool, at_once: bool) -> None:
    envoy = Envoy({(bad, 2)}, at_once)
    state = State()
    if running:
        state = envoy.settle(offer(state, **dict.fromkeys(NAMES, 1)))
    state = envoy.settle(offer(state, **dict.fromkeys(NAMES, 2)))
    expected = dict.fromkeys(NAMES, 2) | {bad: 1}
    if not running:
        del expected[bad]
    assert in_force(state) == expected
    assert refused_names(state) == {bad}
    (report,) = state.reports
    assert (report.kept, "SIGSEGV" in str(report)) == (running, True)
    assert state.trial is None
    assert envoy.deaths <= 1 + len(NAMES)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_only_one_that_changed_is_set_aside_at_its_second_death(at_once: bool) -> None:
    envoy = Envoy({("b", 2)}, at_once)
    state = envoy.settle(offer(lives(offer(State(), a=1, b=1)), a=1, b=2))
    assert (in_force(state), envoy.deaths) == ({"a": 1, "b": 1}, 2)
    state = envoy.settle(offer(state, a=1, b=3))
    assert (in_force(state), envoy.deaths, refused_names(state)) == ({"a": 1, "b": 3}, 2, set())


@pytest.mark.parametrize("bad", [*chain.from_iterable(combinations(NAMES, n) for n in (2, 3, 4))])
def test_of_several_none_stays(bad: tuple[str, ...]) -> None:
    """They can't be told apart: all are set aside that changed together, and what ran before runs on."""
    envoy = Envoy({(name, 2) for name in bad})
    state = envoy.settle(offer(lives(offer(State(), d=1, e=1)), **dict.fromkeys(NAMES, 2), e=1))
    assert in_force(state) == {"d": 1, "e": 1}
    assert refused_names(state) == set(NAMES)


def test_one_death_is_not_enough() -> None:
    state = offer(lives(offer(State(), a=1)), a=2)
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    assert (in_force(state), state.reports) == ({"a": 2}, ())
    state = lives(state)  # it was something else
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    assert (in_force(state), state.reports) == ({"a": 2}, ())


@pytest.mark.parametrize("types", [[], [LISTENER], [ROUTES]])
def test_what_has_run_for_long_is_never_blamed(types: list[str]) -> None:
    """However often Envoy dies, and whatever it was taking once more."""
    state = lives(offer(State(), a=1, b=1))
    for _ in range(10):
        state = crashed(state, state.effective, types, SIGNAL)
    assert (in_force(state), state.reports) == ({"a": 1, "b": 1}, ())


def test_two_deaths_of_two_changes_blame_nobody() -> None:
    state = offer(lives(offer(State(), a=1, b=1)), a=2, b=1)
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    state = lives(state)
    state = offer(state, a=2, b=2)
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    assert (in_force(state), state.reports) == ({"a": 2, "b": 2}, ())


@pytest.mark.parametrize("others", [{}, {"b": 2}])
def test_what_is_mended_by_now_is_not_blamed_for_what_it_was(others: dict[str, int]) -> None:
    """Envoy dies again before it is given the new version."""
    state = offer(lives(offer(State(), a=1, b=1)), **{"a": 2, "b": 1} | others)
    deadly = state.effective
    state = offer(crashed(state, deadly, [LISTENER], SIGNAL), **{"a": 3, "b": 1} | others)
    state = crashed(state, deadly, [LISTENER], SIGNAL)
    assert in_force(state)["a"] == 3
    assert "a" not in refused_names(state)


def test_a_death_of_what_was_before_changes_nothing() -> None:
    """Envoy was started again before it could be given something else."""
    state = offer(lives(offer(State(), a=1, b=1)), a=2, b=2)
    before = state.effective
    state = crashed(crashed(state, before, [LISTENER], SIGNAL), before, [LISTENER], SIGNAL)
    assert in_force(state) == {"a": 1, "b": 2}
    assert is_corrected(state, before)
    assert not is_corrected(state, state.effective)
    assert crashed(state, before, [LISTENER], SIGNAL) is state


def test_what_another_envoy_has_run_since_before_the_trial_decides_nothing() -> None:
    state = offer(lives(offer(State(), a=1, b=1)), a=2, b=2)
    everything = state.effective
    state = accepted(state, everything, frozenset())
    for _ in range(2):
        state = crashed(state, everything, [LISTENER], SIGNAL)
    assert in_force(state) == {"a": 1, "b": 2}
    state = survived(accepted(state, everything, frozenset()), everything)
    assert refused_names(state) == set()
    state = crashed(state, state.effective, [LISTENER], SIGNAL)
    assert in_force(state) == {"a": 2, "b": 1}
    assert refused_names(lives(state)) == {"b"}


def test_a_refusal_in_a_trial_is_another_s() -> None:
    state = offer(lives(offer(State(), a=1, b=1, c=1)), a=2, b=2, c=1)
    for _ in range(2):
        state = crashed(state, state.effective, [LISTENER], SIGNAL)
    assert in_force(state) == {"a": 1, "b": 2, "c": 1}
    state = offer(state, a=2, b=2, c=2)
    state = refused(state, state.effective, LISTENER, "c is wrong")
    state = lives(state)
    assert "c" not in in_force(state) or in_force(state)["c"] == 1


def experiments(weight: int, *more: Offer) -> list[Document]:
    each = [Experiment(f"e{n}", (Candidate(f"m{n}", weight),), default=f"m{n}") for n in range(2)]
    return [Document("f", (*(Offer("f", "", Kind.EXPERIMENT, e.name, e) for e in each), *more))]


def weights(effective: Admission) -> list[int]:
    return [e.candidates[0].weight for e in effective.experiments]


def test_experiments_are_set_aside_where_they_are_all_that_changed() -> None:
    state = lives(offered(State(), experiments(1), lambda _: ()))
    state = offered(state, experiments(2), lambda _: ())
    for _ in range(2):
        state = crashed(state, state.effective, [ROUTES], SIGNAL)
    assert weights(state.effective) == [1, 1]
    assert refused_names(state) == {"e0", "e1"}


def test_they_are_not_for_what_happens_while_they_run_nor_where_nothing_would_be_left() -> None:
    state = offered(State(), experiments(1), lambda _: ())
    for _ in range(3):
        state = crashed(state, state.effective, [ROUTES], SIGNAL)
    assert weights(state.effective) == [1, 1], "that is an Envoy that can't run, and has to be said so"
    state = lives(state)
    state = accepted(offered(state, experiments(2), lambda _: ()), state.effective, frozenset())
    for _ in range(3):
        state = crashed(state, state.effective, [], SIGNAL)
    assert (weights(state.effective), state.reports) == ([2, 2], ())


def test_routes_of_the_user_s_own_come_before_experiments() -> None:
    routes = PassThrough(Kind.ROUTES, "own", {"name": "own"})
    state = lives(offered(State(), experiments(1), lambda _: ()))
    state = offered(state, experiments(2, Offer("f", "", Kind.ROUTES, "own", routes)), lambda _: ())
    for _ in range(2):
        state = crashed(state, state.effective, [ROUTES], SIGNAL)
    assert weights(state.effective) == [2, 2]
    assert refused_names(state) == {"own"}
