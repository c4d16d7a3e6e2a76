"""Which endpoints exist, and what stands behind each: one model, or an experiment's split.

An endpoint is what a client calls, in the header `seldon-model` or in the path. This is derived from the resources
and the availability of models alone; how it is written down for Envoy is for `endpoint_routes`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Final

from extproc import names
from extproc.core.apis import misfits
from extproc.core.availability import Shares, shares
from extproc.core.resources import MILLION, Experiment, Model, ResourceType
from extproc.core.units import OnMissing
from extproc.core.upstreams import Server, defined
from extproc.names import Protocol
from extproc.xds import chains
from extproc.xds.intervals import Interval
from extproc.xds.model_routes import speaks
from extproc.xds.remembered import Remembered
from extproc.xds.world import World

Candidate = tuple[str, Server]  # by what name it is decided on, and who serves


@dataclass(frozen=True, slots=True)
class Plain:
    """One model that nothing intercepts; `resource_type` is how its answers name it."""

    model: Model
    resource_type: ResourceType = ResourceType.MODEL


@dataclass(frozen=True)  # and not slotted: what follows from it is worked out once
class Split:
    """An experiment with those who serve for it and are defined, and the split in effect for each protocol."""

    experiment: Experiment
    models: tuple[Server, ...]
    shares: tuple[tuple[Protocol, Shares], ...]
    misfits: frozenset[str] = frozenset()  # those that are defined, and speak another API than the others

    def __hash__(self) -> int:
        return hash(self.experiment)

    @cached_property
    def candidates(self) -> tuple[Server, ...]:
        """The candidates that are defined, in the user's order."""
        return tuple(model for model in self.models if model.name not in self._rates)

    @cached_property
    def mirrors(self) -> tuple[tuple[Server, int], ...]:
        """The mirrors that are defined, in the user's order, each with its rate in millionths."""
        return tuple((model, self._rates[model.name]) for model in self.models if model.name in self._rates)

    @cached_property
    def default(self) -> Server | None:
        """The default, if it is defined."""
        return next((model for model in self.models if model.name == self.experiment.default), None)

    @cached_property
    def speaks_openai(self) -> bool:
        return bool(self.models) and isinstance(self.models[0], Model) and self.models[0].speaks_openai

    @cached_property
    def taking(self) -> int:
        """How many of a million requests take part."""
        return self.experiment.match.taking if self.experiment.match else MILLION

    @cached_property
    def whole(self) -> Interval:
        """The part of Envoy's random value that takes part; of none, all of it, since it is never empty."""
        return Interval(0, self.taking or MILLION)

    def left_out(self, endpoint: str) -> Plain | None:
        """Who answers, as if there were no experiment, what its match leaves out of an endpoint's requests."""
        if not isinstance(self.default, Model):
            return None
        pipeline = names.pipeline_endpoint(self.experiment.default)
        own = names.experiment_endpoint(self.experiment.name)
        if endpoint == pipeline or (endpoint == own and self.experiment.resource_type is ResourceType.PIPELINE):
            return Plain(self.default, ResourceType.PIPELINE)
        return Plain(self.default)

    @cached_property
    def named(self) -> tuple[str, ...]:
        """How the candidates are called by their servers, for gRPC, each name once."""
        found = (m.served_name for m in self.candidates if isinstance(m, Model) and m.speaks_grpc)
        return tuple(dict.fromkeys(found))

    @cached_property
    def untouched(self) -> Server | None:
        """The default, where requests may have to be left to it as if there were no experiment."""
        experiment, stickiness = self.experiment, self.experiment.stickiness
        missing = stickiness is not None and stickiness.on_missing is OnMissing.DEFAULT
        if not (experiment.holdout or experiment.layer or missing):
            return None
        return self.default

    @cached_property
    def decisions(self) -> tuple[Candidate, ...]:
        """What can be decided: a candidate, whatever its weight (for tokens), or to leave a request to the default."""
        found: list[Candidate] = [(model.name, model) for model in self.candidates]
        return (*found, (names.UNTOUCHED, self.untouched)) if self.untouched else tuple(found)

    def weighted(self, protocol: Protocol) -> tuple[tuple[Server, int], ...]:
        """Who is drawn, with weights above 0. Empty when nobody who is defined speaks the protocol."""
        found = {model.name: model for model in self.candidates if speaks(model, protocol)}
        weighted = dict(self.shares)[protocol].weighted
        return tuple((found[name], weight) for name, weight in weighted if name in found)

    def reaches(self, candidate: Server, protocol: Protocol) -> bool:
        """Whether a candidate serves those who are not drawn for but sent to it, whatever its weight."""
        return candidate.name in dict(self.shares)[protocol].reachable and speaks(candidate, protocol)

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """Every number in its routes that Envoy's runtime may change, in millionths by its key."""
        return chains.numbers(self)

    @cached_property
    def _rates(self) -> Mapping[str, int]:
        return {mirror.name: mirror.millionths for mirror in self.experiment.mirrors}


