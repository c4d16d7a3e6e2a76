"""What became of every request, added up as Envoy's access log tells it: by experiment, revision and candidate.

Attribution is by the name of the route that served, and by time (`terms`). Single-threaded; reads no clock and no disk.
Must stay true: each entry is counted exactly once or, when it belongs to no experiment that is known, in
`unattributed`; and what is kept is bounded by what is configured, whatever the entries hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

from extproc import names
from extproc.control.outcomes import (
    FALLBACK,
    MIRRORED,
    NO_ANSWER,
    Counted,
    Exemplar,
    RevisionOutcomes,
    SplitOutcomes,
    Totals,
)
from extproc.control.tallies import Counts, Durations, Tally, counts
from extproc.control.terms import Shares, Stratum, Term, Terms
from extproc.control.timeline import IDLE, SERIES, STEP, Point, Series, window
from extproc.core.resources import Experiment
from extproc.core.table import Outcome
from extproc.wire.access_log import Entry

WEIGHTED: Final = Outcome.WEIGHTED.value  # the plain text: an Enum's hash is a call into Python

_CLASSES: Final = (NO_ANSWER, "1xx", "2xx", "3xx", "4xx", "5xx")  # by the first digit of a status


@dataclass(slots=True, eq=False)
class _Growing:
    """See `outcomes.Totals`."""

    by_code: Counts = field(default_factory=counts)
    fallbacks: int = 0
    duration: Durations = field(default_factory=Durations)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def frozen(self) -> Totals:
        return Totals(dict(self.by_code), self.fallbacks, self.duration.frozen(), dict(self.exemplars))


@dataclass(slots=True, eq=False)
class _Answerer:
    """A candidate of an experiment, or its mirror, whatever the revision; `series` is None while there are too many."""

    totals: _Growing
    series: Series | None


@dataclass(slots=True, eq=False)
class _Kept:
    """All that is known of one experiment."""

    terms: Terms = field(default_factory=Terms)
    answerers: dict[tuple[str, bool], _Answerer] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Route:
    """What the name of a route says. `outcome` is that of a request of which extproc told none.

    What a request that starts now counts for is looked up once: it holds from `since` on, while the terms are those
    of `version`.
    """

    kept: _Kept
    answerer: _Answerer
    candidate: str
    protocol: names.Protocol
    outcome: str
    version: int = -1
    since: float = inf
    term: Term | None = None
    tally: Tally | None = None
    stratum: Stratum | None = None

    def look_up(self, start: float) -> tuple[Term | None, Tally | None, Stratum | None]:
        """What a request counts for that started then."""
        terms = self.kept.terms
        is_copy = self.outcome is MIRRORED
        term = terms.term(start, self.candidate, mirror=is_copy)
        stratum = terms.stratum(start, self.protocol, self.candidate) if self.outcome is WEIGHTED else None
        return term, term.tally(self.candidate, mirror=is_copy) if term else None, stratum

    def renew(self) -> None:
        """Look up what holds from now on."""
        terms = self.kept.terms
        self.version = terms.version
        self.since = max(terms.terms[-1].since, terms.periods[-1].since if terms.periods else 0.0)
        self.term, self.tally, self.stratum = self.look_up(self.since)


class Outcomes:
    """The outcomes of all experiments."""

    def __init__(self) -> None:
        self.unattributed = 0
        self.counted = 0  # entries in all
        self._kept: dict[str, _Kept] = {}
        self._routes: dict[str, _Route] = {}
        self._series = 0

    def in_force(self, number: int | None, spec: Experiment, shares: Shares, at: float) -> None:
        """From `at` (Unix time, in seconds) on, this spec is in force; see `Terms.in_force`."""
        self._kept.setdefault(spec.name, _Kept()).terms.in_force(number, spec, shares, at)

    def account(self, entries: Iterable[Entry]) -> None:
        """Count requests."""
        for entry in entries:
            self.counted += 1
            route = self._routes.get(entry.route_name) or self._route(entry.route_name)
            if route is None or not self._count(route, entry):
                self.unattributed += 1

    def _count(self, route: _Route, entry: Entry) -> bool:
        """Whether any term takes it. Written out at length: it runs for every answer."""
        _, outcome, start, seconds, upstream, status, flags, received, sent, trace = entry
        if route.version != route.kept.terms.version:
            route.renew()
        term, tally, stratum = (
            (route.term, route.tally, route.stratum) if start >= route.since else route.look_up(start)
        )
        if term is None or tally is None:
            return False
        if not outcome or route.outcome is not WEIGHTED:
            outcome = route.outcome
        if outcome == WEIGHTED and stratum is not None:
            stratum.assigned += 1
        code = _CLASSES[status // 100] if 0 <= status < 600 else "5xx"
        tally.requests += 1
        tally.by_outcome[outcome] += 1
        tally.by_code[code] += 1
        for flag in flags:
            tally.flags[flag] += 1
        bucket = tally.duration.add(seconds)
        if upstream >= 0:
            tally.upstream.add(upstream)
        tally.received += received
        tally.sent += sent
        term.changed = True
        answerer = route.answerer
        totals = answerer.totals
        totals.by_code[code] += 1
        totals.fallbacks += outcome is FALLBACK
        totals.duration.buckets[bucket] += 1
        totals.duration.total += seconds
        if trace:
            totals.exemplars[bucket] = Exemplar(trace, seconds, start + seconds)
        if answerer.series is not None:
            answerer.series.add(start + seconds, status >= 500 or status == 0, bucket)
        return True

    def _route(self, name: str) -> _Route | None:
        """What the name of a route says; remembered for the experiments that are known, whose routes are few."""
        parts = names.served(name)
        kept = self._kept.get(parts[0]) if parts else None
        if not parts or kept is None:
            return None
        _, candidate, protocol, mark = parts
        is_copy = mark == names.MIRROR
        if not any(term.tally(candidate, mirror=is_copy) for term in kept.terms.terms):
            return None
        answerer = kept.answerers.get((candidate, is_copy))
        if answerer is None:
            answerer = kept.answerers[candidate, is_copy] = _Answerer(_Growing(), self._new_series())
        outcome = MIRRORED if is_copy else FALLBACK if mark else WEIGHTED
        route = self._routes[name] = _Route(kept, answerer, candidate, protocol, outcome)
        return route

    def _new_series(self) -> Series | None:
        if self._series >= SERIES:
            return None
        self._series += 1
        return Series()

    def revisions(self, experiment: str) -> tuple[RevisionOutcomes, ...]:
        """The outcomes of an experiment's last revisions, oldest first; none for one that is not known."""
        kept = self._kept.get(experiment)
        return tuple(term.outcomes() for term in kept.terms.terms) if kept else ()

    def current(self, experiment: str) -> RevisionOutcomes | None:
        """The outcomes of the revision in force, or of the last one that was."""
        kept = self._kept.get(experiment)
        return kept.terms.terms[-1].outcomes() if kept and kept.terms.terms else None

    def split(self, experiment: str) -> SplitOutcomes | None:
        """The split of `current` alone, which costs much less."""
        kept = self._kept.get(experiment)
        return kept.terms.terms[-1].split() if kept and kept.terms.terms else None

    def totals(self) -> Mapping[Counted, Totals]:
        """Everything since this process began, by who answered."""
        return {
            Counted(experiment, candidate, is_copy): answerer.totals.frozen()
            for experiment, kept in self._kept.items()
            for (candidate, is_copy), answerer in kept.answerers.items()
        }

    def timeline(self, experiment: str, now: float) -> list[tuple[int, Mapping[str, Point], Mapping[str, Point]]]:
        """Each step of the last hour that is over: its begin (Unix time), the candidates' points, and the mirrors'."""
        kept = self._kept.get(experiment)
        series = {key: a.series for key, a in kept.answerers.items() if a.series} if kept else {}
        points = {key: each.points() for key, each in series.items()}
        return [
            (
                step * STEP,
                {name: at.get(step, IDLE) for (name, is_copy), at in points.items() if not is_copy},
                {name: at.get(step, IDLE) for (name, is_copy), at in points.items() if is_copy},
            )
            for step in window(points.values(), now)
        ]

    @property
    def experiments(self) -> frozenset[str]:
        """Those that anything is kept of."""
        return frozenset(self._kept)

    def drop(self, experiment: str) -> None:
        """Keep nothing more of an experiment that is gone."""
        kept = self._kept.pop(experiment, None)
        if kept is None:
            return
        self._series -= sum(1 for answerer in kept.answerers.values() if answerer.series)
        self._routes = {name: route for name, route in self._routes.items() if route.kept is not kept}

    def changed(self) -> list[tuple[str, Term]]:
        """The recorded terms in which something was counted since the last call, with their experiments' names."""
        found = [(n, t) for n, k in self._kept.items() for t in k.terms.terms if t.changed and t.number is not None]
        for _, term in found:
            term.changed = False
        return found

    def restore(self, experiment: str, terms: Iterable[Term]) -> None:
        """Take up what was kept on disk; before anything is counted for this experiment."""
        self._kept[experiment] = _Kept(Terms(list(terms)))
