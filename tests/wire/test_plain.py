"""The quick way of reading says what the long way says, or nothing."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.resources import Experiment, Model, Resource
from extproc.errors import Problem
from extproc.wire import plain
from extproc.wire.declared import experiment_of, model_of
from extproc.wire.manifests import write
from extproc.wire.syntax import documents
from tests.wire.given import a_model, an_experiment
from tests.wire.test_canonical import experiments, models
from tests.wire.test_never_raises import KEYS

Place = tuple[str | int, ...]

# What a reader that only looks at types might take for right.
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 2**32 - 1, 2**32, 70.0, 0.00001, 33.3333, 100, 100.5, float("nan"), "", "70", "iris",
    "é", "\ud800", "1.5s", "-1s", "1h", "1ms", "0.0001s", "127.0.0.1:80", "127.0.0.1:080", "[::1]:80", "h:99999",
    "MODEL", "OPENAI", "REJECT", "connect-failure", [], {}, [None], ["iris"], {"name": "iris3"}, {"percent": 5},
]  # fmt: skip


@given(models() | experiments())
def test_what_is_written_is_read_as_it_was_or_not_at_all(resource: Model | Experiment) -> None:
    assert quickly(write(resource)) in (None, resource)


@given(models() | experiments(), st.data())
def test_whatever_stands_in_a_place_of_it_is_read_as_the_long_way_reads_it(
    resource: Model | Experiment, data: st.DataObject
) -> None:
    value = copy.deepcopy(write(resource))
    *way, last = data.draw(st.sampled_from([place for place in places(value) if place != ("@type",)]))
    inside: Any = value
    for step in way:
        inside = inside[step]
    if isinstance(last, str) and data.draw(st.booleans()):
        inside[data.draw(st.sampled_from(KEYS))] = data.draw(st.sampled_from(ODD))
    else:
        inside[last] = data.draw(st.sampled_from(ODD))
    assert_the_same(value)


@pytest.mark.parametrize(
    "value",
    [
        a_model(),
        a_model(version=0),
        a_model(version=2, served_name="iris-v2", grpc_endpoints=["h.svc:1"], readiness={"interval": "0.5s"}),
        a_model(endpoints=None, cluster="models", api="OPENAI", readiness={"disabled": True, "path": "/up"}),
        an_experiment(),
        an_experiment(mirror={"name": "iris3", "percent": 0.0001}, timeout="1.5s", retry={}),
        an_experiment(mirrors=[{"name": "c", "percent": 10}, {"name": "d"}], when_unavailable="DEFAULT_ONLY"),
        an_experiment(retry={"attempts": 3, "retry_on": ["5xx"], "per_try_timeout": "1s"}, holdout=12.5),
        an_experiment(default=None, resource_type="PIPELINE", when_unavailable="REJECT"),
    ],
)
def test_what_is_usual_is_read_quickly(value: dict[str, Any]) -> None:
    long, problems = the_long_way(value)
    assert quickly(value) == long
    assert (long is None) == bool(problems)


@pytest.mark.parametrize("text", ['{"name": "a", "name": "b", "cluster": "c"}', '{"name": "a", "cluster": "\\ud800"}'])
def test_what_only_a_text_can_hold_is_left_to_the_long_way(text: str) -> None:
    (value,) = documents(text, "given.json")
    assert plain.model(value) is None


def assert_the_same(value: dict[str, Any]) -> None:
    (read,) = documents(json.dumps(value), "given.json")
    found = quickly(read)
    assert found is None or (found, ()) == the_long_way(read)


def quickly(value: dict[str, Any]) -> Resource | None:
    return plain.model(value) if value["@type"] == a_model()["@type"] else plain.experiment(value)


def the_long_way(value: dict[str, Any]) -> tuple[Resource | None, tuple[Problem, ...]]:
    fields = {key: item for key, item in value.items() if key != "@type"}
    return model_of(fields) if value["@type"] == a_model()["@type"] else experiment_of(fields)


def places(value: Any, here: Place = ()) -> Iterator[Place]:
    """Every place inside of `value`."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, item in items:
        yield (*here, step)
        yield from places(item, (*here, step))
