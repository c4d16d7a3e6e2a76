"""Arguments in, text out: the `extproc` command and how its errors are shown.

Exit codes: 0 done, 1 the thing asked for is wrong (with the reason), 2 usage. Each command's module is imported only
when that command is called, so that `--help` and completion are quick.
"""

import errno
import importlib
import os
import sys
from typing import Any, Final, NoReturn

import click

from extproc import __version__
from extproc.errors import ExtprocError, InvalidSettings

USAGE: Final = 2
# What a write may end with. stdout is all that a command writes to without words of its own for a failure; a pipe whose
# reader is gone is click's business.
_NOT_WRITTEN: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})

# Command → the module that holds it, and the line that `--help` shows.
COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "up": ("extproc.cli.serve", "Everything on one machine: embedded Envoy and serve."),
    "serve": ("extproc.cli.serve", "The sidecar: ext_proc, ADS and the admin HTTP; Envoy is someone else's process."),
    "demo": ("extproc.cli.demo", "Real models, real traffic, a table."),
    "experiment": ("extproc.cli.experiment", "Start, change, watch, stop and undo experiments."),
    "infer": ("extproc.cli.infer", "Send inference requests, and see who answered."),
    "validate": ("extproc.cli.validate", "Check resource files: every problem, exit 1."),
    "render": ("extproc.cli.render", "Print the Envoy bootstrap, or the whole generated configuration."),
    "completion": ("extproc.cli.completion", "Print the completion script of a shell."),
}


class _Commands(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.command(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="extproc")
def command() -> None:
    """Experiments between ML models, routed by Envoy."""


def main(*arguments: Any) -> None:
    """The `extproc` command."""
    try:
        command.main(args=list(arguments) or None, prog_name="extproc", standalone_mode=True)
    except InvalidSettings as error:
        _fail(str(error), USAGE)
    except ExtprocError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _NOT_WRITTEN or error.filename is not None:
            raise
        # Python flushes stdout once more when it ends, and would print a traceback.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        _fail(f"the output can't be written: {error.strerror}")


def _fail(message: str, code: int = 1) -> NoReturn:
    click.echo(f"extproc: {message}", err=True)
    sys.exit(code)
