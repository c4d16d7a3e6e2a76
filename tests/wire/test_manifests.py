"""Files in every form that users write: what they offer, and what is wrong with them."""

import json
from typing import Any

import pytest

from extproc.core.offers import Document
from extproc.core.resources import Candidate, Experiment, Kind, PassThrough
from extproc.wire.manifests import read
from tests.wire.given import CLUSTER, EXPERIMENT, MODEL, ROUTES, a_manifest, a_model, an_experiment, texts, the_only


def placed(document: Document) -> list[tuple[str, Kind | None, str]]:
    return [(offer.where, offer.kind, offer.name) for offer in document.offers]


def test_a_discovery_response_offers_its_resources_with_their_places() -> None:
    response = {
        "version_info": "1",
        "type_url": MODEL,
        "nonce": "",
        "resources": [a_model(), an_experiment(), a_manifest(), {"@type": CLUSTER, "name": "c"}],
    }
    document = read(json.dumps(response), "iris.json")
    assert document.origin == "iris.json"
    assert placed(document) == [
        ("resources[0]", Kind.MODEL, "iris"),
        ("resources[1]", Kind.EXPERIMENT, "iris-ab"),
        ("resources[2]", Kind.EXPERIMENT, "experiment-sample"),
        ("resources[3]", Kind.CLUSTER, "c"),
    ]
    assert all(offer.resource is not None and not offer.problems for offer in document.offers)


def test_a_bare_resource_and_a_list_of_them_are_files_too() -> None:
    assert placed(read(json.dumps(a_model()), "m.json")) == [("", Kind.MODEL, "iris")]
    both = read(json.dumps([a_model(), an_experiment()]), "m.json")
    assert placed(both) == [("[0]", Kind.MODEL, "iris"), ("[1]", Kind.EXPERIMENT, "iris-ab")]


def test_several_yaml_documents_are_counted_from_one() -> None:
    text = f"""
"@type": {MODEL}
name: iris
endpoints: ["127.0.0.1:8081"]
--- # nothing here
---
resources:
- {{"@type": {EXPERIMENT}, name: a, candidates: [{{name: iris, weight: 1}}]}}
versionInfo: "7"
---
- {{"@type": {EXPERIMENT}, name: b, candidates: [{{name: iris, weight: 1}}]}}
"""
    document = read(text, "all.yaml")
    assert placed(document) == [
        ("document 1", Kind.MODEL, "iris"),
        ("document 3, resources[0]", Kind.EXPERIMENT, "a"),
        ("document 4, [0]", Kind.EXPERIMENT, "b"),
    ]
    assert not any(offer.problems for offer in document.offers)


@pytest.mark.parametrize("text", ["{}", '{"resources": []}', "[]"])
def test_a_file_that_says_that_it_has_no_resources_is_no_mistake(text: str) -> None:
    assert read(text, "empty.yaml") == Document("empty.yaml")


@pytest.mark.parametrize("text", ["", " \n", "# a comment\n", "---\n", "---\n---\n", "null"])
def test_a_file_without_any_content_is_a_mistake(text: str) -> None:
    """A truncation must not stop everything: with a problem of the whole file its last good version stays."""
    document = read(text, "empty.yaml")
    assert document.offers == ()
    assert "is empty" in document.problems[0].message


def test_envoys_own_resources_pass_through_as_they_are() -> None:
    body = {"name": "c", "type": "STATIC", "load_assignment": {"cluster_name": "c", "endpoints": [{"x": [1.5, None]}]}}
    offer = the_only(json.dumps({"@type": CLUSTER, **body}))
    assert offer.resource == PassThrough(Kind.CLUSTER, "c", body)
    routes = the_only(json.dumps({"@type": ROUTES, "name": "r", "virtual_hosts": []}))
    assert routes.resource == PassThrough(Kind.ROUTES, "r", {"name": "r", "virtual_hosts": []})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", ["name: is missing: give it a name"]),
        ('{"name": ""}', ["name: is missing: give it a name"]),
        ('{"name": 5}', ["name: must be a text, not 5"]),
        ('{"name": "c", "a": {"b": [NaN, {"c": 1, "c": 2}]}}', [
            "a.b[0]: must be a finite number, not NaN",
            "a.b[1].c: is given twice: keep one",
        ]),
        ('{"name": "c", "a": -Infinity, "b": 1e999}', [
            "a: must be a finite number, not -Infinity",
            "b: must be a finite number, not Infinity",
        ]),
        (r'{"name": "c", "a": "\ud800"}', ["a: holds half a surrogate pair, which is no character"]),
        ('{"name": "c", "a": ' + "[" * 200 + "]" * 200 + "}", [
            "a" + "[0]" * 100 + ": is nested deeper than 100 levels",
        ]),
    ],
)  # fmt: skip
def test_an_envoy_resource_must_be_well_formed_and_have_a_name(text: str, expected: list[str]) -> None:
    offer = the_only(f'{{"@type": "{CLUSTER}", {text[1:]}'.replace(", }", "}"))
    assert texts(offer.problems) == expected
    assert offer.resource is None


