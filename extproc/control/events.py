"""What happened to each experiment: its last events, told from how it was and how it is.

Must stay true: an event is a change that a person would want to know of at night, once, in the order it happened.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from extproc.control.status import ExperimentState, ExperimentStatus

KEPT: Final = 20  # events of one experiment
WORSE: Final = frozenset({"candidate_down", "mirror_down", "degraded", "pending", "rejected"})


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `event` is a word of a fixed set, `detail` is for people; `at` is UTC.

    `worse`: than it was before, so that somebody may have to look.
    """

    at: datetime
    event: str
    detail: str
    worse: bool = False


@dataclass(slots=True)
class Chronicle:
    """The last events of every experiment, and how each was last seen."""

    _seen: dict[str, ExperimentStatus] = field(default_factory=dict)
    _events: dict[str, deque[Event]] = field(default_factory=dict)

    def of(self, name: str) -> tuple[Event, ...]:
        """The last events of an experiment, oldest first."""
        return tuple(self._events.get(name, ()))

    def forget(self, name: str) -> None:
        """An experiment is listed no more."""
        self._events.pop(name, None)

    def note(self, others: Mapping[str, ExperimentStatus | None], at: datetime) -> list[tuple[str, Event]]:
        """Take note of how some are now, None for one that is no more; returns what is new, in the order of names."""
        fresh = [
            # What is new has to wait for Envoy at first, and is no worse for that.
            (name, Event(at, event, detail, event in WORSE and (event != "pending" or name in self._seen)))
            for name, status in sorted(others.items())
            for event, detail in changes(self._seen.get(name), status)
        ]
        for name, event in fresh:
            self._events.setdefault(name, deque(maxlen=KEPT)).append(event)
        for name, status in others.items():
            if status is None:
                self._seen.pop(name, None)
            else:
                self._seen[name] = status
        return fresh


def changes(before: ExperimentStatus | None, after: ExperimentStatus | None) -> Iterator[tuple[str, str]]:
    """What happened between two looks at one experiment, as (event, detail)."""
    if after is None:
        if before is not None and before.state is not ExperimentState.REJECTED:
            yield "stopped", f"was {before.state.value}"
    elif after.state is ExperimentState.REJECTED:
        if before is None or (before.state, before.reason) != (after.state, after.reason):
            yield "rejected", after.reason
    elif before is None or before.spec is None:
        yield "created", _weights(after)
        yield from _acceptance(None, after)
        yield after.state.value.lower(), after.reason
    else:
        yield from _between(before, after)


def _between(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[tuple[str, str]]:
    if before.spec != after.spec:
        yield "updated", _weights(after)
    yield from _acceptance(before, after)
    if before.state is not ExperimentState.PENDING:  # until then readiness is what it waits for
        yield from _readiness(before, after)
    if before.state is not after.state:
        yield after.state.value.lower(), after.reason
    if after.problems and before.problems != after.problems:
        yield "rejected", "; ".join(str(problem) for report in after.problems for problem in report.problems)


def _acceptance(before: ExperimentStatus | None, after: ExperimentStatus) -> Iterator[tuple[str, str]]:
    known = before is not None and before.accepted and before.spec == after.spec
    if after.accepted and not known:
        yield "accepted", "Envoy runs it"


def _readiness(before: ExperimentStatus, after: ExperimentStatus) -> Iterator[tuple[str, str]]:
    for what, were, are in (
        ("candidate", before.candidates, after.candidates),
        ("mirror", before.mirrors, after.mirrors),
    ):
        was = {one.name: one.ready for one in were}
        for one in are:
            if was.get(one.name, one.ready) != one.ready:
                yield f"{what}_{'back' if one.ready else 'down'}", one.name


def _weights(status: ExperimentStatus) -> str:
    parts = [", ".join(f"{c.name} {c.weight}" for c in status.candidates)]
    parts += [f"mirror {mirror.name} {mirror.percent:g} %" for mirror in status.mirrors]
    return "; ".join(parts)
