"""What clusters Envoys may hold: what was sent to one is known when it comes back."""

from extproc.xds.held import VERSIONS, Held
from extproc.xds.snapshot import version_of

OLD = {"iris": b"1"}


def test_what_an_extproc_before_has_sent_is_known() -> None:
    assert Held(OLD).with_those_of([]) == {version_of(OLD): OLD}


def test_what_was_sent_is_known_while_its_stream_is_open_and_when_it_has_ended() -> None:
    held = Held({})
    assert held.with_those_of([{"1": OLD}])["1"] is OLD
    assert "1" not in held.with_those_of([])
    held.ended({"1": OLD})
    assert held.with_those_of([])["1"] is OLD


def test_of_streams_that_have_ended_the_last_are_known() -> None:
    held = Held(OLD)
    for number in range(VERSIONS):
        held.ended({"again": OLD, str(number): OLD})
    assert list(held.with_those_of([])) == [*map(str, range(1, VERSIONS - 1)), "again", str(VERSIONS - 1)]
