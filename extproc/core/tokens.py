"""`x-seldon-route` tokens: how a served candidate is written down, and how a client's header is read.

A token is `:<model>_<version>:`, `:<pipeline>.pipeline:` or `:<candidate>.cluster:`; several may follow each other in
one header, and HTTP may join several headers with commas. Reading is total: garbage is no token.
"""

from collections.abc import Iterator

from extproc import names
from extproc.core.resources import ResourceType
from extproc.core.upstreams import Server, Upstream


def served_as(model: Server, resource_type: ResourceType) -> str:
    """What `seldon-internal-model` says: `<model>_<version>`, or `<pipeline>.pipeline`; a cluster is not told."""
    if isinstance(model, Upstream):
        return model.name + names.CLUSTER_SUFFIX
    if resource_type is ResourceType.PIPELINE:
        return names.pipeline_endpoint(model.name)
    return f"{model.name}_{model.version}"


def token(served: str) -> str:
    """The route token of what `served_as` returned."""
    return f":{served}:"


def tokens(header: str) -> Iterator[str]:
    """Every text in `header` that has the shape of a token's inside, in order; the caller knows which ones exist."""
    for part in header.split(":")[1:-1]:
        if part:
            yield part
