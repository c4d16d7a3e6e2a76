"""The two RouteConfigurations: where a request goes by label, by header and by path, and where a copy goes."""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from extproc import names
from extproc.xds import (
    answers,
    endpoint_routes,
    json_bodies,
    mirrors,
    openai_answers,
    openai_routes,
    passthrough,
    v2_bodies,
)
from extproc.xds.cluster_routes import cluster_routes
from extproc.xds.encode import Json
from extproc.xds.endpoints import Split, endpoints, speaks_openai
from extproc.xds.lua_filters import switched_on
from extproc.xds.matching import Maps, always, ending, tree, when_present, written_out
from extproc.xds.model_routes import MODELS_PATH, host
from extproc.xds.world import World

_PATH: Final = ":path"


def inference_routes(world: World, running: Iterable[Split], maps: Maps = written_out) -> Json:
    """All routes of the inference listener. Looked up in this order, the first that is found serves.

    The label that extproc has set; the header `seldon-model`; the model that a JSON body names; the path
    `/v2/models/<endpoint>`; where bodies are read first; the experiments between clusters, by name; the user's own
    routes; a 404. A header that names no endpoint is an answer by itself: nothing else is tried for it.
    """
    running = tuple(running)
    targets = endpoints(world, running)
    labels = maps(
        (names.label(split.experiment.name, candidate[0]), endpoint_routes.decided, (split, candidate))
        for split in running
        for candidate in split.decisions
    )
    by_header = maps((each[0], endpoint_routes.by_header, each) for each in targets.items())
    openai = sorted(name for name, target in targets.items() if speaks_openai(target))
    by_body = maps((name, endpoint_routes.by_header, (name, targets[name])) for name in openai)
    by_path = maps(
        chain(
            ((MODELS_PATH + each[0], endpoint_routes.by_path, each) for each in targets.items()),
            ((f"{openai_answers.MODELS}/{name}", openai_routes.described, (name,)) for name in openai),
        )
    )

    own = [route for resource in sorted(world.routes, key=lambda r: r.name) for route in passthrough.routes(resource)]
    rest = always(
        cluster_routes(
            [split for split in running if split.experiment.of_clusters],
            [*openai_routes.first(openai), *v2_bodies.first(world.models.values())],
            [*own, *openai_routes.last(openai), answers.unknown_in_path(), answers.nothing_here()],
        )
    )
    path = tree(_PATH, "prefix_match_map", by_path, rest)
    body = tree(names.BODY_MODEL_HEADER, "exact_match_map", by_body, path)
    # A route would look at each of several headers by itself; here they are one text, with commas (tried with 1.40).
    several = [*([openai_answers.several_in_header()] if openai else []), answers.several_in_header()]
    unknown = [*([openai_answers.unknown_in_header()] if openai else []), answers.unknown_in_header()]
    named = when_present(names.MODEL_HEADER, ending(several), always(ending(unknown)), like=".*,.*")
    unnamed = when_present(names.MODEL_HEADER, {"matcher": named}, body)
    header = tree(names.MODEL_HEADER, "exact_match_map", by_header, unnamed)
    matcher = tree(names.LABEL_HEADER, "exact_match_map", labels, header)
    internal = (names.LABEL_HEADER, names.BODY_MODEL_HEADER, names.ROUTE_HEADER)
    return {
        "name": names.INFERENCE_ROUTES,
        "virtual_hosts": [host(names.INFERENCE_ROUTES, matcher, *internal, filters=_at_hand(world))],
        **openai_routes.largest_answer(openai),
    }


def _at_hand(world: World) -> Json:
    """What every request has, whatever route it takes at first: a user's filter may lead it to another one.

    The filters of a request are settled when it comes, by the route that it would take then. So where others could
    change that route, ours are there for all, and do nothing until a route tells them to.
    """
    if not world.filters:
        return {}
    return {names.EXT_PROC_FILTER: json_bodies.not_asked(), **switched_on(names.BODY_WRITER)}


def mirror_routes(running: Iterable[Split], maps: Maps = written_out) -> Json:
    """All routes of the internal listener."""
    mirrored = (
        (split.experiment.name, model, split.experiment.resource_type, split.named)
        for split in running
        for model, _ in split.mirrors
    )
    return mirrors.routes(mirrored, maps)
