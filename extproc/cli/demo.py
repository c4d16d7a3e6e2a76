"""`extproc demo`: flags into a staged demo, signals into its end, its result onto the screen or into JSON."""

import asyncio
import contextlib
import importlib.util
import json
import os
import signal
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console

from extproc.errors import DemoFailed

NEEDED: Final = ("envoy", "mlserver", "mlserver_sklearn", "sklearn")  # the modules of the extra `demo`
SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running afterwards, until Ctrl-C.")
@click.option(
    "--requests", default=900, show_default=True, type=click.IntRange(1), help="Requests for each of the two splits."
)
@click.option(
    "--directory",
    default=".demo",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Where the models, the resource file and all logs are written.",
)
@click.option("--inference-port", default=9000, show_default=True, type=click.IntRange(0, 65535), help="As in `up`.")
@click.option("--envoy-admin-port", default=9901, show_default=True, type=click.IntRange(0, 65535), help="As in `up`.")
@click.option("--admin-port", default=8080, show_default=True, type=click.IntRange(0, 65535), help="As in `up`.")
@click.option("--grpc-port", default=50051, show_default=True, type=click.IntRange(0, 65535), help="As in `up`.")
@click.option("--free-ports", is_flag=True, help="Take free ports for everything, the models too.")
@click.option(
    "--otlp-endpoint",
    default="",
    envvar="EXTPROC_OTLP_ENDPOINT",
    show_envvar=True,
    help="As in `up`; the models send their spans there as well.",
)
@click.option("-o", "--output", default="text", type=click.Choice(["text", "json"]), help="json prints only numbers.")
def demo(
    free_ports: bool, keep: bool, requests: int, directory: Path, otlp_endpoint: str, output: str, **ports: int
) -> None:
    """Train three models, serve them, split requests between them, and change the split while requests flow.

    Needs the extra `demo`: pip install 'extproc[demo]'.
    """
    missing = [module for module in NEEDED if importlib.util.find_spec(module) is None]
    if missing:
        raise DemoFailed(f"the demo needs {', '.join(missing)}: pip install 'extproc[demo]'")
    flags = {"--" + name.replace("_", "-"): port for name, port in ports.items()}
    asyncio.run(_until_signalled(_show(directory, flags, free_ports, otlp_endpoint, requests, keep, output == "json")))


async def _until_signalled(show: Coroutine[Any, Any, None]) -> None:
    """Run the demo; the first signal ends it, and what it started is ended in order whatever signals follow."""
    work = asyncio.create_task(show)
    loop = asyncio.get_running_loop()

    def end() -> None:
        for number in SIGNALS:
            loop.add_signal_handler(number, lambda: None)
        work.cancel()

    for number in SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        await work
    except asyncio.CancelledError:
        raise DemoFailed("interrupted; everything that it had started is stopped") from None


async def _show(
    directory: Path,
    ports: Mapping[str, int],
    free_ports: bool,
    otlp_endpoint: str,
    requests: int,
    keep: bool,
    as_json: bool,
) -> None:
    from extproc.demo.screen import Screen
    from extproc.demo.show import Collector, staged

    screen = Screen(steps=Console(stderr=as_json), results=Console())
    collector = Collector.given(otlp_endpoint, os.environ)
    async with staged(directory, ports, screen, free_ports=free_ports, collector=collector) as stage:
        result = await stage.perform(requests, screen)
        if as_json:
            click.echo(json.dumps(result.as_json(), indent=2))
        else:
            screen.tables(stage.scenario.experiment, result)
        if keep:
            screen.kept(stage.product.inference, stage.product.admin, stage.file, stage.scenario.default)
            with contextlib.suppress(asyncio.CancelledError):  # the signal that ends the waiting, and nothing else
                await asyncio.Event().wait()
