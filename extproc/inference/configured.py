"""What was configured, to hold against what was observed: the experiment that splits an endpoint, as REST tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from extproc.core.resources import ResourceType
from extproc.errors import ExtprocError
from extproc.names import experiment_endpoint, pipeline_endpoint

WITHIN: Final = 2.0  # seconds; the answer is worth having, not worth waiting for
_OVER: Final = frozenset({"STOPPED", "REJECTED"})


class AdminUnreachable(ExtprocError):
    """extproc's admin HTTP does not answer, or something else answers there."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One candidate; `share` is its weight's part of all weights, 0 to 1; `route` is empty for an undefined model."""

    name: str
    route: str
    share: float


@dataclass(frozen=True, slots=True)
class Configured:
    """An experiment: its candidates in the user's order, and how it is doing (`state`, `reason`)."""

    experiment: str
    state: str
    reason: str
    candidates: tuple[Candidate, ...]


async def read(admin: str, endpoint: str) -> Configured | None:
    """The experiment that splits `endpoint` now; None when none does. Raises AdminUnreachable."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=WITHIN)) as client,
            client.get(f"{admin}/api/v1/experiments") as answer,
        ):
            answer.raise_for_status()
            return find(await answer.json(), endpoint)
    except (aiohttp.ClientError, OSError) as error:
        raise AdminUnreachable(
            f"{admin} does not tell what is configured ({str(error) or type(error).__name__}): give extproc's admin"
            " with --admin"
        ) from error
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise AdminUnreachable(f"what answers at {admin} is not extproc: give its admin with --admin") from error


def find(listing: Mapping[str, Any], endpoint: str) -> Configured | None:
    """The experiment of REST's `listing` that splits `endpoint`: its own endpoint, or its default's."""
    for document in listing["experiments"]:
        if document["state"] not in _OVER and endpoint in _endpoints(document):
            return _configured(document)
    return None


def _endpoints(document: Mapping[str, Any]) -> tuple[str, ...]:
    spec = document["spec"]
    own, default = experiment_endpoint(document["name"]), spec.get("default", "")
    if not default:
        return (own,)
    is_pipeline = spec.get("resource_type") == ResourceType.PIPELINE
    return own, pipeline_endpoint(default) if is_pipeline else default


def _configured(document: Mapping[str, Any]) -> Configured:
    total = sum(candidate["weight"] for candidate in document["candidates"])
    return Configured(
        document["name"],
        document["state"],
        document["reason"],
        tuple(Candidate(c["name"], c["route"], c["weight"] / total) for c in document["candidates"]),
    )
