"""`extproc validate`: every problem of resource files, for people and for machines; the check that belongs into CI.

It judges with the same code that `serve` runs, so what it lets through is what will run. What is only not defined yet
is a warning, because resources may arrive in any order.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import click

from extproc.cli.output import write_line
from extproc.cli.plain import plain
from extproc.control.admission import NOTHING, Report, admit, waits
from extproc.core.offers import Document
from extproc.core.resources import Kind
from extproc.sources.once import read_once
from extproc.xds.judge import problems as judged_problems

_COUNTED: Final = {
    Kind.EXPERIMENT: ("experiment", "experiments"),
    Kind.MODEL: ("model", "models"),
    Kind.CLUSTER: ("cluster", "clusters"),
    Kind.ROUTES: ("route configuration", "route configurations"),
    Kind.FILTER: ("HTTP filter", "HTTP filters"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem or warning, in the words of the `--json` output."""

    file: str
    where: str
    kind: str
    name: str
    path: str
    message: str

    def line(self, severity: str = "") -> str:
        """For people: `file: Kind name: path: message`."""
        what = f"{self.kind} {self.name or self.where}".strip()
        return plain(": ".join(part for part in (self.file, what, self.path, severity, self.message) if part))


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was found in a set of files; `counts` says what they hold, valid or not."""

    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    counts: dict[Kind, int]

    @property
    def summary(self) -> str:
        """One line: what there is, and how it stands."""
        held = ", ".join(_count(self.counts[kind], *words) for kind, words in _COUNTED.items() if kind in self.counts)
        found = [
            _count(len(findings), word, f"{word}s")
            for findings, word in ((self.problems, "problem"), (self.warnings, "warning"))
            if findings
        ]
        if not self.problems:
            found.insert(0, "valid")
        return f"{held or 'no resources'}: {', '.join(found)}"


def judged(documents: Iterable[Document], strict: bool = False) -> Verdict:
    """What is wrong with `documents`, each by itself and beside each other; `strict` makes warnings problems."""
    documents = tuple(documents)
    admission = admit(NOTHING, documents, judged_problems)
    problems = tuple(sorted(_findings(admission.reports), key=_file))
    warnings = tuple(sorted(_findings(waits(admission)), key=_file))
    counts = Counter(offer.kind for document in documents for offer in document.offers if offer.kind)
    if strict:
        return Verdict(problems + warnings, (), counts)
    return Verdict(problems, warnings, counts)


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...", type=click.Path(exists=True, path_type=Path))
@click.option("--strict", is_flag=True, help="Fail on warnings too: everything that is named must be defined.")
@click.option(
    "-o", "--output", default="text", show_default=True, type=click.Choice(["text", "json"]), help="How to print."
)
@click.option("--json", "as_json", is_flag=True, help="The same as -o json.")
@click.pass_context
def validate(ctx: click.Context, paths: tuple[Path, ...], strict: bool, output: str, as_json: bool) -> None:
    """Check resource files: every problem, exit 1.

    PATH is a file, or a directory whose *.json, *.yaml and *.yml files are read. All are judged together, as
    `extproc serve` would with the same paths.
    """
    verdict = judged(read_once(paths), strict)
    if as_json or output == "json":
        click.echo(json.dumps(_document(verdict), indent=2))
    else:
        for finding in verdict.problems:
            write_line(finding.line())
        for finding in verdict.warnings:
            write_line(finding.line("warning"))
        write_line(verdict.summary)
    ctx.exit(1 if verdict.problems else 0)


def _findings(reports: Iterable[Report]) -> Iterator[Finding]:
    for report in reports:
        kind = report.kind.word if report.kind else ""
        for problem in report.problems:
            yield Finding(report.origin, report.where, kind, report.name, problem.path, problem.message)


def _file(finding: Finding) -> str:
    return finding.file


def _document(verdict: Verdict) -> dict[str, object]:
    return {
        "valid": not verdict.problems,
        "problems": [asdict(finding) for finding in verdict.problems],
        "warnings": [asdict(finding) for finding in verdict.warnings],
        "resources": {kind.word: verdict.counts[kind] for kind in _COUNTED if kind in verdict.counts},
    }


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
