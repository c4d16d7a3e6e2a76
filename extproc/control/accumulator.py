"""What became of every request, added up as Envoy's access log tells it: by experiment, revision and candidate.

Attribution is by the name of the route that served, and by time (`terms`). Single-threaded; reads no clock and no disk.
Must stay true: each entry is counted exactly once or, when it belongs to no experiment that is known, in
`unattributed`; and what is kept is bounded by what is configured, whatever the entries hold.
"""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from extproc import names
from extproc.control.attribution import WEIGHTED, Answerer, Growing, Kept, Route
from extproc.control.outcomes import (
    FALLBACK,
    MIRRORED,
    NO_ANSWER,
    UNTOUCHED,
    Counted,
    Exemplar,
    RevisionOutcomes,
    Role,
    SplitOutcomes,
    Totals,
)
from extproc.control.terms import Shares, Term, Terms
from extproc.control.timeline import IDLE, SERIES, STEP, Series, Step, window
from extproc.core.resources import Experiment
from extproc.wire.access_log import Entry

_UNTOUCHED: Final[Mapping[str, Role]] = {role.value: role for role in UNTOUCHED}
_CLASSES: Final = (NO_ANSWER, "1xx", "2xx", "3xx", "4xx", "5xx")  # by the first digit of a status


class Outcomes:
    """The outcomes of all experiments."""

    def __init__(self) -> None:
        self.unattributed = 0
        self.counted = 0  # entries in all
        self._kept: dict[str, Kept] = {}
        self._routes: dict[str, Route] = {}
        self._series = 0
        self._unsaved: dict[Term, str] = {}  # with the names of their experiments, those that wait longest first

    def in_force(self, number: int | None, spec: Experiment, shares: Shares, at: float) -> None:
        """From `at` (Unix time, in seconds) on, this spec is in force; see `Terms.in_force`."""
        kept = self._kept.get(spec.name)
        if kept is None:
            kept = self._kept[spec.name] = Kept(spec.name)
        kept.terms.in_force(number, spec, shares, at)
        if kept.terms.terms[-1].changed:
            self._unsaved[kept.terms.terms[-1]] = spec.name
        kept.untouched.clear()  # the default may be another

    def drawn_since(self, at: float) -> None:
        """Workers have all that is in force since `at`; see `Terms.drawn_since`."""
        for kept in self._kept.values():
            kept.terms.drawn_since(at)

    def account(self, entries: Iterable[Entry]) -> None:
        """Count requests."""
        for entry in entries:
            self.counted += 1
            route = self._routes.get(entry.route_name) or self._route(entry)
            if route is None or not self._count(route, entry):
                self.unattributed += 1

    def _count(self, route: Route, entry: Entry) -> bool:
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
        if not term.changed:
            term.changed = True
            self._unsaved[term] = route.kept.name
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

    def _route(self, entry: Entry) -> Route | None:
        """What the name of a route says; remembered for the experiments that are known, whose routes are few."""
        name = entry.route_name
        parts = names.served(name)
        kept = self._kept.get(parts[0]) if parts else None
        if not parts or kept is None:
            return None
        _, candidate, protocol, mark = parts
        if candidate in names.LEFT_ALONE:
            return self._untouched_route(kept, entry, parts)
        role = Role.MIRROR if mark == names.MIRROR else Role.PRIMARY
        if not any(term.tally(candidate, role) for term in kept.terms.terms):
            return None
        outcome = MIRRORED if role is Role.MIRROR else FALLBACK if mark else WEIGHTED
        answerer = self._answerer(kept, candidate, role)
        route = self._routes[name] = Route(kept, answerer, candidate, protocol, role, outcome)
        return route

    def _untouched_route(self, kept: Kept, entry: Entry, parts: tuple[str, str, names.Protocol, str]) -> Route | None:
        """That of a request that was left to the default: why, its outcome says, or on Envoy's own routes the name."""
        _, candidate, protocol, mark = parts
        role = _UNTOUCHED.get(candidate.removeprefix(".") if mark == names.FALLBACK else entry.outcome)
        if role is None:
            return None
        route = kept.untouched.get((entry.route_name, role))
        if route is None:
            default = next((term.spec.default for term in reversed(kept.terms.terms) if term.spec), None)
            if default is None or not any(term.tally(default, role) for term in kept.terms.terms):
                return None
            outcome = FALLBACK if mark else role.value
            route = Route(kept, self._answerer(kept, default, role), default, protocol, role, outcome)
            kept.untouched[entry.route_name, role] = route
        return route

    def _answerer(self, kept: Kept, candidate: str, role: Role) -> Answerer:
        answerer = kept.answerers.get((candidate, role))
        if answerer is None:
            answerer = kept.answerers[candidate, role] = Answerer(Growing(), self._new_series())
        return answerer

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
            Counted(experiment, candidate, role): answerer.totals.frozen()
            for experiment, kept in self._kept.items()
            for (candidate, role), answerer in kept.answerers.items()
        }

    def timeline(self, experiment: str, now: float) -> list[Step]:
        """Each step of the last hour that is over."""
        kept = self._kept.get(experiment)
        series = {key: a.series for key, a in kept.answerers.items() if a.series} if kept else {}
        points = {key: each.points() for key, each in series.items()}
        return [
            Step(step * STEP, [(name, role, at.get(step, IDLE)) for (name, role), at in points.items()])
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
        self._unsaved = {term: name for term, name in self._unsaved.items() if name != experiment}

    def changed(self, most: int | None = None) -> list[tuple[str, Term]]:
        """The recorded terms in which something was counted since they were named last, with their experiments' names.

        At most so many: those that have waited longest.
        """
        unsaved = self._unsaved
        # What was changed again before it was recorded will never be.
        for term in [t for t, n in unsaved.items() if t.number is None and t is not self._kept[n].terms.terms[-1]]:
            del unsaved[term]
        recorded = ((name, term) for term, name in unsaved.items() if term.number is not None)
        found = list(islice(recorded, most))
        for _, term in found:
            term.changed = False
            del unsaved[term]
        return found

    def unsaved(self, terms: Iterable[tuple[str, Term]]) -> None:
        """What `changed` has named could not be kept, and is to be named again."""
        for name, term in terms:
            term.changed = True
            self._unsaved[term] = name

    def restore(self, experiment: str, terms: Iterable[Term]) -> None:
        """Take up what was kept on disk; before anything is counted for this experiment."""
        self._kept[experiment] = Kept(experiment, Terms(list(terms)))
