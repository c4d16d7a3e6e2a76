"""Messages in pieces: wherever one stands, what is written is what its bytes would have been."""

from typing import Any

import pytest

from extproc.xds.encode import encode, once
from extproc.xds.vast import Vast, joined

METADATA = "envoy.config.core.v3.Metadata"
ROUTE = "envoy.config.route.v3.Route"
TOLD: dict[str, Any] = {"filter_metadata": {"extproc": {"a": "b"}, "other": {"c": "d" * 200}}}


def in_pieces(size: int) -> Vast:
    written = encode(METADATA, TOLD)
    return Vast([written[at : at + size] for at in range(0, len(written), size)])


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("name", ["n", "n" * 300])
def test_a_message_around_it_is_the_same(size: int, name: str) -> None:
    route = {"name": name, "match": {"prefix": "/"}, "direct_response": {"status": 204}}
    wanted = encode(ROUTE, {**route, "metadata": TOLD})
    assert encode(ROUTE, {**route, "metadata": in_pieces(size)}) == wanted
    listed = {"routes": [{**route, "metadata": in_pieces(size)}, {**route, "metadata": TOLD}]}
    assert encode("envoy.config.route.v3.RouteList", listed) == encode(
        "envoy.config.route.v3.RouteList", {"routes": [once(ROUTE, {**route, "metadata": TOLD})] * 2}
    )


def test_where_the_long_way_is_taken_it_is_the_same_too() -> None:
    route = {"name": "n", "match": {"prefix": "/"}, "direct_response": {"status": "204"}}  # a number in quotes
    assert encode(ROUTE, {**route, "metadata": in_pieces(3)}) == encode(ROUTE, {**route, "metadata": TOLD})


def test_what_is_small_stays_as_it_is() -> None:
    assert joined([b"a", b"", b"b"]) == b"ab"
    together = joined([b"a", Vast([b"b", b"c"]), b"d"])
    assert isinstance(together, Vast)
    assert (bytes(together), len(together)) == (b"abcd", 4)
