"""The weighted choice, by every value of a narrow draw and by properties of the wide one."""

from collections import Counter
from fractions import Fraction
from itertools import accumulate, pairwise
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.rules import WEIGHT_MAX
from extproc.core.split import DRAW_BITS, choose, cumulate

WEIGHTS = st.lists(st.integers(0, WEIGHT_MAX), min_size=1, max_size=12).filter(any)
DRAWS = st.integers(0, 2**DRAW_BITS - 1)


def every_draw(weights: tuple[int, ...], bits: int) -> list[int]:
    cumulative = cumulate(weights)
    counts = Counter(choose(cumulative, draw, bits) for draw in range(2**bits))
    assert set(counts) <= set(range(len(weights)))
    return [counts[i] for i in range(len(weights))]


@pytest.mark.parametrize(
    ("weights", "bits", "counts"),
    [
        ((1,), 0, [1]),
        ((1,), 8, [256]),
        ((1, 1), 1, [1, 1]),
        ((50, 50), 8, [128, 128]),
        ((179, 77), 8, [179, 77]),
        ((70, 20, 10, 28), 7, [70, 20, 10, 28]),
        ((3, 0, 5), 12, [1536, 0, 2560]),
        ((0, 1), 6, [0, 64]),
        ((1, 0), 6, [64, 0]),
        ((0, 0, 7, 0), 4, [0, 0, 16, 0]),
        ((70, 30), 10, [717, 307]),  # 716.8 and 307.2: a draw can't be halved
        ((1, 1, 1), 8, [86, 85, 85]),
        ((WEIGHT_MAX, WEIGHT_MAX), 8, [128, 128]),
        ((WEIGHT_MAX, 1), 16, [2**16, 0]),  # one in 2^32 is less than one of 2^16 draws
        ((1, WEIGHT_MAX), 16, [1, 2**16 - 1]),  # but the draws that round to it are its own
    ],
)
def test_every_draw_counted(weights: tuple[int, ...], bits: int, counts: list[int]) -> None:
    assert every_draw(weights, bits) == counts


@pytest.mark.parametrize("total", [1, 2, 4, 8, 16])
def test_every_pair_of_weights_whose_total_divides_the_draws_is_met_exactly(total: int) -> None:
    for weight in range(total + 1):
        assert every_draw((weight, total - weight), 8) == [weight * 256 // total, (total - weight) * 256 // total]


@given(st.lists(st.integers(0, 300), min_size=1, max_size=6).filter(any), st.integers(0, 10))
def test_each_index_owns_one_run_of_draws_within_one_of_its_share(weights: list[int], bits: int) -> None:
    total = sum(weights)
    edges = [0, *(ceil(Fraction(upto * 2**bits, total)) for upto in accumulate(weights))]
    counts = every_draw(tuple(weights), bits)
    assert counts == [after - before for before, after in pairwise(edges)]
    assert all(abs(count - Fraction(w * 2**bits, total)) < 1 for count, w in zip(counts, weights, strict=True))


@given(WEIGHTS, DRAWS)
def test_an_index_of_weight_zero_is_never_chosen(weights: list[int], draw: int) -> None:
    assert weights[choose(cumulate(weights), draw)] > 0


@given(WEIGHTS)
def test_the_first_and_the_last_draw_fall_on_the_first_and_the_last_weight_above_zero(weights: list[int]) -> None:
    cumulative = cumulate(weights)
    positive = [i for i, weight in enumerate(weights) if weight]
    assert choose(cumulative, 0) == positive[0]
    assert choose(cumulative, 2**DRAW_BITS - 1) == positive[-1]


@given(WEIGHTS, DRAWS, DRAWS)
def test_a_greater_draw_never_falls_on_an_earlier_index(weights: list[int], one: int, other: int) -> None:
    cumulative = cumulate(weights)
    assert choose(cumulative, min(one, other)) <= choose(cumulative, max(one, other))


@given(WEIGHTS, DRAWS, st.integers(1, 1000))
def test_only_the_proportion_of_weights_counts(weights: list[int], draw: int, factor: int) -> None:
    assert choose(cumulate(weights), draw) == choose(cumulate(w * factor for w in weights), draw)


@given(WEIGHTS, st.data())
def test_the_edges_of_the_wide_draw_are_exact(weights: list[int], data: st.DataObject) -> None:
    cumulative = cumulate(weights)
    index = data.draw(st.sampled_from([i for i, weight in enumerate(weights) if weight]))
    before = cumulative[index] - weights[index]
    first = ceil(Fraction(before << DRAW_BITS, cumulative[-1]))
    assert choose(cumulative, first) == index
    if first:
        assert choose(cumulative, first - 1) < index
