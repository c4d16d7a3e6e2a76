"""How an experiment is: its state, the reason, its conditions and the share of each candidate. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from extproc import names
from extproc.control.admission import Admission, Report
from extproc.control.state import Link, State, usable
from extproc.core.apis import misfits
from extproc.core.availability import Shares, shares
from extproc.core.resources import Candidate, Experiment, Kind, Mirror, Model
from extproc.core.tokens import served_as, token
from extproc.core.upstreams import Server, defined


class ExperimentState(StrEnum):
    """The states of the design: what a user sees first."""

    PENDING = "PENDING"  # valid, waiting for a candidate; the default answers alone
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"  # running on the candidates that are ready, or without a mirror
    STOPPED = "STOPPED"
    REJECTED = "REJECTED"  # a file's invalid resource that never had a good version


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
class ExperimentStatus:
    """One experiment as it is now.

    `accepted`: Envoy runs exactly this version of it. `mirror_ready`: all of its mirrors are. `spec` is None for a
    resource that could never be read.
    """

    name: str
    state: ExperimentState
    reason: str
    source: str
    accepted: bool
    candidates_ready: bool
    mirror_ready: bool
    candidates: tuple[CandidateStatus, ...]
    mirrors: tuple[MirrorStatus, ...]
    spec: Experiment | None
    problems: tuple[Report, ...] = ()


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """One model: where its requests go, and whether Envoy would find a host for it (None: not known)."""

    name: str
    version: int
    ready: bool | None
    source: str
    spec: Model


def statuses(state: State) -> Iterator[ExperimentStatus]:
    """Every experiment that runs, waits, or was refused, in the order of their names."""
    reports = reports_by_name(state)
    for name in sorted(state.effective.experiment_names | reports.keys()):
        found = status(state, name, reports.get(name, ()))
        if found is not None:
            yield found


def status(state: State, name: str, about: tuple[Report, ...]) -> ExperimentStatus | None:
    """One experiment; `about` are the reports about it. None when nothing is known of that name."""
    now = state.effective
    experiment = now.experiments_by_name.get(name)
    if experiment is not None:
        return _running(state, now, now.models, experiment, about)
    return _rejected(name, about) if about else None


def reports_by_name(state: State) -> Mapping[str, tuple[Report, ...]]:
    """What was refused of each experiment."""
    found: dict[str, tuple[Report, ...]] = {}
    for report in state.reports:
        if report.kind is Kind.EXPERIMENT and report.name:
            found[report.name] = (*found.get(report.name, ()), report)
    return found


def model_statuses(state: State) -> Iterator[ModelStatus]:
    """Every model in force, in the order of their names."""
    now = state.effective
    for name, model in sorted(now.models.items()):
        ready = None if state.health is None else _ready(now, state, name)
        yield ModelStatus(name, model.version, ready, now.origin(Kind.MODEL, name), model)


def _ready(now: Admission, state: State, backend: str) -> bool:
    return any(usable(now, state.health, backend, protocol) for protocol in names.PROTOCOLS)


def _running(
    state: State,
    now: Admission,
    models: Mapping[str, Model],
    experiment: Experiment,
    about: tuple[Report, ...],
) -> ExperimentStatus:
    serving = {each.name: defined(each, models, now.pass_through(Kind.CLUSTER)) for each in experiment.named}
    unfit = misfits(experiment, models)

    def ready(backend: str) -> bool:
        return backend not in unfit and _ready(now, state, backend)

    effect = shares(experiment, ready)
    total = sum(weight for _, weight in effect.weighted)
    share = {name: weight / total for name, weight in effect.weighted}
    candidates = tuple(
        CandidateStatus(
            c.name,
            c.weight,
            share.get(c.name, 0.0),
            ready(c.backend),
            token(served_as(found, experiment.resource_type)) if (found := serving[c.name]) else "",
            c.cluster,
        )
        for c in experiment.candidates
    )
    mirrors = tuple(MirrorStatus(m.name, m.percent, ready(m.backend), m.cluster) for m in experiment.mirrors)
    known = _known(state, {name: found for name, found in serving.items() if name not in unfit}, experiment)
    held = state.running.get((Kind.EXPERIMENT, experiment.name))
    missing = [c.name for c in candidates if not c.ready]
    gone = [mirror.name for mirror in mirrors if not mirror.ready]
    runs_it = held is not None and held.resource == experiment
    state_now, reason = _absent(state, experiment.name, runs_it) or _judge(effect, candidates, gone, known, state)
    if missing or gone:
        reason += _why(serving, unfit, [each for each in experiment.named if each.name in {*missing, *gone}])
    return ExperimentStatus(
        experiment.name,
        state_now,
        reason,
        now.origin(Kind.EXPERIMENT, experiment.name),
        known and runs_it and state.envoy is Link.RUNS,
        not missing,
        not gone,
        candidates,
        mirrors,
        experiment,
        about,
    )


def _absent(state: State, experiment: str, runs_it: bool) -> tuple[ExperimentState, str] | None:
    """What is said while no Envoy is connected, whatever else there is to say; None while one is."""
    match state.envoy:
        case Link.NEVER:
            return ExperimentState.PENDING, "waiting for Envoy to connect"
        case Link.GONE:
            last = f"revision {state.revisions.get(experiment, '?')}" if runs_it else "an earlier version"
            return ExperimentState.PENDING, f"no Envoy is connected; the last one ran {last}"
    return None


def _judge(
    effect: Shares, candidates: tuple[CandidateStatus, ...], gone: list[str], known: bool, state: State
) -> tuple[ExperimentState, str]:
    """`gone` are the mirrors that are not ready."""
    missing = [c.name for c in candidates if not c.ready]
    if effect.narrowed:
        ready = {c.name for c in candidates if c.ready}
        answering = [name for name, _ in effect.weighted if name in ready]
        who = f"{_and(answering)} {'answer' if answering[1:] else 'answers'} alone" if answering else "nobody answers"
        return ExperimentState.PENDING, f"waiting for {_and(missing)}; {who}"
    if not known or state.envoy is not Link.RUNS:
        said = f": {state.complaint}" if state.complaint else ""
        return ExperimentState.PENDING, f"waiting for Envoy to accept the routes{said}"
    if missing:
        return ExperimentState.DEGRADED, f"running without {_and(missing)}"
    if gone:
        return ExperimentState.DEGRADED, f"running without its mirror{'s' if gone[1:] else ''} {_and(gone)}"
    return ExperimentState.ACTIVE, "all candidates ready"


def _why(serving: Mapping[str, Server | None], unfit: frozenset[str], missing: list[Candidate | Mirror]) -> str:
    undefined = [each.cluster or each.name for each in missing if serving[each.name] is None]
    others = [each.name for each in missing if each.name in unfit]
    down = [each.name for each in missing if serving[each.name] is not None and each.name not in unfit]
    parts = []
    if others:
        parts.append(f"{_and(others)} {'speak' if others[1:] else 'speaks'} another API than the default")
    if undefined:
        parts.append(f"no {'Cluster' if missing[0].cluster else 'Model'} defines {_and(undefined)}")
    if down:
        parts.append(f"Envoy finds {_and(down)} not ready")
    return f" ({'; '.join(parts)})"


def _known(state: State, serving: Mapping[str, Server | None], experiment: Experiment) -> bool:
    """Whether Envoy has a route for every candidate; what else changed may still be on its way."""
    wanted = {
        names.decided_route(experiment.name, candidate.name, protocol)
        for candidate in experiment.candidates
        for protocol, speaks in _speaks(serving.get(candidate.name))
        if speaks
    }
    return wanted <= state.decided


def _speaks(model: Server | None) -> tuple[tuple[names.Protocol, bool], ...]:
    if model is None:
        return ()
    return (("http", model.speaks_http), ("grpc", model.speaks_grpc))


def _rejected(name: str, about: tuple[Report, ...]) -> ExperimentStatus:
    reason = "; ".join(str(problem) for report in about for problem in report.problems)
    return ExperimentStatus(
        name, ExperimentState.REJECTED, reason, about[0].origin, False, False, False, (), (), None, about
    )


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "its candidates"
