"""Experiments on a terminal: tables, states in colour, shares as bars. Without a terminal the same, plain.

Every text of a document comes in as `Text`, so that no name or reason is read as rich's markup.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from extproc.cli.experiment_changes import changes
from extproc.cli.experiment_view import (
    CandidateView,
    EventView,
    ExperimentView,
    MirrorView,
    RefusedView,
    RevisionView,
    UntouchedView,
)
from extproc.cli.outcome_tables import fit, outcomes_table
from extproc.cli.outcome_view import OutcomesView

STATE_STYLES: Final[Mapping[str, str]] = {
    "PENDING": "cyan",
    "ACTIVE": "green",
    "DEGRADED": "yellow",
    "STOPPED": "dim",
    "REJECTED": "red",
}
# States in which all is as its owner wants it.
_SETTLED: Final = frozenset({"ACTIVE", "STOPPED"})
_READY: Final[Mapping[bool | None, tuple[str, str]]] = {True: ("yes", ""), False: ("no", "yellow"), None: ("?", "")}
# Of each condition, what it says when it is met and when it is not.
_CONDITIONS: Final[Mapping[str, tuple[str, str]]] = {
    "accepted": ("accepted by Envoy", "not accepted by Envoy"),
    "candidatesReady": ("candidates ready", "candidates not ready"),
    "mirrorReady": ("mirror ready", "mirror not ready"),
    "mirrorsReady": ("mirrors ready", "not all mirrors ready"),
}

_BAR: Final = 20  # cells of a whole bar where each candidate has a line of its own
_NAMES: Final = 14  # letters of names beside which it has room in 80 columns
_SMALL_BAR: Final = 10  # and where all stand on one line
_SPLIT_WHOLE: Final = 40  # columns; a split that takes more is folded
_EVENTS_SHOWN: Final = 5


def experiment_list(
    experiments: Iterable[ExperimentView], refused: Iterable[RefusedView], *, wide: bool
) -> RenderableType:
    """Every experiment on a line, then what is wrong."""
    experiments, refused = tuple(experiments), tuple(refused)
    if not experiments and not refused:
        return Text("No experiments. Start one with `extproc experiment start -f FILE`.")
    columns = ("NAME", "STATE", "SPLIT", "SOURCE")
    table = _table(*columns, *(("REV", "DEFAULT", "MIRROR", "REASON") if wide else ()))
    splits = [_split(shown.candidates) for shown in experiments]
    # A path may be folded anywhere and is still read; a split is not.
    table.columns[2].no_wrap = not wide and all(len(split) <= _SPLIT_WHOLE for split in splits)
    for shown, split in zip(experiments, splits, strict=True):
        cells: list[str | Text] = [shown.name, _state(shown.state), split, shown.source]
        if wide:
            default = shown.spec.default if shown.spec else ""
            mirrors = ", ".join(f"{mirror.name} {_percent(mirror.percent)}" for mirror in shown.mirrors)
            cells += [_known(shown.revision), default or "-", mirrors or "-", shown.reason]
        _row(table, *cells)
    parts: list[RenderableType] = [table] if experiments else []
    waiting = [] if wide else [shown for shown in experiments if shown.state not in _SETTLED]
    if waiting:
        parts += [Text(), *(_line(shown.name, _state(shown.state), shown.reason) for shown in waiting)]
    wrong = [(shown.name, shown.split) for shown in experiments if shown.split and shown.split.mismatch]
    if wrong:
        parts += [Text(), *(Text.assemble(f"{name}: split ", fit(split)) for name, split in wrong)]
    if refused:
        parts += [Text(), Text("Not taken:", style="bold"), *_refused(refused)]
    return Group(*parts)


def experiment_status(shown: ExperimentView, *, wide: bool) -> RenderableType:
    """All about one experiment."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    for label, fact in _facts(shown):
        facts.add_row(Text(label, style="bold"), fact)
    parts: list[RenderableType] = [facts]
    if shown.candidates:
        parts += [Text(), _candidates(shown)]
    answerers = tuple(_answerers(shown))
    if answerers:
        parts += [Text(), outcomes_table(answerers, wide=wide)]
    if shown.problems:
        parts += [Text(), Text("Problems:", style="bold red"), *(Text(f"  {problem}") for problem in shown.problems)]
    events = shown.events if wide else shown.events[-_EVENTS_SHOWN:]
    if events:
        parts += [Text(), _events(events)]
    return Group(*parts)


def experiment_history(revisions: tuple[RevisionView, ...], *, wide: bool) -> RenderableType:
    """Every revision on a line, oldest first; the last one is current."""
    table = _table("REV", "WHEN", "WHO", "ACTION", "CHANGE", "WHY")
    for revision, change in changes(revisions):
        at = local(revision.at) if wide else local(revision.at, "%Y-%m-%d %H:%M")
        _row(table, str(revision.number), at, revision.who, revision.action, change, revision.why)
    return table


def local(at: str, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """An RFC 3339 time on this machine's clock; what is none, as it is."""
    try:
        return datetime.fromisoformat(at).astimezone().strftime(form)
    except (ValueError, OverflowError):
        return at


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in ("STATE", "REV", "WHEN", "ACTION", "READY"))
    return table


