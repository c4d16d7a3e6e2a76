"""Decisions about units: the precedence of token, override, slot, holdout, hash and draw, and exact holdouts."""

import dataclasses
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import names
from extproc.core.assignment import bucket, held_out, rendezvous, slot
from extproc.core.compilation import compile_table
from extproc.core.decide import decide
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import Decision, Entry, Outcome, Table
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.wire.hashing import hash64
from tests.core.test_table import EVERYTHING

MODELS = {name: Model(name, endpoints=(Endpoint("127.0.0.1", 8080),)) for name in ("iris", "iris2", "iris3")}
USER = Stickiness(UnitSource.HEADER, "x-user")
AB = Experiment("ab", (Candidate("iris", 6), Candidate("iris2", 4), Candidate("iris3", 0)), "iris", stickiness=USER)
ROUTE = names.intercept_route("ab", "iris", "http")
WEIGHTED = ((b"iris", 6), (b"iris2", 4))
USERS = [b"user-%d" % i for i in range(2_000)]


def table(usable: tuple[str, ...] = tuple(MODELS), accepted: Any = EVERYTHING, **fields: Any) -> Table:
    return compile_table(
        [dataclasses.replace(AB, **fields)], MODELS, lambda name, _: name in usable, accepted, hash64=hash64
    )


def unit(of: Table, user: bytes, token: str = "", draw: int = 0) -> Decision:
    return decide(of, ROUTE, {names.ROUTE_HEADER: token} if token else {}, draw, unit=user)


def where(of: Table, user: bytes, token: str = "") -> tuple[str, Outcome]:
    decision = unit(of, user, token)
    return decision.candidate, decision.outcome


@given(st.sampled_from(USERS), st.integers(0, 2**64 - 1))
def test_a_unit_has_its_own_candidate_whatever_the_draw(user: bytes, draw: int) -> None:
    expected = WEIGHTED[rendezvous(hash64, bucket(hash64, b"ab", user), WEIGHTED)][0].decode()
    decision = unit(table(), user, draw=draw)
    assert (decision.candidate, decision.outcome) == (expected, Outcome.UNIT)
    assert decision.label == names.label("ab", expected)


def test_a_seed_takes_the_place_of_the_name() -> None:
    seeded = table(stickiness=dataclasses.replace(USER, seed="other"))
    expected = [WEIGHTED[rendezvous(hash64, bucket(hash64, b"other", u), WEIGHTED)][0].decode() for u in USERS]
    assert [unit(seeded, user).candidate for user in USERS] == expected
    assert expected != [unit(table(), user).candidate for user in USERS]


def test_a_valid_token_goes_before_the_unit_and_a_stale_one_does_not() -> None:
    of = table(overrides=(Override("iris2", ("user-1",)),), holdout=1_000_000)
    assert where(of, b"user-1", ":iris3_1:") == ("iris3", Outcome.STICKY)
    assert where(of, b"user-1", ":gone_1:") == ("iris2", Outcome.OVERRIDE)


def test_of_a_unit_its_override_comes_first_then_its_slot_then_the_holdout() -> None:
    user = USERS[0]
    own = slot(hash64, b"ranking", user)
    inside, outside = Layer("ranking", own, own), Layer("ranking", (own + 1) % 1000, (own + 1) % 1000)
    forced = (Override("iris3", (user.decode(),)),)
    assert where(table(overrides=forced, layer=outside, holdout=1_000_000), user) == ("iris3", Outcome.OVERRIDE)
    assert where(table(layer=outside, holdout=1_000_000), user) == ("iris", Outcome.OTHER_SLOT)
    assert where(table(layer=inside, holdout=1_000_000), user) == ("iris", Outcome.HOLDOUT)
    assert where(table(layer=inside), user)[1] is Outcome.UNIT


def test_who_is_outside_is_told_the_untouched_route() -> None:
    for fields in ({"holdout": 1_000_000}, {"layer": Layer("x", 0, 0)}):
        decision = unit(table(**fields), USERS[1])
        assert decision.label == names.label("ab", names.UNTOUCHED)
    without = {names.decided_route("ab", name, "http") for name in MODELS}
    assert unit(table(accepted=without, holdout=1_000_000), USERS[1]).label == "", "Envoy does not know that route yet"


def test_the_holdout_is_of_units() -> None:
    of = table(holdout=250_000)
    assert [unit(of, u).outcome is Outcome.HOLDOUT for u in USERS] == [
        held_out(hash64, b"ab", u, 250_000) for u in USERS
    ]
    kept = [u for u in USERS if not held_out(hash64, b"ab", u, 250_000)]
    assert [unit(of, u) for u in kept] == [unit(table(), u) for u in kept], "a holdout moves nobody else"


@pytest.mark.parametrize("stickiness", [None, USER])
@pytest.mark.parametrize("token", ["", ":gone_1:"])
def test_without_units_the_holdout_is_of_requests_exactly(stickiness: Stickiness | None, token: str) -> None:
    of = table(stickiness=stickiness, holdout=250_000)  # 64 of 256 draws; 192 are left, of which 6 and 4 of 10
    counts = Counter(
        (d.candidate, d.outcome)
        for d in (
            decide(of, ROUTE, {names.ROUTE_HEADER: token} if token else {}, draw, bits=10) for draw in range(1024)
        )
    )
    drawn = Outcome.STALE_TOKEN if token else Outcome.WEIGHTED
    assert counts == {("iris", drawn): 461, ("iris2", drawn): 307, ("iris", Outcome.HOLDOUT): 256}


def test_a_request_without_a_unit_is_drawn_for_or_stays_out() -> None:
    assert where(table(), b"") == ("iris", Outcome.WEIGHTED)
    decision = unit(table(stickiness=dataclasses.replace(USER, on_missing=OnMissing.DEFAULT)), b"")
    assert (decision.candidate, decision.outcome) == ("iris", Outcome.NO_UNIT)
    assert decision.label == names.label("ab", names.UNTOUCHED)


def test_a_candidate_that_is_down_gives_its_units_away_and_gets_them_back() -> None:
    all_up, without = table(), table(usable=("iris", "iris3"), overrides=(Override("iris2", ("user-1",)),))
    for user in USERS:
        before, now = unit(all_up, user), unit(without, user)
        assert now.candidate == "iris"
        assert now.outcome is Outcome.UNIT
        assert before.candidate in ("iris", "iris2")


def test_with_nothing_available_the_default_stands_in_for_every_unit() -> None:
    assert {where(table(usable=()), user) for user in USERS[:50]} == {("iris", Outcome.UNAVAILABLE)}


def test_an_envoy_that_lacks_a_route_is_left_to_assign_by_itself() -> None:
    decision = unit(table(accepted={"ab/iris"}), USERS[0])
    assert (decision.label, decision.outcome) == ("", Outcome.NOT_ACCEPTED)


def test_units_are_bytes_of_any_kind() -> None:
    of = table(overrides=(Override("iris3", ("zo\u00eb",)),))
    assert where(of, "zo\u00eb".encode()) == ("iris3", Outcome.OVERRIDE)
    assert where(of, b"\xff\x00")[1] is Outcome.UNIT


def test_an_entry_without_stickiness_has_no_units() -> None:
    entry: Entry = table(stickiness=None).entries["ab", "http"]
    assert entry.units is None
    assert decide(table(stickiness=None), ROUTE, {}, 0, unit=b"user-1").outcome is Outcome.WEIGHTED
