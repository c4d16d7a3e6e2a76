"""Which models are ready: Envoy's own view of its clusters, read from its admin `/clusters?format=json`. Pure.

Must stay true: a view that could not be had says nothing; "unknown" is never "not ready".
Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/clusters.proto
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from extproc import names
from extproc.core.resources import Model

# Any of these takes a host out of Envoy's load balancing. `pending_active_hc` marks a host before its first check.
_OUT_OF_ROTATION: Final = (
    "failed_active_health_check",
    "failed_outlier_check",
    "pending_dynamic_removal",
    "pending_active_hc",
    "excluded_via_immediate_hc_fail",
    "active_hc_timeout",
)
_EDS_OUT: Final = ("UNHEALTHY", "DRAINING", "TIMEOUT")


@dataclass(frozen=True, slots=True)
class HealthView:
    """Envoy's clusters by name: true when at least one host takes traffic. A cluster that is warming is not in it."""

    clusters: Mapping[str, bool]

    def ready(self, model: Model, protocol: names.Protocol) -> bool:
        """Whether Envoy would find a host for this model."""
        given = model.grpc_cluster if protocol == "grpc" else model.cluster
        return self.clusters.get(given or names.model_cluster(model.name, protocol), False)


def read_clusters(answer: Any) -> HealthView:
    """The view in the parsed JSON of `/clusters?format=json`. Raises ValueError for anything else."""
    try:
        return HealthView({
            str(status["name"]): any(
                _takes_traffic(host.get("health_status", {})) for host in status.get("host_statuses", ())
            )
            for status in answer.get("cluster_statuses", ())
        })  # fmt: skip
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError("this is not what an Envoy's admin says of its clusters") from error


def parse_clusters(body: bytes) -> HealthView:
    """The view in the bytes of `/clusters?format=json`. Raises ValueError for anything else.

    Read cluster by cluster: 30,000 of them are 36 MB, which a thread that parses them in one go would keep all others
    waiting for.
    """
    text = body.decode()
    begin = _BEGIN.match(text)
    if begin is None:
        return read_clusters(json.loads(text))
    found: dict[str, bool] = {}
    at = begin.end()
    while True:
        status, at = _DECODER.raw_decode(text, at)
        found |= read_clusters({"cluster_statuses": [status]}).clusters
        separator = _NEXT.match(text, at)
        if separator is None:
            break
        at = separator.end()
    if not _END.fullmatch(text, at):
        raise ValueError("this is not what an Envoy's admin says of its clusters")
    return HealthView(found)


_DECODER: Final = json.JSONDecoder()
_BEGIN: Final = re.compile(r'\s*\{\s*"cluster_statuses"\s*:\s*\[\s*(?=\{)')
_NEXT: Final = re.compile(r"\s*,\s*")
_END: Final = re.compile(r"\s*\]\s*\}\s*")


def has_hosts(cluster: Mapping[str, Any]) -> bool:
    """Whether Envoy knows the hosts of a user's Cluster before there are requests for them.

    An aggregate cluster has none of its own, and one that takes them from requests has none at first; nothing is known
    of their readiness then (https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/service_discovery).
    """
    custom = cluster.get("cluster_type") or cluster.get("clusterType")
    return not custom and cluster.get("type") not in ("ORIGINAL_DST", 4)  # a number is the enum's, in proto3 JSON


def _takes_traffic(health: Mapping[str, Any]) -> bool:
    return not any(health.get(flag) for flag in _OUT_OF_ROTATION) and health.get("eds_health_status") not in _EDS_OUT
