"""What the hot path looks up: every decision that can be taken, built once per change.

A Table is immutable; publishing one is a single reference assignment. A decision's label finds the reply that `wire`
has serialised for it; the empty label changes nothing and leaves the request to Envoy's own split.
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
    """One thing that can be decided; `candidate` and `label` are empty where Envoy splits by itself.

    `label` is what Envoy is told. `revision` is the experiment's, 0 while it is not recorded. `share`, from 0 to 1, is
    the candidate's part of the draws in effect.
    """

    experiment: str
    candidate: str
    outcome: Outcome
    label: str = ""
    revision: int = 0
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One experiment as one protocol sees it; `afresh` and `stale` are parallel to `cumulative`."""

    cumulative: tuple[int, ...]
    afresh: tuple[Decision, ...]
    stale: tuple[Decision, ...]
    sticky: Mapping[str, Decision]


@dataclass(frozen=True, slots=True)
class Table:
    """The entry of each experiment and protocol."""

    entries: Mapping[tuple[str, names.Protocol], Entry]


EMPTY: Final = Table({})
NO_REVISIONS: Final[Mapping[str, int]] = {}

Usable = Callable[[str, names.Protocol], bool]


def compile_table(
    experiments: Iterable[Experiment],
    models: Mapping[str, Model],
    usable: Usable,
    accepted: Container[str],
    revisions: Mapping[str, int] = NO_REVISIONS,
) -> Table:
    """Build the table.

    `usable(model, protocol)` says whether a model may be chosen. `accepted` holds the names of the decided routes that
    Envoy has ACKed: a candidate is only ever named to an Envoy that knows its route. While one that would be drawn is
    missing there, the draw is left to Envoy, whose routes are complete in themselves; sticky requests go on.
    `revisions` is by experiment.
    """
    entries: dict[tuple[str, names.Protocol], Entry] = {}
    for experiment in experiments:
        revision = revisions.get(experiment.name, 0)
        for protocol in names.PROTOCOLS:
            now = shares(experiment, lambda model, protocol=protocol: usable(model, protocol))  # type: ignore[misc]
            known = {
                candidate.name
                for candidate in experiment.candidates
                if names.decided_route(experiment.name, candidate.name, protocol) in accepted
            }
            entries[experiment.name, protocol] = _entry(experiment, models, now, known, revision)
    return Table(entries)


def _entry(experiment: Experiment, models: Mapping[str, Model], now: Shares, known: set[str], revision: int) -> Entry:
    weights = dict(now.weighted)
    total = sum(weights.values())

    def decision(candidate: str, outcome: Outcome) -> Decision:
        share = weights.get(candidate, 0) / total if total else 0.0
        return Decision(experiment.name, candidate, outcome, names.label(experiment.name, candidate), revision, share)

    sticky = {
        served_as(models[name], experiment.resource_type): decision(name, Outcome.STICKY)
        for name in now.reachable
        if name in known and name in models
    }
    if not now.weighted or not all(name in known for name, _ in now.weighted):
        outcome = Outcome.NOT_ACCEPTED if now.weighted else Outcome.UNAVAILABLE
        left = (Decision(experiment.name, "", outcome, revision=revision),)
        return Entry((1,), left, left, sticky)
    drawn = Outcome.UNAVAILABLE if now.narrowed else Outcome.WEIGHTED
    stale = Outcome.UNAVAILABLE if now.narrowed else Outcome.STALE_TOKEN
    return Entry(
        cumulate(weight for _, weight in now.weighted),
        tuple(decision(name, drawn) for name, _ in now.weighted),
        tuple(decision(name, stale) for name, _ in now.weighted),
        sticky,
    )
