"""The metrics: a table of all with their names; `numbers` has the function that reads each from what was seen.

Names and units are as https://prometheus.io/docs/practices/naming/ has them. Labels hold names of configured things and
words of fixed sets, nothing that a request brings: how many series there are is bounded by what is configured. An
experiment that is gone for its retention time is in no Reading any more.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from prometheus_client.metrics_core import Metric

from extproc.telemetry import numbers
from extproc.telemetry.families import Family, HistogramFamily
from extproc.telemetry.readings import Reading

_ONE: Final = ("experiment",)
_EACH: Final = ("experiment", "candidate")
_ANSWERER: Final = (*_EACH, "role")

FAMILIES: Final[Sequence[Family[numbers.Seen] | HistogramFamily[numbers.Seen]]] = (
    Family(
        "extproc_decisions_total",
        "Decisions that extproc has taken, by why.",
        (*_EACH, "outcome"),
        "counter",
        numbers.decisions,
    ),
    HistogramFamily(
        "extproc_decision_seconds",
        "From a request's arrival at extproc to its reply; a sample, in which each stands for those not measured.",
        (),
        numbers.decision_seconds,
    ),
    Family(
        "extproc_requests_total",
        "Requests that were answered, by who answered (role mirror: copies; holdout, other_slot and no_unit: requests"
        " that were left to the default) and the class of the status; 0 for no answer at all.",
        (*_ANSWERER, "code_class"),
        "counter",
        numbers.requests,
    ),
    HistogramFamily(
        "extproc_request_seconds",
        "From a request's first byte to its end, as Envoy saw it.",
        _ANSWERER,
        numbers.request_seconds,
    ),
    Family(
        "extproc_fallback_requests_total",
        "Requests that Envoy split by itself: extproc did not answer in time, or left them to Envoy.",
        _EACH,
        "counter",
        numbers.fallbacks,
    ),
    Family("extproc_candidate_ready", "Whether requests may be sent there.", _ANSWERER, "gauge", numbers.ready),
    Family("extproc_candidate_weight", "The weight as it is configured.", _EACH, "gauge", numbers.weight),
    Family(
        "extproc_candidate_share",
        "The part of fresh assignments that a candidate is to get now, 0 to 1: its weight among those that are ready.",
        _EACH,
        "gauge",
        numbers.share,
    ),
    Family(
        "extproc_mirror_ratio",
        "The part of requests that is copied to a mirror, 0 to 1.",
        _EACH,
        "gauge",
        numbers.mirror,
    ),
    Family("extproc_holdout_ratio", "The part of units that is held out, 0 to 1.", _ONE, "gauge", numbers.holdout),
    Family(
        "extproc_experiment_state",
        "1 for the state that an experiment is in, 0 for every other.",
        (*_ONE, "state"),
        "gauge",
        numbers.state,
    ),
    Family("extproc_experiment_revision", "The revision in force.", _ONE, "gauge", numbers.revision),
    Family(
        "extproc_split_requests",
        "Fresh weighted assignments in the revision in force: what is compared with the weights.",
        _ONE,
        "gauge",
        numbers.split_requests,
    ),
    Family(
        "extproc_split_observed_ratio", "The part of them that a candidate got.", _EACH, "gauge", numbers.split_observed
    ),
    Family(
        "extproc_split_expected_ratio",
        "The part of them that it should have got, by the shares in effect at the time of each.",
        _EACH,
        "gauge",
        numbers.split_expected,
    ),
    Family(
        "extproc_split_p_value",
        "How probable it is that a split that works misses by so much (chi-squared).",
        _ONE,
        "gauge",
        numbers.split_p_value,
    ),
    Family(
        "extproc_split_mismatch",
        "1 while the p-value is under 0.001: requests do not go where the weights send them.",
        _ONE,
        "gauge",
        numbers.split_mismatch,
    ),
    Family(
        "extproc_resource_problems",
        "What is wrong with resources that were not taken, by their type.",
        ("type",),
        "gauge",
        numbers.resource_problems,
    ),
    Family("extproc_xds_acks_total", "Configurations that an Envoy took.", ("type",), "counter", numbers.acks),
    Family("extproc_xds_nacks_total", "Configurations that an Envoy refused.", ("type",), "counter", numbers.nacks),
    Family("extproc_envoys_connected", "Envoys that take their configuration from here.", (), "gauge", numbers.envoys),
    Family(
        "extproc_spans_dropped_total", "Spans that did not reach the collector.", (), "counter", numbers.spans_dropped
    ),
    Family("extproc_build_info", "Always 1.", ("version",), "gauge", numbers.build_info),
)


def families(reading: Reading) -> Iterator[Metric]:
    """Every metric of what was read."""
    seen = numbers.Seen.of(reading)
    return (family.metric(seen) for family in FAMILIES)
