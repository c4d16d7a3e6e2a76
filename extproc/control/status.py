"""How an experiment is: its state, the reason, its conditions and the share of each candidate. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from extproc import names
from extproc.control.admission import Admission, Report
from extproc.control.standing import CandidateStatus, MirrorStatus, Standing, listed, standing
from extproc.control.state import Link, State, usable
from extproc.core.resources import Experiment, Kind, Model


class ExperimentState(StrEnum):
    """The states of the design: what a user sees first."""

    PENDING = "PENDING"  # valid, waiting for a candidate; the default answers alone
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"  # running on the candidates that are ready, or without a mirror
    STOPPED = "STOPPED"
    REJECTED = "REJECTED"  # a file's invalid resource that never had a good version


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


def status(
    state: State, name: str, about: tuple[Report, ...], known: Standing | None = None
) -> ExperimentStatus | None:
    """One experiment; `about` are the reports about it. None when nothing is known of that name.

    `known` is its `standing` in this state, if that has been worked out before.
    """
    now = state.effective
    experiment = now.experiments_by_name.get(name)
    if experiment is not None:
        return _running(state, now, known or standing(now, state.health, experiment), about)
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


def _running(state: State, now: Admission, at: Standing, about: tuple[Report, ...]) -> ExperimentStatus:
    experiment = at.experiment
    # What else changed may still be on its way.
    known = at.decided <= state.decided
    held = state.running.get((Kind.EXPERIMENT, experiment.name))
    runs_it = held is not None and (held.resource is experiment or held.resource == experiment)
    state_now, reason = _absent(state, experiment.name, runs_it) or _judge(at, known, state)
    return ExperimentStatus(
        experiment.name,
        state_now,
        reason + at.why,
        now.origin(Kind.EXPERIMENT, experiment.name),
        known and runs_it and state.envoy is Link.RUNS,
        not at.missing,
        not at.gone,
        at.candidates,
        at.mirrors,
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


def _judge(at: Standing, known: bool, state: State) -> tuple[ExperimentState, str]:
    if at.effect.narrowed:
        ready = {c.name for c in at.candidates if c.ready}
        answering = [name for name, _ in at.effect.weighted if name in ready]
        who = f"{listed(answering)} {'answer' if answering[1:] else 'answers'} alone" if answering else "nobody answers"
        return ExperimentState.PENDING, f"waiting for {listed(at.missing)}; {who}"
    if not known or state.envoy is not Link.RUNS:
        said = f": {state.complaint}" if state.complaint else ""
        return ExperimentState.PENDING, f"waiting for Envoy to accept the routes{said}"
    if at.missing:
        return ExperimentState.DEGRADED, f"running without {listed(at.missing)}"
    if at.gone:
        return ExperimentState.DEGRADED, f"running without its mirror{'s' if at.gone[1:] else ''} {listed(at.gone)}"
    return ExperimentState.ACTIVE, "all candidates ready"


def _rejected(name: str, about: tuple[Report, ...]) -> ExperimentStatus:
    reason = "; ".join(str(problem) for report in about for problem in report.problems)
    return ExperimentStatus(
        name, ExperimentState.REJECTED, reason, about[0].origin, False, False, False, (), (), None, about
    )
