"""The two RouteConfigurations: where a request goes by label, by header and by path, and where a copy goes."""

from collections.abc import Iterable
from typing import Final

from extproc import names
from extproc.xds import answers, endpoint_routes, mirrors, passthrough
from extproc.xds.encode import Json
from extproc.xds.endpoints import Split, endpoints
from extproc.xds.matching import Maps, always, ending, tree, when_present, written_out
from extproc.xds.model_routes import MODELS_PATH, host
from extproc.xds.world import World

_PATH: Final = ":path"


def inference_routes(world: World, running: Iterable[Split], maps: Maps = written_out) -> Json:
    """All routes of the inference listener. Looked up in this order, the first that is found serves.

    The label that extproc has set; the header `seldon-model`; the path `/v2/models/<endpoint>`; the user's own
    routes; a 404. A header that names no endpoint is an answer by itself: the path is not tried for it.
    """
    running = tuple(running)
    targets = endpoints(world, running)
    labels = maps(
        (names.label(split.experiment.name, candidate[0]), endpoint_routes.decided, (split, candidate))
        for split in running
        for candidate in split.decisions
    )
    by_header = maps((each[0], endpoint_routes.by_header, each) for each in targets.items())
    by_path = maps((MODELS_PATH + each[0], endpoint_routes.by_path, each) for each in targets.items())

    own = [route for resource in sorted(world.routes, key=lambda r: r.name) for route in passthrough.routes(resource)]
    rest = always(ending([*own, answers.unknown_in_path(), answers.nothing_here()]))
    path = tree(_PATH, "prefix_match_map", by_path, rest)
    unknown = when_present(names.MODEL_HEADER, ending([answers.unknown_in_header()]), path)
    header = tree(names.MODEL_HEADER, "exact_match_map", by_header, unknown)
    matcher = tree(names.LABEL_HEADER, "exact_match_map", labels, header)
    inference = host(names.INFERENCE_ROUTES, matcher, names.LABEL_HEADER, names.ROUTE_HEADER)
    return {"name": names.INFERENCE_ROUTES, "virtual_hosts": [inference]}


def mirror_routes(running: Iterable[Split], maps: Maps = written_out) -> Json:
    """All routes of the internal listener."""
    mirrored = (
        (split.experiment.name, model, split.experiment.resource_type)
        for split in running
        for model, _ in split.mirrors
    )
    return mirrors.routes(mirrored, maps)
