"""The table's messages: bounded in size, and whatever an entry can hold comes out as it went in."""

import pytest

from extproc import names
from extproc.core.compilation import compile_table
from extproc.core.resources import Candidate, Endpoint, Experiment, Model
from extproc.core.table import EMPTY, Entry, Key, Patch, Table
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.wire.hashing import hash64
from extproc.wire.table_messages import LENGTH, SET_MAX, TableMessage, decode, difference, encode, steps

MODELS = {name: Model(name, endpoints=(Endpoint("127.0.0.1", 8080),)) for name in ("a", "b")}
ACCEPTED = {names.decided_route(e, m, p) for e in ("split", "units") for m in MODELS for p in names.PROTOCOLS}
SPLIT = Experiment("split", (Candidate("a", 1), Candidate("b", 2)), "a")
UNITS = Experiment(
    "units",
    SPLIT.candidates,
    "b",
    stickiness=Stickiness(UnitSource.COOKIE, "user", ttl=1000, on_missing=OnMissing.DEFAULT),
    holdout=1000,
    overrides=(Override("a", ("me",)),),
    layer=Layer("page", 0, 499),
)


def table(*experiments: Experiment, down: str = "") -> Table:
    return compile_table(experiments, MODELS, lambda name, _: name != down, ACCEPTED, {"split": 3}, hash64)


def many(count: int) -> dict[Key, Entry]:
    entry = table(SPLIT).entries["split", "http"]
    return {(f"e{number}", "http"): entry for number in range(count)}


def received(messages: list[TableMessage], before: Table = EMPTY) -> Table:
    """What a worker makes of the messages."""
    for message in messages:
        body = encode(message)
        assert LENGTH.unpack(body[: LENGTH.size]) == (len(body) - LENGTH.size,)
        before = (EMPTY if message.fresh else before).patched(decode(body[LENGTH.size :]).patch)
    return before


@pytest.mark.parametrize("wanted", [table(), table(SPLIT), table(SPLIT, UNITS), table(SPLIT, UNITS, down="a")])
def test_a_table_arrives_as_it_was(wanted: Table) -> None:
    assert received([*steps(difference(EMPTY, wanted), 1, fresh=True)]) == wanted


def test_a_difference_makes_the_one_of_the_other() -> None:
    old = table(SPLIT, UNITS)
    for new in (table(SPLIT), table(UNITS), table(SPLIT, UNITS, down="b"), old):
        assert received([*steps(difference(old, new), 2)], old) == new
    assert difference(old, old) == Patch({})


@pytest.mark.parametrize("count", [0, 1, SET_MAX - 1, SET_MAX, SET_MAX + 1, 3 * SET_MAX])
def test_a_message_is_bounded_and_the_last_one_says_that_it_is(count: int) -> None:
    gone: tuple[Key, ...] = (("gone", "http"),)
    sent = [*steps(Patch(many(count), gone), 7, fresh=True)]
    assert max(len(message.patch.set) for message in sent) <= SET_MAX
    assert [message.last for message in sent] == [False] * (len(sent) - 1) + [True]
    assert [message.fresh for message in sent] == [True] + [False] * (len(sent) - 1)
    assert [message.patch.removed for message in sent if message.patch.removed] == [gone]
    assert sum(len(message.patch.set) for message in sent) == count
    assert {message.version for message in sent} == {7}


def test_a_table_of_nothing_is_sent_as_well() -> None:
    assert [message.last for message in steps(Patch({}), 1, fresh=True)] == [True]