def _facts(shown: ExperimentView) -> Iterator[tuple[str, Text]]:
    yield "name", Text(shown.name)
    yield "state", _line("", _state(shown.state), shown.reason)
    yield "source", Text(shown.source + ("" if shown.revision is None else f", revision {shown.revision}"))
    if shown.spec:
        yield "default", Text(shown.spec.default or _none(shown))
        for name, value in shown.spec.other.items():
            yield name.replace("_", " "), Text(value)
    if shown.conditions and shown.state != "STOPPED":  # nothing is asked of what does not run
        yield "conditions", Text(", ").join(_condition(name, met) for name, met in _conditions(shown))
    if shown.split:
        yield "split", fit(shown.split)


def _none(shown: ExperimentView) -> str:
    if any(one.cluster for one in shown.candidates):
        return "none: what matches is split"
    return f"none: only {shown.name}.experiment is split"


def _conditions(shown: ExperimentView) -> Iterator[tuple[str, bool]]:
    """One mirror, or several: it is the same condition; without one it is always met."""
    for name, met in shown.conditions.items():
        if name != "mirrorReady" or shown.mirrors:
            yield ("mirrorsReady" if name == "mirrorReady" and shown.mirrors[1:] else name), met


def _condition(name: str, met: bool) -> Text:
    yes, no = _CONDITIONS.get(name, (name, f"not {name}"))
    return Text(yes) if met else Text(no, style="yellow")


def _candidates(shown: ExperimentView) -> Table:
    names = [*(one.name for one in shown.candidates), *map(_left, shown.untouched), *map(_copied, shown.mirrors)]
    cells = min(_BAR, max(_SMALL_BAR, _BAR + _NAMES - max(map(len, names))))  # so that a number is not folded
    rows = [
        (one.name, str(one.weight), _bar(one.share, cells), Text(*_READY[one.ready]), one.route or "-", one.requests)
        for one in shown.candidates
    ]
    for left in shown.untouched:
        part = Text("-") if left.percent is None else _bar(left.percent / 100, cells, "cyan")
        rows.append((_left(left), "-", part, Text("-"), "-", left.requests))
    for mirror in shown.mirrors:
        copies = _bar(mirror.percent / 100, cells, "magenta")
        rows.append((_copied(mirror), "-", copies, Text(*_READY[mirror.ready]), "-", mirror.requests))
    counted = any(requests is not None for *_, requests in rows)
    table = _table("CANDIDATE", "WEIGHT", "SHARE", "READY", "ROUTE", *(("REQUESTS",) if counted else ()))
    for name, weight, bar, ready, route, requests in rows:
        _row(table, name, weight, bar, ready, route, *((_known(requests),) if counted else ()))
    return table


def _answerers(shown: ExperimentView) -> Iterator[tuple[str, OutcomesView]]:
    """Who has had requests: candidates, what is left to the default, mirrors."""
    everyone = [
        *((one.name, one.requests, one.outcomes) for one in shown.candidates),
        *((_left(left), left.requests, left.outcomes) for left in shown.untouched),
        *((_copied(mirror), mirror.requests, mirror.outcomes) for mirror in shown.mirrors),
    ]
    return ((name, outcomes) for name, requests, outcomes in everyone if requests and outcomes)


def _left(left: UntouchedView) -> str:
    """`iris (holdout)`, `iris (other slot)`"""
    return f"{left.model} ({left.why.replace('_', ' ')})"


def _copied(mirror: MirrorView) -> str:
    return f"{mirror.name} (mirror)"


def _events(events: Iterable[EventView]) -> Table:
    table = _table("WHEN", "EVENT", "DETAIL")
    for event in events:
        _row(table, local(event.at), event.event, event.detail)
    return table


def _refused(refused: Iterable[RefusedView]) -> Iterator[Text]:
    for one in refused:
        kept = " (its last good version stays in force)" if one.kept else ""
        yield Text(f"  {': '.join(part for part in (one.source, f'{one.kind} {one.name}'.strip()) if part)}{kept}")
        yield from (Text(f"    {problem}") for problem in one.problems)


def _split(candidates: Iterable[CandidateView]) -> Text:
    """`iris ███████ 70 %, iris2 ███ 30 %`"""
    parts = [Text.assemble(one.name, " ", _bar(one.share, _SMALL_BAR, pad=False)) for one in candidates]
    return Text(", ").join(parts) if parts else Text("-")


def _bar(share: float, cells: int, style: str = "blue", *, pad: bool = True) -> Text:
    """A share (0 to 1) as a bar and in percent; one that is not nothing is not drawn as nothing."""
    full = min(cells, max(round(share * cells), 1 if share > 0 else 0))
    blank = "░" * (cells - full) if pad else ""
    number = _percent(share * 100)
    gap = " " if full or blank else ""
    return Text.assemble(("█" * full, style), (blank, "dim"), gap, number.rjust(6) if pad else number)


def _percent(percent: float) -> str:
    return f"{percent:.4g} %"


def _state(state: str) -> Text:
    return Text(state, style=STATE_STYLES.get(state, ""))


def _known(number: int | None) -> str:
    return "-" if number is None else str(number)


def _line(name: str, state: Text, reason: str) -> Text:
    """`name is STATE: reason`, without the name where it is clear."""
    return Text.assemble(f"{name} is " if name else "", state, f": {reason}" if reason else "")


def _row(table: Table, *cells: str | Text) -> None:
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))
