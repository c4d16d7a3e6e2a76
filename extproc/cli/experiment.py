"""`extproc experiment …`: what a team does to an experiment, over the REST of the admin HTTP.

People's output by default; `-o json` is the REST document itself. What draws tables and what reads files is imported
only where it is needed, so that completion stays quick.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, BinaryIO, Final, TypeVar

import click

from extproc.cli.admin_client import ANSWER_WITHIN, AdminClient, Answer, Document
from extproc.cli.admin_errors import AdminGarbledError, AdminRefusedError
from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_options import (
    ADMIN,
    ANY_OUTPUT,
    CALLER,
    NAME,
    REVISION,
    STATES,
    WHY,
    a_number,
    output_option,
)
from extproc.cli.experiment_view import ExperimentView, listed, revisions
from extproc.cli.output import Output, write_document, write_line, write_table
from extproc.errors import ExtprocError

V = TypeVar("V")

WAIT_WITHIN: Final = 60.0  # seconds
DAY: Final = 86_400.0  # seconds


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def experiment() -> None:
    """Start, change, watch, stop and undo experiments."""


@experiment.command()
@click.option(
    "-f", "--file", required=True, metavar="FILE", type=click.File("rb"), help="The experiment; - reads standard input."
)
@CALLER
@WHY
@click.option("--no-wait", is_flag=True, help="Return when it is on disk, before Envoy runs it.")
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
    file: BinaryIO,
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

    origin = "standard input" if file.name == "<stdin>" else file.name
    try:
        experiments = read_experiments(file.read(), origin)
    except OSError as error:
        raise ExtprocError(f"{origin} can't be read: {error.strerror}") from error
    if if_match is not None and len(experiments) > 1:
        raise click.UsageError(
            f"--if-match names the revision of one experiment, and {origin} holds {len(experiments)}"
        )
    client = AdminClient(admin, timeout)
    done: list[Document] = []
    refused: dict[str, AdminRefusedError] = {}
    try:
        for wanted in experiments:
            try:
                answer = client.start(write(wanted), caller=caller, why=why, wait=not no_wait, revision=if_match)
            except AdminRefusedError as refusal:
                refused[wanted.name] = refusal
                continue
            done.append(answer.document)
            if not output.for_programs:
                _tell_change(client, answer, "started" if answer.created else "updated", "already runs", output)
    finally:
        if done and output.for_programs:
            write_document(done[0] if len(experiments) == 1 else {"experiments": done}, output)
    if refused:
        raise ExtprocError("\n".join(f"{name}: {refusal}" for name, refusal in refused.items()))


@experiment.command()
@NAME
@CALLER
@WHY
@ADMIN
@ANY_OUTPUT
def stop(name: str, caller: str, why: str, admin: str, output: Output) -> None:
    """Stop an experiment.

    Its default answers alone again. To stop it twice is no error.
    """
    client = AdminClient(admin)
    answer = client.stop(name, caller=caller, why=why)
    if output.for_programs:
        write_document(answer.document, output)
    else:
        _tell_change(client, answer, "stopped", "stopped already,", output)


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

    client = AdminClient(admin)
    document: Mapping[str, Any]
    if wait or wanted:

        def look(within: float) -> Document:
            return AdminClient(admin, within).experiment(name)

        document = _fitting(client, lambda: wait_for(name, wanted or "ACTIVE", timeout, look, _tell_progress))
    else:
        document = client.experiment(name)
    _show(client, document, output)


@experiment.command("list")
@ADMIN
@ANY_OUTPUT
def list_experiments(admin: str, output: Output) -> None:
    """List the experiments of every source.

    Resources that a source offers and that are not taken stand below, with what is wrong with them.
    """
    client = AdminClient(admin)
    document = client.experiments()
    if output.for_programs:
        write_document(document, output)
        return
    from extproc.cli.experiment_tables import experiment_list

    experiments, refused = _fitting(client, lambda: listed(document))
    write_table(experiment_list(experiments, refused, wide=output is Output.WIDE), output)


@experiment.command()
@NAME
@ADMIN
@output_option(Output.JSON, Output.YAML)
def get(name: str, admin: str, output: Output) -> None:
    """Print an experiment's specification.

    It can be edited and given back to `start -f`.
    """
    document = AdminClient(admin).experiment(name)
    spec = document.get("spec")
    if not isinstance(spec, dict):
        raise ExtprocError(
            f"{name} has no specification that could be read: `extproc experiment status {name}` says what is"
            " wrong with it"
        )
    write_document(spec, output)


@experiment.command()
@NAME
@ADMIN
@ANY_OUTPUT
def history(name: str, admin: str, output: Output) -> None:
    """List who changed what, when, and why."""
    client = AdminClient(admin)
    document = client.history(name)
    if output.for_programs:
        write_document(document, output)
        return
    from extproc.cli.experiment_tables import experiment_history

    shown = _fitting(client, lambda: revisions(document))
    write_table(experiment_history(shown, wide=output is Output.WIDE), output)


@experiment.command()
@NAME
@REVISION
@CALLER
@WHY
@ADMIN
@ANY_OUTPUT
def rollback(name: str, revision: int, caller: str, why: str, admin: str, output: Output) -> None:
    """Make an old revision current again.

    The specification of revision REV becomes a new revision; the history keeps what was between.
    """
    client = AdminClient(admin)
    answer = client.roll_back(name, revision, caller=caller, why=why)
    if output.for_programs:
        write_document(answer.document, output)
    else:
        _tell_change(client, answer, f"rolled back to revision {revision}", "already runs", output)


def _fitting(client: AdminClient, build: Callable[[], V]) -> V:
    """What `build` makes of an answer of `client`; AdminGarbledError when it does not fit."""
    try:
        return build()
    except MisfitError as misfit:
        raise AdminGarbledError(client.url, str(misfit)) from misfit


def _show(client: AdminClient, document: Mapping[str, Any], output: Output) -> None:
    if output.for_programs:
        write_document(document, output)
        return
    from extproc.cli.experiment_tables import experiment_status

    shown = _fitting(client, lambda: ExperimentView.of(document))
    write_table(experiment_status(shown, wide=output is Output.WIDE), output)


def _tell_change(client: AdminClient, answer: Answer, done: str, idle: str, output: Output) -> None:
    """What a change came to: one line, and how the experiment is now."""
    shown = _fitting(client, lambda: ExperimentView.of(answer.document))
    at = "" if shown.revision is None else f" at revision {shown.revision}"
    now = "" if shown.revision is None else f" (revision {shown.revision})"
    changed = answer.document.get("changed", True)
    write_line(f"{shown.name}: {done}{now}" if changed else f"{shown.name}: unchanged: {idle}{at}")
    if output is Output.WIDE:
        _show(client, answer.document, output)
        return
    write_line(f"  {shown.state}: {shown.reason}" if shown.reason else f"  {shown.state}")
    if shown.state == "PENDING":
        write_line(f"  `extproc experiment status {shown.name} -w` waits until it is ACTIVE")


def _tell_progress(now: str) -> None:
    click.echo(f"{datetime.now().astimezone():%H:%M:%S} {now}", err=True)
