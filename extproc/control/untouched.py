"""Which requests an experiment leaves to its default, as if it were not there: the control group, and two more.

They are told apart and counted, and never compared with the weights. Pure.
"""

from collections.abc import Mapping

from extproc.control.outcomes import Role
from extproc.core.resources import MILLION, Experiment
from extproc.core.units import SLOTS, OnMissing


def untouched(experiment: Experiment) -> Mapping[Role, float | None]:
    """The part that each takes, from 0 to 1: of the units, and where none are assigned of the requests.

    The holdout is a part of what the layer leaves to the experiment. None where nobody can know.
    """
    found: dict[Role, float | None] = {}
    if experiment.holdout:
        found[Role.HOLDOUT] = experiment.holdout / MILLION
    if experiment.layer:
        slots = experiment.layer.last_slot - experiment.layer.first_slot + 1
        found[Role.OTHER_SLOT] = 1 - slots / SLOTS
    if experiment.stickiness and experiment.stickiness.on_missing is OnMissing.DEFAULT:
        found[Role.NO_UNIT] = None
    return found
