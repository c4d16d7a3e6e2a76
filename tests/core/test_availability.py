"""The split in effect for every set of available candidates."""

from itertools import chain, combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.availability import Shares, shares
from extproc.core.resources import Candidate, Experiment, WhenUnavailable

NARROW = WhenUnavailable.AVAILABLE_CANDIDATES
DEFAULT = WhenUnavailable.DEFAULT_ONLY
REJECT = WhenUnavailable.REJECT


def experiment(
    default: str = "", when_unavailable: WhenUnavailable = WhenUnavailable.AVAILABLE_CANDIDATES, **weights: int
) -> Experiment:
    return Experiment(
        "e", tuple(Candidate(*w) for w in weights.items()), default=default, when_unavailable=when_unavailable
    )


@pytest.mark.parametrize(
    ("declared", "available", "expected"),
    [
        # All there: the user's own split.
        (experiment("a", a=70, b=30), "ab", Shares((("a", 70), ("b", 30)), ("a", "b"))),
        (experiment("a", a=0, b=30), "ab", Shares((("b", 30),), ("a", "b"))),
        (experiment("a", DEFAULT, a=70, b=30), "ab", Shares((("a", 70), ("b", 30)), ("a", "b"))),
        (experiment("a", REJECT, a=70, b=30), "ab", Shares((("a", 70), ("b", 30)), ("a", "b"))),
        # One is missing: the others keep their weights to each other.
        (experiment("a", a=70, b=20, c=10), "ac", Shares((("a", 70), ("c", 10)), ("a", "c"))),
        (experiment("a", a=70, b=30), "b", Shares((("b", 30),), ("b",))),
        (experiment("a", REJECT, a=70, b=30), "b", Shares((("b", 30),), ("b",))),
        # Or the default answers alone, and a token for another candidate does not count.
        (experiment("a", DEFAULT, a=70, b=20, c=10), "ac", Shares((("a", 1),), (), narrowed=True)),
        (experiment("a", DEFAULT, a=70, b=30), "b", Shares((("a", 1),), (), narrowed=True)),
        # None is there: the default, ready or not, is who answers; without one nobody does.
        (experiment("a", a=70, b=30), "", Shares((("a", 1),), (), narrowed=True)),
        (experiment("", a=70, b=30), "", Shares((), (), narrowed=True)),
        (experiment("a", DEFAULT, a=70, b=30), "", Shares((("a", 1),), (), narrowed=True)),
        # Only candidates of weight 0 are left: the default among them, else all of them alike.
        (experiment("a", a=0, b=0, c=5), "ab", Shares((("a", 1),), ("a", "b"), narrowed=True)),
        (experiment("c", a=0, b=0, c=5), "ab", Shares((("a", 1), ("b", 1)), ("a", "b"), narrowed=True)),
        (experiment("", a=0, b=5), "a", Shares((("a", 1),), ("a",), narrowed=True)),
    ],
)
def test_the_split_in_effect(declared: Experiment, available: str, expected: Shares) -> None:
    assert shares(declared, lambda name: name in available) == expected


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    weights = draw(st.lists(st.integers(0, 5), min_size=1, max_size=5).filter(any))
    named = dict(zip("abcde", weights, strict=False))
    when = draw(st.sampled_from(WhenUnavailable))
    default = draw(st.sampled_from([*named] if when is DEFAULT else ["", *named]))
    return experiment(default, when, **named)


@given(experiments())
def test_whatever_is_available(declared: Experiment) -> None:
    listed = [c.name for c in declared.candidates]
    declared_weights = {c.name: c.weight for c in declared.candidates}
    for available in map(set, chain.from_iterable(combinations(listed, n) for n in range(len(listed) + 1))):
        now = shares(declared, available.__contains__)
        drawn = [name for name, _ in now.weighted]
        assert all(weight > 0 for _, weight in now.weighted)
        assert drawn == [name for name in listed if name in drawn], "not in the user's order"
        assert now.reachable in (tuple(name for name in listed if name in available), ())
        assert set(drawn) <= available | {declared.default}
        assert bool(drawn) or (not declared.default and not available)
        if not now.narrowed:
            assert dict(now.weighted) == {n: w for n, w in declared_weights.items() if n in available and w}
