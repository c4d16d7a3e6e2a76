"""A model, and where it is served, as a value that is valid by itself; one of the `resources`."""

from dataclasses import dataclass, field
from enum import StrEnum

from extproc.core import rules
from extproc.core.rules import demand


class Api(StrEnum):
    """What a model's HTTP endpoints speak, which is also where a request names its model."""

    V2 = "V2"  # the Open Inference Protocol: in the path
    OPENAI = "OPENAI"  # in the JSON body


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
        demand(rules.readiness_problems(self.path, self.interval))


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
    api: Api = Api.V2

    def __hash__(self) -> int:
        return hash(self.name)  # of two of one name only one is in force

    def __post_init__(self) -> None:
        if not self.served_name:
            object.__setattr__(self, "served_name", self.name)
        demand(rules.model_problems(self))

    @property
    def readiness_path(self) -> str:
        """The path that answers 200 when the model is ready (Open Inference Protocol, "Model Ready").

        OpenAI's API has no such path; what it has is a list of the models that are served.
        """
        return self.readiness.path or ("/v1/models" if self.speaks_openai else f"/v2/models/{self.served_name}/ready")

    @property
    def speaks_openai(self) -> bool:
        return self.api is Api.OPENAI

    @property
    def backend(self) -> str:
        """What it is among all that experiments can name."""
        return self.name

    @property
    def speaks_http(self) -> bool:
        return bool(self.endpoints or self.cluster)

    @property
    def speaks_grpc(self) -> bool:
        return bool(self.grpc_endpoints or self.grpc_cluster)
