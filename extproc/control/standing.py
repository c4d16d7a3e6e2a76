"""Where an experiment stands as far as its resources and their readiness say: who is defined, ready, and gets what.

The part of its status that most events leave as it is. Pure; Envoy's connection, what it runs, and revisions are for
`status`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from extproc import names
from extproc.control.health import HealthView
from extproc.control.in_force import Admission
from extproc.control.state import usable
from extproc.core.apis import misfits
from extproc.core.availability import Shares, shares
from extproc.core.resources import Candidate, Experiment, Kind, Mirror
from extproc.core.tokens import served_as, token
from extproc.core.upstreams import Server, defined


@dataclass(frozen=True, slots=True)
class CandidateStatus:
    """`share` is the part of fresh assignments this candidate gets now, 0 to 1; `route` is its route token.

    `cluster` is the user's own that it is; empty for a model.
    """

    name: str
    weight: int
    share: float
    ready: bool
    route: str
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """`percent` of all requests, 0 to 100; `cluster` as of a candidate."""

    name: str
    percent: float
    ready: bool
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """`decided` are the names of the routes that Envoy needs for it; `why` says of those not ready what is the matter.

    `missing` are the candidates that are not ready, `gone` the mirrors.
    """

    experiment: Experiment
    effect: Shares
    candidates: tuple[CandidateStatus, ...]
    mirrors: tuple[MirrorStatus, ...]
    missing: tuple[str, ...]
    gone: tuple[str, ...]
    why: str
    decided: frozenset[str]


def standing(now: Admission, health: HealthView | None, experiment: Experiment) -> Standing:
    """Where an experiment stands, given all resources in force and Envoy's view of its clusters."""
    models, clusters = now.models, now.pass_through(Kind.CLUSTER)
    serving = {each.name: defined(each, models, clusters) for each in experiment.named}
    unfit = misfits(experiment, models)
    ready = {
        backend
        for backend in experiment.backends
        if backend not in unfit and any(usable(now, health, backend, protocol) for protocol in names.PROTOCOLS)
    }
    effect = shares(experiment, ready.__contains__)
    total = sum(weight for _, weight in effect.weighted)
    share = {name: weight / total for name, weight in effect.weighted}
    candidates = tuple([
        CandidateStatus(
            c.name,
            c.weight,
            share.get(c.name, 0.0),
            c.backend in ready,
            token(served_as(found, experiment.resource_type)) if (found := serving[c.name]) else "",
            c.cluster,
        )
        for c in experiment.candidates
    ])  # fmt: skip
    mirrors = tuple([MirrorStatus(m.name, m.percent, m.backend in ready, m.cluster) for m in experiment.mirrors])
    missing = tuple([c.name for c in candidates if not c.ready])
    gone = tuple([mirror.name for mirror in mirrors if not mirror.ready])
    absent = [each for each in experiment.named if each.name in {*missing, *gone}] if missing or gone else []
    return Standing(
        experiment,
        effect,
        candidates,
        mirrors,
        missing,
        gone,
        _why(serving, unfit, absent) if absent else "",
        frozenset(_decided(experiment, {name: found for name, found in serving.items() if name not in unfit})),
    )


def _decided(experiment: Experiment, serving: Mapping[str, Server | None]) -> Iterator[str]:
    for candidate in experiment.candidates:
        found = serving.get(candidate.name)
        if found is not None and found.speaks_http:
            yield names.decided_route(experiment.name, candidate.name, "http")
        if found is not None and found.speaks_grpc:
            yield names.decided_route(experiment.name, candidate.name, "grpc")


def _why(serving: Mapping[str, Server | None], unfit: frozenset[str], absent: list[Candidate | Mirror]) -> str:
    undefined = [each.cluster or each.name for each in absent if serving[each.name] is None]
    others = [each.name for each in absent if each.name in unfit]
    down = [each.name for each in absent if serving[each.name] is not None and each.name not in unfit]
    parts = []
    if others:
        parts.append(f"{listed(others)} {'speak' if others[1:] else 'speaks'} another API than the default")
    if undefined:
        parts.append(f"no {'Cluster' if absent[0].cluster else 'Model'} defines {listed(undefined)}")
    if down:
        parts.append(f"Envoy finds {listed(down)} not ready")
    return f" ({'; '.join(parts)})"


def listed(items: tuple[str, ...] | list[str]) -> str:
    """Names in a sentence."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "its candidates"
