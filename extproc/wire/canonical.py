"""The canonical JSON of a Model or Experiment: snake_case, in the schema's order, without what is a default anyway.

`manifests.read` of what is written here gives an equal value.
"""

from collections.abc import Iterable
from typing import Any

from extproc.core.resources import (
    Api,
    Candidate,
    Experiment,
    Mirror,
    Model,
    Readiness,
    ResourceType,
    Retry,
    WhenUnavailable,
    kind_of,
)
from extproc.core.units import Layer, OnMissing, Stickiness, UnitSource
from extproc.wire import durations
from extproc.wire.declared import RETRY_ATTEMPTS, RETRY_ON
from extproc.wire.values import TYPE

_READINESS = Readiness()


def write(resource: Model | Experiment) -> dict[str, Any]:
    """The proto3 JSON of `resource`, with its "@type"."""
    fields = _model(resource) if isinstance(resource, Model) else _experiment(resource)
    return {TYPE: kind_of(resource).value, **_given(fields)}


def _given(fields: Iterable[tuple[str, Any, Any]]) -> dict[str, Any]:
    """The fields (name, value, default) whose value is not the default."""
    return {name: value for name, value, default in fields if value != default}


def _model(model: Model) -> list[tuple[str, Any, Any]]:
    return [
        ("name", model.name, ""),
        ("version", model.version, 1),
        ("endpoints", [str(e) for e in model.endpoints], []),
        ("grpc_endpoints", [str(e) for e in model.grpc_endpoints], []),
        ("cluster", model.cluster, ""),
        ("grpc_cluster", model.grpc_cluster, ""),
        ("served_name", model.served_name, model.name),
        ("readiness", _given(_readiness(model.readiness)), {}),
        ("api", model.api.value, Api.V2.value),
    ]


def _readiness(readiness: Readiness) -> list[tuple[str, Any, Any]]:
    return [
        ("path", readiness.path, ""),
        ("interval", durations.text(readiness.interval), durations.text(_READINESS.interval)),
        ("disabled", readiness.disabled, False),
    ]


def _experiment(experiment: Experiment) -> list[tuple[str, Any, Any]]:
    return [
        ("name", experiment.name, ""),
        ("default", experiment.default, ""),
        # A weight of 0 is written: whoever reads it shall see that it was meant.
        ("candidates", [{**_named(c), "weight": c.weight} for c in experiment.candidates], []),
        ("mirror", _mirror(experiment.mirrors[0]) if len(experiment.mirrors) == 1 else None, None),
        ("resource_type", experiment.resource_type.value, ResourceType.MODEL.value),
        ("when_unavailable", experiment.when_unavailable.value, WhenUnavailable.AVAILABLE_CANDIDATES.value),
        ("timeout", durations.text(experiment.timeout), durations.text(0)),
        ("retry", _given(_retry(experiment.retry)) if experiment.retry else None, None),
        ("stickiness", _stickiness(experiment.stickiness) if experiment.stickiness else None, None),
        ("holdout", _percent(experiment.holdout), 0),
        ("overrides", [{"candidate": o.candidate, "units": list(o.units)} for o in experiment.overrides], []),
        ("layer", _layer(experiment.layer) if experiment.layer else None, None),
        ("mirrors", [_mirror(mirror) for mirror in experiment.mirrors] if len(experiment.mirrors) > 1 else [], []),
        ("match", experiment.match.body if experiment.match else None, None),
    ]


def _named(named: Candidate | Mirror) -> dict[str, Any]:
    """Who is meant; a cluster's own name is not said twice."""
    if not named.cluster:
        return {"name": named.name}
    return {"name": named.name, "cluster": named.cluster} if named.name != named.cluster else {"cluster": named.cluster}


def _mirror(mirror: Mirror) -> dict[str, Any]:
    return {**_named(mirror), "percent": _percent(mirror.millionths)}


def _percent(millionths: int) -> float:
    percent = millionths / 10_000
    return int(percent) if percent.is_integer() else percent


def _layer(layer: Layer) -> dict[str, Any]:
    return {"name": layer.name, "first_slot": layer.first_slot, "last_slot": layer.last_slot}


def _stickiness(stickiness: Stickiness) -> dict[str, Any]:
    unit: Any = stickiness.key
    if stickiness.source is UnitSource.COOKIE:
        ttl = {} if stickiness.ttl is None else {"ttl": durations.text(stickiness.ttl)}
        unit = {"name": stickiness.key, **ttl}
    elif stickiness.source is UnitSource.METADATA:
        unit = {"namespace": stickiness.key, "path": list(stickiness.path)}
    elif stickiness.source is UnitSource.SOURCE_IP:
        unit = True
    rest = [("seed", stickiness.seed, ""), ("on_missing", stickiness.on_missing.value, OnMissing.DRAW.value)]
    return {stickiness.source.value: unit, **_given(rest)}


def _retry(retry: Retry) -> list[tuple[str, Any, Any]]:
    return [
        ("attempts", retry.attempts, RETRY_ATTEMPTS),
        ("retry_on", list(retry.retry_on), list(RETRY_ON)),
        ("per_try_timeout", durations.text(retry.per_try_timeout), durations.text(0)),
    ]
