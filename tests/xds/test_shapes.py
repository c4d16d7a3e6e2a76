"""Shapes: what is alike but for names has one, and what is not known has none."""

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

import pytest

from extproc.core.resources import Candidate, Endpoint, Experiment, Mirror, Model, ResourceType, Retry
from extproc.xds import shapes
from extproc.xds.shapes import COVERED, NoShape, parted

COMPLETE = Experiment(
    "e", (Candidate("a", 1), Candidate("b", 2)), "a", Mirror("m", 5), timeout=1, retry=Retry(1, ("5xx",), 7)
)


@pytest.fixture(autouse=True)
def _nothing_planned() -> Iterator[None]:
    shapes._plan.cache_clear()
    yield
    shapes._plan.cache_clear()


def shape(*given: Any) -> Any:
    return parted(given)[0]


def test_what_is_not_covered_has_no_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a field would be that is added some day, unless it is not set."""
    covered = COVERED[Experiment]
    assert shape(COMPLETE)
    monkeypatch.setitem(COVERED, Experiment, replace(covered, whole=tuple({*covered.whole} - {"timeout"})))
    shapes._plan.cache_clear()
    with pytest.raises(NoShape):
        shape(COMPLETE)
    assert shape(replace(COMPLETE, timeout=0))


@dataclass(frozen=True)
class Stranger:
    name: str = "x"


@pytest.mark.parametrize("strange", [1.5, b"x", {"a": 1}, Stranger(), "a b", 'x"', ".default", "-x"])
def test_what_is_strange_has_no_shape(strange: Any) -> None:
    with pytest.raises(NoShape):
        shape("iris", strange)


@pytest.mark.parametrize("served", ["iris.experiment", "iris.pipeline"])
def test_a_model_that_is_served_as_an_endpoint_is_called_has_no_shape(served: str) -> None:
    """The endpoint's name is taken apart: that the two are the same could not be seen."""
    with pytest.raises(NoShape):
        shape(served, Model("a", endpoints=(Endpoint("127.0.0.1", 1),), served_name=served))


@pytest.mark.parametrize("of", COVERED)
def test_what_is_covered_exists(of: type) -> None:
    covered = COVERED[of]
    listed = [*covered.named, *covered.whole, *covered.present, *covered.apart]
    assert {*listed} <= {field.name for field in fields(of)}
    assert len({*listed}) == len(listed)
    needed = {field.name for field in fields(of) if field.default is MISSING and field.default_factory is MISSING}
    assert needed <= {*listed}


@pytest.mark.parametrize(
    "other",
    [
        replace(COMPLETE, timeout=2),
        replace(COMPLETE, retry=None),
        replace(COMPLETE, mirror=Mirror("m", 6), mirrors=()),
        replace(COMPLETE, default="b"),
        replace(COMPLETE, candidates=(Candidate("a", 1), Candidate("b", 3))),
        replace(COMPLETE, resource_type=ResourceType.PIPELINE),
    ],
    ids=repr,
)
def test_what_differs_in_more_than_names_has_another_shape(other: Experiment) -> None:
    assert shape(COMPLETE) != shape(other)


def test_what_differs_in_names_has_the_same_shape() -> None:
    candidates = (Candidate("aa", 1), Candidate("bb", 2))
    assert (
        shape(COMPLETE)[0]
        == shape(replace(COMPLETE, name="ee", candidates=candidates, default="aa", mirror=Mirror("mm", 5), mirrors=()))[
            0
        ]
    )


MODEL = Model("iris", endpoints=(Endpoint("127.0.0.1", 1),))


def test_where_a_model_is_does_not_matter_but_whether_it_is_anywhere_does() -> None:
    elsewhere = replace(MODEL, name="setosa", served_name="setosa", endpoints=(Endpoint("10.0.0.1", 2),) * 2)
    assert shape(MODEL) == shape(elsewhere)
    assert shape(MODEL) != shape(replace(MODEL, grpc_endpoints=MODEL.endpoints))


def test_names_that_are_the_same_are_the_same_in_the_shape() -> None:
    assert shape(MODEL) != shape(replace(MODEL, served_name="setosa"))
    assert shape("iris", MODEL) != shape("setosa", MODEL)
    assert shape("iris.pipeline", MODEL) != shape("iris", MODEL)
