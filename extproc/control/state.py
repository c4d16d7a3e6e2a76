"""What should run and what does, as one immutable value, and every event that changes it. Pure: no sockets, no time.

The sources say what should run (`offered`), Envoy says what it took (`accepted`, `refused`) and which models answer
(`health`). From a State follow the World that Envoy's configuration is built from and the Table of decisions. Must stay
true: what Envoy refused is set aside alone, at its last accepted version, until its owner changes it.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property
from typing import Final

from extproc import names
from extproc.control.admission import NOTHING, Admission, Admitted, Judge, Key, Report, admit
from extproc.control.health import HealthView, has_hosts
from extproc.core.offers import Document
from extproc.core.resources import Experiment, Kind, Model, PassThrough, Resource
from extproc.core.table import Entry, Table, compile_experiment, compile_table
from extproc.core.table import Key as TableKey
from extproc.errors import Problem
from extproc.wire.hashing import hash64
from extproc.xds.world import World

# What of each xDS type follows from users' resources.
_BUILT_FROM: Final[Mapping[str, tuple[Kind, ...]]] = {
    Kind.CLUSTER.value: (Kind.MODEL, Kind.CLUSTER),
    Kind.ROUTES.value: (Kind.MODEL, Kind.EXPERIMENT, Kind.ROUTES),
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """A resource that Envoy refused, with Envoy's own message."""

    resource: Resource
    message: str


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
    disk. `complaint` is a refusal that no resource explains (a port that is taken, say).
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

    @cached_property
    def effective(self) -> Admission:
        """What Envoy shall run: the admitted resources, each refused one at the version that Envoy runs, if any."""
        held: dict[Key, Admitted | None] = {}
        for key, refusal in self.refusals.items():
            running = self.running.get(key)
            held[key] = running if running is not None and running.resource != refusal.resource else None
        held |= {(Kind.EXPERIMENT, name): None for name in self.waiting}
        return self.admission.amended(held, self.reports) if held else self.admission

    @cached_property
    def waiting(self) -> Mapping[str, tuple[str, ...]]:
        """The experiments that refuse to start (REJECT), each with its candidates that are not ready."""
        return {
            name: missing
            for name, experiment in self.admission.reluctant.items()
            if name not in self.started and (missing := self.missing(experiment))
        }

    def missing(self, experiment: Experiment) -> tuple[str, ...]:
        """The candidates that are not ready."""
        return tuple(
            c.name
            for c in experiment.candidates
            if not any(usable(self.admission, self.health, c.name, protocol) for protocol in names.PROTOCOLS)
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
                (Problem("", f"Envoy refused it: {refusal.message}"),),
                kept=key in self.running,
            )
            for key, refusal in self.refusals.items()
        )

    def usable(self, model: str, protocol: names.Protocol) -> bool:
        """Whether a model may be drawn: defined, served in this protocol, and not known to be down."""
        return usable(self.effective, self.health, model, protocol)

    def world(self) -> World:
        """What Envoy's configuration is built from."""
        now = self.effective
        return World(
            tuple(now.experiments),
            now.models,
            now.pass_through(Kind.CLUSTER),
            tuple(now.pass_through(Kind.ROUTES).values()),
            lambda model, protocol: usable(now, self.health, model, protocol),
        )

    def table(self) -> Table:
        """What the hot path decides by."""
        now = self.effective
        return compile_table(
            now.experiments,
            now.models,
            lambda model, protocol: usable(now, self.health, model, protocol),
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
            lambda model, protocol: usable(now, self.health, model, protocol),
            self.decided,
            self.revisions.get(name, 0),
            hash64,
        )


def usable(admission: Admission, health: HealthView | None, name: str, protocol: names.Protocol) -> bool:
    """See State.usable."""
    held = admission.admitted.get((Kind.MODEL, name))
    if held is None or not isinstance(held.resource, Model):
        return False
    model = held.resource
    if not (model.speaks_grpc if protocol == "grpc" else model.speaks_http):
        return False
    cluster = model.grpc_cluster if protocol == "grpc" else model.cluster
    if cluster:
        own = admission.admitted.get((Kind.CLUSTER, cluster))
        if own is None or not isinstance(own.resource, PassThrough):
            return False
        if not has_hosts(own.resource.body):
            return True
    return health is None or health.ready(model, protocol)


def offered(
    state: State, documents: Iterable[Document], judge: Judge, revisions: Mapping[str, int] | None = None
) -> State:
    """The sources offer something else; `revisions` where they are others too."""
    return admitted(state, admit(state.admission, documents, judge), revisions)


def admitted(state: State, admission: Admission, revisions: Mapping[str, int] | None = None) -> State:
    """Something else is admitted; `revisions` where they are others too."""
    refusals = {
        key: refusal
        for key, refusal in state.refusals.items()
        if key in admission.admitted and admission.admitted[key].resource == refusal.resource
    }
    revisions = state.revisions if revisions is None else revisions
    return _start(replace(state, admission=admission, refusals=refusals, revisions=revisions))


def healthy(state: State, health: HealthView | None) -> State:
    """Envoy's view of its clusters is another; None when it can't be had."""
    return _start(replace(state, health=health))


def accepted(state: State, effective: Admission, decided: frozenset[str]) -> State:
    """Envoy runs what `effective` was when its snapshot was built."""
    return replace(state, running=effective.admitted, decided=decided, complaint="", envoy=Link.RUNS)


def connected(state: State, is_connected: bool) -> State:
    """The first Envoy has connected, or the last one has gone.

    What it ran stays the basis of every decision: an Envoy that is cut off from here goes on, and may ask all the same.
    """
    if not is_connected:
        return replace(state, envoy=Link.NEVER if state.envoy is Link.NEVER else Link.GONE)
    return replace(state, envoy=Link.RUNS if state.envoy is Link.RUNS else Link.CONNECTED)


def refused(state: State, effective: Admission, type_url: str, message: str) -> State:
    """Envoy refused a response of `type_url`, made from `effective`: set aside what it must have been.

    Envoy refuses a whole response but names the resource in most of its messages. Among what that type is built from,
    and what changed since the last accepted snapshot, the culprits are those it names; if it names none, Envoy's own
    resources, which nobody but Envoy can fully judge; and if there are none, all that changed. Of a type that is built
    from no resource (a listener whose port is taken) none is the culprit.
    """
    changed = {
        key: held.resource
        for key, held in effective.admitted.items()
        if key[0] in _BUILT_FROM.get(type_url, ())
        and (key not in state.running or state.running[key].resource != held.resource)
    }
    named = {key for key in changed if _names(message, key[1])}
    foreign = {key for key, resource in changed.items() if isinstance(resource, PassThrough)}
    culprits = named or foreign or set(changed)
    if not culprits:
        return replace(state, complaint=message)
    now = state.admission.admitted
    fresh = {
        key: Refusal(changed[key], message) for key in culprits if key in now and now[key].resource == changed[key]
    }
    return replace(state, refusals={**state.refusals, **fresh})


def _start(state: State) -> State:
    """Those that need not wait, or wait no more, have started; those that are gone may have to wait again."""
    started = state.admission.experiment_names
    return replace(state, started=started - state.waiting.keys() if state.waiting else started)


def _names(message: str, name: str) -> bool:
    return re.search(rf"(?<![-\w]){re.escape(name)}(?![-\w])", message) is not None
