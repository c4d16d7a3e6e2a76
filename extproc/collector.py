"""Where spans go, from a flag and from OpenTelemetry's own environment variables."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from extproc.credentials import ClientTls
from extproc.errors import InvalidSettings

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
