"""How an experiment is: its state, the reason, its conditions and the share of each candidate. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from extproc import names
from extproc.control.admission import Admission, Report
from extproc.control.state import Link, State, usable
from extproc.core.availability import Shares, shares
from extproc.core.resources import Experiment, Kind, Model
from extproc.core.tokens import served_as, token


class ExperimentState(StrEnum):
    """The states of the design: what a user sees first."""

    PENDING = "PENDING"  # valid, waiting for a candidate; the default answers alone
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"  # running on the candidates that are ready, or without its mirror
    STOPPED = "STOPPED"
    REJECTED = "REJECTED"  # a file's invalid resource that never had a good version


@dataclass(frozen=True, slots=True)
class CandidateStatus:
    """`share` is the part of fresh assignments this candidate gets now, 0 to 1; `route` is its route token."""

    name: str
    weight: int
    share: float
    ready: bool
    route: str


@dataclass(frozen=True, slots=True)
class MirrorStatus:
    """`percent` of all requests, 0 to 100."""

    name: str
    percent: float
    ready: bool


@dataclass(frozen=True, slots=True)
class ExperimentStatus:
    """One experiment as it is now.

    `accepted`: Envoy runs exactly this version of it. `spec` is None for a resource that could never be read.
    """

    name: str
    state: ExperimentState
    reason: str
    source: str
    accepted: bool
    candidates_ready: bool
    mirror_ready: bool
    candidates: tuple[CandidateStatus, ...]
    mirror: MirrorStatus | None
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


def _ready(now: Admission, state: State, model: str) -> bool:
    return any(usable(now, state.health, model, protocol) for protocol in names.PROTOCOLS)


def _running(
    state: State,
    now: Admission,
    models: Mapping[str, Model],
    experiment: Experiment,
    about: tuple[Report, ...],
) -> ExperimentStatus:
    effect = shares(experiment, lambda model: _ready(now, state, model))
    total = sum(weight for _, weight in effect.weighted)
    share = {name: weight / total for name, weight in effect.weighted}
    candidates = tuple(
        CandidateStatus(
            c.name,
            c.weight,
            share.get(c.name, 0.0),
            _ready(now, state, c.name),
            token(served_as(models[c.name], experiment.resource_type)) if c.name in models else "",
        )
        for c in experiment.candidates
    )
    mirror = None
    if experiment.mirror is not None:
        copy = experiment.mirror
        mirror = MirrorStatus(copy.name, copy.percent, _ready(now, state, copy.name))
    known = _known(state, models, experiment)
    held = state.running.get((Kind.EXPERIMENT, experiment.name))
    missing = [c.name for c in candidates if not c.ready]
    mirror_ready = mirror is None or mirror.ready
    runs_it = held is not None and held.resource == experiment
    state_now, reason = _absent(state, experiment.name, runs_it) or _judge(effect, candidates, mirror, known, state)
    if missing or not mirror_ready:
        reason += _why(models, [*missing, *([] if mirror is None or mirror.ready else [mirror.name])])
    return ExperimentStatus(
        experiment.name,
        state_now,
        reason,
        now.origin(Kind.EXPERIMENT, experiment.name),
        known and runs_it and state.envoy is Link.RUNS,
        not missing,
        mirror_ready,
        candidates,
        mirror,
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
    effect: Shares, candidates: tuple[CandidateStatus, ...], mirror: MirrorStatus | None, known: bool, state: State
) -> tuple[ExperimentState, str]:
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
    if mirror is not None and not mirror.ready:
        return ExperimentState.DEGRADED, f"running without its mirror {mirror.name}"
    return ExperimentState.ACTIVE, "all candidates ready"


def _why(models: Mapping[str, Model], missing: list[str]) -> str:
    undefined = [name for name in missing if name not in models]
    down = [name for name in missing if name in models]
    parts = []
    if undefined:
        parts.append(f"no Model defines {_and(undefined)}")
    if down:
        parts.append(f"Envoy finds {_and(down)} not ready")
    return f" ({'; '.join(parts)})"


def _known(state: State, models: Mapping[str, Model], experiment: Experiment) -> bool:
    """Whether Envoy has a route for every candidate; what else changed may still be on its way."""
    wanted = {
        names.decided_route(experiment.name, candidate.name, protocol)
        for candidate in experiment.candidates
        for protocol, speaks in _speaks(models.get(candidate.name))
        if speaks
    }
    return wanted <= state.decided


def _speaks(model: Model | None) -> tuple[tuple[names.Protocol, bool], ...]:
    if model is None:
        return ()
    return (("http", model.speaks_http), ("grpc", model.speaks_grpc))


def _rejected(name: str, about: tuple[Report, ...]) -> ExperimentStatus:
    reason = "; ".join(str(problem) for report in about for problem in report.problems)
    return ExperimentStatus(
        name, ExperimentState.REJECTED, reason, about[0].origin, False, False, False, (), None, None, about
    )


def _and(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "its candidates"
