"""`extproc infer`: inference requests through Envoy, and what they say about the split."""

import math
from collections.abc import Callable
from typing import Any, BinaryIO, Final

import click

from extproc.cli.experiment_options import output_option
from extproc.cli.output import Output
from extproc.inference.call import base_url, model_name
from extproc.inference.headers import Headers, header
from extproc.inference.traces import TRACEPARENT
from extproc.names import ROUTE_HEADER

JAEGER_URL: Final = "http://127.0.0.1:16686"  # Jaeger's own port
DAY: Final = 86_400.0  # seconds
CONCURRENCY_MAX: Final = 1000  # each is a connection, and a user may have 1,024 files open


def _checked(parse: Callable[[str], str]) -> Callable[[click.Context, click.Parameter, str], str]:
    """`parse` as a click callback: its ValueError is a usage error."""

    def callback(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
        try:
            return parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error)) from error

    return callback


def _headers(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> Headers:
    try:
        return tuple(header(value) for value in values)
    except ValueError as error:
        # Not chained: the value, which may be a password, must not be shown.
        raise click.BadParameter(str(error)) from None


def _number(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # FloatRange takes it
        raise click.BadParameter("nan is no number of seconds")
    return value


@click.command()
@click.argument("model", callback=_checked(model_name))
@click.argument("data", required=False)
@click.option("-f", "--file", type=click.File("rb"), help="Read the V2 JSON body from this file; - is stdin.")
@click.option("-i", "--iterations", metavar="N", type=click.IntRange(1), help="Send N requests, and print a table.")
@click.option(
    "-s",
    "--seconds",
    metavar="S",
    type=click.FloatRange(0, DAY, min_open=True),
    callback=_number,
    help="Send requests for S seconds, and print a table. With -i too: whichever ends first.",
)
@click.option(
    "--concurrency",
    metavar="C",
    type=click.IntRange(1, CONCURRENCY_MAX),
    default=1,
    show_default=True,
    help="How many requests are under way at once.",
)
@click.option("--grpc", is_flag=True, help="Call over gRPC instead of REST.")
@click.option("--sticky", is_flag=True, help="Stay with the candidate of the last answer, from run to run.")
@click.option(
    "--trace",
    is_flag=True,
    help="Begin a sampled trace with each request, and print its id and Jaeger URL. Of several: the slowest of each"
    " candidate and the first of each failure; -o json has all. There are traces where extproc has an --otlp-endpoint.",
)
@click.option("--show-headers", is_flag=True, help="Print the (first) request's and answer's headers, to stderr.")
@output_option(Output.TEXT, Output.JSON, Output.YAML)
@click.option(
    "--inference",
    metavar="URL",
    envvar="EXTPROC_INFERENCE",
    default="http://127.0.0.1:9000",
    show_default=True,
    show_envvar=True,
    callback=_checked(base_url),
    help="Envoy's inference port.",
)
@click.option(
    "--admin",
    metavar="URL",
    envvar="EXTPROC_ADMIN",
    default="http://127.0.0.1:8080",
    show_default=True,
    show_envvar=True,
    callback=_checked(base_url),
    help="extproc's admin HTTP, which tells the configured shares.",
)
@click.option(
    "--jaeger-url",
    metavar="URL",
    envvar="EXTPROC_JAEGER_URL",
    default=JAEGER_URL,
    show_default=True,
    show_envvar=True,
    callback=_checked(base_url),
    help="Where Jaeger shows traces.",
)
@click.option("--header", "headers", metavar="K:V", multiple=True, callback=_headers, help="Send this header too.")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(0, DAY, min_open=True),
    default=30.0,
    show_default=True,
    callback=_number,
    help="How many seconds one request may take.",
)
def infer(data: str | None, file: BinaryIO | None, headers: Headers, **flags: Any) -> None:
    """Send V2 inference requests to MODEL through Envoy.

    MODEL is a model, EXPERIMENT.experiment or PIPELINE.pipeline. DATA is the JSON body, in the form of REST or of gRPC;
    without it one row of the iris data set is sent. One request prints its answer; several (-i, -s) print how many
    each candidate answered, beside what is configured. Exits 1 if any request failed.
    """
    if data is not None and file is not None:
        raise click.UsageError("DATA and -f both give a body: leave one out.")
    if flags["concurrency"] > 1 and flags["iterations"] is None and flags["seconds"] is None:
        raise click.UsageError("--concurrency needs -i N or --seconds S.")
    if flags["sticky"] and any(name == ROUTE_HEADER for name, _ in headers):
        raise click.UsageError(f"--sticky sends {ROUTE_HEADER} itself: leave out the --header.")
    if flags["trace"] and any(name == TRACEPARENT for name, _ in headers):
        raise click.UsageError(f"--trace sends {TRACEPARENT} itself: leave out the --header.")
    from extproc.cli.infer_run import Order, run  # half a second of imports that `--help` does not need

    # What the shell gave that is no UTF-8 goes on as it came.
    given = data.encode(errors="surrogateescape") if data is not None else None
    run(Order(body=file.read() if file else given, headers=headers, **flags))
