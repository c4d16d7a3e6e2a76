"""Which models are ready: Envoy's own view of its clusters, read from its admin `/clusters?format=json`. Pure.

Must stay true: a view that could not be had says nothing; "unknown" is never "not ready".
Source: https://www.envoyproxy.io/docs/envoy/latest/api-v3/admin/v3/clusters.proto
"""

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


def read_clusters(answer: Mapping[str, Any]) -> HealthView:
    """The view in the parsed JSON of `/clusters?format=json`."""
    return HealthView({
        status["name"]: any(_takes_traffic(host.get("health_status", {})) for host in status.get("host_statuses", ()))
        for status in answer.get("cluster_statuses", ())
    })  # fmt: skip


def _takes_traffic(health: Mapping[str, Any]) -> bool:
    return not any(health.get(flag) for flag in _OUT_OF_ROTATION) and health.get("eds_health_status") not in _EDS_OUT
