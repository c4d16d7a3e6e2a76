"""Micro-benchmarks of what a change costs when there are many experiments, and of a start from nothing.

A change of one weight must cost about the same with thousands of experiments as with a hundred, up to the copying of
references; building Envoy's routes is allowed to take longer, since it has seconds.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import cycle

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from extproc.control.health import parse_clusters
from extproc.control.plane import Outlets, Plane
from extproc.core.offers import Document, Offer
from extproc.core.resources import Candidate, Endpoint, Experiment, Mirror, Model, Resource, kind_of
from extproc.core.table import Patch
from extproc.names import decided_route
from extproc.wire.ext_proc import Published
from extproc.xds.snapshot import FILLING, REMEMBERED, Snapshot, build
from extproc.xds.world import Options, World

MANY = pytest.mark.parametrize("experiments", [100, 2_000])
AT = (Endpoint("127.0.0.1", 8081),)


def trials(experiments: int) -> list[Experiment]:
    """Two candidates and a mirror each."""
    return [
        Experiment(f"e{i}", (Candidate(f"a{i}", 70), Candidate(f"b{i}", 30)), f"a{i}", Mirror(f"m{i}", 100_000))
        for i in range(experiments)
    ]


def models(experiments: int) -> list[Model]:
    return [Model(f"{letter}{i}", endpoints=AT) for i in range(experiments) for letter in "abm"]


def reweighed(trial: Experiment) -> Iterator[Experiment]:
    """The trial with one of two weights after the other, for ever."""
    first, second = trial.candidates
    for weight in cycle((1, 2)):
        yield replace(trial, candidates=(replace(first, weight=weight), second))


@MANY
def bench_weight_change_to_published(benchmark: BenchmarkFixture, experiments: int) -> None:
    """From a validated change to the patch that goes to the workers, and what they make of it."""
    published = Published()

    def publish(patch: Patch) -> None:
        nonlocal published
        published = published.patched(patch)

    plane = Plane(("files",), lambda _: (), Outlets(publish, lambda: None, lambda: datetime.now(UTC)))
    all_trials = trials(experiments)
    resources: list[Resource] = [*all_trials, *models(experiments)]
    offers = [Offer("a.json", "", kind_of(r), r.name, r) for r in resources]
    plane.offer("files", [Document("a.json", tuple(offers))])
    snapshot = Snapshot({}, frozenset(decided_route(t.name, c.name, "http") for t in all_trials for c in t.candidates))
    plane.built(snapshot, plane.state.effective)
    plane.accepted(snapshot, snapshot.decided)
    changes = reweighed(all_trials[7])

    def change() -> None:
        trial = next(changes)
        offers[7] = Offer("a.json", "", kind_of(trial), trial.name, trial)
        plane.offer("files", [Document("a.json", tuple(offers))])

    benchmark(change)
    assert published.table == plane.table


@MANY
@pytest.mark.parametrize("remembered", [False, True], ids=["from-nothing", "one-weight"])
def bench_build(benchmark: BenchmarkFixture, experiments: int, remembered: bool) -> None:
    """Envoy's configuration, and a new one after a change of one weight."""
    found = {model.name: model for model in models(experiments)}
    all_trials = tuple(trials(experiments))
    changes = reweighed(all_trials[7])

    def made() -> Snapshot:
        if not remembered:
            for function in REMEMBERED:
                function.forget()
            FILLING.forget()
        now = (*all_trials[:7], next(changes), *all_trials[8:])
        return build(World(now, found, {}, (), lambda _model, protocol: protocol == "http"), Options())

    made()
    built = benchmark.pedantic(made, rounds=3)  # type: ignore[no-untyped-call]
    assert len(built.decided) == 2 * experiments


@MANY
def bench_readiness(benchmark: BenchmarkFixture, experiments: int) -> None:
    """What Envoy's admin says of so many clusters."""
    status = (
        '{"name":"m%d","host_statuses":[{"address":{},"stats":[{"name":"cx_total","value":"1"}],"health_status":{}}]}'
    )
    body = f'{{"cluster_statuses":[{",".join(status % i for i in range(experiments))}]}}'.encode()
    assert len(benchmark(parse_clusters, body).clusters) == experiments
