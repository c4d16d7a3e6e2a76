"""What is in force: the admitted resources, by key and by kind, and the reports of what was refused. Values, no rules.

An Admission is immutable. What follows from all of its resources is worked out once, and `amended` takes it along, so
that a change of one resource costs as much with ten thousand experiments as with ten.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar, cast

from extproc.core.differences import amended, differing
from extproc.core.layered import Layered
from extproc.core.resources import Experiment, Kind, Model, PassThrough, Resource, WhenUnavailable
from extproc.errors import Problem

Key = tuple[Kind, str]
R = TypeVar("R", bound=Resource)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A resource in force, and the origin that owns it."""

    resource: Resource
    origin: str


@dataclass(frozen=True, slots=True)
class Report:
    """What is wrong with one resource (or, with no kind and no name, with a whole document).

    `kept` is true when an earlier version of it stays in force.
    """

    origin: str
    where: str
    kind: Kind | None
    name: str
    problems: tuple[Problem, ...]
    kept: bool = False

    def __str__(self) -> str:
        what = f"{self.kind.word} {self.name}".strip() if self.kind else ""
        place = ": ".join(part for part in (self.origin, what or self.where) if part)
        kept = " (its last good version stays in force)" if self.kept else ""
        return f"{place}: {'; '.join(map(str, self.problems))}{kept}"


@dataclass(frozen=True, slots=True)
class _Kinds:
    """The resources by kind and name; `experiments` once more as names, and those of them that may refuse to start."""

    by_name: Mapping[Kind, Mapping[str, Resource]]
    experiments: frozenset[str]
    reluctant: Mapping[str, Experiment]

    @classmethod
    def of(cls, admitted: Mapping[Key, Admitted]) -> "_Kinds":
        by_name: dict[Kind, dict[str, Resource]] = {kind: {} for kind in Kind}
        for (kind, name), held in admitted.items():
            by_name[kind][name] = held.resource
        experiments = by_name[Kind.EXPERIMENT]
        reluctant = {name: own for name, resource in experiments.items() if (own := _reluctant(resource))}
        return cls(by_name, frozenset(experiments), reluctant)

    def amended(self, changes: Mapping[Key, Admitted | None]) -> "_Kinds":
        by_name, experiments, reluctant = dict(self.by_name), self.experiments, self.reluctant
        for of in {kind for kind, _ in changes}:
            mine = {name: held.resource if held else None for (kind, name), held in changes.items() if kind is of}
            by_name[of] = amended(by_name[of], mine)
            if of is Kind.EXPERIMENT:
                if any((name in experiments) is (resource is None) for name, resource in mine.items()):
                    experiments = frozenset(by_name[of])
                reluctant = amended(reluctant, {name: _reluctant(resource) for name, resource in mine.items()})
        return _Kinds(by_name, experiments, reluctant)


@dataclass(frozen=True, slots=True)
class Admission:
    """The resources in force and everything that was refused."""

    admitted: Mapping[Key, Admitted]
    reports: tuple[Report, ...] = ()
    _sorted: list[_Kinds] = field(default_factory=list, init=False, repr=False, compare=False)  # empty until asked for

    @property
    def experiments(self) -> Iterator[Experiment]:
        return iter(self.experiments_by_name.values())

    @property
    def experiments_by_name(self) -> Mapping[str, Experiment]:
        return cast("Mapping[str, Experiment]", self._kinds.by_name[Kind.EXPERIMENT])

    @property
    def experiment_names(self) -> frozenset[str]:
        return self._kinds.experiments

    @property
    def reluctant(self) -> Mapping[str, Experiment]:
        """The experiments with the policy REJECT, by name."""
        return self._kinds.reluctant

    @property
    def models(self) -> Mapping[str, Model]:
        return cast("Mapping[str, Model]", self._kinds.by_name[Kind.MODEL])

    def pass_through(self, kind: Kind) -> Mapping[str, PassThrough]:
        """Envoy's own resources of one kind, by name."""
        return cast("Mapping[str, PassThrough]", self._kinds.by_name[kind])

    def origin(self, kind: Kind, name: str) -> str:
        return self.admitted[kind, name].origin

    def of_refused(self, origins: Collection[str]) -> Mapping[str, Collection[Resource]]:
        """What is in force of each of these origins of which something is refused."""
        found: dict[str, list[Resource]] = {r.origin: [] for r in self.reports if r.origin in origins}
        if found:
            for held in self.admitted.values():
                if held.origin in found:
                    found[held.origin].append(held.resource)
        return found

    def amended(self, changes: Mapping[Key, Admitted | None], reports: tuple[Report, ...] | None = None) -> "Admission":
        """The same with these resources instead, None for what is in force no more; `reports` where they are others."""
        after = Admission(amended(self.admitted, changes), self.reports if reports is None else reports)
        after._sorted.append(self._kinds.amended(changes))
        return after

    def other_than(self, before: "Admission") -> Collection[Key]:
        """The keys under which not the same object is in force, or that only one of the two has."""
        return differing(before.admitted, self.admitted)

    @property
    def _kinds(self) -> _Kinds:
        if not self._sorted:
            self._sorted.append(_Kinds.of(self.admitted))
        return self._sorted[0]


NOTHING: Final = Admission(Layered({}))


def _reluctant(resource: Resource | None) -> Experiment | None:
    rejects = isinstance(resource, Experiment) and resource.when_unavailable is WhenUnavailable.REJECT
    return cast("Experiment", resource) if rejects else None
