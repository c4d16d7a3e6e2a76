"""Who can serve an experiment's requests: a Model, or an Envoy cluster of the user's own that is no model's.

Experiments name them; here a name becomes what stands behind it. A cluster speaks what it speaks, and to Envoy all of
it is HTTP: gRPC is not told apart.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from extproc import names
from extproc.core.resources import Candidate, Mirror, Model


@dataclass(frozen=True, slots=True)
class Upstream:
    """A cluster that an experiment names; `name` is what the experiment calls it."""

    name: str
    cluster: str

    @property
    def speaks_http(self) -> bool:
        return True

    @property
    def speaks_grpc(self) -> bool:
        return False

    @property
    def backend(self) -> str:
        """What it is among all that experiments can name."""
        return names.cluster_backend(self.cluster)


Server = Model | Upstream


def server(named: Candidate | Mirror, models: Mapping[str, Model]) -> Server | None:
    """Who serves for a candidate or a mirror; None for a model that is not defined."""
    return Upstream(named.name, named.cluster) if named.cluster else models.get(named.name)


def defined(named: Candidate | Mirror, models: Mapping[str, Model], clusters: Container[str]) -> Server | None:
    """The same, and None for a cluster that is not defined."""
    return None if named.cluster and named.cluster not in clusters else server(named, models)
