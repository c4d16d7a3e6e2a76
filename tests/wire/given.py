"""Resources as users write them, for the tests of reading: valid ones, each test changes the part it is about."""

from typing import Any

from extproc.core.offers import Offer
from extproc.errors import Problem
from extproc.wire.manifests import read

MODEL = "type.googleapis.com/extproc.v1.Model"
EXPERIMENT = "type.googleapis.com/extproc.v1.Experiment"
CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"


def a_model(**changes: Any) -> dict[str, Any]:
    """A Model; `changes` replace fields, None takes one away."""
    return _changed({"@type": MODEL, "name": "iris", "endpoints": ["127.0.0.1:8081"]}, changes)


def an_experiment(**changes: Any) -> dict[str, Any]:
    """An Experiment; `changes` replace fields, None takes one away."""
    candidates = [{"name": "iris", "weight": 70}, {"name": "iris2", "weight": 30}]
    return _changed({"@type": EXPERIMENT, "name": "iris-ab", "default": "iris", "candidates": candidates}, changes)


def a_manifest(**spec: Any) -> dict[str, Any]:
    """A Seldon Experiment manifest; `spec` replaces fields of its spec."""
    candidates = [{"name": "iris", "weight": 50}, {"name": "iris2", "weight": 50}]
    return {
        "apiVersion": "mlops.seldon.io/v1alpha1",
        "kind": "Experiment",
        "metadata": {"name": "experiment-sample", "namespace": "seldon-mesh"},
        "spec": _changed({"default": "iris", "candidates": candidates}, spec),
    }


def the_only(text: str | bytes, origin: str = "given.json") -> Offer:
    """The one resource in `text`."""
    document = read(text, origin)
    assert not document.problems, document.problems
    assert len(document.offers) == 1, document.offers
    return document.offers[0]


def texts(problems: tuple[Problem, ...]) -> list[str]:
    return [str(problem) for problem in problems]


def _changed(fields: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in {**fields, **changes}.items() if value is not None}
