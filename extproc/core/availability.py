"""Which candidates an experiment runs on now: its weights, narrowed to the candidates that are available.

The decision and Envoy's own fallback split are both derived from the one value computed here, so they can't disagree.
"""

from collections.abc import Callable
from dataclasses import dataclass

from extproc.core.resources import Experiment, WhenUnavailable

Available = Callable[[str], bool]  # of a candidate's `backend`


@dataclass(frozen=True, slots=True)
class Shares:
    """The split in effect.

    `weighted` holds (candidate, weight above 0), in the user's order; empty when not even a default can answer.
    `reachable` holds the candidates whose route tokens count. `narrowed` is true when the default answers alone, or
    nothing is available, so that this is not the split the user asked for but a stand-in.
    """

    weighted: tuple[tuple[str, int], ...]
    reachable: tuple[str, ...]
    narrowed: bool = False


def shares(experiment: Experiment, available: Available) -> Shares:
    """The split in effect, given who is available. Total."""
    ready = tuple(c for c in experiment.candidates if available(c.backend))
    complete = len(ready) == len(experiment.candidates)
    if experiment.when_unavailable is WhenUnavailable.DEFAULT_ONLY and not complete:
        return _alone(experiment.default)
    if not ready:
        return _alone(experiment.default)
    reachable = tuple(c.name for c in ready)
    weighted = tuple((c.name, c.weight) for c in ready if c.weight)
    if weighted:
        return Shares(weighted, reachable)
    # Only candidates of weight 0 are left. The default is the user's own word for who answers then.
    if experiment.default in reachable:
        return Shares(((experiment.default, 1),), reachable, narrowed=True)
    return Shares(tuple((name, 1) for name in reachable), reachable, narrowed=True)


def _alone(default: str) -> Shares:
    return Shares(((default, 1),) if default else (), (), narrowed=True)
