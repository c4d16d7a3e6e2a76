"""`extproc experiment assign`: whom units go to and why, one by one or from a file of them."""

import csv
import io
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from extproc.cli.admin_client import AdminClient
from extproc.cli.experiment_options import ADMIN, NAME, output_option
from extproc.cli.experiment_printer import Printer
from extproc.cli.output import Output, write_table
from extproc.errors import ExtprocError

AT_A_TIME: Final = 5_000  # units of one request; extproc takes 10,000
_UNFOLDED: Final = 36  # characters of a unit that stay on one line: a UUID, as in the cookies that Envoy issues
FIELDS: Final = ("unit", "candidate", "outcome", "why")


@click.command()
@NAME
@click.argument("units", nargs=-1, metavar="[UNIT]...")
@click.option(
    "-f",
    "--file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="Units, one a line; - reads standard input.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values.")
@ADMIN
@output_option(*Output)
def assign(name: str, units: tuple[str, ...], file: str | None, as_csv: bool, admin: str, output: Output) -> None:
    """Tell which candidate a unit gets, and why.

    A unit is a value of what the experiment's `stickiness` names: a user, a session. Nothing is sent to a model.
    """
    wanted = [*units, *(_lines(file) if file else ())]
    if not wanted:
        raise click.UsageError("name at least one unit, or a file of them with -f")
    client = AdminClient(admin)
    answers = [client.assign(name, part) for part in _parts(wanted)]
    printer = Printer(admin, output)
    found = [row for answer in answers for row in answer.get("assignments", ())]
    if as_csv:
        click.echo(_csv(found), nl=False)
    elif printer.for_programs:
        printer.document({**answers[0], "assignments": found})
    else:
        write_table(_table(found), output)


def _lines(file: str) -> list[str]:
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ExtprocError(f"{file} can't be read: {error}") from error
    return [line for line in text.splitlines() if line]


def _parts(units: Sequence[str]) -> Iterator[list[str]]:
    left = iter(units)
    while part := list(islice(left, AT_A_TIME)):
        yield part


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _table(rows: Sequence[dict[str, Any]]) -> Any:
    from rich.table import Table

    from extproc.cli.plain import plain

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    longest = max((len(str(row.get("unit"))) for row in rows), default=0)
    table.add_column("UNIT", overflow="fold", min_width=min(longest, _UNFOLDED))
    for title in ("CANDIDATE", "OUTCOME", "WHY"):
        table.add_column(title, overflow="fold")
    for row in rows:
        table.add_row(*(plain(str(row.get(field) or "-")) for field in FIELDS))
    return table
