"""Statuses as the JSON that REST and `-o json` speak: the format of the design page. Pure."""

from datetime import datetime
from typing import Any

from extproc.control.admission import Report
from extproc.control.events import Event
from extproc.control.outcomes import Role
from extproc.control.standing import CandidateStatus, MirrorStatus
from extproc.control.status import ExperimentState, ExperimentStatus, ModelStatus
from extproc.control.store import Revision
from extproc.control.untouched import untouched
from extproc.core.resources import Experiment
from extproc.wire.manifests import write


def experiment_document(status: ExperimentStatus, revision: Revision | None) -> dict[str, Any]:
    """One experiment as it reads back; the revision is None until it is recorded."""
    document: dict[str, Any] = {
        "name": status.name,
        "state": status.state.value,
        "reason": status.reason,
        "source": status.source,
        "revision": revision.number if revision else None,
        "conditions": {
            "accepted": status.accepted,
            "candidatesReady": status.candidates_ready,
            "mirrorReady": status.mirror_ready,
        },
        "candidates": [
            {**_named(c), "weight": c.weight, "share": c.share, "ready": c.ready, "route": c.route}
            for c in status.candidates
        ],
    }
    if mirrors := [{**_named(m), "percent": m.percent, "ready": m.ready} for m in status.mirrors]:
        document |= {"mirror": mirrors[0], "mirrors": mirrors}  # the first also by itself, as it was when there was one
    if aside := untouched(status.spec) if status.spec else {}:
        document["untouched"] = [_untouched(status.spec, role, share) for role, share in aside.items()]
    if status.problems:
        document["problems"] = [problem for report in status.problems for problem in problem_documents(report)]
    document["spec"] = write(status.spec) if status.spec else None
    return document


def _named(named: CandidateStatus | MirrorStatus) -> dict[str, str]:
    return {"name": named.name, **({"cluster": named.cluster} if named.cluster else {})}


def _untouched(spec: Experiment | None, role: Role, share: float | None) -> dict[str, Any]:
    """Requests that are left to the default, `percent` of them all; null where nobody can know."""
    return {
        "name": role.value,
        "model": spec.default if spec else "",
        "percent": None if share is None else round(share * 100, 4),
    }


def stopped_document(revision: Revision) -> dict[str, Any]:
    """A stopped experiment; `spec` is what ran last."""
    why = f": {revision.why}" if revision.why else ""
    return {
        "name": revision.name,
        "state": ExperimentState.STOPPED.value,
        "reason": f"stopped by {revision.caller or revision.source} at {_time(revision.at)}{why}",
        "source": revision.source,
        "revision": revision.number,
        "conditions": {"accepted": False, "candidatesReady": False, "mirrorReady": False},
        "candidates": [],
        "spec": write(revision.spec),
    }


def revision_document(revision: Revision) -> dict[str, Any]:
    """One revision as `history` lists it."""
    return {
        "revision": revision.number,
        "action": revision.action.value,
        "source": revision.source,
        "caller": revision.caller,
        "why": revision.why,
        "at": _time(revision.at),
        "spec": write(revision.spec),
    }


def event_document(event: Event) -> dict[str, str]:
    """One event as `status` lists it."""
    return {"at": _time(event.at), "event": event.event, "detail": event.detail}


def _time(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def model_document(status: ModelStatus) -> dict[str, Any]:
    """One model as it reads back; `ready` is null while readiness is not known."""
    return {
        "name": status.name,
        "version": status.version,
        "ready": status.ready,
        "source": status.source,
        "spec": write(status.spec),
    }


def problem_documents(report: Report) -> list[dict[str, str]]:
    """The problems of one report, each as `{path, message}`."""
    return [{"path": problem.path, "message": problem.message} for problem in report.problems]
