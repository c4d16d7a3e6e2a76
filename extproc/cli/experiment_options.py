"""The arguments and options that the commands of `extproc experiment` share, each judged before anything is sent."""

import getpass
import math
import os
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from extproc.cli.admin_client import address
from extproc.cli.completion import experiment_names, revision_numbers
from extproc.cli.output import Output

F = TypeVar("F", bound=Callable[..., Any])

STATES: Final = ("PENDING", "ACTIVE", "DEGRADED", "STOPPED", "REJECTED")


def a_number(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    """Refuse what FloatRange lets through: `nan` is in every range."""
    if math.isnan(value):
        raise click.BadParameter("nan is no number of seconds")
    return value


def output_option(*choices: Output) -> Callable[[F], F]:
    """`-o`, the first choice being the default."""
    return click.option(
        "-o",
        "--output",
        default=choices[0].value,
        show_default=True,
        type=click.Choice([choice.value for choice in choices]),
        callback=lambda _ctx, _param, value: Output(value),
        help="How to print.",
    )


def _admin_url(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    try:
        address(value)
    except ValueError:
        raise click.BadParameter(f"{value!r} is no address: write it like http://127.0.0.1:8080") from None
    return value


def _name(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    # `.` and `..` are steps of a path and would lead elsewhere (RFC 3986 section 5.2.4).
    if value in ("", ".", ".."):
        raise click.BadParameter(f"{value!r} can't be the name of an experiment")
    return value


def _user() -> str:
    """The login name, or the user's number where there is no name for it (in a container, say)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return str(os.getuid())


ADMIN: Final = click.option(
    "--admin",
    default="http://127.0.0.1:8080",
    envvar="EXTPROC_ADMIN",
    show_default=True,
    show_envvar=True,
    callback=_admin_url,
    help="Where extproc's admin HTTP is.",
)
CALLER: Final = click.option(
    "--caller",
    default=_user,
    envvar="EXTPROC_CALLER",
    show_default="your login name",
    show_envvar=True,
    help="Who changes it, for the history.",
)
WHY: Final = click.option("--why", default="", help="Why it is changed, for the history.")
NO_WAIT: Final = click.option("--no-wait", is_flag=True, help="Return when it is on disk, before Envoy runs it.")
NAME: Final = click.argument("name", callback=_name, shell_complete=experiment_names)
REVISION: Final = click.argument("revision", metavar="REV", type=click.IntRange(1), shell_complete=revision_numbers)
ANY_OUTPUT: Final = output_option(*Output)