Target = Plain | Split
NONE: Final[Mapping[str, Split]] = MappingProxyType({})


def speaks_openai(target: Target) -> bool:
    """Whether an endpoint is one of OpenAI's API. The models behind one speak the same, or have no part in it."""
    return target.model.speaks_openai if isinstance(target, Plain) else target.speaks_openai


def splits(world: World, unmoved: Mapping[str, Split] = NONE) -> tuple[Split, ...]:
    """Every experiment with its split in effect, by name; that of an `unmoved` one is what it was."""
    experiments = sorted(world.experiments, key=attrgetter("name"))
    return tuple(unmoved.get(experiment.name) or _split_in(world, experiment) for experiment in experiments)


def endpoints(world: World, running: tuple[Split, ...]) -> Mapping[str, Target]:
    """Everything that can be called, by the name it is called by."""
    found: dict[str, Target] = {name: Plain(model) for name, model in world.models.items()}
    for split in running:
        if split.experiment.resource_type is ResourceType.PIPELINE:
            for model in split.models:
                if isinstance(model, Model):
                    found[names.pipeline_endpoint(model.name)] = Plain(model, ResourceType.PIPELINE)
    for split in running:  # the endpoints of one beside each other: they are made of the same routes
        if split.experiment.of_clusters:
            continue  # it is called by no name
        found[names.experiment_endpoint(split.experiment.name)] = split
        default = split.experiment.default
        # A default that no Model defines is called in vain, unless the other candidates answer for it.
        if default in world.models or any(split.weighted(protocol) for protocol in names.PROTOCOLS):
            for endpoint in _intercepted(split.experiment):
                found.pop(endpoint, None)
                found[endpoint] = split
    return found


def _intercepted(experiment: Experiment) -> list[str]:
    """The endpoints, beside its own, that an experiment answers."""
    if not experiment.default:
        return []
    if experiment.resource_type is ResourceType.PIPELINE:
        return [experiment.default, names.pipeline_endpoint(experiment.default)]
    return [experiment.default]


def _split_in(world: World, experiment: Experiment) -> Split:
    unfit = misfits(experiment, world.models)
    able = (named for named in experiment.named if named.name not in unfit)
    models = tuple(found for named in able if (found := defined(named, world.models, world.clusters)))
    usable = tuple(tuple(world.usable(m.backend, p) for m in models) for p in names.PROTOCOLS)
    return _split(experiment, models, usable, unfit)


@Remembered
def _split(
    experiment: Experiment, models: tuple[Server, ...], usable: tuple[tuple[bool, ...], ...], unfit: frozenset[str]
) -> Split:
    """`usable` is parallel to the protocols and, inside, to `models`."""

    def in_effect(protocol: Protocol, able: tuple[bool, ...]) -> Shares:
        available = {model.backend for model, can in zip(models, able, strict=True) if can and speaks(model, protocol)}
        return shares(experiment, available.__contains__)

    effect = [(protocol, in_effect(protocol, able)) for protocol, able in zip(names.PROTOCOLS, usable, strict=True)]
    return Split(experiment, models, tuple(effect), unfit)


REMEMBERED: Final = (_split,)
