"""What is written reads back as what it was, for every valid value."""

import json
import math
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extproc.core.matches import Match
from extproc.core.resources import (
    Api,
    Candidate,
    Endpoint,
    Experiment,
    Mirror,
    Model,
    Readiness,
    ResourceType,
    Retry,
    WhenUnavailable,
)
from extproc.core.rules import RETRY_ON, TIMEOUT_MAX, VERSION_MAX, WEIGHT_MAX
from extproc.core.units import Layer, OnMissing, Override, Stickiness, UnitSource
from extproc.names import RESERVED_CLUSTERS
from extproc.wire.manifests import write
from tests.wire.given import EXPERIMENT, MODEL, a_model, an_experiment, the_only

resource_names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True)
model_names = resource_names.filter(lambda name: name not in RESERVED_CLUSTERS)
ports = st.integers(1, 65535)
hosts = st.one_of(
    st.ip_addresses().map(str),
    st.sampled_from(["localhost", "iris.models.svc.cluster.local", "iris_2", "a.", "127.0.0.1"]),
)
endpoints = st.lists(st.builds(Endpoint, hosts, ports), max_size=3).map(tuple)
milliseconds = st.integers(0, TIMEOUT_MAX) | st.integers(0, 10_000)
millionths = st.integers(0, 1_000_000)
layers = st.builds(Layer, st.just("ranking"), st.integers(0, 500), st.integers(500, 999))
matches = st.sampled_from([
    Match.of({}),
    Match.of({"path": "/é", "headers": [{"name": "x", "range_match": {"start": -1, "end": 2**53 - 1}}]}),
    Match.of({"safe_regex": {"regex": "\\d+\"\n"}, "runtime_fraction": {"default_value": {"numerator": 7}}}),
])  # fmt: skip
units = st.builds(
    replace,
    st.sampled_from(
        [
            Stickiness(UnitSource.HEADER, "x-user"),
            Stickiness(UnitSource.COOKIE, "uid"),
            Stickiness(UnitSource.COOKIE, "uid", ttl=1500),
            Stickiness(UnitSource.QUERY, "user"),
            Stickiness(UnitSource.METADATA, "envoy.filters.http.jwt_authn", ("jwt", "sub")),
            Stickiness(UnitSource.SOURCE_IP),
        ]
    ),
    seed=st.sampled_from(["", "2026 spring/é"]),
    on_missing=st.sampled_from(OnMissing),
)


@st.composite
def models(draw: st.DrawFn) -> Model:
    http, grpc = draw(endpoints), draw(endpoints)
    cluster = "" if http else draw(st.sampled_from(["", "c"]))
    return Model(
        name=draw(model_names),
        version=draw(st.integers(1, VERSION_MAX)),
        endpoints=http,
        grpc_endpoints=grpc,
        cluster=cluster,
        grpc_cluster="g" if not (http or cluster or grpc) else "",
        served_name=draw(st.sampled_from(["", "Iris.v2", "a~b_c"])),
        readiness=Readiness(
            draw(st.sampled_from(["", "/", "/v2/x"])), draw(st.integers(100, 3_600_000)), draw(st.booleans())
        ),
        api=draw(st.sampled_from(Api)) if (http or cluster) and not grpc else Api.V2,
    )


@st.composite
def experiments(draw: st.DrawFn) -> Experiment:
    names = draw(st.lists(model_names, min_size=2, max_size=5, unique=True))
    weights = draw(st.lists(st.integers(0, WEIGHT_MAX), min_size=len(names) - 1, max_size=len(names) - 1).filter(any))
    candidates = tuple(Candidate(name, weight) for name, weight in zip(names[1:], weights, strict=True))
    default = draw(st.sampled_from(["", *names[1:]]))
    modes = [m for m in WhenUnavailable if default or m is not WhenUnavailable.DEFAULT_ONLY]
    mirrors = [names[0], *(f"{names[0]}-{i}" for i in range(3))][: draw(st.integers(0, 4))]
    mirrors = [name for name in mirrors if name not in names[1:]]
    stickiness = draw(st.none() | units)
    if stickiness and not default:
        stickiness = replace(stickiness, on_missing=OnMissing.DRAW)
    forced = draw(st.integers(0, 2)) if stickiness else 0
    # Between clusters a name is a label, and may be the cluster's own, or the only thing that is sendable about it.
    between = draw(st.booleans())
    clusters = {name: draw(st.sampled_from([name, f"outbound|80||{name}"])) if between else "" for name in names}
    mirrored = {name: name if between else "" for name in mirrors}
    candidates = tuple(Candidate(c.name, c.weight, clusters[c.name]) for c in candidates)
    conditions = st.lists(st.sampled_from(sorted(RETRY_ON)), min_size=1, max_size=4).map(tuple)
    return Experiment(
        name=draw(resource_names),
        candidates=candidates,
        default=default,
        mirrors=tuple(Mirror(name, draw(millionths), mirrored[name]) for name in mirrors),
        resource_type=ResourceType.MODEL if between else draw(st.sampled_from(ResourceType)),
        when_unavailable=draw(st.sampled_from(modes)),
        timeout=draw(milliseconds),
        retry=draw(st.none() | st.builds(Retry, st.integers(1, 10), conditions, milliseconds)),
        stickiness=stickiness,
        holdout=draw(millionths) if default else 0,
        overrides=tuple(Override(c.name, (f"u-{c.name}", "é" + c.name)) for c in candidates[:forced]),
        layer=draw(layers) if default and stickiness else None,
        match=draw(matches if between else st.none() | matches),
    )


@given(models() | experiments())
def test_what_is_written_reads_back(resource: Model | Experiment) -> None:
    assert the_only(json.dumps(write(resource))).resource == resource


@given(models() | experiments())
def test_what_is_written_is_canonical(resource: Model | Experiment) -> None:
    written = write(resource)
    assert write(resource_in(written)) == written
    assert all(key == "@type" or key == key.lower() for key in keys(written))


def test_what_is_a_default_anyway_is_left_out() -> None:
    for plain in (a_model(), an_experiment()):
        assert write(resource_in(plain)) == plain
    retry = an_experiment(retry={}, mirror={"name": "iris3", "percent": 12.5}, timeout="1.500s")
    assert write(resource_in(retry)) == {**retry, "timeout": "1.5s"}
    assert list(write(resource_in(a_model()))) == ["@type", "name", "endpoints"]
    assert write(resource_in(a_model()))["@type"] == MODEL
    assert write(resource_in(an_experiment()))["@type"] == EXPERIMENT


def test_a_whole_percentage_is_written_as_a_whole_number() -> None:
    written = write(resource_in(an_experiment(mirror={"name": "iris3", "percent": 10.0})))
    assert written["mirror"]["percent"] == 10
    assert isinstance(written["mirror"]["percent"], int)
    assert math.isclose(
        write(resource_in(an_experiment(mirror={"name": "m", "percent": 0.0001})))["mirror"]["percent"], 1e-4
    )


def resource_in(value: dict[str, Any]) -> Model | Experiment:
    resource = the_only(json.dumps(value)).resource
    assert isinstance(resource, Model | Experiment)
    return resource


def keys(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(key for item in value.values() for key in keys(item))]
    return [key for item in value for key in keys(item)] if isinstance(value, list) else []
