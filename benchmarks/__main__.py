"""`python -m benchmarks`: the comparison, the sizes and the micro-benchmarks. What they mean is in the README."""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

import click
import pytest

from benchmarks import load, machine, report
from benchmarks.cases import CASES, NATIVE, Case, given
from benchmarks.compare import CONNECTIONS, compare
from benchmarks.measure import Sample
from benchmarks.plot import draw
from benchmarks.scale import CHANGES, EXPERIMENTS, Scale, scales
from benchmarks.stage import ServerError, Stage, Where, known_flags
from benchmarks.targets import Measured, verdicts

_MICRO: Final = (
    *("-q", "--override-ini=python_files=bench_*.py", "--override-ini=python_functions=bench_*"),
    *("--benchmark-columns=median,iqr,ops", "--benchmark-sort=name", "--benchmark-disable-gc"),
    str(Path(__file__).parent),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured; `seconds` is the length of one measurement."""

    connections: tuple[int, ...]
    rounds: int
    seconds: float
    sizes: tuple[int, ...]
    changes: int = CHANGES


QUICK: Final = Plan(connections=(8,), rounds=1, seconds=0.3, sizes=(10,), changes=1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--compare", "wants_comparison", is_flag=True, help="Only this: every way to split, side by side.")
@click.option("--scale", "wants_scale", is_flag=True, help="Only this: one experiment against ten thousand.")
@click.option("--micro", "wants_micro", is_flag=True, help="Only this: the steps of one decision.")
@click.option("--quick", is_flag=True, help="Everything once and briefly: shows that it runs, and measures nothing.")
@click.option("--case", "only", multiple=True, help="Compare only this case with native; may be given several times.")
@click.option("--peer", "peers", multiple=True, help="Another server's command; its port is {port}, and $PORT.")
@click.option("--connections", multiple=True, type=click.IntRange(1), default=CONNECTIONS, show_default=True)
@click.option("--rounds", type=click.IntRange(1), default=5, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(0.1), default=3.0, show_default=True, help="The length of a measurement."
)
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Threads of each Envoy.")
@click.option(
    "--models",
    type=click.Choice(get_args(Where)),
    default="beside",
    show_default=True,
    help="Where the models are: in an Envoy beside all cases, or inside the Envoy of each.",
)
@click.option("--sizes", multiple=True, type=click.IntRange(1), default=EXPERIMENTS, show_default=True)
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path(".bench"), show_default=True)
def main(
    wants_comparison: bool,
    wants_scale: bool,
    wants_micro: bool,
    quick: bool,
    only: tuple[str, ...],
    peers: tuple[str, ...],
    concurrency: int,
    models: Where,
    out: Path,
    **plan: Any,
) -> None:
    """Measure extproc on this machine, beside Envoy alone and other ext_proc servers. Takes about a quarter of an hour.

    Prints tables, and writes results.json and results.png. Without --compare, --scale or --micro all three are run.
    """
    cases = chosen(only, given(peers))
    everything = not (wants_comparison or wants_scale or wants_micro)
    planned = QUICK if quick else Plan(**plan)
    out.mkdir(parents=True, exist_ok=True)
    samples: list[Sample] = []
    sizes: list[Scale] = []
    if (everything or wants_comparison or wants_scale) and not load.wrk():
        if not quick:
            raise click.ClickException(load.MISSING)
        click.echo(f"SKIPPED: comparison, scale: {load.MISSING}")
    else:
        if everything or wants_comparison:
            samples = _compare(cases, planned, concurrency, models)
            names = [case.name for case in cases]
            _print(report.comparison(samples, names))
            draw(samples, names, out / "results.png")
            _write(out, samples, sizes)  # ten minutes' work, whatever becomes of what follows
        if everything or wants_scale:
            sizes = _scale(planned)
            _print(report.sizes(sizes))
            _write(out, samples, sizes)
    if samples or sizes:
        _print(report.targets(verdicts(Measured(samples, sizes))))
        click.echo("\n" + ", ".join(f"{name} {value}" for name, value in machine.describe().items()))
    if (everything or wants_micro) and (code := pytest.main([*_MICRO, *(["--benchmark-disable"] if quick else [])])):
        raise SystemExit(code)


def chosen(only: Sequence[str], peers: Sequence[Case]) -> tuple[Case, ...]:
    """The cases to run, native always among them. Raises ClickException for a name that there is none of."""
    known = known_flags()
    missing = {case: sorted(case.flags - known) for case in CASES if not case.flags <= known}
    for case, flags in missing.items():
        click.echo(f"SKIPPED: {case.name}: this extproc up has no {', '.join(flags)}")
    usable = [*(case for case in CASES if case not in missing), *peers]
    if unknown := set(only) - {case.name for case in (*CASES, *peers)}:
        names = ", ".join(case.name for case in (*CASES, *peers))
        raise click.ClickException(f"--case {', '.join(sorted(unknown))}: there are {names}")
    return tuple(case for case in usable if not only or case.name in (NATIVE, *only) or case in peers)


def _compare(cases: Sequence[Case], plan: Plan, concurrency: int, models: Where) -> list[Sample]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        Stage(Path(directory), concurrency, models) as stage,
    ):
        try:
            running = stage.start(cases)
        except ServerError as error:
            raise click.ClickException(str(error)) from error
        return compare(running, connections=plan.connections, rounds=plan.rounds, seconds=plan.seconds, say=_progress)


def _scale(plan: Plan) -> list[Scale]:
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        return scales(
            Path(directory),
            plan.sizes,
            rounds=plan.rounds,
            seconds=plan.seconds,
            changes=plan.changes,
            say=_progress,
        )


def _write(out: Path, samples: Sequence[Sample], sizes: Sequence[Scale]) -> None:
    document = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(),
        "samples": [sample.as_json() for sample in samples],
        "sizes": [scale.as_json() for scale in sizes],
        "targets": [verdict.as_json() for verdict in verdicts(Measured(samples, sizes))],
    }
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")


def _progress(line: str) -> None:
    click.echo(line, err=True)


def _print(lines: Any) -> None:
    for line in lines:
        click.echo(line)


if __name__ == "__main__":
    main()
