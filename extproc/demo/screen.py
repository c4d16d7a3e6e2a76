"""What a person sees of the demo: a line for each step, bars while requests flow, and one table for each split."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from extproc.demo.report import Phase, Result


class Screen:
    """`steps` is where progress goes, `results` where the tables go; with JSON asked for they are two streams."""

    def __init__(self, steps: Console, results: Console) -> None:
        self._steps: Final = steps
        self._results: Final = results

    def step(self, text: str) -> None:
        self._steps.print(text, highlight=False, soft_wrap=True)

    @contextmanager
    def bar(self, text: str, total: int) -> Iterator["Bar"]:
        """A progress bar of `total` requests."""
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._steps) as progress:
            yield Bar(progress, progress.add_task(text, total=total))

    def tables(self, experiment: str, result: Result) -> None:
        """One table for each phase, and what happened beside them."""
        for phase in result.phases:
            self._results.print()
            self._results.print(table(experiment, phase))
        for line in summary(result):
            self._results.print(line, highlight=False, soft_wrap=True)

    def kept(self, inference: str, admin: str, file: Path, model: str) -> None:
        """What there is to try while everything runs."""
        body = '{"inputs": [{"name": "row", "shape": [1, 4], "datatype": "FP64", "data": [6.1, 2.8, 4.7, 1.2]}]}'
        for line in (
            "",
            "Everything runs until you press Ctrl-C.",
            f"  models      {inference}/v2/models/{model}/infer",
            f"  experiment  {admin}/api/v1/experiments",
            f"  edit        {file}   (change a weight and save; it is live at once)",
            "",
            "Ask the model, and read in x-seldon-route which candidate answered:",
            "",
            f"curl -si {inference}/v2/models/{model}/infer -H 'content-type: application/json' -d '{body}'",
        ):
            self._steps.print(line, highlight=False, markup=False, soft_wrap=True)


class Bar:
    """One bar of a running `Screen.bar`."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress: Final = progress
        self._task: Final = task

    def show(self, done: int) -> None:
        self._progress.update(self._task, completed=done)


def weights_text(weights: Mapping[str, int]) -> str:
    """`iris 70, iris2 30`"""
    return ", ".join(f"{name} {weight}" for name, weight in weights.items())


def table(experiment: str, phase: Phase) -> Table:
    """A phase as a table, a row for each candidate."""
    weights = weights_text({line.name: line.weight for line in phase.candidates})
    title = f"{experiment} with {weights}: {phase.requests:,} requests"
    shown = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in ("candidate", "configured", "observed", "requests", "accuracy", "p50", "p99"):
        shown.add_column(column, justify="left" if column == "candidate" else "right")
    for line in phase.candidates:
        shown.add_row(
            line.name,
            f"{line.configured:.1%}",
            f"{line.observed:.1%}",
            f"{line.requests:,}",
            "-" if line.accuracy is None else f"{line.accuracy:.1%}",
            "-" if line.p50_ms is None else f"{line.p50_ms:.1f} ms",
            "-" if line.p99_ms is None else f"{line.p99_ms:.1f} ms",
        )
    return shown


def summary(result: Result) -> tuple[str, ...]:
    """What the tables do not show."""
    share = result.mirrored / result.requests if result.requests else 0.0
    mirrored = (
        f"Mirrored to {result.mirror}: {result.mirrored:,} of all {result.requests:,} requests ({share:.1%};"
        f" configured {result.mirror_percent:g}%). Its answers went nowhere."
    )
    edit = (
        f"The edit was live {result.live_after_ms:.0f} ms after the file was saved. No request failed, and the client"
        " never asked for anything but one model."
    )
    return mirrored, edit
