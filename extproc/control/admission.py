"""Admission: which of the resources that the sources offer are in force. A pure function of the last answer and the
new offers.

Must stay true: a resource is taken whole or not at all; an invalid one keeps its last good version and disturbs no
other; who owned a name or a default first keeps it. Time, files and Envoy are not known here.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from extproc.control.in_force import NOTHING, Admission, Admitted, Key, Report
from extproc.core.apis import misfits
from extproc.core.layered import Layered
from extproc.core.offers import Document, Offer
from extproc.core.resources import Experiment, Kind, Model, PassThrough
from extproc.core.rules import named_at
from extproc.core.units import Layer
from extproc.core.upstreams import defined
from extproc.errors import Problem

__all__ = ["NOTHING", "Admission", "Admitted", "Judge", "Key", "Report", "admit", "waits"]

Judge = Callable[[PassThrough | Experiment], Sequence[Problem]]


def admit(previous: Admission, documents: Iterable[Document], judge: Judge = lambda _: ()) -> Admission:
    """Judge all that is offered now, given what was in force until now.

    A resource that is offered no more is gone. `judge` looks into Envoy's own resources, and into what an experiment
    says in Envoy's words (the `xds` layer knows the types). The answer lists resources in the order of their documents,
    so it is the same for the same input.
    """
    documents = tuple(documents)
    unreadable = {d.origin: d for d in documents if d.problems}
    reports = [Report(d.origin, "", None, "", d.problems, _owns(previous, d.origin)) for d in unreadable.values()]
    admitted = {k: a for k, a in previous.admitted.items() if a.origin in unreadable}

    offers = [_judged(offer, judge) for d in documents if d.origin not in unreadable for offer in d.offers]
    valid: dict[Key, list[Offer]] = {}
    for offer in offers:
        if offer.resource is not None and offer.kind is not None:
            valid.setdefault((offer.kind, offer.name), []).append(offer)

    for key, rivals in valid.items():
        owner = previous.admitted.get(key)
        if key in admitted:  # held by a file that can't be read just now
            winner = None
            owned_by = admitted[key].origin
        else:
            winner = next((o for o in rivals if owner and o.origin == owner.origin), rivals[0])
            assert winner.resource is not None  # noqa: S101 (only valid offers are rivals)
            admitted[key] = Admitted(winner.resource, winner.origin)
            owned_by = winner.origin
        reports += [_taken(o, winner, owned_by) for o in rivals if o is not winner]

    for offer in offers:
        if offer.resource is None:
            kept = [key for key in _last_good(previous, offer) if key not in admitted]
            admitted.update({key: previous.admitted[key] for key in kept})
            known = offer.kind is not None and (offer.kind, offer.name) in admitted
            reports.append(
                Report(offer.origin, offer.where, offer.kind, offer.name, offer.problems, bool(kept) or known)
            )

    for conflict in (_cluster_conflicts, _claim_conflicts):
        reports += conflict(previous, admitted)
    return Admission(Layered(admitted), tuple(reports))


def waits(admission: Admission) -> Iterator[Report]:
    """What is referred to and not (yet) defined, or defined so that it does not fit: no error, but worth a warning."""
    models = admission.models
    clusters = admission.pass_through(Kind.CLUSTER)
    for experiment in admission.experiments:
        problems = tuple(
            Problem(
                f"{path}.{'cluster' if each.cluster else 'name'}",
                f"no {'Cluster resource' if each.cluster else 'Model'} defines {each.cluster or each.name!r} yet: the"
                " experiment runs without it until one does",
            )
            for path, each in named_at(experiment)
            if not defined(each, models, clusters)
        )
        unfit = misfits(experiment, models)
        problems += tuple(
            Problem(
                f"{path}.name", f"{each.name!r} speaks another API than the default: the experiment runs without it"
            )
            for path, each in named_at(experiment)
            if each.name in unfit and not each.cluster
        )
        if problems:
            origin = admission.origin(Kind.EXPERIMENT, experiment.name)
            yield Report(origin, "", Kind.EXPERIMENT, experiment.name, problems)
    for model in models.values():
        problems = tuple(
            Problem(field, f"no Cluster resource defines {name!r} yet: the model is not available until one does")
            for field, name in (("cluster", model.cluster), ("grpc_cluster", model.grpc_cluster))
            if name and name not in clusters
        )
        if problems:
            yield Report(admission.origin(Kind.MODEL, model.name), "", Kind.MODEL, model.name, problems)


def _judged(offer: Offer, judge: Judge) -> Offer:
    if not isinstance(offer.resource, PassThrough | Experiment):
        return offer
    problems = tuple(judge(offer.resource))
    if not problems:
        return offer
    return Offer(offer.origin, offer.where, offer.kind, offer.name, None, problems)


def _owns(previous: Admission, origin: str) -> bool:
    return any(a.origin == origin for a in previous.admitted.values())


def _taken(offer: Offer, winner: Offer | None, owner: str) -> Report:
    if winner is not None and winner.origin == offer.origin:
        message = f"stands in this file twice ({winner.where} and {offer.where}): keep one"
    else:
        message = f"is defined in {owner} already, which owns it: remove it from one of the two"
    return Report(offer.origin, offer.where, offer.kind, offer.name, (Problem("name", message),), kept=True)


def _last_good(previous: Admission, offer: Offer) -> Iterator[Key]:
    """What an invalid offer stands for; without a readable name, whatever its file owned of that kind."""
    if offer.kind is not None and offer.name:
        if (offer.kind, offer.name) in previous.admitted:
            yield offer.kind, offer.name
        return
    for key, held in previous.admitted.items():
        if held.origin == offer.origin and offer.kind in (None, key[0]):
            yield key


def _cluster_conflicts(previous: Admission, admitted: dict[Key, Admitted]) -> list[Report]:
    """A user's Cluster must not bear the name of a cluster that a Model's endpoints make; who was there first stays."""
    reports = []
    for kind, name in list(admitted):
        if kind is not Kind.CLUSTER or not _makes_cluster(admitted, name):
            continue
        if (kind, name) in previous.admitted and not _makes_cluster(previous.admitted, name):
            loser = (Kind.MODEL, name)
            problem = Problem("name", f"a Cluster of that name is there already, as {name}'s would be: rename one")
        else:
            loser = (kind, name)
            problem = Problem("name", f"Model {name} makes a cluster of that name: choose another name")
        origin = admitted.pop(loser).origin
        last = previous.admitted.get(loser)
        if loser[0] is Kind.MODEL and last is not None:
            admitted[loser] = last  # it made no cluster then
        reports.append(Report(origin, "", *loser, (problem,), kept=loser in admitted))
    return reports


def _makes_cluster(admitted: Mapping[Key, Admitted], name: str) -> bool:
    held = admitted.get((Kind.MODEL, name))
    return held is not None and isinstance(held.resource, Model) and bool(held.resource.endpoints)


def _claim_conflicts(previous: Admission, admitted: dict[Key, Admitted]) -> list[Report]:
    """A default, or a slot of a layer, belongs to one experiment; who held it first keeps it.

    The other keeps its last good version. Whoever gets that back has its old claims back too, also against those who
    reached for them just now, so it takes several rounds until nobody has to give way.
    """
    reports = []
    while givers := _those_to_give_way(previous, admitted):
        for key, problem in givers:
            held = admitted.pop(key)
            last = previous.admitted.get(key)
            if last is not None and last.resource != held.resource:
                admitted[key] = last
            reports.append(Report(held.origin, "", *key, (problem,), kept=key in admitted))
    return reports


def _those_to_give_way(previous: Admission, admitted: Mapping[Key, Admitted]) -> list[tuple[Key, Problem]]:
    """Each as its key and what it can't have."""
    held = {_claims(a.resource) for a in previous.admitted.values() if isinstance(a.resource, Experiment)}
    wanted = [(key, a.resource) for key, a in admitted.items() if isinstance(a.resource, Experiment)]
    # Those who keep what they had come first; among the others the order of the documents decides.
    wanted.sort(key=lambda claim: _claims(claim[1]) not in held)
    owners: dict[str, str] = {}
    layers: dict[str, list[Experiment]] = {}
    givers = []
    for key, experiment in wanted:
        problem = _not_to_be_had(experiment, owners, layers)
        if problem is not None:
            givers.append((key, problem))
            continue
        owners[experiment.intercepts] = experiment.name
        if experiment.layer is not None:
            layers.setdefault(experiment.layer.name, []).append(experiment)
    return givers


def _claims(experiment: Experiment) -> tuple[str, str, Layer | None]:
    return experiment.name, experiment.intercepts, experiment.layer


def _not_to_be_had(
    experiment: Experiment, owners: Mapping[str, str], layers: Mapping[str, list[Experiment]]
) -> Problem | None:
    default, layer = experiment.intercepts, experiment.layer
    if default and default in owners:
        owner = owners[default]
        message = (
            f"{default!r} is the default of experiment {owner} already: stop that one first, or choose another default"
        )
        return Problem("default", message)
    for other in layers.get(layer.name, ()) if layer else ():
        if layer and other.layer and layer.overlaps(other.layer):
            message = (
                f"slots {layer.first_slot} to {layer.last_slot} of layer {layer.name!r} overlap with those of"
                f" experiment {other.name} ({other.layer.first_slot} to {other.layer.last_slot}): give"
                f" {experiment.name} slots that are free"
            )
            return Problem("layer", message)
    return None
