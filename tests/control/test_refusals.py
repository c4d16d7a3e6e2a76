"""Of several HTTP filters the one that Envoy refuses is found, and no other is out of force for it."""

from collections.abc import Mapping
from itertools import chain, combinations

import pytest

from extproc.control.blame import refused
from extproc.control.refusals import LISTENER
from extproc.control.state import State, accepted, offered
from extproc.core.offers import Document
from tests.control.filter_offers import NAMES, filters, in_force, offer, refused_names


class Envoy:
    """Refuses a filter at a version that is wrong, with that one's message, the first by name."""

    def __init__(self, wrong: Mapping[tuple[str, int], str]) -> None:
        self._wrong = wrong
        self.accepted: list[dict[str, int]] = []

    def settle(self, state: State) -> State:
        """Tell of each configuration until one is accepted."""
        for _ in range(30):
            now = in_force(state)
            messages = [self._wrong[each] for each in sorted(now.items()) if each in self._wrong]
            if not messages:
                self.accepted.append(now)
                return accepted(state, state.effective, frozenset())
            before, state = state, refused(state, state.effective, LISTENER, messages[0])
            assert state.effective != before.effective, "the same configuration again would be refused again"
        raise AssertionError(f"still refused: {in_force(state)}")


@pytest.mark.parametrize("bad", NAMES)
@pytest.mark.parametrize("running", [True, False])
def test_one_of_many_is_found_with_the_others_in_force(bad: str, running: bool) -> None:
    envoy = Envoy({(bad, 2): "it is wrong"})
    state = State()
    if running:
        state = envoy.settle(offer(state, **dict.fromkeys(NAMES, 1)))
    state = envoy.settle(offer(state, **dict.fromkeys(NAMES, 2)))
    expected = dict.fromkeys(NAMES, 2) | {bad: 1}
    if not running:
        del expected[bad]
    assert envoy.accepted[-1] == expected
    assert len(envoy.accepted) == 1 + running, "nobody good was out of force, not for a moment"
    assert refused_names(state) == {bad}
    assert state.trial is None


@pytest.mark.parametrize("bad", [*chain.from_iterable(combinations(NAMES, n) for n in (2, 3, 4))])
def test_several_are_found_where_envoy_says_different_things_of_them(bad: tuple[str, ...]) -> None:
    envoy = Envoy({(name, 1): f"it is wrong: {i}" for i, name in enumerate(bad)})
    state = envoy.settle(offer(State(), **dict.fromkeys(NAMES, 1)))
    assert in_force(state) == {name: 1 for name in NAMES if name not in bad}
    assert refused_names(state) == set(bad)


def test_several_of_which_it_says_the_same_are_set_aside_with_all_that_came_with_them() -> None:
    envoy = Envoy({("a", 2): "it is wrong", ("c", 2): "it is wrong"})
    state = envoy.settle(offer(State(), d=1))
    state = envoy.settle(offer(state, a=2, b=2, c=2, d=2))
    assert in_force(state) == {"d": 1}
    assert refused_names(state) == set(NAMES)
    state = envoy.settle(offer(state, a=3, b=3, c=2, d=3))
    assert in_force(state) == {"a": 3, "b": 3, "d": 3}


def test_whom_the_message_names_is_tried_first_and_not_believed() -> None:
    """A filter may be called as a word of Envoy's is."""
    envoy = Envoy({("c", 1): "has invalid local jwks"})
    state = offer(State(), a=1, c=1, local=1)
    first = refused(state, state.effective, LISTENER, "has invalid local jwks")
    assert in_force(first) == {"a": 1, "c": 1}
    assert first.reports == (), "nobody is accused while it is not known"
    assert in_force(envoy.settle(first)) == {"a": 1, "local": 1}


def test_what_another_envoy_says_of_the_same_configuration_changes_nothing() -> None:
    state = offer(State(), a=1, b=1)
    first = refused(state, state.effective, LISTENER, "it is wrong")
    assert refused(first, state.effective, LISTENER, "it is wrong") is first
    second = refused(first, first.effective, LISTENER, "it is wrong")
    assert in_force(second) == {"a": 1}
    assert refused(second, first.effective, LISTENER, "it is wrong") is second


def test_a_change_in_the_middle_of_a_trial_begins_anew() -> None:
    envoy = Envoy({("b", 1): "it is wrong"})
    state = offer(State(), a=1, b=1)
    state = refused(state, state.effective, LISTENER, "it is wrong")
    assert in_force(state) == {"b": 1}
    state = offer(state, a=2, b=1)
    assert in_force(state) == {"a": 2, "b": 1}
    assert in_force(envoy.settle(state)) == {"a": 2}
    # And one that has nothing to do with it does not.
    state = offer(State(), a=1, b=1)
    state = refused(state, state.effective, LISTENER, "it is wrong")
    documents = [*filters({"a": 1, "b": 1}), Document("other")]
    assert offered(state, documents, lambda _: ()).trial == state.trial is not None


def test_a_port_that_is_taken_is_no_filter_s_fault() -> None:
    state = offer(State(), a=1)
    state = refused(state, state.effective, LISTENER, "inference: cannot bind '0.0.0.0:9000': Address already in use")
    assert (state.refusals, in_force(state)) == ({}, {"a": 1})
    assert "already in use" in state.complaint
