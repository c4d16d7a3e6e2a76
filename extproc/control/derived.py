"""What follows from the State, kept in step with it event by event: the Table, and how each experiment is.

Must stay true: after every event both are what they would be if they were made from the State anew. What an event does
not concern is not looked at: an experiment is concerned when it, one of its models, their readiness or clusters, its
routes in Envoy, its revision or a report about it is another.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from extproc import names
from extproc.control.in_force import Admission
from extproc.control.standing import Standing, standing
from extproc.control.state import State
from extproc.control.status import ExperimentStatus, reports_by_name, status
from extproc.core.differences import differing
from extproc.core.layered import Layered
from extproc.core.resources import Kind
from extproc.core.table import EMPTY, Entry, Key, Patch, Table


class Derived:
    """The Table and the statuses of one State; `follow` brings them to the next one."""

    def __init__(self) -> None:
        self.state = State()
        self.table: Table = EMPTY
        self.statuses: dict[str, ExperimentStatus] = {}
        self._users: defaultdict[str, set[str]] = defaultdict(set)  # experiments by the backends they name
        self._served: defaultdict[str, set[str]] = defaultdict(set)  # models by the user's own cluster behind them
        self.moves: Layered[str, object] = Layered({})  # for each experiment, which event has moved it last
        self._concerned: set[str] = set()  # those whose status may be other
        self._standings: dict[str, Standing] = {}  # of those that no event has concerned since but Envoy's own

    def follow(self, new: State) -> Patch:
        """Bring the Table to `new`; returns what is other in it. The statuses follow with `tell`."""
        old, self.state = self.state, new
        moved = self._moved_by(old, new)
        for name in moved:
            self._standings.pop(name, None)
        if moved:
            there, event = new.effective.experiment_names, object()
            self.moves = self.moves.amended({name: event if name in there else None for name in moved})
        concerned = moved | _noted(old, new)
        self._concerned |= concerned
        self._concerned |= _reported(old, new)
        if _said_of_all(old) != _said_of_all(new):
            self._concerned |= new.effective.experiment_names
        patch = self._patch(new, concerned)
        if patch.set or patch.removed:
            self.table = self.table.patched(patch)
        return patch

    def tell(self) -> Mapping[str, ExperimentStatus | None]:
        """Bring the statuses to the State that was followed last; returns those that are other, None for one less."""
        concerned, self._concerned = self._concerned, set()
        reports = reports_by_name(self.state) if self.state.reports else {}
        others: dict[str, ExperimentStatus | None] = {}
        for name in concerned:
            now = status(self.state, name, reports.get(name, ()), self._standing(name))
            if now != self.statuses.get(name):
                others[name] = now
                if now is None:
                    del self.statuses[name]
                else:
                    self.statuses[name] = now
        return others

    def _standing(self, name: str) -> Standing | None:
        """Where an experiment stands; None for one that is not in force."""
        now = self.state.effective
        experiment = now.experiments_by_name.get(name)
        if experiment is None:
            return None
        if name not in self._standings:
            self._standings[name] = standing(now, self.state.health, experiment)
        return self._standings[name]

    def _patch(self, new: State, concerned: Iterable[str]) -> Patch:
        then = self.table.entries
        others: dict[Key, Entry] = {}
        gone: list[Key] = []
        for name in concerned:
            entries = new.entries(name)
            others |= {key: entry for key, entry in entries.items() if entry != then.get(key)}
            keys = [(name, protocol) for protocol in names.PROTOCOLS]
            gone += [key for key in keys if key in then and key not in entries]
        return Patch(others, tuple(gone))

    def _moved_by(self, old: State, new: State) -> set[str]:
        """The experiments whose resources, or the readiness of these, may be other."""
        moved: set[str] = set()
        models: set[str] = set()
        clusters: set[str] = set()
        sets = {Kind.EXPERIMENT: moved, Kind.MODEL: models, Kind.CLUSTER: clusters}  # of others nothing follows
        for kind, name in new.effective.other_than(old.effective):
            sets.get(kind, set()).add(name)
        self._index(old, new, moved, models)
        if (old.health is None) is not (new.health is None):
            return moved | new.effective.experiment_names
        if old.health is not None and new.health is not None:
            clusters.update(differing(old.health.clusters, new.health.clusters))
        for cluster in clusters:
            models |= self._served.get(cluster, set()) | {cluster.removesuffix(names.model_cluster("", "grpc"))}
            models.add(names.cluster_backend(cluster))
        for model in models:
            moved |= self._users.get(model, set())
        return moved

    def _index(self, old: State, new: State, experiments: Iterable[str], models: Iterable[str]) -> None:
        for state, change in ((old, set[str].discard), (new, set[str].add)):
            now = state.effective
            for name in experiments:
                for used in _backends(now, name):
                    change(self._users[used], name)
            for name in models:
                for used in _own_clusters(now, name):
                    change(self._served[used], name)


def _said_of_all(state: State) -> tuple[object, ...]:
    """What every experiment's status depends on, and no decision."""
    return (state.complaint, state.envoy)


def _noted(old: State, new: State) -> set[str]:
    """The experiments whose revision is another, or what Envoy runs of them."""
    noted = set(differing(old.revisions, new.revisions))
    noted.update(name for kind, name in differing(old.running, new.running) if kind is Kind.EXPERIMENT)
    if old.decided is not new.decided:
        noted.update(route.partition("/")[0] for route in old.decided ^ new.decided)
    return noted


def _backends(admission: Admission, experiment: str) -> tuple[str, ...]:
    found = admission.experiments_by_name.get(experiment)
    return found.backends if found else ()


def _own_clusters(admission: Admission, model: str) -> Iterator[str]:
    found = admission.models.get(model)
    if found:
        yield from filter(None, (found.cluster, found.grpc_cluster))


def _reported(old: State, new: State) -> set[str]:
    """The experiments of which something else was refused."""
    if old.reports == new.reports:
        return set()
    # Not as sets of reports: the same may be said of two offers of one name.
    before, after = reports_by_name(old), reports_by_name(new)
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
