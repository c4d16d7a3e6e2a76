"""`extproc render`: what Envoy is given, as text to read, to check in, or to run.

`bootstrap` is for an Envoy that somebody else starts; `config` is everything that extproc would serve over ADS for a
set of resource files, as one static configuration.
"""

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from ruamel.yaml import YAML

from extproc import names
from extproc.control.admission import NOTHING, Admission, admit
from extproc.core.resources import Endpoint, Kind
from extproc.errors import ExtprocError
from extproc.settings import MESSAGE_TIMEOUT_MAX, MESSAGE_TIMEOUT_MIN
from extproc.sources.once import read_once
from extproc.xds.bootstrap import bootstrap as envoy_bootstrap
from extproc.xds.encode import plain
from extproc.xds.judge import problems
from extproc.xds.static import static_config
from extproc.xds.world import Options, World

HEAD: Final = "# Printed by `extproc render bootstrap`: change the flags, not this file.\n"

_DEFAULTS: Final = Options()

F = TypeVar("F", bound=Callable[..., Any])


def _port(flag: str, default: int, what: str) -> Callable[[F], F]:
    variable = "EXTPROC_" + flag.lstrip("-").upper().replace("-", "_")
    kind = click.IntRange(1, 65535)
    return click.option(
        flag, default=default, envvar=variable, show_envvar=True, show_default=True, type=kind, help=what
    )


_envoy_admin_port = _port("--envoy-admin-port", _DEFAULTS.envoy_admin_port, "Envoy's admin, on 127.0.0.1.")
_grpc_port = _port("--grpc-port", _DEFAULTS.grpc_port, "extproc's gRPC port.")
_grpc_host = click.option(
    "--grpc-host",
    default=_DEFAULTS.grpc_host,
    show_default=True,
    help="Where Envoy finds extproc: an address or a name.",
)

_heap_limit = click.option(
    "--envoy-heap-limit",
    default=0,
    envvar="EXTPROC_ENVOY_HEAP_LIMIT",
    show_envvar=True,
    show_default=True,
    type=click.IntRange(0),
    help="MiB of memory that Envoy keeps within, by refusing requests; 0 for no limit.",
)


def _output(default: str) -> Callable[[F], F]:
    formats = click.Choice(["yaml", "json"])
    return click.option("-o", "--output", default=default, show_default=True, type=formats, help="How to print.")


@click.group()
def render() -> None:
    """Print the Envoy bootstrap, or the whole generated configuration."""


@render.command()
@_envoy_admin_port
@_grpc_port
@_grpc_host
@_heap_limit
@_output("yaml")
def bootstrap(output: str, envoy_heap_limit: int, **options: Any) -> None:
    """The bootstrap of an Envoy that takes its configuration from extproc.

    Start it with `envoy -c bootstrap.yaml`.
    """
    document = plain(envoy_bootstrap(Options(**options, heap_limit=envoy_heap_limit << 20)))
    click.echo(_json(document) if output == "json" else HEAD + _yaml(document), nl=False)


@render.command()
@click.option(
    "--resources",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="A file of resources, or a directory of them. May be given several times.",
)
@_port("--inference-port", _DEFAULTS.inference_port, "Where Envoy takes inference requests.")
@_envoy_admin_port
@_grpc_port
@_grpc_host
@click.option(
    "--workers",
    default=1,
    type=click.IntRange(1),
    envvar="EXTPROC_WORKERS",
    show_envvar=True,
    show_default=True,
    help="Processes that decide.",
)
@click.option(
    "--worker-port",
    default=None,
    type=click.IntRange(1, 65535),
    envvar="EXTPROC_WORKER_PORT",
    show_envvar=True,
    help="The first worker's port; the others follow.  [default: the port after --grpc-port]",
)
@click.option(
    "--message-timeout",
    default=_DEFAULTS.message_timeout,
    envvar="EXTPROC_MESSAGE_TIMEOUT",
    show_envvar=True,
    show_default=True,
    type=click.IntRange(MESSAGE_TIMEOUT_MIN, MESSAGE_TIMEOUT_MAX),
    help="Milliseconds that a request waits for its decision, at most.",
)
@_output("json")
def config(resources: tuple[Path, ...], output: str, workers: int, worker_port: int | None, **options: Any) -> None:
    """The whole generated Envoy configuration, as one static file.

    Every model that is defined counts as ready. Envoy runs it without extproc too, and then splits by itself.
    """
    admission = admit(NOTHING, read_once(resources), problems)
    if admission.reports:
        raise ExtprocError("\n".join(["the resources are not valid:", *map(str, admission.reports)]))
    first = worker_port or options["grpc_port"] + 1
    endpoints = tuple(Endpoint(options["grpc_host"], first + number) for number in range(workers))
    document = static_config(_world(admission), Options(**options, workers=endpoints))
    click.echo(_json(document) if output == "json" else _yaml(document), nl=False)


def _world(admission: Admission) -> World:
    models, clusters = admission.models, admission.pass_through(Kind.CLUSTER)
    return World(
        experiments=tuple(admission.experiments),
        models=models,
        clusters=clusters,
        routes=tuple(admission.pass_through(Kind.ROUTES).values()),
        filters=tuple(admission.pass_through(Kind.FILTER).values()),
        usable=lambda backend, _protocol: backend in models or names.backend_cluster(backend) in clusters,
    )


def _json(document: Any) -> str:
    return json.dumps(document, indent=2) + "\n"


def _yaml(document: Any) -> str:
    writer = YAML()
    writer.default_flow_style = False
    writer.width = 4096  # a type URL is never broken
    text = StringIO()
    writer.dump(document, text)
    return text.getvalue()
