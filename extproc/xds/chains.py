"""How an experiment's requests are shared out over a list of routes, and by which of Envoy's runtime keys.

Each number in such a list has a key of its own: what stands in the route is a default, and Envoy's runtime may say
otherwise (runtime.py), so that a change of weights alone sends no routes. Must stay true: what a key means follows
from its name, which tells the whole list. So another list has other keys, and comes into force as a whole, with its
routes; and who gets nothing has a route all the same, so that to get something is but another number.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from extproc import names
from extproc.core.resources import MILLION
from extproc.names import Protocol
from extproc.xds.intervals import Interval, Threshold, intervals
from extproc.xds.model_routes import speaks

if TYPE_CHECKING:
    from extproc.xds.endpoints import Candidate, Split

SPELLED: Final = 8  # names in a key; of more it has a digest, since each key of a list names all that are in it
PART: Final = "~"  # ends them in the key of a list for a part of the requests, whose last route has a number too

Copy = tuple[str, Threshold]  # a mirror's name, and below which of Envoy's random values it gets a copy
Served: TypeAlias = "tuple[Candidate, Interval]"
Rated = tuple[str, int | None]  # a mirror, and what it gets a copy of, in millionths; None for all


@dataclass(frozen=True, slots=True)
class Link:
    """One route of a list: who serves, `below` which threshold (None: all that is left), and who gets copies."""

    candidate: "Candidate"
    below: Threshold | None
    copies: tuple[Copy, ...]


def shared_out(split: "Split", protocol: Protocol, million: int = MILLION) -> list[Served]:
    """Who owns which part of the million, or of its begin; none when nobody can answer."""
    drawn = {model.name: weight for model, weight in split.weighted(protocol)}
    if not drawn:
        return []
    weighted: list[tuple[Candidate, int]] = [
        ((model.name, model), drawn.get(model.name, 0)) for model in split.candidates if speaks(model, protocol)
    ]
    holdout = split.experiment.holdout
    if holdout and split.untouched and speaks(split.untouched, protocol):
        total = sum(drawn.values())
        weighted = [(candidate, weight * (MILLION - holdout)) for candidate, weight in weighted]
        weighted.append(((names.HOLDOUT, split.untouched), total * holdout))
    return intervals(weighted, million)


def chain(split: "Split", protocol: Protocol, parts: Sequence[Served], whole: int = MILLION) -> list[Link]:
    """The list for `parts`, whose intervals follow each other; the last one takes what is left if it ends at `whole`.

    One mirror needs a threshold on one route; several, whose draws are independent, need a route for each combination.
    A mirror that can't answer a copy gets none; nor is anything copied of requests that are left to the default.
    """
    mirrors: list[Rated] = [(model.name, rate) for model, rate in split.mirrors if rate and speaks(model, protocol)]
    list_key = key(split, protocol, [name for (name, _), _ in parts], [name for name, _ in mirrors])
    pieces = [
        (candidate, *piece)
        for candidate, part in parts
        for piece in _copied(part, () if candidate[0] in names.LEFT_ALONE else mirrors)
    ]
    links: list[Link] = []
    for place, (candidate, part, wanted) in enumerate(pieces):
        own = f"{list_key}.{place}"
        is_rest = place == len(pieces) - 1 and part.high == whole
        copies = tuple((name, _rated(part, rate, own)) for name, rate in wanted)
        links.append(Link(candidate, None if is_rest else Threshold(part.high, own), copies))
    return links


def drawn(split: "Split", protocol: Protocol) -> list[Link]:
    """The list for requests that are drawn for; empty when nobody can answer, or no request takes part."""
    return chain(split, protocol, shared_out(split, protocol, split.taking)) if split.taking else []


def alone(split: "Split", protocol: Protocol, candidate: "Candidate") -> list[Link]:
    """The list for requests that all go to one, among those that take part."""
    return chain(split, protocol, [(candidate, split.whole)]) if split.taking else []


def decided(split: "Split", protocol: Protocol, candidate: "Candidate") -> list[Link]:
    """The list for requests of which extproc has said where they go."""
    return chain(split, protocol, [(candidate, split.whole)], split.whole.high)


def nobody(split: "Split", protocol: Protocol) -> Threshold | None:
    """Below which threshold requests are told that nobody can answer; None for all."""
    own = f"{key(split, protocol, (), ())}.0"
    return None if split.whole.high == MILLION else Threshold(split.whole.high, own)


def key(split: "Split", protocol: Protocol, candidates: Sequence[str], mirrors: Sequence[str]) -> str:
    """What the keys of one list begin with: `extproc.<experiment>.<protocol>.<candidates>><mirrors>`, and PART."""
    part = "" if split.whole.high == MILLION else PART
    listed = ",".join(candidates) + "".join(f">{name}" for name in mirrors)
    # By how many they are, and not by how long: what is filled in for names (filling.py) must not change what is made.
    if len(candidates) + len(mirrors) > SPELLED:
        listed = hashlib.sha256(listed.encode()).hexdigest()[:16]
    return f"{names.RUNTIME_PREFIX}{split.experiment.name}.{protocol}.{listed}{part}"


def numbers(split: "Split") -> dict[str, int]:
    """Every number in an experiment's routes that Envoy's runtime may change, in millionths by its key."""
    found: list[Threshold | None] = []
    for protocol in names.PROTOCOLS:
        links = drawn(split, protocol)
        left = [(name, split.untouched) for name in names.LEFT_ALONE] if split.untouched else []
        for candidate in (*split.decisions, *left):
            if speaks(candidate[1], protocol):
                links += (*alone(split, protocol, candidate), *decided(split, protocol, candidate))
        for link in links:
            found += (link.below, *(threshold for _, threshold in link.copies))
        found.append(nobody(split, protocol))
    return {threshold.key: threshold.millionths for threshold in found if threshold is not None and threshold.key}


def _copied(part: Interval, mirrors: Sequence[Rated]) -> list[tuple[Interval, tuple[Rated, ...]]]:
    """The parts of an interval, each with the mirrors that get copies of it."""
    if len(mirrors) < 2:
        return [(part, tuple(mirrors))]
    combined = part.combinations([rate or 0 for _, rate in mirrors])
    return [(piece, tuple((mirrors[index][0], None) for index in chosen)) for piece, chosen in combined]


def _rated(part: Interval, rate: int | None, own: str) -> Threshold:
    return Threshold(MILLION) if rate is None else Threshold(part.mirrored(rate), f"{own}.mirror")
