"""The assignment of units: exact where weights change, proportional, independent, and the same everywhere.

Where chance is left the bound is stated: with 10^6 units and SIGMAS standard deviations, each such assertion would fail
for one in 10^9 choices of the hash; the hash being fixed, none of them ever changes its mind.
"""

from decimal import Decimal, localcontext
from math import log, sqrt
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.core import assignment
from extproc.core.assignment import bucket, held_out, rendezvous, slot
from extproc.core.units import SLOTS
from extproc.wire.hashing import hash64

IRIS_AB = (("iris", 70), ("iris2", 30))
SIGMAS = 6.2
UNITS = 100_000
BUCKETS = [bucket(hash64, b"iris-ab", b"user-%d" % i) for i in range(UNITS)]


def _of(user: str) -> int:
    """The index of the candidate that iris-ab gives a user."""
    at = bucket(hash64, b"iris-ab", user.encode())
    return rendezvous(hash64, at, [(name.encode(), weight) for name, weight in IRIS_AB])


def spread(*weights: int) -> list[int]:
    """Whom each bucket goes to, between candidates `a`, `b`, … of these weights."""
    candidates = [(b"%c" % (97 + i), weight) for i, weight in enumerate(weights)]
    return [rendezvous(hash64, at, candidates) for at in BUCKETS]


def near(count: int, of: int, share: float) -> bool:
    """Whether `count` of `of` is within SIGMAS standard deviations of a binomial distribution's mean."""
    return abs(count - of * share) <= SIGMAS * sqrt(of * share * (1 - share))


@pytest.mark.parametrize("weights", [(1, 1), (70, 30), (1, 1, 1), (50, 30, 20), (1, 999), (2**32 - 1, 2**32 - 1)])
def test_each_candidate_gets_its_share(weights: tuple[int, ...]) -> None:
    assigned = spread(*weights)
    for index, weight in enumerate(weights):
        assert near(assigned.count(index), UNITS, weight / sum(weights))


def test_a_changed_weight_moves_only_whom_it_must() -> None:
    moves = [(old, new) for old, new in zip(spread(50, 50), spread(60, 40), strict=True) if old != new]
    assert set(moves) == {(1, 0)}
    assert near(len(moves), UNITS, 0.1)


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ((1, 1, 1), (2, 1, 1), {(1, 0), (2, 0)}),
        ((2, 1, 1), (1, 1, 1), {(0, 1), (0, 2)}),
        ((5, 3, 2), (5, 3, 0), {(2, 0), (2, 1)}),
        ((7, 3), (70, 30), set()),
    ],
)
def test_nobody_moves_between_candidates_that_did_not_change(
    before: tuple[int, ...], after: tuple[int, ...], allowed: set[tuple[int, int]]
) -> None:
    kept = [(bytes([97 + i]), weight) for i, weight in enumerate(after) if weight]
    now = [rendezvous(hash64, at, kept) for at in BUCKETS]
    assert {(old, new) for old, new in zip(spread(*before), now, strict=True) if old != new} == allowed


@settings(max_examples=200)
@given(
    st.lists(st.integers(1, 2**32 - 1), min_size=2, max_size=6),
    st.data(),
    st.integers(0, 2**32 - 1),
)
def test_only_a_candidate_whose_weight_changed_gives_or_takes(weights: list[int], data: st.DataObject, at: int) -> None:
    changed = data.draw(st.integers(0, len(weights) - 1))
    candidates = [(b"%d" % i, weight) for i, weight in enumerate(weights)]
    other = list(candidates)
    other[changed] = (candidates[changed][0], data.draw(st.integers(1, 2**32 - 1)))
    before, after = rendezvous(hash64, at, candidates), rendezvous(hash64, at, other)
    if before != after:
        grew = other[changed][1] > candidates[changed][1]
        assert (after if grew else before) == changed


@given(st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=5), st.integers(0, 2**32 - 1), st.randoms())
def test_the_order_of_candidates_does_not_matter(weights: list[int], at: int, random: Random) -> None:
    candidates = [(b"%d" % i, weight) for i, weight in enumerate(weights)]
    shuffled = random.sample(candidates, len(candidates))
    assert candidates[rendezvous(hash64, at, candidates)] == shuffled[rendezvous(hash64, at, shuffled)]


