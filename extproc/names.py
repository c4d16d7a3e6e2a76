"""The wire vocabulary: every header, label, token, route and cluster name that leaves this process.

One name per thing, spelled here and nowhere else. Names of resources hold only lower-case letters, digits and
dashes, so the separators used below (`/`, `.`, `:`, `_`) can never occur inside one and every composed name has
exactly one reading.
"""

import re
from functools import lru_cache
from typing import Final, Literal

Protocol = Literal["http", "grpc"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("grpc", "http")  # the narrower match first: Envoy takes the first that fits

# Headers (Seldon Core 2's own names, then ours).
MODEL_HEADER: Final = "seldon-model"
ROUTE_HEADER: Final = "x-seldon-route"
INTERNAL_MODEL_HEADER: Final = "seldon-internal-model"
INTERNAL_PREFIX: Final = "x-extproc-"
LABEL_HEADER: Final = "x-extproc-route"
MIRROR_HEADER: Final = "x-extproc-mirror"
BODY_MODEL_HEADER: Final = "x-extproc-model"  # the model that a JSON body names
BODY_PROBLEM_HEADER: Final = "x-extproc-problem"  # why it names none
REQUEST_ID_HEADER: Final = "x-request-id"
# An id that may become a cookie's value: of what RFC 6265 (section 4.1.1) allows there, what ids are made of.
ISSUABLE: Final = "[-0-9A-Za-z_.~+/=:]+"

# Envoy's own names that both sides must agree on.
EXT_PROC_FILTER: Final = "envoy.filters.http.ext_proc"
ROUTE_NAME_ATTRIBUTE: Final = "xds.route_name"
# Where Envoy puts what an experiment's units are read from (wire/units.py).
UNIT_ATTRIBUTE: Final = "unit"
UNIT_COOKIE_ATTRIBUTE: Final = "unit.cookie "  # and the cookie's name; the value is the header's
UNIT_QUERY_ATTRIBUTE: Final = "unit.query "  # and the parameter's name; the value is the whole query
UNIT_ADDRESS_ATTRIBUTE: Final = "unit.address"
UNIT_ISSUED_ATTRIBUTE: Final = "unit.issued"  # what Envoy gives as a cookie to who has none
EXT_PROC_METHOD: Final = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
ADS_METHOD: Final = "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
ACCESS_LOG_METHOD: Final = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"

# Names in the generated Envoy configuration.
INFERENCE_LISTENER: Final = "inference"
INFERENCE_ROUTES: Final = "inference"
BODY_READER: Final = "extproc.body-reader"  # the filters for models that JSON bodies name
BODY_WRITER: Final = "extproc.body-writer"
BODY_GATE: Final = "extproc.body-gate"  # bounds what bodies are held, of either sort
V2_GUARD: Final = "extproc.v2-guard"  # and for those that gRPC messages name
V2_READER: Final = "extproc.v2-reader"
V2_NAMER: Final = "extproc.v2-namer"
V2_WRITER: Final = "extproc.v2-writer"
MIRRORS: Final = "mirrors"  # the internal listener and its route configuration, and the cluster that leads to it
EXT_PROC_CLUSTER: Final = "extproc"
XDS_CLUSTER: Final = "extproc-xds"
OTLP_CLUSTER: Final = "extproc-otlp"  # the collector of traces
OWN_FILTERS: Final = "extproc."  # what the names of further filters of ours begin with
RESERVED_FILTERS: Final = frozenset({EXT_PROC_FILTER, "envoy.filters.http.router"})
RESERVED_CLUSTERS: Final = frozenset({MIRRORS, EXT_PROC_CLUSTER, XDS_CLUSTER, OTLP_CLUSTER})

RESOURCE_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
RESOURCE_NAME_MAX: Final = 63
SERVED_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")
SERVED_NAME_IN_JSON: Final = re.compile(r"[!#-\[\]-~]([ !#-\[\]-~]*[!#-\[\]-~])?")  # what JSON takes as it stands
SERVED_NAME_MAX: Final = 255

CLUSTER_BACKEND: Final = "cluster/"  # no name of a Model begins so

EXPERIMENT_SUFFIX: Final = ".experiment"
PIPELINE_SUFFIX: Final = ".pipeline"
CLUSTER_SUFFIX: Final = ".cluster"  # in the token of a candidate that is a cluster of the user's own
RUNTIME_LAYER: Final = "extproc"  # of Envoy's runtime, and the resource that fills it
RUNTIME_PREFIX: Final = "extproc."  # of its keys
METADATA: Final = "extproc"  # the namespace of our metadata, a route's and a request's
FALLBACK: Final = "fallback"
MIRROR: Final = "mirror"
# In the place of a candidate: the default, as if there were no experiment. Names of resources hold no dot.
UNTOUCHED: Final = ".default"
# The same on Envoy's own fallback routes, whose name has to say why: nobody else does.
HOLDOUT: Final = ".holdout"
OTHER_SLOT: Final = ".other_slot"
NO_UNIT: Final = ".no_unit"
LEFT_ALONE: Final = frozenset({UNTOUCHED, HOLDOUT, OTHER_SLOT, NO_UNIT})


def label(experiment: str, candidate: str) -> str:
    """The value of `x-extproc-route`: all that a decision tells Envoy."""
    return f"{experiment}/{candidate}"


def decided_route(experiment: str, candidate: str, protocol: Protocol) -> str:
    """The route that serves a request extproc has decided."""
    return label(experiment, candidate) + ("/grpc" if protocol == "grpc" else "")


def intercept_route(experiment: str, candidate: str, protocol: Protocol) -> str:
    """The route that catches a request, asks extproc, and serves the request itself when extproc does not answer."""
    return f"{decided_route(experiment, candidate, protocol)}/{FALLBACK}"


def mirror_route(experiment: str, mirror: str, protocol: Protocol) -> str:
    """The route of the internal listener that carries an experiment's copies to its mirror."""
    return f"{decided_route(experiment, mirror, protocol)}/{MIRROR}"


def plain_route(endpoint: str, protocol: Protocol) -> str:
    """The route of an endpoint (`iris`, `p.pipeline`) that no experiment intercepts."""
    return f"endpoint.{endpoint}" + ("/grpc" if protocol == "grpc" else "")


@lru_cache(65_536)  # each decision asks; of 10,000 experiments, one of two routes each
def intercepted(route_name: str) -> tuple[str, Protocol]:
    """The experiment and protocol that an intercept route's name speaks of. Total: any text has a reading."""
    experiment, _, rest = route_name.partition("/")
    return experiment, "grpc" if rest.endswith(f"/grpc/{FALLBACK}") else "http"


def served(route_name: str) -> tuple[str, str, Protocol, str] | None:
    """Experiment, candidate and protocol of one of the three kinds of routes above, and FALLBACK, MIRROR or "".

    None for any other name. The candidate is always the second part, so it may be called `grpc` or `mirror` itself.
    """
    experiment, *rest = route_name.split("/")
    if not rest:
        return None
    candidate, *marks = rest
    protocol: Protocol = "http"
    if marks[:1] == ["grpc"]:
        protocol, marks = "grpc", marks[1:]
    mark = "".join(marks[:1])
    return (experiment, candidate, protocol, mark) if len(marks) < 2 and mark in {"", FALLBACK, MIRROR} else None


def model_cluster(model: str, protocol: Protocol) -> str:
    """The Envoy cluster generated for a Model's `endpoints` (its own name) or `grpc_endpoints`."""
    return f"{model}/grpc" if protocol == "grpc" else model


def cluster_backend(cluster: str) -> str:
    """What a cluster of the user's own is among all that experiments can name: never a model's name, however called."""
    return CLUSTER_BACKEND + cluster


def backend_cluster(backend: str) -> str:
    """The cluster of the user's own that a backend is; empty for a model."""
    return backend.removeprefix(CLUSTER_BACKEND) if backend.startswith(CLUSTER_BACKEND) else ""


def experiment_endpoint(experiment: str) -> str:
    return experiment + EXPERIMENT_SUFFIX


def pipeline_endpoint(pipeline: str) -> str:
    return pipeline + PIPELINE_SUFFIX
