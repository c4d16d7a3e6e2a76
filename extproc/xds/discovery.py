"""What is said on an aggregated xDS stream, as far as it concerns us, and what the control plane is told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from extproc.xds.snapshot import CLUSTER, LISTENER, ROUTES, RUNTIME, Snapshot

# Clusters, then listeners, then routes: Envoy asks for the routes that a listener names only once it has the listener.
ORDER: Final = (CLUSTER, LISTENER, ROUTES)
# The runtime is not one of these: it goes out at once, whatever else is under way. Envoy asks for it before all others,
# and goes on when it has it.
TYPES: Final = (RUNTIME, *ORDER)


@dataclass(frozen=True, slots=True)
class Request:
    """What is read of a DiscoveryRequest; `error` is Envoy's own message, not empty in a NACK."""

    type_url: str
    version: str
    nonce: str
    names: tuple[str, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class Response:
    """What goes into a DiscoveryResponse."""

    type_url: str
    version: str
    nonce: str
    resources: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Accepted:
    """Envoy runs every resource of this snapshot."""

    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Refused:
    """Envoy refused a response made for this snapshot; it goes on with what it had."""

    snapshot: Snapshot
    type_url: str
    message: str


@dataclass(frozen=True, slots=True)
class Survived:
    """Envoy has run this snapshot for a while."""

    snapshot: Snapshot


Event = Accepted | Refused | Survived
