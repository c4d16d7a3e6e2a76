"""Which of an experiment's models can't stand in for each other, since they speak different APIs over HTTP.

A request says in the one API where the other does not look which model it is for.
"""

from collections.abc import Mapping

from extproc.core.resources import Experiment, Model


def misfits(experiment: Experiment, models: Mapping[str, Model]) -> frozenset[str]:
    """Those that speak another API than the default, or without one than the first that is defined."""
    found = [model for named in experiment.named if not named.cluster and (model := models.get(named.name))]
    if not any(model.speaks_openai for model in found):
        return frozenset()
    first = next((model for model in found if model.name == experiment.default), found[0])
    return frozenset(model.name for model in found if model.api is not first.api)
