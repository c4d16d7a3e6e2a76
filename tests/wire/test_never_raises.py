"""Whatever a file holds, reading it ends in a Document that keeps its promises."""

import json
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from extproc.core.offers import Document
from extproc.core.resources import Kind
from extproc.wire.manifests import read
from tests.wire.given import a_manifest

KEYS = [
    "@type", "name", "version", "endpoints", "grpcEndpoints", "grpc_endpoints", "cluster", "served_name", "readiness",
    "path", "interval", "disabled", "default", "candidates", "weight", "mirror", "percent", "resource_type", "timeout",
    "resourceType", "when_unavailable", "retry", "attempts", "retry_on", "per_try_timeout", "resources", "versionInfo",
    "api", "apiVersion", "kind", "metadata", "spec", "status", "wieght", "candidate",
]  # fmt: skip
leaves = st.one_of(
    st.sampled_from(["iris", "127.0.0.1:80", "1.5s", "MODEL", "DEFAULT_ONLY", "70", 0, 1, -1, 33.3, True, None]),
    st.floats(),
    st.integers(),
    st.text(st.characters(codec=None), max_size=10),
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=8,
)
type_urls = st.sampled_from([kind.value for kind in Kind])


@settings(max_examples=300)
@given(st.binary() | st.text(st.characters(codec=None)), st.sampled_from(["f.json", "f.yaml", "body"]))
@example(b"- ? - !<!> ", "f.yaml")
def test_no_bytes_and_no_text_make_reading_raise(text: str | bytes, origin: str) -> None:
    assert_sound(read(text, origin))


@settings(max_examples=300)
@given(st.text(st.sampled_from("{}[]:,-?&*!|>'\"%@# \n\tabAB019.~"), max_size=40))
def test_no_mixture_of_yamls_signs_makes_reading_raise(text: str) -> None:
    assert_sound(read(text, "f.yaml"))


@settings(max_examples=200)
@given(st.dictionaries(st.sampled_from(KEYS), values, max_size=8), type_urls, st.booleans())
def test_no_json_value_makes_reading_raise(fields: dict[str, Any], type_url: str, typed: bool) -> None:
    value = {**fields, "@type": type_url} if typed else fields
    assert_sound(read(json.dumps(value), "f.json"))
    assert_sound(read(json.dumps({**a_manifest(), "spec": fields}), "f.json"))
    assert_sound(read(json.dumps(fields), "api", untyped=True))


def assert_sound(document: Document) -> None:
    """What every reading promises: problems or resources, each told once, on one line, as valid text."""
    assert not (document.problems and document.offers)
    for offer in document.offers:
        assert (offer.resource is None) == bool(offer.problems)
        assert len(set(offer.problems)) == len(offer.problems)
        if offer.resource is not None:
            assert offer.kind is not None
            assert offer.name == offer.resource.name
    for problem in (*document.problems, *(p for offer in document.offers for p in offer.problems)):
        assert "\n" not in str(problem)
        assert str(problem).encode()
