"""What should run and what does, as one immutable value, and every event that changes it. Pure: no sockets, no time.

The sources say what should run (`offered`), Envoy says what it took (`accepted`, `blame.refused`) and which models
answer (`health`). From a State follow the World that Envoy's configuration is built from and the Table of decisions.
Must stay true: what Envoy refused is set aside alone, at its last accepted version, until its owner changes it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from extproc import names
from extproc.control.admission import NOTHING, Admission, Admitted, Judge, Key, Report, admit
from extproc.control.health import HealthView, has_hosts
from extproc.control.refusals import Refusal, Trial
from extproc.core.apis import misfits
from extproc.core.compilation import compile_experiment, compile_table
from extproc.core.offers import Document
from extproc.core.resources import Experiment, Kind, Model, PassThrough, Resource
from extproc.core.table import Entry, Table
from extproc.core.table import Key as TableKey
from extproc.errors import Problem
from extproc.wire.hashing import hash64
from extproc.xds.world import World


class Link(Enum):
    """How far Envoy is; of several, the one that is furthest."""

    NEVER = "none has connected yet"
    GONE = "none is connected any more"
    CONNECTED = "one is connected, and has accepted nothing yet"
    RUNS = "one is connected and runs what it accepted last"


@dataclass(frozen=True)  # and not slotted: what follows from it is worked out once, when it is asked for
class State:
    """`admission` is what the sources want; `refusals` is what of it Envoy refused; `running` is what Envoy last took.

    `health` is None while Envoy's view is not known. `decided` names the decided routes that Envoy has ACKed.
    `started` names the experiments that run; one with the policy REJECT only starts when all its candidates are ready,
    and then runs on, whatever becomes of them. `revisions` holds the current one of each experiment, once it is on
    disk. `complaint` is a refusal that no resource explains (a port that is taken, say). While there is a `trial`, one
    of the `refusals` is on it. `survived` is what Envoy ran for a while, `suspects` is what may have ended it once.
    """

    admission: Admission = NOTHING
    refusals: Mapping[Key, Refusal] = field(default_factory=dict)
    running: Mapping[Key, Admitted] = field(default_factory=dict)
    health: HealthView | None = None
    decided: frozenset[str] = frozenset()
    started: frozenset[str] = frozenset()
    revisions: Mapping[str, int] = field(default_factory=dict)
    complaint: str = ""
    envoy: Link = Link.NEVER
    trial: Trial | None = None
    survived: Mapping[Key, Admitted] = field(default_factory=dict)
    suspects: Mapping[Key, Resource] = field(default_factory=dict)

    @cached_property
    def effective(self) -> Admission:
        """What Envoy shall run: the admitted resources, each refused one at the version that Envoy runs, if any."""
        held = {key: self._last_good(key) for key in self.refusals}
        held |= {(Kind.EXPERIMENT, name): None for name in self.waiting}
        return self.admission.amended(held, self.reports) if held else self.admission

    def _last_good(self, key: Key) -> Admitted | None:
        """The version of a refused resource that Envoy runs or has run, if any."""
        known = (self.running.get(key), self.survived.get(key))
        return next((held for held in known if held and held.resource != self.refusals[key].resource), None)

    @cached_property
    def waiting(self) -> Mapping[str, tuple[str, ...]]:
        """The experiments that refuse to start (REJECT), each with its candidates that are not ready."""
        reluctant = self.admission.reluctant
        return {
            name: missing
            for name, experiment in (reluctant.items() if reluctant else ())
            if name not in self.started and (missing := self.missing(experiment))
        }

    def missing(self, experiment: Experiment) -> tuple[str, ...]:
        """The candidates that are not ready."""
        unfit = misfits(experiment, self.admission.models)
        return tuple(
            c.name
            for c in experiment.candidates
            if c.backend in unfit
            or not any(usable(self.admission, self.health, c.backend, protocol) for protocol in names.PROTOCOLS)
        )

    @cached_property
    def reports(self) -> tuple[Report, ...]:
        """Everything that was refused, by us, by its own policy or by Envoy."""
        return self.admission.reports + self._reluctant + self._refused

    @property
    def _reluctant(self) -> tuple[Report, ...]:
        return tuple(
            Report(
                self.admission.origin(Kind.EXPERIMENT, name),
                "",
                Kind.EXPERIMENT,
                name,
                (Problem("when_unavailable", f"REJECT, and not ready: {', '.join(missing)}; it starts when all are"),),
            )
            for name, missing in self.waiting.items()
        )

    @property
    def _refused(self) -> tuple[Report, ...]:
        return tuple(
            Report(
                self.admission.admitted[key].origin,
                "",
                *key,
                (Problem("", str(refusal)),),
                kept=self._last_good(key) is not None,
            )
            for key, refusal in self.refusals.items()
            if self.trial is None or key != self.trial.out
        )

    def usable(self, backend: str, protocol: names.Protocol) -> bool:
        """Whether a model or a cluster may be drawn: defined, served in this protocol, and not known to be down."""
        return usable(self.effective, self.health, backend, protocol)

    def world(self, moves: Mapping[str, object] | None = None) -> World:
        """What Envoy's configuration is built from; for `moves` see there."""
        now = self.effective
        return World(
            tuple(now.experiments),
            now.models,
            now.pass_through(Kind.CLUSTER),
            tuple(now.pass_through(Kind.ROUTES).values()),
            lambda backend, protocol: usable(now, self.health, backend, protocol),
            tuple(now.pass_through(Kind.FILTER).values()),
            moves,
        )

    def table(self) -> Table:
        """What the hot path decides by."""
        now = self.effective
        return compile_table(
            now.experiments,
            now.models,
            lambda backend, protocol: usable(now, self.health, backend, protocol),
            self.decided,
            self.revisions,
            hash64,
        )

    def entries(self, name: str) -> dict[TableKey, Entry]:
        """What the Table holds of one experiment; nothing for one that does not run."""
        now = self.effective
        experiment = now.experiments_by_name.get(name)
        if experiment is None:
            return {}
        return compile_experiment(
            experiment,
            now.models,
            lambda backend, protocol: usable(now, self.health, backend, protocol),
            self.decided,
            self.revisions.get(name, 0),
            hash64,
        )


