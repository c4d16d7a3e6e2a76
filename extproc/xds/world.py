"""What the configuration is derived from: the resources in force, which models are usable, and the few settings."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from extproc.collector import Tracing
from extproc.core.resources import Endpoint, Experiment, Model, PassThrough
from extproc.names import Protocol
from extproc.settings import MESSAGE_TIMEOUT

Address = Endpoint | Path  # where a worker listens: over TCP, or on the Unix socket of that path


@dataclass(frozen=True, slots=True)
class World:
    """Everything the configuration is derived from; equal worlds give equal bytes.

    `models` and `clusters` are by name. `usable(backend, protocol)` says whether a model or a cluster may be drawn now:
    it is defined, and ready as far as is known. `moves` has for each experiment another object whenever it, one of its
    models, or whether that may be drawn, is another; None where nobody keeps account of that.
    """

    experiments: tuple[Experiment, ...]
    models: Mapping[str, Model]
    clusters: Mapping[str, PassThrough]
    routes: tuple[PassThrough, ...]
    usable: Callable[[str, Protocol], bool]
    filters: tuple[PassThrough, ...] = ()
    moves: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """Where things listen. Hosts are IP addresses, those of extproc may be DNS names.

    `inference_*` and `envoy_admin_*` are Envoy's own sockets; `grpc_*` is where Envoy finds extproc's ADS, and
    `workers` where it finds those who decide. Without `tracing` there are no traces; without `outcomes` Envoy does not
    say how requests ended. A request waits for its decision for `message_timeout` milliseconds at most. Envoy shall
    keep its heap below `heap_limit` bytes, with 0 it has no limit; it has so many threads that take requests.
    """

    inference_host: str = "0.0.0.0"  # noqa: S104 (the port that clients call)
    inference_port: int = 9000
    envoy_admin_host: str = "127.0.0.1"  # the admin interface can stop Envoy: never reachable from outside by default
    envoy_admin_port: int = 9901
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 50051
    workers: tuple[Address, ...] = (Endpoint("127.0.0.1", 50052),)
    tracing: Tracing | None = None
    outcomes: bool = True
    message_timeout: int = MESSAGE_TIMEOUT
    heap_limit: int = 0
    envoy_threads: int = 1
