"""Templates: what is filled in is what would be written, whatever the lengths of the names."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.xds.encode import encode, pack
from extproc.xds.templates import Template, placeholder

ROUTE = "envoy.config.route.v3.Route"
LIST = "envoy.config.route.v3.RouteList"
ON_MATCH = "xds.type.matcher.v3.MatcherOnMatch"


def a_route(name: str, other: str) -> dict[str, object]:
    """Names in a text, in the middle of one, in a map's key and value, in a Struct, a wrapper beside, in an Any."""
    return {
        "name": f"{name}/{other}/fallback",
        "match": {"prefix": "/", "runtime_fraction": {"default_value": {"numerator": 300, "denominator": "MILLION"}}},
        "route": {"cluster": other, "timeout": "1.5s", "retry_policy": {"num_retries": 2}},
        "metadata": {"filter_metadata": {"extproc": {"experiment": name, "candidate": other, "constant": "x", "n": 1}}},
        "typed_per_filter_config": {other: pack("envoy.config.route.v3.FilterConfig", {"is_optional": True})},
    }


def on_match(name: str, other: str) -> bytes:
    routes = pack(LIST, {"routes": [a_route(name, other), a_route(other, other)]})
    return encode(ON_MATCH, {"action": {"name": "routes", "typed_config": routes}})


LENGTHS = st.integers(1, 300)  # so that lengths of one and of two bytes stand around them


@given(LENGTHS, LENGTHS)
def test_what_is_filled_in_is_what_is_written(one: int, other: int) -> None:
    made = Template(ON_MATCH, on_match(placeholder(0), placeholder(1)))
    names = ("a" * one, "b" * other)
    assert made.filled(tuple(name.encode() for name in names)) == on_match(*names)


@pytest.mark.parametrize("number", [0, 7, 9999])
def test_a_placeholder_is_a_valid_name(number: int) -> None:
    made = Template(ROUTE, encode(ROUTE, {"name": f"x/{placeholder(number)}/y"}))
    assert made.filled((*[b""] * number, b"iris")) == encode(ROUTE, {"name": "x/iris/y"})
