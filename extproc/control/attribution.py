"""Whom a request counts for: what the name of a route says, and what of it is kept.

The rest of an experiment's requests is in its terms; here is what outlives them: totals, the timeline, and the routes
that were seen.
"""

from dataclasses import dataclass, field
from math import inf
from typing import Final

from extproc import names
from extproc.control.outcomes import Exemplar, Role, Totals
from extproc.control.tallies import Counts, Durations, Tally, counts
from extproc.control.terms import Stratum, Term, Terms
from extproc.control.timeline import Series
from extproc.core.table import Outcome

WEIGHTED: Final = Outcome.WEIGHTED.value  # the plain text: an Enum's hash is a call into Python


@dataclass(slots=True, eq=False)
class Growing:
    """See `outcomes.Totals`."""

    by_code: Counts = field(default_factory=counts)
    fallbacks: int = 0
    duration: Durations = field(default_factory=Durations)
    exemplars: dict[int, Exemplar] = field(default_factory=dict)

    def frozen(self) -> Totals:
        return Totals(dict(self.by_code), self.fallbacks, self.duration.frozen(), dict(self.exemplars))


@dataclass(slots=True, eq=False)
class Answerer:
    """A model in one role of an experiment, whatever the revision; `series` is None while there are too many."""

    totals: Growing
    series: Series | None


@dataclass(slots=True, eq=False)
class Kept:
    """All that is known of the experiment `name`.

    `untouched` are the routes of requests that are left to its default, which the name alone does not tell apart: by
    name and role, until the experiment changes.
    """

    name: str
    terms: Terms = field(default_factory=Terms)
    answerers: dict[tuple[str, Role], Answerer] = field(default_factory=dict)
    untouched: dict[tuple[str, Role], "Route"] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Route:
    """What the name of a route says. `outcome` is that of a request of which extproc told none.

    What a request that starts now counts for is looked up once: it holds from `since` on, while the terms are those
    of `version`.
    """

    kept: Kept
    answerer: Answerer
    candidate: str
    protocol: names.Protocol
    role: Role
    outcome: str
    version: int = -1
    since: float = inf
    term: Term | None = None
    tally: Tally | None = None
    stratum: Stratum | None = None

    def look_up(self, start: float) -> tuple[Term | None, Tally | None, Stratum | None]:
        """What a request counts for that started then."""
        terms = self.kept.terms
        term = terms.term(start, self.candidate, self.role)
        stratum = terms.stratum(start, self.protocol, self.candidate) if self.outcome is WEIGHTED else None
        return term, term.tally(self.candidate, self.role) if term else None, stratum

    def renew(self) -> None:
        """Look up what holds from now on."""
        terms = self.kept.terms
        self.version = terms.version
        self.since = max(terms.terms[-1].since, terms.periods[-1].since if terms.periods else 0.0)
        self.term, self.tally, self.stratum = self.look_up(self.since)
