"""Statuses as the JSON that REST and `-o json` speak: the format of the design page. Pure."""

from typing import Any

from extproc.control.admission import Report
from extproc.control.status import ExperimentStatus, ModelStatus
from extproc.wire.manifests import write


def experiment_document(status: ExperimentStatus) -> dict[str, Any]:
    """One experiment as it reads back."""
    document: dict[str, Any] = {
        "name": status.name,
        "state": status.state.value,
        "reason": status.reason,
        "source": status.source,
        "conditions": {
            "accepted": status.accepted,
            "candidatesReady": status.candidates_ready,
            "mirrorReady": status.mirror_ready,
        },
        "candidates": [
            {"name": c.name, "weight": c.weight, "share": c.share, "ready": c.ready, "route": c.route}
            for c in status.candidates
        ],
    }
    if status.mirror:
        mirror = status.mirror
        document["mirror"] = {"name": mirror.name, "percent": mirror.percent, "ready": mirror.ready}
    if status.problems:
        document["problems"] = [problem for report in status.problems for problem in problem_documents(report)]
    document["spec"] = write(status.spec) if status.spec else None
    return document


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
