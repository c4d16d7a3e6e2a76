"""`extproc experiment …`: what a team does to an experiment, over the REST of the admin HTTP.

Output for people by default; `-o json` is the REST document itself. What reads files is imported only when a file is
read, so that completion stays quick.
"""

import sys
from pathlib import Path
from typing import Final

import click

from extproc.cli.admin_client import ANSWER_WITHIN, AdminClient, Document
from extproc.cli.admin_errors import AdminRefusedError
from extproc.cli.experiment_assign import assign
from extproc.cli.experiment_options import (
    ADMIN,
    ANY_OUTPUT,
    CALLER,
    NAME,
    NO_WAIT,
    REVISION,
    STATES,
    WHY,
    a_number,
    output_option,
)
from extproc.cli.experiment_printer import Printer, progress
from extproc.cli.output import Output
from extproc.errors import ExtprocError

WAIT_WITHIN: Final = 60.0  # seconds
DAY: Final = 86_400.0  # seconds


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def experiment() -> None:
    """Start, change, watch, stop and undo experiments."""


@experiment.command()
@click.option(
    "-f",
    "--file",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    help="The experiment; - reads standard input.",
)
@CALLER
@WHY
@NO_WAIT
@click.option("--if-match", type=click.IntRange(0), metavar="REV", help="Only if this is still its revision.")
@click.option(
    "--timeout",
    default=ANSWER_WITHIN,
    show_default=True,
    type=click.FloatRange(0, DAY, min_open=True),
    callback=a_number,
    help="Seconds to wait for extproc's answer.",
)
@ADMIN
@ANY_OUTPUT
def start(
    file: str,
    caller: str,
    why: str,
    no_wait: bool,
    if_match: int | None,
    timeout: float,
    admin: str,
    output: Output,
) -> None:
    """Start an experiment, or update the one of its name.

    FILE holds an Experiment, a Seldon manifest, or a DiscoveryResponse of experiments, in JSON or YAML. To start what
    already runs changes nothing.
    """
    from extproc.cli.experiment_file import read_experiments
    from extproc.wire.manifests import write

    origin = "standard input" if file == "-" else file
    try:
        data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise ExtprocError(f"{origin} can't be read: {error.strerror}") from error
    experiments = read_experiments(data, origin)
    if if_match is not None and len(experiments) > 1:
        raise click.UsageError(
            f"--if-match names the revision of one experiment, and {origin} holds {len(experiments)}"
        )
    client, printer = AdminClient(admin, timeout), Printer(admin, output)
    done: list[Document] = []
    refused: dict[str, AdminRefusedError] = {}
    try:
        for wanted in experiments:
            try:
                answer = client.start(write(wanted), caller=caller, why=why, wait=not no_wait, revision=if_match)
            except AdminRefusedError as refusal:  # one that is refused says nothing about the others
                refused[wanted.name] = refusal
                continue
            done.append(answer.document)
            if not printer.for_programs:
                printer.change(answer, "started" if answer.created else "updated", "already runs")
    finally:
        if done and printer.for_programs:
            printer.document(done[0] if len(experiments) == 1 else {"experiments": done})
    if refused:
        raise ExtprocError("\n".join(f"{name}: {refusal}" for name, refusal in refused.items()))


@experiment.command()
@NAME
@CALLER
@WHY
@NO_WAIT
@ADMIN
@ANY_OUTPUT
def stop(name: str, caller: str, why: str, no_wait: bool, admin: str, output: Output) -> None:
    """Stop an experiment.

    Its default answers alone again. To stop it twice is no error.
    """
    answer = AdminClient(admin).stop(name, caller=caller, why=why, wait=not no_wait)
    Printer(admin, output).change(answer, "stopped", "stopped already,")


@experiment.command()
@NAME
@click.option("-w", "--wait", is_flag=True, help="Wait until it is ACTIVE, and say what it waits for.")
@click.option(
    "--for", "wanted", metavar="STATE", type=click.Choice(STATES, case_sensitive=False), help="Wait for this state."
)
@click.option(
    "--timeout",
    default=WAIT_WITHIN,
    show_default=True,
    type=click.FloatRange(0, DAY),
    callback=a_number,
    help="Seconds to wait at most; 0 is without limit.",
)
@ADMIN
@ANY_OUTPUT
def status(name: str, wait: bool, wanted: str | None, timeout: float, admin: str, output: Output) -> None:
    """Show an experiment, or wait for its state.

    Its state and why, its split, what is wrong with it, and its last events. What is waited for goes to stderr.
    """
    from extproc.cli.experiment_watch import wait_for

    def look(within: float) -> Document:
        return AdminClient(admin, within).experiment(name)

    printer = Printer(admin, output)
    if wait or wanted:
        printer.experiment(printer.fitting(lambda: wait_for(name, wanted or "ACTIVE", timeout, look, progress)))
    else:
        printer.experiment(AdminClient(admin).experiment(name))


@experiment.command("list")
@ADMIN
@ANY_OUTPUT
def list_experiments(admin: str, output: Output) -> None:
    """List the experiments of every source.

    Resources that a source offers and that are not taken stand below, with what is wrong with them.
    """
    Printer(admin, output).experiments(AdminClient(admin).experiments())


@experiment.command()
@NAME
@ADMIN
@output_option(Output.JSON, Output.YAML)
def get(name: str, admin: str, output: Output) -> None:
    """Print an experiment's specification.

    It can be edited and given back to `start -f`.
    """
    spec = AdminClient(admin).experiment(name).get("spec")
    if not isinstance(spec, dict):
        raise ExtprocError(
            f"{name} has no specification that could be read: `extproc experiment status {name}` says what is wrong"
            " with it"
        )
    Printer(admin, output).document(spec)


@experiment.command()
@NAME
@ADMIN
@ANY_OUTPUT
def history(name: str, admin: str, output: Output) -> None:
    """List who changed what, when, and why."""
    Printer(admin, output).history(AdminClient(admin).history(name))


@experiment.command()
@NAME
@REVISION
@CALLER
@WHY
@NO_WAIT
@ADMIN
@ANY_OUTPUT
def rollback(name: str, revision: int, caller: str, why: str, no_wait: bool, admin: str, output: Output) -> None:
    """Make an old revision current again.

    The specification of revision REV becomes a new revision; the history keeps what was between.
    """
    answer = AdminClient(admin).roll_back(name, revision, caller=caller, why=why, wait=not no_wait)
    Printer(admin, output).change(answer, f"rolled back to revision {revision}", "already runs")


experiment.add_command(assign)
