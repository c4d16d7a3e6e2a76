"""Which endpoints exist, and what stands behind each: one model, or an experiment's split.

An endpoint is what a client calls, in the header `seldon-model` or in the path. This is derived from the resources
and the availability of models alone; how it is written down for Envoy is for `endpoint_routes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from extproc import names
from extproc.core.availability import Shares, shares
from extproc.core.resources import Experiment, Model, ResourceType
from extproc.names import Protocol
from extproc.xds.model_routes import speaks
from extproc.xds.world import World


@dataclass(frozen=True, slots=True)
class Plain:
    """One model that nothing intercepts; `resource_type` is how its answers name it."""

    model: Model
    resource_type: ResourceType = ResourceType.MODEL


@dataclass(frozen=True, slots=True)
class Split:
    """An experiment with those of its models that are defined, and the split in effect for each protocol."""

    experiment: Experiment
    models: tuple[Model, ...]
    shares: tuple[tuple[Protocol, Shares], ...]

    @property
    def candidates(self) -> tuple[Model, ...]:
        """The candidates that are defined, in the user's order."""
        return tuple(model for model in self.models if model.name != self._mirror_name)

    @property
    def mirror(self) -> Model | None:
        """The mirror, when it is defined."""
        return next((model for model in self.models if model.name == self._mirror_name), None)

    def weighted(self, protocol: Protocol) -> tuple[tuple[Model, int], ...]:
        """Who is drawn, with weights above 0. Empty when nobody who is defined speaks the protocol."""
        found = {model.name: model for model in self.candidates if speaks(model, protocol)}
        weighted = dict(self.shares)[protocol].weighted
        return tuple((found[name], weight) for name, weight in weighted if name in found)

    @property
    def _mirror_name(self) -> str:
        return self.experiment.mirror.name if self.experiment.mirror else ""


Target = Plain | Split


def splits(world: World) -> tuple[Split, ...]:
    """Every experiment with its split in effect, by name."""
    return tuple(_split(world, e) for e in sorted(world.experiments, key=lambda e: e.name))


def endpoints(world: World, running: tuple[Split, ...]) -> Mapping[str, Target]:
    """Everything that can be called, by the name it is called by."""
    found: dict[str, Target] = {name: Plain(model) for name, model in world.models.items()}
    for split in running:
        if split.experiment.resource_type is ResourceType.PIPELINE:
            for model in split.models:
                found[names.pipeline_endpoint(model.name)] = Plain(model, ResourceType.PIPELINE)
    for split in running:
        found[names.experiment_endpoint(split.experiment.name)] = split
        default = split.experiment.default
        # A default that no Model defines is called in vain, unless the other candidates answer for it.
        if default in world.models or any(split.weighted(protocol) for protocol in names.PROTOCOLS):
            for endpoint in _intercepted(split.experiment):
                found[endpoint] = split
    return found


def _intercepted(experiment: Experiment) -> list[str]:
    """The endpoints, beside its own, that an experiment answers."""
    if not experiment.default:
        return []
    if experiment.resource_type is ResourceType.PIPELINE:
        return [experiment.default, names.pipeline_endpoint(experiment.default)]
    return [experiment.default]


def _split(world: World, experiment: Experiment) -> Split:
    models = tuple(world.models[name] for name in experiment.models if name in world.models)

    def in_effect(protocol: Protocol) -> Shares:
        def available(name: str) -> bool:
            return name in world.models and speaks(world.models[name], protocol) and world.usable(name, protocol)

        return shares(experiment, available)

    return Split(experiment, models, tuple((protocol, in_effect(protocol)) for protocol in names.PROTOCOLS))
