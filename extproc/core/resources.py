"""What users declare, as values: Model, Experiment, Candidate, Mirror, and Envoy's own resources that pass through.

A value that exists is valid by itself: its constructor raises InvalidResource with every problem. What can only be
judged beside other resources (two owners of one default) is judged in `admission`; a candidate that no Model defines
is no error at all but a model that is not available.
"""

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Final

from extproc.core import rules, unit_rules
from extproc.core.units import Layer, Override, Stickiness
from extproc.errors import InvalidResource

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

    # Members are singletons. Enum's own hash is a call into Python, for each of 40,000 keys that are looked up.
    __hash__ = object.__hash__

    @property
    def word(self) -> str:
        """How a message for a user names the type."""
        return self.value.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One `host:port` of a model server; `host` is an IP address or a DNS name, IPv6 without its brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Readiness:
    """How Envoy learns whether a model answers: an HTTP GET of `path` every `interval` milliseconds."""

    path: str = ""
    interval: int = 1000
    disabled: bool = False

    def __post_init__(self) -> None:
        _demand(rules.readiness_problems(self.path, self.interval))


@dataclass(frozen=True, slots=True)
class Model:
    """A model and where it is served.

    `endpoints` (HTTP) or `cluster`, and `grpc_endpoints` or `grpc_cluster`, at least one of the four. `served_name`
    is what the model server calls it. Raises InvalidResource.
    """

    name: str
    version: int = 1
    endpoints: tuple[Endpoint, ...] = ()
    grpc_endpoints: tuple[Endpoint, ...] = ()
    cluster: str = ""
    grpc_cluster: str = ""
    served_name: str = ""
    readiness: Readiness = field(default_factory=Readiness)

    def __hash__(self) -> int:
        return hash(self.name)  # of two of one name only one is in force

    def __post_init__(self) -> None:
        if not self.served_name:
            object.__setattr__(self, "served_name", self.name)
        _demand(rules.model_problems(self))

    @property
    def readiness_path(self) -> str:
        """The path that answers 200 when the model is ready (Open Inference Protocol, "Model Ready")."""
        return self.readiness.path or f"/v2/models/{self.served_name}/ready"

    @property
    def speaks_http(self) -> bool:
        return bool(self.endpoints or self.cluster)

    @property
    def speaks_grpc(self) -> bool:
        return bool(self.grpc_endpoints or self.grpc_cluster)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One of the models that share an experiment's requests; `weight` is 0 to 2^32 - 1, in any unit."""

    name: str
    weight: int


@dataclass(frozen=True, slots=True)
class Mirror:
    """The model that gets copies; `millionths` of all requests, 0 to 1,000,000 (Envoy resolves no finer)."""

    name: str
    millionths: int

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
    """A split of one endpoint's requests between candidates, with an optional mirror. Raises InvalidResource.

    `default` is the model whose endpoint is intercepted; empty for an experiment that is only called by its own name.
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

    def __hash__(self) -> int:
        return hash(self.name)  # and not of two thousand candidates

    def __post_init__(self) -> None:
        if self.mirrors:
            object.__setattr__(self, "mirror", self.mirrors[0])
        elif self.mirror:
            object.__setattr__(self, "mirrors", (self.mirror,))
        _demand([*rules.experiment_problems(self), *unit_rules.unit_problems(self)])

    @property
    def models(self) -> tuple[str, ...]:
        """Every model that the experiment names, candidates first."""
        return (*(c.name for c in self.candidates), *(m.name for m in self.mirrors))


@dataclass(frozen=True, slots=True)
class PassThrough:
    """One of Envoy's own resources, given by the user and handed to Envoy as it is (proto3 JSON in `body`)."""

    kind: Kind
    name: str
    body: dict[str, Any] = field(hash=False)


Resource = Model | Experiment | PassThrough


def kind_of(resource: Resource) -> Kind:
    match resource:
        case Model():
            return Kind.MODEL
        case Experiment():
            return Kind.EXPERIMENT
        case PassThrough():
            return resource.kind


def _demand(problems: list[rules.Problem]) -> None:
    if problems:
        raise InvalidResource(problems)
