"""What users declare, as values: Model, Experiment, Candidate, Mirror, and Envoy's own resources that pass through.

A value that exists is valid by itself: its constructor raises InvalidResource with every problem. What can only be
judged beside other resources (two owners of one default) is judged in `admission`; a candidate that no Model defines
is no error at all but a model that is not available.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from extproc import names
from extproc.core import match_rules, rules, unit_rules
from extproc.core.matches import Match
from extproc.core.models import Api, Endpoint, Model, Readiness
from extproc.core.rules import demand
from extproc.core.units import Layer, Override, Stickiness

__all__ = [
    "MILLION",
    "Api",
    "Candidate",
    "Endpoint",
    "Experiment",
    "Kind",
    "Mirror",
    "Model",
    "PassThrough",
    "Readiness",
    "Resource",
    "ResourceType",
    "Retry",
    "WhenUnavailable",
    "kind_of",
]

MILLION: Final = 1_000_000


class ResourceType(StrEnum):
    """What an experiment's candidates are (Seldon Core 2 `Experiment.spec.resourceType`)."""

    MODEL = "MODEL"
    PIPELINE = "PIPELINE"


class WhenUnavailable(StrEnum):
    """What an experiment does while some of its candidates are not available."""

    AVAILABLE_CANDIDATES = "AVAILABLE_CANDIDATES"
    DEFAULT_ONLY = "DEFAULT_ONLY"
    REJECT = "REJECT"


class Kind(Enum):
    """The type of a resource; the value is its type URL."""

    MODEL = "type.googleapis.com/extproc.v1.Model"
    EXPERIMENT = "type.googleapis.com/extproc.v1.Experiment"
    CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    ROUTES = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    FILTER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpFilter"

    # Members are singletons. Enum's own hash is a call into Python, for each of 40,000 keys that are looked up.
    __hash__ = object.__hash__

    @property
    def word(self) -> str:
        """How a message for a user names the type."""
        return self.value.rpartition(".")[2]


class _Named:
    """Whom an experiment names: a Model, or a `cluster` of the user's own, by default called by its own name."""

    __slots__ = ()
    name: str
    cluster: str

    def __post_init__(self) -> None:
        if not self.name:
            object.__setattr__(self, "name", self.cluster)

    @property
    def backend(self) -> str:
        """Who serves, among all that experiments can name."""
        return names.cluster_backend(self.cluster) if self.cluster else self.name


@dataclass(frozen=True, slots=True)
class Candidate(_Named):
    """One of those that share an experiment's requests; `weight` is 0 to 2^32 - 1, in any unit.

    `name` is a Model's, or what the user's own `cluster` is called in this experiment, by default by its own name.
    """

    name: str
    weight: int
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Mirror(_Named):
    """Who gets copies; `millionths` of all requests, 0 to 1,000,000 (Envoy resolves no finer). See Candidate."""

    name: str
    millionths: int
    cluster: str = ""

    @property
    def percent(self) -> float:
        return self.millionths / 10_000


@dataclass(frozen=True, slots=True)
class Retry:
    """Envoy's retry policy for an experiment's routes; `per_try_timeout` in milliseconds, 0 for none."""

    attempts: int
    retry_on: tuple[str, ...]
    per_try_timeout: int = 0


@dataclass(frozen=True, slots=True)
class Experiment:
    """A split of requests between candidates, with optional mirrors. Raises InvalidResource.

    `default` is the model whose endpoint is intercepted; empty for an experiment that is only called by its own name.
    Between clusters no endpoint is: `match` alone says which requests are split, and the default is for those of them
    that are left alone.
    `timeout` is in milliseconds, 0 for none. `holdout` is in millionths. `mirrors` are up to four; `mirror` is the
    first of them, and enough to give where there is one.
    """

    name: str
    candidates: tuple[Candidate, ...]
    default: str = ""
    mirror: Mirror | None = None
    resource_type: ResourceType = ResourceType.MODEL
    when_unavailable: WhenUnavailable = WhenUnavailable.AVAILABLE_CANDIDATES
    timeout: int = 0
    retry: Retry | None = None
    stickiness: Stickiness | None = None
    holdout: int = 0
    overrides: tuple[Override, ...] = ()
    layer: Layer | None = None
    mirrors: tuple[Mirror, ...] = ()
    match: Match | None = None

    def __hash__(self) -> int:
        return hash(self.name)  # and not of two thousand candidates

    def __post_init__(self) -> None:
        if self.mirrors:
            object.__setattr__(self, "mirror", self.mirrors[0])
        elif self.mirror:
            object.__setattr__(self, "mirrors", (self.mirror,))
        demand([
            *rules.experiment_problems(self),
            *unit_rules.unit_problems(self),
            *match_rules.match_problems(self),
        ])  # fmt: skip

    @property
    def named(self) -> tuple[Candidate | Mirror, ...]:
        """Everybody whom the experiment names, candidates first."""
        return (*self.candidates, *self.mirrors)

    @property
    def backends(self) -> tuple[str, ...]:
        """Everybody who serves for it."""
        return tuple(each.backend for each in self.named)

    @property
    def of_clusters(self) -> bool:
        """Whether it is between clusters, and not between models."""
        return bool(self.candidates and self.candidates[0].cluster)

    @property
    def intercepts(self) -> str:
        """The model whose endpoint it answers; empty for none."""
        return "" if self.of_clusters else self.default


@dataclass(frozen=True, slots=True)
class PassThrough:
    """One of Envoy's own resources, given by the user and handed to Envoy as it is (proto3 JSON in `body`)."""

    kind: Kind
    name: str
    body: dict[str, Any]

    def __hash__(self) -> int:
        return hash((self.kind, self.name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PassThrough):
            return NotImplemented
        if (self.kind, self.name, self.body) != (other.kind, other.name, other.body):
            return False
        return repr(self.body) == repr(other.body) or _same(self.body, other.body)


def _same(one: Any, other: Any) -> bool:
    """Whether what Python finds equal is so as JSON, where `true` is not 1, nor is it in Envoy's Structs."""
    if isinstance(one, dict):
        return all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list):
        return all(map(_same, one, other))
    return isinstance(one, bool) is isinstance(other, bool)


Resource = Model | Experiment | PassThrough


def kind_of(resource: Resource) -> Kind:
    match resource:
        case Model():
            return Kind.MODEL
        case Experiment():
            return Kind.EXPERIMENT
        case PassThrough():
            return resource.kind
