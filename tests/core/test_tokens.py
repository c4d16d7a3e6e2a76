"""Route tokens: what is written, and that any text at all can be read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extproc.core.resources import Endpoint, Model, ResourceType
from extproc.core.tokens import served_as, token, tokens

NAMES = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
VERSIONS = st.integers(1, 2**32 - 1)


def model(name: str, version: int = 1) -> Model:
    return Model(name, version, endpoints=(Endpoint("127.0.0.1", 8080),))


@pytest.mark.parametrize(
    ("name", "version", "resource_type", "written"),
    [
        ("iris", 1, ResourceType.MODEL, ":iris_1:"),
        ("iris", 12, ResourceType.MODEL, ":iris_12:"),
        ("a-b", 1, ResourceType.MODEL, ":a-b_1:"),
        ("tfsimples", 3, ResourceType.PIPELINE, ":tfsimples.pipeline:"),
    ],
)
def test_a_token_is_written_as_seldon_writes_it(
    name: str, version: int, resource_type: ResourceType, written: str
) -> None:
    assert token(served_as(model(name, version), resource_type)) == written


@pytest.mark.parametrize(
    ("header", "read"),
    [
        (":iris_1:", ["iris_1"]),
        (":iris_1::iris2_1:", ["iris_1", "iris2_1"]),
        (":b_2:,:a_1:", ["b_2", "a_1"]),
        (":b_2:, :a_1:", ["b_2", "a_1"]),
        (":p.pipeline:", ["p.pipeline"]),
        ("see :iris_1: there", ["iris_1"]),
        ("", []),
        (":", []),
        ("::", []),
        (":::::", []),
        ("iris_1", []),
        (":iris_1", []),
        ("iris_1:", []),
    ],
)
def test_a_header_is_read_in_order(header: str, read: list[str]) -> None:
    # What stands between two tokens has the shape of a token too; no candidate is ever called a comma.
    assert [text for text in tokens(header) if text.strip(", ")] == read


@given(st.lists(st.tuples(NAMES, VERSIONS), max_size=5), st.sampled_from(["", ",", ", ", ",,", " "]))
def test_what_is_written_is_read_back_in_order(candidates: list[tuple[str, int]], joined_by: str) -> None:
    served = [served_as(model(name, version), ResourceType.MODEL) for name, version in candidates]
    read = list(tokens(joined_by.join(map(token, served))))
    assert [text for text in read if text.strip(", ")] == served


@given(st.text())
def test_any_text_can_be_read(header: str) -> None:
    for text in tokens(header):
        assert text
        assert ":" not in text
        assert f":{text}:" in header


@given(NAMES, VERSIONS, NAMES, VERSIONS)
def test_two_models_never_share_a_token(one: str, version: int, other: str, others_version: int) -> None:
    same = served_as(model(one, version), ResourceType.MODEL) == served_as(
        model(other, others_version), ResourceType.MODEL
    )
    assert same == ((one, version) == (other, others_version))
