"""When which revision of an experiment was in force, with which shares, and what was counted in that time.

A Term is the time a revision is in force; within it the shares change as candidates come and go. A request belongs to
what was in force when it started. Around a change that is not exact: extproc decides a moment after the request
started, and Envoy's own split follows a change a moment later. So a request whose candidate was none then belongs to
the nearest term in which it was one, the later of two.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Final, TypeVar
from typing import Protocol as Shape

from extproc.control.outcomes import RevisionOutcomes, Role, SplitOutcomes
from extproc.control.tallies import Tally
from extproc.control.untouched import untouched
from extproc.core.resources import Experiment
from extproc.core.table import Outcome
from extproc.names import Protocol

TERMS: Final = 20  # of one experiment that are kept
PERIODS: Final = 64  # changes of shares of one experiment that are remembered; by what others were drawn is unknown
STRATA: Final = 256  # different shares in one term; further ones are counted by the term's last ones


@dataclass(slots=True, eq=False)
class Stratum:
    """The fresh weighted assignments that were made by the same `shares` (0 to 1, by candidate)."""

    shares: Mapping[str, float]
    assigned: int = 0


@dataclass(slots=True, eq=False)
class Term:
    """One revision's time in force.

    `number` is None until the revision is recorded, `spec` where it is not known any more. `since` is Unix time in
    seconds. `changed` is set with each request that is counted; whoever keeps the term on disk takes it back.
    """

    number: int | None
    spec: Experiment | None
    since: float
    candidates: dict[str, Tally]
    mirrors: dict[str, Tally]
    strata: list[Stratum] = field(default_factory=list)
    untouched: dict[Role, Tally] = field(default_factory=dict)
    changed: bool = False

    @classmethod
    def begun(cls, number: int | None, spec: Experiment, since: float) -> "Term":
        candidates, mirrors = ({named.name: Tally() for named in of} for of in (spec.candidates, spec.mirrors))
        return cls(number, spec, since, candidates, mirrors, untouched={role: Tally() for role in untouched(spec)})

    def of(self, spec: Experiment) -> None:
        """Its spec is known again."""
        self.spec = spec
        for role in untouched(spec):
            self.untouched.setdefault(role, Tally())

    def stratum(self, shares: Mapping[str, float]) -> Stratum:
        """The stratum of these shares, made if it is new."""
        found = next((stratum for stratum in self.strata if stratum.shares == shares), None)
        if found is None and len(self.strata) >= STRATA:
            return self.strata[-1]
        if found is None:
            found = Stratum(dict(shares))
            self.strata.append(found)
        return found

    def split(self) -> SplitOutcomes:
        expected: dict[str, float] = defaultdict(float)
        for stratum in self.strata:
            for candidate, share in stratum.shares.items():
                expected[candidate] += stratum.assigned * share
        assigned = {name: tally.by_outcome.get(Outcome.WEIGHTED, 0) for name, tally in self.candidates.items()}
        return SplitOutcomes(assigned, {name: expected[name] for name in self.candidates})

    def outcomes(self) -> RevisionOutcomes:
        return RevisionOutcomes(
            self.number,
            datetime.fromtimestamp(self.since, UTC),
            {name: tally.frozen() for name, tally in self.candidates.items()},
            {name: tally.frozen() for name, tally in self.mirrors.items()},
            self.split(),
            {role: tally.frozen() for role, tally in self.untouched.items()},
        )

    def tally(self, name: str, role: Role) -> Tally | None:
        """The tally of a candidate or a mirror, or of what is left untouched; None where it is none."""
        match role:
            case Role.PRIMARY:
                return self.candidates.get(name)
            case Role.MIRROR:
                return self.mirrors.get(name)
        return self.untouched.get(role)


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """A time in which the shares did not change, from `since`; a protocol in which nothing is drawn is absent."""

    since: float
    strata: Mapping[Protocol, Stratum]


Shares = Mapping[Protocol, Mapping[str, float]]


@dataclass(slots=True, eq=False)
class Terms:
    """The terms of one experiment, oldest first, and the last periods; `version` is another after each change."""

    terms: list[Term] = field(default_factory=list)
    periods: list[Period] = field(default_factory=list)
    version: int = 0

    def in_force(self, number: int | None, spec: Experiment, shares: Shares, at: float) -> None:
        """From `at` on this spec is in force, by these shares; to be told so again changes nothing.

        `number` is the experiment's last revision that is on disk: for a spec that a file has just brought, still the
        one before it.
        """
        self.version += 1
        last = self.terms[-1] if self.terms else None
        fresh = number is not None and number > max((term.number or 0 for term in self.terms), default=0)
        same = last is not None and last.spec == spec
        if last is None or not same or (fresh and last.number is not None):
            last = Term.begun(number if fresh else None, spec, at)
            self.terms.append(last)
            del self.terms[:-TERMS]
        elif fresh:
            last.number, last.changed = number, True
        strata = {protocol: last.stratum(drawn) for protocol, drawn in shares.items() if drawn}
        if not self.periods or self.periods[-1].strata != strata:
            self.periods.append(Period(at, strata))
            del self.periods[:-PERIODS]

    def drawn_since(self, at: float) -> None:
        """The shares in force are those of workers from `at` on, and by what they drew before is unknown."""
        self.version += 1
        self.periods = [replace(period, since=at) for period in self.periods[-1:]]

    def term(self, start: float, candidate: str, role: Role) -> Term | None:
        """What a request counts for that started then; None when the candidate never was one."""
        return next((term for term in _nearest(self.terms, start) if term.tally(candidate, role)), None)

    def stratum(self, start: float, protocol: Protocol, candidate: str) -> Stratum | None:
        """The shares by which a request was drawn that started then; None when the candidate never had one.

        Before the first period nobody knows them: workers decide on while nobody counts, Envoy tells of it later, and
        readiness may be another by then. That was to go where it went, so that it says nothing about the split.
        """
        if not self.periods or start < self.periods[0].since:
            term = self.term(start, candidate, Role.PRIMARY)
            return term.stratum({candidate: 1.0}) if term else None
        periods = _nearest(self.periods, start)
        found = (period.strata[protocol] for period in periods if protocol in period.strata)
        return next((stratum for stratum in found if candidate in stratum.shares), None)


class _Since(Shape):
    @property
    def since(self) -> float: ...


S = TypeVar("S", bound=_Since)


def _nearest(times: Sequence[S], start: float) -> Iterator[S]:
    """The one that `start` lies in, those after it, and those before it."""
    here = max(bisect_right(times, start, key=attrgetter("since")) - 1, 0)
    yield from times[here:]
    yield from reversed(times[:here])
