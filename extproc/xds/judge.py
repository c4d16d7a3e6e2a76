"""Whether Envoy would take what users give: its own resources, and the part of an experiment that is in its words."""

from extproc.core.resources import Experiment, PassThrough
from extproc.errors import Problem
from extproc.xds import matches, passthrough


def problems(resource: PassThrough | Experiment) -> list[Problem]:
    """Every problem of a resource that Envoy's types show, with paths as in the user's file."""
    return matches.problems(resource) if isinstance(resource, Experiment) else passthrough.problems(resource)
