"""What the hot path looks up: every decision that can be taken, numbered, built once per change.

A Table is immutable; publishing one is a single reference assignment. A decision's number indexes the replies that
`wire` serialises for the table; number 0 changes nothing and leaves the request to Envoy's own split.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from extproc import names
from extproc.core.availability import Shares, shares
from extproc.core.resources import Experiment, Model
from extproc.core.split import cumulate
from extproc.core.tokens import served_as


class Outcome(StrEnum):
    """Why a request goes where it goes; each is an ordinary result, none an error."""

    WEIGHTED = "weighted"
    STICKY = "sticky"
    STALE_TOKEN = "stale_token"  # noqa: S105 - a route token that names no candidate of this experiment; drawn afresh
    UNAVAILABLE = "unavailable"  # the default stands in for candidates that are not available
    NOT_ACCEPTED = "not_accepted"  # Envoy does not know all routes of this experiment yet and splits by itself
    NO_EXPERIMENT = "no_experiment"  # a route of an experiment that is gone; Envoy's own split still stands


@dataclass(frozen=True, slots=True)
class Decision:
    """One thing that can be decided. `number` is the reply's; `candidate` is empty where Envoy splits by itself."""

    number: int
    experiment: str
    candidate: str
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment as one protocol sees it; `afresh` and `stale` are parallel to `cumulative`."""

    cumulative: tuple[int, ...]
    afresh: tuple[Decision, ...]
    stale: tuple[Decision, ...]
    sticky: Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Table:
    """`labels[n]` is the label that decision number n tells Envoy; `labels[0]` is empty."""

    labels: tuple[str, ...]
    entries: Mapping[tuple[str, names.Protocol], Entry]


EMPTY: Final = Table(("",), {})

Usable = Callable[[str, names.Protocol], bool]


def compile_table(
    experiments: Iterable[Experiment],
    models: Mapping[str, Model],
    usable: Usable,
    accepted: Container[str],
) -> Table:
    """Build the table.

    `usable(model, protocol)` says whether a model may be chosen. `accepted` holds the names of the decided routes that
    Envoy has ACKed: a candidate is only ever named to an Envoy that knows its route. While one that would be drawn is
    missing there, the draw is left to Envoy, whose routes are complete in themselves; sticky requests go on.
    """
    labels = [""]
    entries: dict[tuple[str, names.Protocol], Entry] = {}
    for experiment in experiments:
        numbers: dict[str, int] = {}
        for candidate in experiment.candidates:
            numbers[candidate.name] = len(labels)
            labels.append(names.label(experiment.name, candidate.name))
        for protocol in names.PROTOCOLS:
            now = shares(experiment, lambda model, protocol=protocol: usable(model, protocol))  # type: ignore[misc]
            known = {
                candidate
                for candidate in numbers
                if names.decided_route(experiment.name, candidate, protocol) in accepted
            }
            entries[experiment.name, protocol] = _entry(experiment, models, now, numbers, known)
    return Table(tuple(labels), entries)


def _entry(
    experiment: Experiment, models: Mapping[str, Model], now: Shares, numbers: Mapping[str, int], known: set[str]
) -> Entry:
    def decision(candidate: str, outcome: Outcome) -> Decision:
        return Decision(numbers[candidate], experiment.name, candidate, outcome)

    sticky = {
        served_as(models[name], experiment.resource_type): decision(name, Outcome.STICKY)
        for name in now.reachable
        if name in known and name in models
    }
    if not now.weighted or not all(name in known for name, _ in now.weighted):
        outcome = Outcome.NOT_ACCEPTED if now.weighted else Outcome.UNAVAILABLE
        left = (Decision(0, experiment.name, "", outcome),)
        return Entry((1,), left, left, sticky)
    drawn = Outcome.UNAVAILABLE if now.narrowed else Outcome.WEIGHTED
    stale = Outcome.UNAVAILABLE if now.narrowed else Outcome.STALE_TOKEN
    return Entry(
        cumulate(weight for _, weight in now.weighted),
        tuple(decision(name, drawn) for name, _ in now.weighted),
        tuple(decision(name, stale) for name, _ in now.weighted),
        sticky,
    )
