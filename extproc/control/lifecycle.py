"""What a team does to an experiment through the API: start, update, stop, roll back; each accepted change a revision.

Must stay true: a change is judged first, on disk second, and in force last, so that what was acknowledged survives
and what was refused changed nothing. One change at a time. The store is the API's source: its running experiments are
one Document, whose origin is `api`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Final

from extproc.control.drafts import API, Author, Draft, Unchanged, by_file
from extproc.control.in_force import Admission
from extproc.control.plane import Plane
from extproc.control.store import Action, Change, Revision, Store
from extproc.core.layered import Layered
from extproc.core.offers import Document, Offer
from extproc.core.resources import Experiment, Kind, WhenUnavailable
from extproc.errors import Conflict, InvalidResource, Problem, StaleRevision, UnknownExperiment

RETENTION: Final = timedelta(hours=24)


class Lifecycle:
    """The experiments' revisions, and the API as a source.

    Each change takes three steps: `start`, `stop` or `roll_back` judges it, raising Conflict, StaleRevision or
    UnknownExperiment; `record` writes it to disk, raising StoreUnwritable; `apply` puts it in force. Nobody may come
    between the first and the last. Only `record`, `forget` and `history` may block, and they touch nothing but the
    store.
    """

    def __init__(
        self, store: Store, plane: Plane, now: Callable[[], datetime], retention: timedelta = RETENTION
    ) -> None:
        self._store = store
        self._plane = plane
        self._now = now
        self._retention = retention
        self._current: dict[str, Revision] = dict(store.current())
        # What is derived from it, kept in step: ten thousand experiments are not gone through for a change of one.
        self._numbers = Layered({name: revision.number for name, revision in self._current.items()})
        self._stopped = {n: r for n, r in self._current.items() if r.action is Action.STOPPED}
        self._offers = {name: _offer(revision.spec) for name, revision in self._current.items() if _runs(revision)}
        self._observed: Admission | None = None  # whose changes by files are all recorded

    def resume(self) -> None:
        """Offer what ran when this process last ended."""
        self._plane.offer(API, [self._document()], self._numbers)

    def start(self, experiment: Experiment, author: Author, expected: int | None = None) -> Draft | Unchanged:
        """Start an experiment, or update the one of that name; `expected` is the revision the caller has seen."""
        self._check_owner(experiment.name)
        self._check_revision(experiment.name, expected)
        current = self._current.get(experiment.name)
        if current is None or not _runs(current):
            return self._judged(experiment, Action.STARTED, author)
        if current.spec == experiment:
            return Unchanged(current)
        return self._judged(experiment, Action.UPDATED, author)

    def stop(self, name: str, author: Author, expected: int | None = None) -> Draft | Unchanged:
        """Stop an experiment. It stays listed for the retention time; to stop it again is no error."""
        self._check_owner(name)
        current = self._known(name)
        self._check_revision(name, expected)
        if current.action is Action.STOPPED:
            return Unchanged(current)
        return Draft(name, Action.STOPPED, current.spec, API, author)

    def roll_back(self, name: str, number: int, author: Author, expected: int | None = None) -> Draft | Unchanged:
        """Make an old revision current again, as a new one."""
        self._check_owner(name)
        current = self._known(name)
        self._check_revision(name, expected)
        wanted = next((r for r in self._store.history(name) if r.number == number), None)
        if wanted is None:
            raise UnknownExperiment(
                f"experiment {name!r} has no revision {number}: `extproc experiment history {name}` lists them"
            )
        if _runs(current) and current.spec == wanted.spec:
            return Unchanged(current)
        return self._judged(wanted.spec, Action.ROLLED_BACK, author)

    def observe(self) -> list[Draft]:
        """What the files have changed since it was last recorded: their changes are revisions too."""
        admission = self._plane.state.admission
        if admission is self._observed:
            return []
        if self._observed is None:
            names: Iterable[str] = admission.experiment_names | self._current.keys()
        else:
            names = [name for kind, name in admission.other_than(self._observed) if kind is Kind.EXPERIMENT]
        held = admission.admitted
        found = (by_file(name, held.get((Kind.EXPERIMENT, name)), self._current.get(name)) for name in sorted(names))
        drafts = [draft for draft in found if draft]
        if not drafts:
            self._observed = admission
        return drafts

    def record(self, draft: Draft) -> Revision:
        """Write a change to disk. Raises StoreUnwritable, and then nothing has changed."""
        (revision,) = self.record_all([draft])
        return revision

    def record_all(self, drafts: Sequence[Draft]) -> tuple[Revision, ...]:
        """Write changes to disk, all or none. Raises StoreUnwritable, and then nothing has changed."""
        changes = [Change(d.name, d.action, d.spec, d.source, d.author.caller, d.author.why) for d in drafts]
        return self._store.record_all(changes, self._now())

    def apply(self, *revisions: Revision) -> None:
        """Put in force what is on disk."""
        for revision in revisions:
            self._current[revision.name] = revision
            if revision.action is Action.STOPPED:
                self._stopped[revision.name] = revision
            else:
                self._stopped.pop(revision.name, None)
            if _runs(revision):
                self._offers[revision.name] = _offer(revision.spec)
            else:
                self._offers.pop(revision.name, None)
        self._numbers = self._numbers.amended({revision.name: revision.number for revision in revisions})
        if any(revision.source == API for revision in revisions):
            self._plane.offer(API, [self._document()], self._numbers)
        else:
            self._plane.recorded(self._numbers)

    def history(self, name: str) -> tuple[Revision, ...]:
        """Every revision of an experiment, oldest first; none for a name that is not known. May block."""
        return self._store.history(name)

    def revision(self, name: str) -> Revision | None:
        """The last revision of an experiment that the API owns or owned."""
        return self._current.get(name)

    def stopped(self) -> Mapping[str, Revision]:
        """The stopped experiments that are still listed."""
        horizon = self._now() - self._retention
        return {name: revision for name, revision in self._stopped.items() if revision.at > horizon}

    def expired(self) -> list[str]:
        """The stopped experiments whose retention time is over."""
        listed = self.stopped()
        return [name for name in self._stopped if name not in listed]

    def forget(self, name: str) -> None:
        """Take a stopped experiment from the disk. Raises StoreUnwritable, and then nothing has changed. May block."""
        self._store.forget(name)

    def drop(self, name: str) -> None:
        """List no more what was forgotten."""
        del self._current[name], self._stopped[name]
        self._numbers = self._numbers.amended({name: None})
        self._plane.chronicle.forget(name)

    def _judged(self, experiment: Experiment, action: Action, author: Author) -> Draft:
        problems = self._plane.objections(experiment)
        if problems:
            raise InvalidResource(problems)
        self._check_conflicts(experiment)
        self._check_readiness(experiment)
        return Draft(experiment.name, action, experiment, API, author)

    def _document(self, other: Experiment | None = None) -> Document:
        """What the API offers; `other` instead of the one of its name."""
        offers = {**self._offers, other.name: _offer(other)} if other is not None else self._offers
        return Document(API, tuple(offers.values()))

    def _known(self, name: str) -> Revision:
        current = self._current.get(name)
        if current is None:
            raise self.unknown(name)
        return current

    def unknown(self, name: str) -> UnknownExperiment:
        """The error for a name that nothing is known by."""
        known = self._plane.statuses.keys() | self._current.keys()
        close = get_close_matches(name, sorted(known), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else "`extproc experiment list` lists them all"
        return UnknownExperiment(f"no experiment is called {name!r}: {hint}")

    def _check_revision(self, name: str, expected: int | None) -> None:
        current = self._current.get(name)
        number = current.number if current is not None else 0
        if expected is not None and expected != number:
            raise StaleRevision(f"experiment {name!r} is at revision {number}, not {expected}: look at it again first")

    def _check_owner(self, name: str) -> None:
        held = self._plane.state.admission.admitted.get((Kind.EXPERIMENT, name))
        if held is not None and held.origin != API:
            raise Conflict([Problem("name", f"{name!r} is managed by the file {held.origin}: change it there")])

    def _check_conflicts(self, experiment: Experiment) -> None:
        rehearsal = self._plane.rehearse(API, [self._document(experiment)])
        problems = [
            problem
            for report in rehearsal.reports
            if report.kind is Kind.EXPERIMENT and report.name == experiment.name and report.origin == API
            for problem in report.problems
        ]
        if problems:
            raise Conflict(problems)

    def _check_readiness(self, experiment: Experiment) -> None:
        state = self._plane.state
        if experiment.when_unavailable is not WhenUnavailable.REJECT or experiment.name in state.started:
            return
        missing = state.missing(experiment)
        if missing:
            message = f"is REJECT, and these candidates are not ready: {', '.join(missing)}"
            raise Conflict([Problem("when_unavailable", message)])


def _runs(revision: Revision) -> bool:
    """Whether the API runs it. What a file ran may be gone already, before that is recorded."""
    return revision.source == API and revision.action is not Action.STOPPED


def _offer(spec: Experiment) -> Offer:
    return Offer(API, "", Kind.EXPERIMENT, spec.name, spec)
