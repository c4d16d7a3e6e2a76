"""The answers of the admin HTTP, printed as `-o` asks: the REST document for programs, words and tables for people.

What draws tables is imported only when one is drawn.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, TypeVar

import click

from extproc.cli.admin_client import Answer
from extproc.cli.admin_errors import AdminGarbledError
from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_view import ExperimentView, listed, revisions
from extproc.cli.output import Output, write_document, write_line, write_table

V = TypeVar("V")
Document = Mapping[str, Any]


class Printer:
    """Prints what the admin HTTP at `url` answers. Raises AdminGarbledError where people can't be shown it."""

    def __init__(self, url: str, output: Output) -> None:
        self._url: Final = url
        self._output: Final = output
        self._wide: Final = output is Output.WIDE

    @property
    def for_programs(self) -> bool:
        return self._output.for_programs

    def document(self, document: Document) -> None:
        """The document, in JSON or YAML."""
        write_document(document, self._output)

    def experiment(self, document: Document) -> None:
        """One experiment as it is."""
        if self.for_programs:
            self.document(document)
            return
        from extproc.cli.experiment_tables import experiment_status

        shown = self.fitting(lambda: ExperimentView.of(document))
        write_table(experiment_status(shown, wide=self._wide), self._output)

    def experiments(self, document: Document) -> None:
        """All experiments."""
        if self.for_programs:
            self.document(document)
            return
        from extproc.cli.experiment_tables import experiment_list

        experiments, refused = self.fitting(lambda: listed(document))
        write_table(experiment_list(experiments, refused, wide=self._wide), self._output)

    def history(self, document: Document) -> None:
        """All revisions of one."""
        if self.for_programs:
            self.document(document)
            return
        from extproc.cli.experiment_tables import experiment_history

        found = self.fitting(lambda: revisions(document))
        write_table(experiment_history(found, wide=self._wide), self._output)

    def change(self, answer: Answer, done: str, idle: str) -> None:
        """What a change came to: what was `done`, or why there was nothing to do; and how the experiment is now."""
        if self.for_programs:
            self.document(answer.document)
            return
        shown = self.fitting(lambda: ExperimentView.of(answer.document))
        if answer.document.get("changed", True):
            revision = "" if shown.revision is None else f" (revision {shown.revision})"
            write_line(f"{shown.name}: {done}{revision}")
        else:
            revision = "" if shown.revision is None else f" at revision {shown.revision}"
            write_line(f"{shown.name}: unchanged: {idle}{revision}")
        if self._wide:
            self.experiment(answer.document)
            return
        write_line(f"  {shown.state}: {shown.reason}" if shown.reason else f"  {shown.state}")
        if shown.state == "PENDING":
            write_line(f"  `extproc experiment status {shown.name} -w` waits until it is ACTIVE")

    def fitting(self, build: Callable[[], V]) -> V:
        """What `build` makes of an answer; AdminGarbledError when it does not fit."""
        try:
            return build()
        except MisfitError as misfit:
            raise AdminGarbledError(self._url, str(misfit)) from misfit


def progress(now: str) -> None:
    """One line of what is waited for, with the time, to stderr."""
    click.echo(f"{datetime.now().astimezone():%H:%M:%S} {now}", err=True)
