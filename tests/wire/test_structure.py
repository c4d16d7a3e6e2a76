"""The walk over a message: it knows every type that the schemas use, and it agrees with protobuf's own reading."""

from typing import Any, cast

import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from hypothesis import given, settings
from hypothesis import strategies as st

from extproc.errors import Problem
from extproc.wire.pb.extproc.v1 import resources_pb2 as pb
from extproc.wire.scalars import FILLERS, READERS
from extproc.wire.structure import Gap, leading_to, read_message, respelled, unaffected

MODEL = cast("Descriptor", pb.Model.DESCRIPTOR)
EXPERIMENT = cast("Descriptor", pb.Experiment.DESCRIPTOR)


def test_every_type_of_field_in_the_schema_has_a_reader() -> None:
    fields = [field for message in pb.DESCRIPTOR.message_types_by_name.values() for field in message.fields]
    scalars = {field.cpp_type for field in fields if field.cpp_type != FieldDescriptor.CPPTYPE_MESSAGE}
    assert scalars == READERS.keys() == FILLERS.keys()
    # The walk knows messages of the schema and two of Google's, and no maps.
    messages = {field.message_type.full_name for field in fields if field.message_type}
    assert {name for name in messages if not name.startswith("extproc.v1.")} == {
        "google.protobuf.Duration",
        "google.protobuf.Struct",
    }
    assert not any(field.message_type.GetOptions().map_entry for field in fields if field.message_type)


values: st.SearchStrategy[Any] = st.sampled_from([
    None, True, 0, 1, -1, 1.0, 1.5, "", "1", "1.0", "1e2", " 1", "x", "1s", "1.5s", "-1s", "1", "MODEL", "PIPELINE",
    [], {}, ["x"], [{}], [None], {"name": "x"}, {"percent": 1}, {"percent": "NaN"}, [{"name": "x", "weight": 2**32}],
])  # fmt: skip
spellings = st.sampled_from([s for d in (MODEL, EXPERIMENT) for f in d.fields for s in (f.name, f.json_name)])


@settings(max_examples=500)
@given(st.sampled_from([MODEL, EXPERIMENT]), st.dictionaries(spellings, values, max_size=4))
def test_what_is_read_without_a_gap_is_what_protobuf_reads(descriptor: Descriptor, value: dict[str, Any]) -> None:
    reading = read_message(descriptor, value)
    message = pb.Model if descriptor is MODEL else pb.Experiment
    ours = json_format.ParseDict(dict(reading.fields), message())  # pruned, so it never raises
    if not reading.gaps:
        assert ours == json_format.ParseDict(value, message())


@settings(max_examples=500)
@given(st.sampled_from([MODEL, EXPERIMENT]), st.dictionaries(spellings, values, max_size=4))
def test_what_protobuf_refuses_has_a_gap(descriptor: Descriptor, value: dict[str, Any]) -> None:
    try:
        json_format.ParseDict(value, (pb.Model if descriptor is MODEL else pb.Experiment)())
    except json_format.ParseError:
        assert read_message(descriptor, value).gaps


def test_places_are_kept_in_both_spellings() -> None:
    reading = read_message(EXPERIMENT, {"retry": {"retryOn": ["5xx", 5], "perTryTimeout": "x"}})
    assert [(gap.at, gap.problem.path) for gap in reading.gaps] == [
        ("retry.retry_on[1]", "retry.retryOn[1]"),
        ("retry.per_try_timeout", "retry.perTryTimeout"),
    ]
    assert reading.fields == {"retry": {"retry_on": ["5xx", ""]}}
    assert respelled("retry.retry_on[0]", reading.spelled) == "retry.retryOn[0]"
    assert respelled("retry.attempts", reading.spelled) == "retry.attempts"
    assert respelled("default", reading.spelled) == "default"


@pytest.mark.parametrize(
    ("path", "kept"),
    [("a", False), ("a.b", False), ("a.b[0]", False), ("a.b[0].c", False), ("a.bc", True), ("a.b[1]", True)],
)
def test_a_problem_at_around_or_inside_a_gap_says_nothing_new(path: str, kept: bool) -> None:
    gap = Gap("a.b[0]", Problem("a.b[0]", "wrong"))
    assert (unaffected([Problem(path, "rule")], [gap]) != []) is kept


def test_the_places_around_a_place() -> None:
    assert list(leading_to("a[0].b.c[12]")) == ["a[0].b.c[12]", "a[0].b.c", "a[0].b", "a[0]", "a"]
    assert list(leading_to("")) == []
