"""What is configured, for `extproc infer` to hold against what it observed: the experiment that splits an endpoint."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from extproc.cli.admin_client import AdminClient
from extproc.cli.document_reader import MisfitError
from extproc.cli.experiment_view import ExperimentView, listed
from extproc.core.resources import ResourceType
from extproc.core.table import Outcome
from extproc.errors import ExtprocError
from extproc.inference.tally import Candidate
from extproc.names import experiment_endpoint, pipeline_endpoint

WITHIN: Final = 2.0  # seconds; the answer is worth having, not worth waiting for
_OVER: Final = frozenset({"STOPPED", "REJECTED"})


class ConfiguredUnknownError(ExtprocError):
    """extproc's admin HTTP does not tell; the message says why, on one line."""


@dataclass(frozen=True, slots=True)
class Configured:
    """An experiment: its candidates with the shares of requests that they should get, and how it is doing.

    `caveats` say what the shares do not hold for, a line each.
    """

    experiment: str
    state: str
    reason: str
    candidates: tuple[Candidate, ...]
    caveats: tuple[str, ...] = ()


def configured(admin: str, endpoint: str) -> Configured | None:
    """The experiment that splits `endpoint` now; None when none does. Raises ConfiguredUnknownError."""
    try:
        experiments, _ = listed(AdminClient(admin, WITHIN).experiments())
    except (ExtprocError, MisfitError) as error:
        reason = str(error).partition("\n")[0]
        raise ConfiguredUnknownError(f"configured is not known ({reason}): say with --admin who tells") from error
    for view in experiments:
        if view.state not in _OVER and endpoint in _endpoints(view):
            return Configured(view.name, view.state, view.reason, tuple(_shares(view)), tuple(_caveats(view)))
    return None


def _shares(view: ExperimentView) -> Iterator[Candidate]:
    """Who should get how much, with what is held out: that goes to the default."""
    total = sum(candidate.weight for candidate in view.candidates)
    spec = view.spec
    held = sum(part.percent or 0.0 for part in view.untouched if part.why == Outcome.HOLDOUT) / 100
    for candidate in view.candidates if total else ():
        left = held if spec and candidate.name == spec.default else 0.0
        yield Candidate(candidate.name, candidate.route, left + (1.0 - held) * candidate.weight / total)


def _caveats(view: ExperimentView) -> Iterator[str]:
    rules = view.spec.other if view.spec else {}
    if "stickiness" in rules:
        yield f"{view.name} assigns units by {rules['stickiness']}: configured is the share of units, not of requests"
    if "match" in rules:
        yield f"{view.name} is only for what matches {rules['match']}: configured is the share of those requests"


def _endpoints(view: ExperimentView) -> tuple[str, ...]:
    """What a client calls to be split by this experiment: its own endpoint, and its default's."""
    own = experiment_endpoint(view.name)
    if view.spec is None or not view.spec.default:
        return (own,)
    is_pipeline = view.spec.other.get("resource_type") == ResourceType.PIPELINE
    return own, pipeline_endpoint(view.spec.default) if is_pipeline else view.spec.default
