"""Seldon's manifests: the samples of Seldon Core 2 as they are, and every mistake with the manifest's own path."""

import json
from typing import Any

import pytest

from extproc.core.resources import Candidate, Experiment, Kind, Mirror, ResourceType
from extproc.wire.manifests import read
from tests.wire.given import a_manifest, texts, the_only

# What `kubectl get experiment -o yaml` adds is of no interest, and must not be in the way.
SAMPLES = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata:
  name: experiment-sample
  namespace: seldon-mesh
  creationTimestamp: 2026-01-01T00:00:00Z
  generation: 1
  labels: {app: iris}
  annotations: {note: "a: b"}
  resourceVersion: "1"
  uid: abc
  managedFields: [{manager: kubectl}]
spec:
  default: iris
  candidates:
  - name: iris
    weight: 50
  - name: iris2
    weight: 50
status:
  conditions: [{type: Ready, status: "True"}]
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata:
  name: addmul10-mirror
spec:
  default: pipeline-add10
  resourceType: pipeline
  candidates:
  - name: pipeline-add10
    weight: 100
  mirror:
    name: pipeline-mul10
    percent: 100
---
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata:
  name: sklearn-no-default
spec:
  resourceType: model
  candidates:
  - name: iris
    weight: 50
"""


def test_seldons_samples_are_read() -> None:
    document = read(SAMPLES, "experiments.yaml")
    assert [(offer.where, offer.kind, offer.name) for offer in document.offers] == [
        ("document 1", Kind.EXPERIMENT, "experiment-sample"),
        ("document 2", Kind.EXPERIMENT, "addmul10-mirror"),
        ("document 3", Kind.EXPERIMENT, "sklearn-no-default"),
    ]
    assert [offer.resource for offer in document.offers] == [
        Experiment("experiment-sample", (Candidate("iris", 50), Candidate("iris2", 50)), default="iris"),
        Experiment(
            "addmul10-mirror",
            (Candidate("pipeline-add10", 100),),
            default="pipeline-add10",
            mirror=Mirror("pipeline-mul10", 1_000_000),
            resource_type=ResourceType.PIPELINE,
        ),
        Experiment("sklearn-no-default", (Candidate("iris", 50),)),
    ]


NO_FIELD = "is no field of a Seldon Experiment's spec"
NO_OTHER = "no other manifest is read"


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"candidates": [{"name": "iris", "weight": 1.5}]}, "spec.candidates[0].weight: must be a whole number"),
        ({"candidates": [{"name": "iris", "wieght": 1}]}, "spec.candidates[0].wieght: is no field of Candidate"),
        ({"candidates": None}, "spec.candidates: is empty"),
        ({"candidates": None, "candidate": []}, f"spec.candidate: {NO_FIELD}: did you mean 'candidates'?"),
        ({"default": "iris9"}, "spec.default: 'iris9' is not among the candidates"),
        ({"mirror": {"name": "iris", "percent": 1}}, "spec.mirror.name: 'iris' is a candidate too"),
        ({"mirror": {"name": "iris3", "percent": 101}}, "spec.mirror.percent: must be between 0 and 100"),
        ({"resourceType": "MODEL"}, "spec.resourceType: must be one of model, pipeline, not 'MODEL'"),
        ({"resource_type": "model"}, f"spec.resource_type: {NO_FIELD}: did you mean 'resourceType'?"),
        ({"timeout": "5s"}, f"spec.timeout: {NO_FIELD}: it has default, candidates, mirror, resourceType"),
        ({"name": "x"}, f"spec.name: {NO_FIELD}"),
    ],
)
def test_a_mistake_in_the_spec_is_told_with_the_manifests_path(spec: dict[str, Any], expected: str) -> None:
    offer = the_only(json.dumps(a_manifest(**spec)))
    problems = texts(offer.problems)
    assert len(problems) == 1, problems
    assert problems[0].startswith(expected)
    assert offer.name == "experiment-sample"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"metadata": {}}, "metadata.name: is missing: give it a name"),
        ({"metadata": {"name": 5}}, "metadata.name: must be a text, not 5: put it in quotes"),
        ({"metadata": {"nam": "x"}}, "metadata.nam: is no field of metadata: did you mean 'name'?"),
        ({"metadata": "x"}, "metadata: must be an object, not 'x'"),
        ({"metadata": {"name": "a.b"}}, "metadata.name: 'a.b' is no valid name: use lower-case letters"),
        ({"spec": None}, "spec: must be an object, not null"),
        ({"specs": {}}, "specs: is no field of a manifest: did you mean 'spec'?"),
        (
            {"apiVersion": "mlops.seldon.io/v1"},
            f"apiVersion: must be 'mlops.seldon.io/v1alpha1', not 'mlops.seldon.io/v1': {NO_OTHER}",
        ),
        ({"kind": "Server"}, f"kind: must be 'Experiment', not 'Server': {NO_OTHER}"),
        ({"kind": ["Experiment"]}, f"kind: must be 'Experiment', not a list: {NO_OTHER}"),
    ],
)
def test_a_mistake_around_the_spec_is_told(changes: dict[str, Any], expected: str) -> None:
    problems = texts(the_only(json.dumps({**a_manifest(), **changes})).problems)
    assert len(problems) == 1, problems
    assert problems[0].startswith(expected)


def test_a_missing_spec_is_told_once() -> None:
    manifest = a_manifest()
    spec = manifest.pop("spec")
    assert texts(the_only(json.dumps(manifest)).problems) == ["spec: is missing: list the candidates in it"]
    misspelled = {**manifest, "specs": spec}
    assert texts(the_only(json.dumps(misspelled)).problems) == [
        "specs: is no field of a manifest: did you mean 'spec'?"
    ]


@pytest.mark.parametrize(
    ("kind", "instead"), [("Model", "write an extproc.v1.Model"), ("Pipeline", "set resource_type PIPELINE")]
)
def test_seldons_other_kinds_are_told_what_to_write_instead(kind: str, instead: str) -> None:
    offer = the_only(json.dumps({**a_manifest(), "kind": kind}))
    assert [problem.path for problem in offer.problems] == ["kind"]
    assert instead in offer.problems[0].message
    assert offer.name == "experiment-sample"


def test_keys_given_twice_are_told_wherever_they_stand() -> None:
    text = """
apiVersion: mlops.seldon.io/v1alpha1
kind: Experiment
metadata: {name: a, name: b}
spec:
  default: iris
  default: 5
  candidates: [{name: iris, weight: 1, weight: 2}]
  mirror: {name: m, percent: 1}
status: {}
status: {}
"""
    assert texts(the_only(text, "f.yaml").problems) == [
        "status: is given twice: keep one",
        "metadata.name: is given twice: keep one",
        "spec.default: is given twice: keep one",
        "spec.candidates[0].weight: is given twice: keep one",
    ]
