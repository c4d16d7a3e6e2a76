"""What is configured, for `extproc infer` to hold against what it observed: the experiment that splits an endpoint."""

from dataclasses import dataclass
from typing import Final

from extproc.cli.admin_client import AdminClient
from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_view import ExperimentView, listed
from extproc.core.resources import ResourceType
from extproc.errors import ExtprocError
from extproc.inference.tally import Candidate
from extproc.names import experiment_endpoint, pipeline_endpoint

WITHIN: Final = 2.0  # seconds; the answer is worth having, not worth waiting for
_OVER: Final = frozenset({"STOPPED", "REJECTED"})


class ConfiguredUnknownError(ExtprocError):
    """extproc's admin HTTP does not tell; the message says why, on one line."""


@dataclass(frozen=True, slots=True)
class Configured:
    """An experiment: its candidates with their weights as shares, and how it is doing."""

    experiment: str
    state: str
    reason: str
    candidates: tuple[Candidate, ...]


def configured(admin: str, endpoint: str) -> Configured | None:
    """The experiment that splits `endpoint` now; None when none does. Raises ConfiguredUnknownError."""
    try:
        experiments, _ = listed(AdminClient(admin, WITHIN).experiments())
    except (ExtprocError, MisfitError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfiguredUnknownError(f"configured is not known ({reason}): say with --admin who tells") from error
    for view in experiments:
        if view.state not in _OVER and endpoint in _endpoints(view):
            total = sum(candidate.weight for candidate in view.candidates)
            shares = tuple(Candidate(c.name, c.route, c.weight / total) for c in view.candidates if total)
            return Configured(view.name, view.state, view.reason, shares)
    return None


def _endpoints(view: ExperimentView) -> tuple[str, ...]:
    """What a client calls to be split by this experiment: its own endpoint, and its default's."""
    own = experiment_endpoint(view.name)
    if view.spec is None or not view.spec.default:
        return (own,)
    is_pipeline = view.spec.other.get("resource_type") == ResourceType.PIPELINE
    return own, pipeline_endpoint(view.spec.default) if is_pipeline else view.spec.default