def usable(admission: Admission, health: HealthView | None, backend: str, protocol: names.Protocol) -> bool:
    """See State.usable."""
    own = names.backend_cluster(backend)
    if own:  # whatever it speaks is HTTP to Envoy
        return protocol == "http" and _has_host(admission, health, own)
    held = admission.admitted.get((Kind.MODEL, backend))
    if held is None or not isinstance(held.resource, Model):
        return False
    model = held.resource
    if not (model.speaks_grpc if protocol == "grpc" else model.speaks_http):
        return False
    cluster = model.grpc_cluster if protocol == "grpc" else model.cluster
    return _has_host(admission, health, cluster) if cluster else health is None or health.ready(model, protocol)


def _has_host(admission: Admission, health: HealthView | None, cluster: str) -> bool:
    """Whether a cluster of the user's own is defined, and has a host to send to as far as is known."""
    own = admission.admitted.get((Kind.CLUSTER, cluster))
    if own is None or not isinstance(own.resource, PassThrough):
        return False
    return health is None or not has_hosts(own.resource.body) or health.clusters.get(cluster, False)


def offered(
    state: State, documents: Iterable[Document], judge: Judge, revisions: Mapping[str, int] | None = None
) -> State:
    """The sources offer something else; `revisions` where they are others too."""
    return admitted(state, admit(state.admission, documents, judge), revisions)


def admitted(state: State, admission: Admission, revisions: Mapping[str, int] | None = None) -> State:
    """Something else is admitted; `revisions` where they are others too."""
    trial = state.trial
    if trial and any(admission.admitted.get(key) != state.admission.admitted.get(key) for key in trial.concerned):
        trial = None
    unsettled = state.trial.out if state.trial and trial is None else None
    refusals = {
        key: refusal
        for key, refusal in state.refusals.items()
        if holds(admission, key, refusal.resource) and key != unsettled
    }
    revisions = state.revisions if revisions is None else revisions
    return _start(replace(state, admission=admission, refusals=refusals, revisions=revisions, trial=trial))


def healthy(state: State, health: HealthView | None) -> State:
    """Envoy's view of its clusters is another; None when it can't be had."""
    return _start(replace(state, health=health))


def accepted(state: State, effective: Admission, decided: frozenset[str]) -> State:
    """Envoy runs what `effective` was when its snapshot was built."""
    trial = state.trial
    if trial and not trial.crash and vindicates(effective, state):
        trial = None
    return replace(state, running=effective.admitted, decided=decided, complaint="", envoy=Link.RUNS, trial=trial)


def connected(state: State, is_connected: bool) -> State:
    """The first Envoy has connected, or the last one has gone.

    What it ran stays the basis of every decision: an Envoy that is cut off from here goes on, and may ask all the same.
    """
    if not is_connected:
        return replace(state, envoy=Link.NEVER if state.envoy is Link.NEVER else Link.GONE)
    return replace(state, envoy=Link.RUNS if state.envoy is Link.RUNS else Link.CONNECTED)


def holds(admission: Admission, key: Key, resource: Resource) -> bool:
    """Whether it is in force, in this version."""
    held = admission.admitted.get(key)
    return held is not None and held.resource == resource


def vindicates(effective: Admission, state: State) -> bool:
    """Whether `effective` has all in force that are on trial, but for the one who is out: then it was that one."""
    others = state.trial.concerned[1:] if state.trial else ()
    return all(effective.admitted.get(key) == state.admission.admitted.get(key) for key in others)


def _start(state: State) -> State:
    """Those that need not wait, or wait no more, have started; those that are gone may have to wait again."""
    started = state.admission.experiment_names
    return replace(state, started=started - state.waiting.keys() if state.waiting else started)
