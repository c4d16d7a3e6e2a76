"""The two RouteConfigurations: where a request goes by label, by header and by path, and where a copy goes."""

from collections.abc import Iterable
from typing import Final

from extproc import names
from extproc.xds import answers, endpoint_routes, mirrors, passthrough
from extproc.xds.encode import Json
from extproc.xds.endpoints import Split, endpoints
from extproc.xds.matching import always, ending, tree, when_present
from extproc.xds.model_routes import MODELS_PATH
from extproc.xds.world import World

_PATH: Final = ":path"


def inference_routes(world: World, running: Iterable[Split]) -> Json:
    """All routes of the inference listener. Looked up in this order, the first that is found serves.

    The label that extproc has set; the header `seldon-model`; the path `/v2/models/<endpoint>`; the user's own
    routes; a 404. A header that names no endpoint is an answer by itself: the path is not tried for it.
    """
    running = tuple(running)
    targets = endpoints(world, running)
    labels = dict(pair for split in running for pair in endpoint_routes.decided(split))
    by_header = {name: endpoint_routes.by_header(name, target) for name, target in targets.items()}
    by_path = {MODELS_PATH + name: endpoint_routes.by_path(name, target) for name, target in targets.items()}

    own = [route for resource in sorted(world.routes, key=lambda r: r.name) for route in passthrough.routes(resource)]
    rest = always(ending([*own, answers.unknown_in_path(), answers.nothing_here()]))
    path = tree(_PATH, "prefix_match_map", by_path, rest)
    unknown = when_present(names.MODEL_HEADER, ending([answers.unknown_in_header()]), path)
    header = tree(names.MODEL_HEADER, "exact_match_map", by_header, unknown)
    matcher = tree(names.LABEL_HEADER, "exact_match_map", labels, header)
    host = {"name": names.INFERENCE_ROUTES, "domains": ["*"], "matcher": matcher}
    return {"name": names.INFERENCE_ROUTES, "virtual_hosts": [host]}


def mirror_routes(running: Iterable[Split]) -> Json:
    """All routes of the internal listener."""
    return mirrors.routes(
        {split.experiment.name: (split.mirror, split.experiment.resource_type) for split in running if split.mirror}
    )
