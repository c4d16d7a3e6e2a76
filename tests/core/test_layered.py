"""Versions of a mapping: each is the plain dict that it stands for, for ever, and shares what was not replaced."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from extproc.core import layered
from extproc.core.layered import REPLACED_MAX, Layered

KEYS = st.sampled_from("abcdef")
VALUES = st.integers(0, 3)
CHANGES = st.dictionaries(KEYS, st.none() | VALUES)


def amended(mapping: dict[str, int], changes: dict[str, int | None]) -> dict[str, int]:
    return {key: value for key, value in {**mapping, **changes}.items() if value is not None}


@given(st.dictionaries(KEYS, VALUES), st.lists(CHANGES, max_size=6), st.integers(0, 3))
def test_each_version_is_the_dict_it_stands_for(
    first: dict[str, int], all_changes: list[dict[str, int | None]], most: int
) -> None:
    versions, expected = [Layered(dict(first))], [first]
    with patch.object(layered, "REPLACED_MAX", most):
        for changes in all_changes:
            versions.append(versions[-1].amended(changes))
            expected.append(amended(expected[-1], changes))
    for version, plain in zip(versions, expected, strict=True):
        assert list(version.items()) == list(plain.items())
        assert list(version) == list(version.keys()) == list(plain)
        assert list(version.values()) == list(plain.values())
        assert version == plain
        assert (version.plain(), len(version)) == (plain, len(plain))
        for key in "abcdefg":
            assert (key in version) is (key in plain)
            assert version.find(key) == version.get(key) == plain.get(key)
            assert version.get(key, 7) == plain.get(key, 7)
            assert {key: version[key] for key in version} == plain
        for other, theirs in zip(versions, expected, strict=True):
            assert (version == other) is (plain == theirs)
            found = version.other_than(other)
            assert found is None or set(found) == {k for k in {**plain, **theirs} if plain.get(k) != theirs.get(k)}
            assert found is None or len(found) == len(set(found))


@given(st.dictionaries(KEYS, VALUES), CHANGES)
def test_what_is_other_than_in_the_version_before_is_always_known(
    first: dict[str, int], changes: dict[str, int | None]
) -> None:
    before = Layered(dict(first))
    with patch.object(layered, "REPLACED_MAX", 1):
        assert before.amended(changes).other_than(before) is not None


def test_what_is_replaced_costs_what_is_other() -> None:
    first = Layered({f"e{i}": i for i in range(1000)})
    one = first.amended({"e7": -7, "gone": None})
    two = one.amended({"e8": -8})
    assert first.below is one.below is two.below
    assert (two.above, two.other_than(first)) == ({"e7": -7, "e8": -8}, ["e7", "e8"])
    assert (first["e7"], one["e7"], two["e7"]) == (7, -7, -7)


def test_what_is_replaced_finds_its_place_in_time() -> None:
    version = Layered({f"e{i}": i for i in range(1000)})
    for i in range(REPLACED_MAX + 1):
        version = version.amended({f"e{i}": -i})
    assert not version.above
    assert version == {f"e{i}": -i if i <= REPLACED_MAX else i for i in range(1000)}
