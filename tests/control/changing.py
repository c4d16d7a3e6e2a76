"""Whatever sources may offer, one thing after the other: strategies for documents that change a little each time."""

from dataclasses import replace
from typing import Final

from hypothesis import strategies as st

from extproc.core.matches import Match
from extproc.core.offers import Document, Offer
from extproc.core.resources import (
    Candidate,
    Endpoint,
    Experiment,
    Kind,
    Mirror,
    Model,
    PassThrough,
    Resource,
    WhenUnavailable,
    kind_of,
)
from extproc.core.units import Layer, Stickiness, UnitSource
from extproc.errors import Problem

ORIGINS: Final = ("api", "a.json", "b.json")
MODELS: Final = ("m0", "m1", "m2", "m3")
EXPERIMENTS: Final = ("e0", "e1", "e2")
CLUSTERS: Final = ("own", "m0")  # the second clashes with a model's
AT: Final = (Endpoint("127.0.0.1", 8081),)
UNTAKEN: Final = "/untaken"
BROKEN: Final = (Problem("candidates", "is empty"),)

_models: Final = st.one_of(
    st.builds(Model, st.sampled_from(MODELS), st.integers(1, 2), st.just(AT), st.sampled_from([(), AT])),
    st.builds(lambda name: Model(name, cluster="own"), st.sampled_from(MODELS)),
)
_layers: Final = st.sampled_from([None, None, Layer("checkout", 0, 499), Layer("checkout", 400, 999)])


@st.composite
def _experiments(draw: st.DrawFn) -> Experiment:
    names = draw(st.lists(st.sampled_from(MODELS), min_size=1, max_size=3, unique=True))
    others = [name for name in MODELS if name not in names]
    layer = draw(_layers)
    when = draw(st.sampled_from(WhenUnavailable))
    default = draw(st.sampled_from([names[0], names[-1], *([] if layer or when == "DEFAULT_ONLY" else [""])]))
    return Experiment(
        draw(st.sampled_from(EXPERIMENTS)),
        tuple(Candidate(name, draw(st.integers(1, 3))) for name in names),
        default,
        draw(st.sampled_from([None, Mirror(others[0], 100_000)])),
        when_unavailable=when,
        stickiness=Stickiness(UnitSource.HEADER, "x-user") if layer else None,
        layer=layer,
        match=draw(_matches),
    )


_matches: Final = st.sampled_from(
    [None, None, Match.of({"prefix": "/a"}), Match.of({"prefix": "/b"}), Match.of({"prefix": UNTAKEN})]
)


@st.composite
def _between_clusters(draw: st.DrawFn) -> Experiment:
    clusters = draw(st.lists(st.sampled_from(CLUSTERS), min_size=1, unique=True))
    return Experiment(
        draw(st.sampled_from(EXPERIMENTS)),
        tuple(Candidate("", 1, cluster) for cluster in clusters),
        draw(st.sampled_from(["", clusters[0]])),
        when_unavailable=draw(st.sampled_from([WhenUnavailable.AVAILABLE_CANDIDATES, WhenUnavailable.REJECT])),
        match=draw(_matches) or Match.of({}),
    )


def objections(resource: PassThrough | Experiment) -> tuple[Problem, ...]:
    """A judge for what is offered here."""
    match = resource.match if isinstance(resource, Experiment) else None
    return (Problem("match.prefix", "is not taken"),) if match and UNTAKEN in match.text else ()


_clusters: Final = st.builds(
    lambda name, kind: PassThrough(Kind.CLUSTER, name, {"name": name, "type": kind}),
    st.sampled_from(CLUSTERS),
    st.sampled_from(["STATIC", "ORIGINAL_DST"]),
)
resources: Final = st.one_of(_models, _experiments(), _experiments(), _between_clusters(), _clusters)


@st.composite
def offers(draw: st.DrawFn, origin: str) -> Offer:
    resource: Resource = draw(resources)
    if draw(st.integers(0, 9)) == 0:
        return Offer(origin, "", kind_of(resource), draw(st.sampled_from([resource.name, ""])), None, BROKEN)
    return Offer(origin, "", kind_of(resource), resource.name, resource)


@st.composite
def documents(draw: st.DrawFn, before: tuple[Document, ...]) -> tuple[Document, ...]:
    """`before`, with one file other than it was: a resource more, less, or changed; or a file that can't be read."""
    changed = {document.origin: document for document in before}
    origin = draw(st.sampled_from(ORIGINS))
    held = list(changed[origin].offers) if origin in changed else []
    match draw(st.sampled_from(["add", "change", "change", "reweigh", "reweigh", "remove", "lose", "break", "again"])):
        case "add":
            held.insert(draw(st.integers(0, len(held))), draw(offers(origin)))
        case "change" if held:
            held[draw(st.integers(0, len(held) - 1))] = draw(offers(origin))
        case "reweigh" if held:
            at = draw(st.integers(0, len(held) - 1))
            held[at] = reweighed(held[at], draw(st.integers(1, 9)))
        case "remove" if held:
            del held[draw(st.integers(0, len(held) - 1))]
        case "lose":
            changed.pop(origin, None)
            return tuple(changed.values())
        case "break":
            changed[origin] = Document(origin, problems=(Problem("", "can't be read"),))
            return tuple(changed.values())
        case _:  # read once more: equal, and another object
            held = [replace(offer) for offer in held]
    changed[origin] = Document(origin, tuple(held))
    return tuple(changed[name] for name in ORIGINS if name in changed)


def reweighed(offer: Offer, weight: int) -> Offer:
    """The offer with another weight of its first candidate, if it has any."""
    if not isinstance(offer.resource, Experiment):
        return offer
    first, *others = offer.resource.candidates
    return replace(offer, resource=replace(offer.resource, candidates=(replace(first, weight=weight), *others)))
