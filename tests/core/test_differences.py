"""What is other in one mapping than in another."""

from types import MappingProxyType

from hypothesis import given
from hypothesis import strategies as st

from extproc.core.differences import amended, differing

KEYS = st.sampled_from("abcdef")
VALUES = st.integers(0, 3)


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES))
def test_every_difference_is_found_and_none_made_up(old: dict[str, int], new: dict[str, int]) -> None:
    found = differing(old, new)
    assert len(found) == len(set(found))
    assert set(found) == {key for key in {*old, *new} if old.get(key) != new.get(key)}
    assert not differing(old, dict(old))
    assert not differing(old, dict(reversed(old.items())))


def test_values_are_compared_as_objects() -> None:
    one, other = [1], [1]
    assert list(differing({"a": one, "b": one}, {"a": one, "b": other})) == ["b"]


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, st.none() | VALUES))
def test_what_is_amended_is_other_by_its_changes(before: dict[str, int], changes: dict[str, int | None]) -> None:
    expected = {key: value for key, value in {**before, **changes}.items() if value is not None}
    for mapping in (before, MappingProxyType(before)):
        kept = dict(mapping)
        assert list(amended(mapping, changes).items()) == list(expected.items())
        assert mapping == kept
