"""Envoy's view of its clusters. The fixture is a real Envoy's; `fixtures/clusters/capture.py` made it."""

import json
from pathlib import Path

import pytest

from extproc.control.health import HealthView, read_clusters
from extproc.core.resources import Endpoint, Model

FIXTURE = Path(__file__).parents[1] / "fixtures" / "clusters" / "clusters.json"
AT = (Endpoint("127.0.0.1", 8081),)


def test_a_real_answer_says_which_clusters_have_a_host() -> None:
    view = read_clusters(json.loads(FIXTURE.read_text()))
    assert view == HealthView({"up": True, "down": False, "unchecked": True, "unresolved": False, "one-of-two": True})


@pytest.mark.parametrize(
    ("health", "ready"),
    [
        ({}, True),
        ({"eds_health_status": "HEALTHY"}, True),
        ({"eds_health_status": "DEGRADED"}, True),
        ({"eds_health_status": "UNHEALTHY"}, False),
        ({"eds_health_status": "DRAINING"}, False),
        ({"eds_health_status": "HEALTHY", "failed_active_health_check": True}, False),
        ({"eds_health_status": "HEALTHY", "failed_outlier_check": True}, False),
        ({"eds_health_status": "HEALTHY", "pending_active_hc": True}, False),
        ({"eds_health_status": "HEALTHY", "pending_dynamic_removal": True}, False),
        ({"eds_health_status": "HEALTHY", "failed_active_degraded_check": True}, True),
    ],
)
def test_a_host_takes_traffic_unless_a_flag_takes_it_out(health: dict[str, object], ready: bool) -> None:
    answer = {"cluster_statuses": [{"name": "iris", "host_statuses": [{"health_status": health}]}]}
    assert read_clusters(answer).clusters == {"iris": ready}


def test_a_model_is_looked_up_by_the_cluster_of_its_protocol() -> None:
    view = HealthView({"iris": True, "iris/grpc": False, "own": True})
    model = Model("iris", endpoints=AT, grpc_endpoints=AT)
    assert view.ready(model, "http")
    assert not view.ready(model, "grpc")
    assert view.ready(Model("wine", cluster="own"), "http")
    assert not view.ready(Model("warming", endpoints=AT), "http")


@pytest.mark.parametrize(
    "answer", [None, [], "ok", {"cluster_statuses": 1}, {"cluster_statuses": [{}]}, {"cluster_statuses": [[]]}]
)
def test_what_is_no_answer_of_envoys_says_so(answer: object) -> None:
    with pytest.raises(ValueError, match="admin"):
        read_clusters(answer)