def test_experiments_are_independent() -> None:
    """Chi-squared of the two-way table of 10^6 units, one degree of freedom: 38 is exceeded once in 10^9."""
    units, both = 1_000_000, [[0, 0], [0, 0]]
    halves = [(b"a", 1), (b"b", 1)]
    for i in range(units):
        unit = b"user-%d" % i
        first, second = (rendezvous(hash64, bucket(hash64, seed, unit), halves) for seed in (b"iris-ab", b"wine-ab"))
        both[first][second] += 1
    rows, columns = [sum(row) for row in both], [sum(column) for column in zip(*both, strict=True)]
    chi_squared = sum(
        (both[r][c] - rows[r] * columns[c] / units) ** 2 / (rows[r] * columns[c] / units)
        for r in range(2)
        for c in range(2)
    )
    assert chi_squared < 38


def test_scores_too_close_for_floats_are_decided_exactly() -> None:
    """The hash is made up here: two equal weights, hashes that differ in their last bit."""
    hashes = {b"0/a": 2**63 + 1, b"0/b": 2**63}
    candidates = [(b"b", 1), (b"a", 1)]
    assert assignment._score(hashes[b"0/a"], 1) == assignment._score(hashes[b"0/b"], 1)
    assert rendezvous(hashes.__getitem__, 0, candidates) == 1, "the larger hash has the smaller score"
    assert rendezvous(hashes.__getitem__, 0, candidates[::-1]) == 0


@given(st.integers(0, 2**64 - 1) | st.integers(0, 2**20).map(lambda n: 2**64 - 1 - n), st.integers(1, 2**32 - 1))
def test_a_score_is_within_a_hair_of_the_exact_one(hashed: int, weight: int) -> None:
    with localcontext(prec=60):
        exact = -(Decimal(2 * hashed + 1) / Decimal(2**65)).ln() / weight
    assert abs(Decimal(assignment._score(hashed, weight)) - exact) <= exact * Decimal(2) ** -48


def test_known_assignments_never_change() -> None:
    """The hashes are those of xxHash's own command line: `printf iris-ab/alice | xxhsum -H1`."""
    assert hash64(b"") == 0xEF46DB3751D8E999
    assert hash64(b"iris-ab/alice") == 0xA45CEDC1918156CB
    at = bucket(hash64, b"iris-ab", b"alice")
    assert at == 0xA45CEDC1
    scores = [-log((hash64(f"{at}/{name}".encode()) + 0.5) / 2**64) / weight for name, weight in IRIS_AB]
    assert rendezvous(hash64, at, [(name.encode(), weight) for name, weight in IRIS_AB]) == scores.index(min(scores))
    users = [f"user-{i}" for i in range(20)]
    assigned = [IRIS_AB[_of(user)][0] for user in users]
    assert "".join("2" if name == "iris2" else "1" for name in assigned) == "11112112111111111121"


def test_slots_are_even_and_depend_on_the_layer_alone() -> None:
    slots = [slot(hash64, b"ranking", b"user-%d" % i) for i in range(UNITS)]
    assert set(slots) == set(range(SLOTS))
    assert near(sum(s < 250 for s in slots), UNITS, 0.25)
    assert slots != [slot(hash64, b"checkout", b"user-%d" % i) for i in range(UNITS)]


def test_who_is_held_out_stays_so_when_more_are() -> None:
    units = [b"user-%d" % i for i in range(UNITS)]
    tenth = {unit for unit in units if held_out(hash64, b"iris-ab", unit, 100_000)}
    fifth = {unit for unit in units if held_out(hash64, b"iris-ab", unit, 200_000)}
    assert tenth < fifth
    assert near(len(tenth), UNITS, 0.1)
    assert near(len(fifth), UNITS, 0.2)
    assert not any(held_out(hash64, b"iris-ab", unit, 0) for unit in units)
    assert all(held_out(hash64, b"iris-ab", unit, 1_000_000) for unit in units)


def test_who_is_held_out_says_nothing_about_the_candidate() -> None:
    held = [i for i in range(UNITS) if held_out(hash64, b"iris-ab", b"user-%d" % i, 200_000)]
    assigned = spread(1, 1)
    assert near(sum(assigned[i] for i in held), len(held), 0.5)
