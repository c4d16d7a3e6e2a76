"""A file of resources, in any of the forms users write: what it offers, and everything that is wrong with it.

A file holds JSON or YAML; each document of it is a DiscoveryResponse, a resource with its "@type", a list of
resources, or a Seldon manifest. Must stay true: `read` never raises, a problem of one resource leaves the others as
they are, and `read` gives back what `write` wrote.
"""

from collections.abc import Iterator
from typing import Final

from extproc.core.offers import Document, Offer
from extproc.core.resources import Experiment, Kind, Model, PassThrough, Resource
from extproc.errors import Problem
from extproc.wire import plain, seldon, syntax
from extproc.wire.canonical import write
from extproc.wire.declared import experiment_of, model_of
from extproc.wire.structure import unknown
from extproc.wire.values import TYPE, Json, Unreadable, doubled, flaws, shown, step, without

__all__ = ["read", "write"]

EMPTY: Final = 'is empty: write {"resources": []} if nothing shall run'

_KINDS: Final = {kind.value: kind for kind in Kind}
# envoy.service.discovery.v3.DiscoveryResponse, as far as a file can have a use for it.
_RESPONSE: Final = {
    "resources": "resources",
    "version_info": "version_info",
    "versionInfo": "version_info",
    "type_url": "type_url",
    "typeUrl": "type_url",
    "nonce": "nonce",
}


def read(text: str | bytes, origin: str, *, untyped: bool = False) -> Document:
    """Everything that `text` offers. `origin` names the file in messages; its suffix tells JSON from YAML.

    With `untyped`, an object that does not say its type is an Experiment, as in the body of a request for one.
    """
    try:
        documents = syntax.documents(text, origin)
    except Unreadable as unreadable:
        return Document(origin, problems=(Problem("", str(unreadable)),))
    if all(value is None for value in documents):
        # What a truncation, a full disk or `>` leaves behind; nobody stops everything by it.
        return Document(origin, problems=(Problem("", EMPTY),))
    single = len(documents) == 1
    offers: list[Offer] = []
    for number, value in enumerate(documents, start=1):
        if value is not None:
            offers += _document(value, origin, "" if single else f"document {number}", untyped)
    return Document(origin, tuple(offers))


def _document(value: Json, origin: str, where: str, untyped: bool) -> Iterator[Offer]:
    match value:
        case list():
            for i, item in enumerate(value):
                yield _resource(item, origin, _inside(where, f"[{i}]"))
        case dict() if _is_response(value):
            yield from _response(value, origin, where)
        case dict() if untyped and TYPE not in value and not seldon.is_manifest(value):
            experiment, problems = experiment_of(value)
            yield Offer(origin, where, Kind.EXPERIMENT, _name(value), experiment, problems)
        case _:
            yield _resource(value, origin, where)


def _is_response(value: dict[str, Json]) -> bool:
    if TYPE in value or seldon.is_manifest(value):
        return False
    return not value or not _RESPONSE.keys().isdisjoint(value)


def _response(value: dict[str, Json], origin: str, where: str) -> Iterator[Offer]:
    problems = tuple(_response_problems(value))
    if problems:
        yield Offer(origin, where, None, "", None, problems)
    resources = value.get("resources")
    if isinstance(resources, list) and "resources" not in doubled(value):
        for i, item in enumerate(resources):
            yield _resource(item, origin, _inside(where, f"resources[{i}]"))


def _response_problems(value: dict[str, Json]) -> Iterator[Problem]:
    first: dict[str, str] = {}
    for key, item in value.items():
        if key not in _RESPONSE:
            yield Problem(step("", key), unknown(key, _RESPONSE, "a DiscoveryResponse")[0])
            continue
        name = _RESPONSE[key]
        if key in doubled(value):
            yield Problem(key, "is given twice: keep one")
        elif name in first:
            yield Problem(key, f"is given as {first[name]!r} already: keep one of the two")
        elif name == "resources" and not isinstance(item, list | None):
            yield Problem(key, f"must be a list, not {shown(item)}")
        elif name != "resources" and not isinstance(item, str | None):
            yield Problem(key, f"must be a text, not {shown(item)}: put it in quotes")
        first.setdefault(name, key)


def _inside(where: str, place: str) -> str:
    return f"{where}, {place}" if where else place


def _resource(value: Json, origin: str, where: str) -> Offer:
    """One resource: with its "@type", or a Seldon manifest."""
    if not isinstance(value, dict):
        return _refused(origin, where, f"must be an object, not {shown(value)}")
    if TYPE in value:
        return _typed(value, origin, where)
    if seldon.is_manifest(value):
        return _manifest(value, origin, where)
    return _refused(origin, where, f'has no "@type": {_choices()}', name=_name(value))


def _name(value: dict[str, Json]) -> str:
    name = value.get("name")
    return name if isinstance(name, str) else ""


def _typed(value: dict[str, Json], origin: str, where: str) -> Offer:
    url, name = value[TYPE], _name(value)
    if TYPE in doubled(value):
        return _refused(origin, where, "is given twice: keep one", TYPE, name)
    kind = _KINDS.get(url) if isinstance(url, str) else None
    if kind is None:
        return _refused(origin, where, f"{shown(url)} is not read: {_choices()}", TYPE, name)
    resource: Resource | None
    match kind:
        case Kind.MODEL:
            resource, problems = _model(value)
        case Kind.EXPERIMENT:
            resource, problems = _experiment(value)
        case Kind.CLUSTER | Kind.ROUTES | Kind.FILTER:
            resource, problems = _pass_through(kind, value)
    return Offer(origin, where, kind, name, resource, problems)


def _model(value: dict[str, Json]) -> tuple[Model | None, tuple[Problem, ...]]:
    found = plain.model(value)
    return (found, ()) if found is not None else model_of(without(value, TYPE))


def _experiment(value: dict[str, Json]) -> tuple[Experiment | None, tuple[Problem, ...]]:
    found = plain.experiment(value)
    return (found, ()) if found is not None else experiment_of(without(value, TYPE))


def _pass_through(kind: Kind, value: dict[str, Json]) -> tuple[PassThrough | None, tuple[Problem, ...]]:
    problems = list(flaws(value))
    name = value.get("name")
    if not isinstance(name, str) and name is not None:
        problems.append(Problem("name", f"must be a text, not {shown(name)}"))
    elif not name:
        problems.append(Problem("name", "is missing: give it a name"))
    if problems or not isinstance(name, str):
        return None, tuple(dict.fromkeys(problems))
    return PassThrough(kind, name, dict(without(value, TYPE))), ()


def _manifest(value: dict[str, Json], origin: str, where: str) -> Offer:
    problems = tuple(seldon.kind_problems(value))
    if problems:
        return Offer(origin, where, None, seldon.name_of(value), None, problems)
    experiment, problems = seldon.read_experiment(value)
    return Offer(origin, where, Kind.EXPERIMENT, seldon.name_of(value), experiment, problems)


def _refused(origin: str, where: str, message: str, path: str = "", name: str = "") -> Offer:
    return Offer(origin, where, None, name, None, (Problem(path, message),))


def _choices() -> str:
    return "it is one of " + ", ".join(_KINDS)
