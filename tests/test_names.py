"""Names that are composed can be read back, whatever the parts are called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc import names
from extproc.names import FALLBACK, MIRROR, PROTOCOLS, Protocol

ODD = ("iris", "grpc", "mirror", "fallback", "endpoint", "a-b")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("candidate", ODD)
@pytest.mark.parametrize("experiment", ODD)
def test_the_route_of_an_experiment_is_read_back(experiment: str, candidate: str, protocol: Protocol) -> None:
    parts = (experiment, candidate, protocol)
    assert names.served(names.decided_route(*parts)) == (*parts, "")
    assert names.served(names.intercept_route(*parts)) == (*parts, FALLBACK)
    assert names.served(names.mirror_route(*parts)) == (*parts, MIRROR)


@pytest.mark.parametrize(
    "name", ["", "iris", "endpoint.iris", "unknown-model", "a/b/c", "a/b/grpc/grpc", "a/b/mirror/x"]
)
def test_any_other_name_is_no_experiment_s_route(name: str) -> None:
    assert names.served(name) is None


@given(st.text(max_size=30) | st.lists(st.sampled_from([*ODD, ""]), max_size=6).map("/".join))
def test_no_text_makes_reading_raise(name: str) -> None:
    served = names.served(name)
    if served is not None:
        assert name.startswith("/".join(served[:2]))
