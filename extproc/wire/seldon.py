"""Seldon Core 2's `Experiment` manifests, read as our own Experiment.

The fields are those of the custom resource, operator/apis/mlops/v1alpha1/experiment_types.go in SeldonIO/seldon-core.
Paths of problems are the manifest's own (`spec.candidates[1].weight`). Other kinds are refused with what to do instead.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from extproc.core.resources import Experiment
from extproc.errors import Problem
from extproc.wire.declared import experiment_of
from extproc.wire.structure import Gap, unknown
from extproc.wire.values import Json, doubled, shown, step

API_VERSION: Final = "mlops.seldon.io/v1alpha1"
EXPERIMENT: Final = "Experiment"

_MANIFEST: Final = ("apiVersion", "kind", "metadata", "spec", "status")
# https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/object-meta/; only the name is used here.
_METADATA: Final = (
    "name", "namespace", "labels", "annotations", "finalizers", "managedFields", "ownerReferences",
    "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generateName", "generation",
    "resourceVersion", "selfLink", "uid",
)  # fmt: skip
# The manifest's own fields, as extproc.v1.Experiment spells them.
_SPEC: Final[Mapping[str, str]] = {
    "default": "default",
    "candidates": "candidates",
    "mirror": "mirror",
    "resourceType": "resource_type",
}
_RESOURCE_TYPES: Final[Mapping[str, str]] = {"model": "MODEL", "pipeline": "PIPELINE"}

_INSTEAD: Final[Mapping[str, str]] = {
    "Model": (
        "a Seldon Model says where an artifact is stored, not where it is served: write an extproc.v1.Model with the"
        " endpoints of its server"
    ),
    "Pipeline": (
        "extproc runs no pipelines: write an extproc.v1.Model with the endpoints of the pipeline gateway, and set"
        " resource_type PIPELINE in its experiment"
    ),
}


def is_manifest(value: dict[str, Json]) -> bool:
    """Whether `value` means to be a Kubernetes manifest, of whatever kind."""
    return "apiVersion" in value or "kind" in value


def name_of(value: dict[str, Json]) -> str:
    """The manifest's name, empty if it has none that can be read."""
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return name if isinstance(name, str) else ""


def kind_problems(value: dict[str, Json]) -> Iterator[Problem]:
    """Why the manifest is not one that `read_experiment` reads; nothing if it is."""
    version, kind = value.get("apiVersion"), value.get("kind")
    if version != API_VERSION:
        yield Problem("apiVersion", f"must be {API_VERSION!r}, not {shown(version)}: no other manifest is read")
    elif isinstance(kind, str) and kind in _INSTEAD:
        yield Problem("kind", _INSTEAD[kind])
    elif kind != EXPERIMENT:
        yield Problem("kind", f"must be {EXPERIMENT!r}, not {shown(kind)}: no other manifest is read")


def read_experiment(manifest: dict[str, Json]) -> tuple[Experiment | None, tuple[Problem, ...]]:
    """The Experiment that a manifest of kind Experiment declares, or every problem it has."""
    gaps = list(_misplaced(manifest, _MANIFEST, "a manifest", ""))
    metadata, spec = manifest.get("metadata"), manifest.get("spec")
    fields: dict[str, Json] = {}
    if isinstance(metadata, dict):
        gaps += _misplaced(metadata, _METADATA, "metadata", "metadata")
        fields["name"] = None if "name" in doubled(metadata) else metadata.get("name")
    elif "metadata" in manifest:
        gaps.append(Gap("name", Problem("metadata", f"must be an object, not {shown(metadata)}")))
    if isinstance(spec, dict):
        gaps += _misplaced(spec, tuple(_SPEC), "a Seldon Experiment's spec", "spec")
        fields |= {
            ours: spec[theirs] for theirs, ours in _SPEC.items() if theirs in spec and theirs not in doubled(spec)
        }
        gaps += _resource_type(fields)
    elif not any(gap.at == "candidates" for gap in gaps):  # a spec under a wrong key has been told already
        given = (
            f"must be an object, not {shown(spec)}" if "spec" in manifest else "is missing: list the candidates in it"
        )
        gaps.append(Gap("candidates", Problem("spec", given)))
    return experiment_of(fields, gaps, _place)


def _misplaced(value: dict[str, Json], known: tuple[str, ...], owner: str, path: str) -> Iterator[Gap]:
    """A gap for every key that `owner` does not have or that is given twice."""
    names = {name: name for name in known}
    for key in value:
        if key not in names:
            message, meant = unknown(key, names, owner)
        elif key in doubled(value):
            message, meant = "is given twice: keep one", key
        else:
            continue
        yield Gap(_gap_at(path, meant), Problem(step(path, key), message))


def _gap_at(path: str, meant: str) -> str:
    """The place in extproc.v1.Experiment that stays unknown because of a wrong key in the manifest."""
    if path == "spec":
        return _SPEC.get(meant, "")
    if meant in ("metadata", "name"):
        return "name"
    return "candidates" if meant == "spec" else ""


def _resource_type(fields: dict[str, Json]) -> Iterator[Gap]:
    given = fields.pop("resource_type", None)
    if given is None:
        return
    if isinstance(given, str) and given in _RESOURCE_TYPES:
        fields["resource_type"] = _RESOURCE_TYPES[given]
    else:
        message = f"must be one of {', '.join(_RESOURCE_TYPES)}, not {shown(given)}"
        yield Gap("resource_type", Problem("spec.resourceType", message))


def _place(path: str) -> str:
    """Where the manifest has what extproc.v1.Experiment has at `path`."""
    return "metadata.name" if path == "name" else f"spec.{path}"