def test_a_broken_resource_leaves_the_others_and_keeps_its_name() -> None:
    resources = [a_model(version=0), an_experiment(), {"@type": EXPERIMENT, "name": "x", "candidates": 5}, 5, {}, None]
    document = read(json.dumps({"resources": resources}), "f.json")
    assert [(offer.where, offer.name, offer.resource is None) for offer in document.offers] == [
        ("resources[0]", "iris", True),
        ("resources[1]", "iris-ab", False),
        ("resources[2]", "x", True),
        ("resources[3]", "", True),
        ("resources[4]", "", True),
        ("resources[5]", "", True),
    ]


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"@type": EXPERIMENT.replace("Experiment", "Experimant"), "name": "x"}, f"is not read: it is one of {MODEL}"),
        ({"@type": "extproc.v1.Model", "name": "x"}, "'extproc.v1.Model' is not read: it is one of"),
        ({"@type": None, "name": "x"}, "@type: null is not read"),
        ({"@type": ["a"], "name": "x"}, "@type: a list is not read"),
        ({"name": "x"}, f'has no "@type": it is one of {MODEL}, {EXPERIMENT}, {CLUSTER}, {ROUTES}'),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}, "apiVersion: must be"),
    ],
)
def test_a_resource_of_no_known_type_is_told_what_there_is(resource: dict[str, Any], expected: str) -> None:
    offer = the_only(json.dumps(resource))
    assert offer.kind is None
    assert offer.name == "x"
    assert len(offer.problems) == 1
    assert expected in str(offer.problems[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"nonce": "", "nonse": ""}', ["nonse: is no field of a DiscoveryResponse: did you mean 'nonce'?"]),
        ('{"resources": {}}', ["resources: must be a list, not an object"]),
        ('{"version_info": 1}', ["version_info: must be a text, not 1: put it in quotes"]),
        ('{"type_url": "", "typeUrl": ""}', ["typeUrl: is given as 'type_url' already: keep one of the two"]),
        ('{"resources": [], "resources": [5]}', ["resources: is given twice: keep one"]),
    ],
)  # fmt: skip
def test_a_discovery_response_is_read_strictly(text: str, expected: list[str]) -> None:
    document = read(text, "f.json")
    assert [texts(offer.problems) for offer in document.offers] == [expected]
    assert document.offers[0].kind is None


def test_a_wrong_response_still_offers_what_can_be_read() -> None:
    document = read(json.dumps({"resources": [a_model()], "vresion_info": "1"}), "f.json")
    assert [(offer.where, bool(offer.problems)) for offer in document.offers] == [("", True), ("resources[0]", False)]


def test_a_key_given_twice_is_told_with_its_path_in_json_and_in_yaml() -> None:
    text = f'{{"@type": "{EXPERIMENT}", "name": "a", "candidates": [{{"name": "x", "weight": 1, "weight": 2}}]}}'
    for origin in ("f.json", "f.yaml"):
        assert texts(the_only(text, origin).problems) == ["candidates[0].weight: is given twice: keep one"]
    block = f'"@type": {EXPERIMENT}\nname: a\nname: b\ncandidates:\n- name: x\n  weight: 1\n'
    assert texts(the_only(block, "f.yaml").problems) == ["name: is given twice: keep one"]
    assert texts(the_only(f'{{"@type": "{MODEL}", "@type": "{EXPERIMENT}"}}').problems) == [
        "@type: is given twice: keep one"
    ]


def test_an_alias_stands_for_its_value() -> None:
    text = f"""
- {{"@type": {MODEL}, name: iris, endpoints: &where ["127.0.0.1:8081"]}}
- {{"@type": {MODEL}, name: iris2, endpoints: *where}}
"""
    document = read(text, "f.yaml")
    assert [offer.resource is not None for offer in document.offers] == [True, True]


def test_a_body_for_an_experiment_need_not_say_its_type() -> None:
    body = '{"name": "x", "candidates": [{"name": "a", "weight": 1}]}'
    (offer,) = read(body, "api", untyped=True).offers
    assert offer.resource == Experiment("x", (Candidate("a", 1),))
    (offer,) = read(body, "api").offers
    assert "@type" in offer.problems[0].message
