"""The table: every decision numbered, and a label only ever for a route that Envoy has accepted."""

import dataclasses
from collections.abc import Callable, Container
from typing import Any

import pytest

from extproc import names
from extproc.core.compilation import compile_table
from extproc.core.resources import Candidate, Endpoint, Experiment, Model, ResourceType, WhenUnavailable
from extproc.core.table import EMPTY, Decision, Entry, Outcome, Table


class Everything(Container[Any]):
    def __contains__(self, _: object) -> bool:
        return True


EVERYTHING = Everything()


def model(name: str, version: int = 1) -> Model:
    return Model(name, version, endpoints=(Endpoint("127.0.0.1", 8080),))


MODELS = {m.name: m for m in (model("iris"), model("iris2", 7), model("iris3"), model("grpc"))}
AB = Experiment("ab", (Candidate("iris", 70), Candidate("iris2", 30)), default="iris")
ZERO = Experiment("zero", (Candidate("iris3", 5), Candidate("iris", 0)))


def always(_model: str, _protocol: names.Protocol) -> bool:
    return True


def table(
    *experiments: Experiment,
    usable: Callable[[str, names.Protocol], bool] = always,
    accepted: Container[str] = EVERYTHING,
) -> Table:
    return compile_table(experiments, MODELS, usable, accepted)


def decisions(entry: Entry) -> list[Decision]:
    return [*entry.afresh, *entry.stale, *entry.sticky.values()]


def drawn(entry: Entry) -> list[tuple[str, Outcome]]:
    return [(d.candidate, d.outcome) for d in entry.afresh]


def test_without_experiments_the_table_is_empty() -> None:
    assert table() == EMPTY == Table({})


def test_an_experiment_has_an_entry_for_each_protocol() -> None:
    compiled = table(AB, ZERO)
    assert set(compiled.entries) == {("ab", "http"), ("ab", "grpc"), ("zero", "http"), ("zero", "grpc")}
    assert compiled.entries["ab", "http"] == compiled.entries["ab", "grpc"]


def test_every_decision_is_told_under_its_own_label() -> None:
    compiled = table(AB, ZERO)
    for (experiment, _), entry in compiled.entries.items():
        for decision in decisions(entry):
            assert decision.experiment == experiment
            assert decision.label == names.label(experiment, decision.candidate)


def test_a_decision_knows_its_share_and_revision() -> None:
    half = dataclasses.replace(AB, candidates=(*AB.candidates, Candidate("iris3", 0)))
    entry = compile_table([half], MODELS, always, EVERYTHING, {"ab": 4}).entries["ab", "http"]
    shares = {"iris": 0.7, "iris2": 0.3, "iris3": 0.0}
    assert {(d.candidate, d.share) for d in entry.sticky.values()} == set(shares.items())
    assert [d.share for d in entry.afresh] == [d.share for d in entry.stale] == [0.7, 0.3]
    assert {d.revision for d in decisions(entry)} == {4}
    left = compile_table([AB], MODELS, always, (), {"ab": 4}).entries["ab", "http"]
    assert {(d.share, d.revision) for d in decisions(left)} == {(0.0, 4)}


def test_an_entry_holds_the_users_weights_and_every_token() -> None:
    entry = table(AB).entries["ab", "http"]
    assert entry.cumulative == (70, 100)
    assert drawn(entry) == [("iris", Outcome.WEIGHTED), ("iris2", Outcome.WEIGHTED)]
    assert [d.outcome for d in entry.stale] == [Outcome.STALE_TOKEN, Outcome.STALE_TOKEN]
    assert entry.sticky == {
        "iris_1": Decision("ab", "iris", Outcome.STICKY, "ab/iris", share=0.7),
        "iris2_7": Decision("ab", "iris2", Outcome.STICKY, "ab/iris2", share=0.3),
    }


def test_a_candidate_of_weight_zero_is_not_drawn_and_keeps_its_token() -> None:
    entry = table(ZERO).entries["zero", "http"]
    assert drawn(entry) == [("iris3", Outcome.WEIGHTED)]
    assert entry.sticky.keys() == {"iris3_1", "iris_1"}


def test_pipelines_have_their_own_tokens() -> None:
    pipelines = dataclasses.replace(AB, resource_type=ResourceType.PIPELINE)
    assert table(pipelines).entries["ab", "http"].sticky.keys() == {"iris.pipeline", "iris2.pipeline"}


def test_a_candidate_that_no_model_defines_has_no_token() -> None:
    compiled = compile_table([AB], {"iris": MODELS["iris"]}, lambda name, _: name == "iris", EVERYTHING)
    assert compiled.entries["ab", "http"].sticky.keys() == {"iris_1"}


def test_availability_is_judged_for_each_protocol() -> None:
    compiled = table(AB, usable=lambda name, protocol: (name, protocol) != ("iris2", "grpc"))
    assert drawn(compiled.entries["ab", "http"]) == [("iris", Outcome.WEIGHTED), ("iris2", Outcome.WEIGHTED)]
    assert drawn(compiled.entries["ab", "grpc"]) == [("iris", Outcome.WEIGHTED)]
    assert compiled.entries["ab", "grpc"].sticky.keys() == {"iris_1"}


@pytest.mark.parametrize("when", [WhenUnavailable.AVAILABLE_CANDIDATES, WhenUnavailable.DEFAULT_ONLY])
def test_the_default_stands_in_under_a_name_of_its_own(when: WhenUnavailable) -> None:
    entry = table(dataclasses.replace(AB, when_unavailable=when), usable=lambda _, __: False).entries["ab", "http"]
    assert entry.cumulative == (1,)
    assert drawn(entry) == [("iris", Outcome.UNAVAILABLE)]
    assert [d.outcome for d in entry.stale] == [Outcome.UNAVAILABLE]
    assert not entry.sticky


def test_with_nothing_available_and_no_default_envoy_is_left_alone() -> None:
    entry = table(ZERO, usable=lambda _, __: False).entries["zero", "http"]
    assert set(decisions(entry)) == {Decision("zero", "", Outcome.UNAVAILABLE)}


def test_an_envoy_that_knows_nothing_is_told_nothing() -> None:
    compiled = table(AB, ZERO, accepted=())
    for entry in compiled.entries.values():
        assert {(d.label, d.candidate, d.outcome) for d in decisions(entry)} == {("", "", Outcome.NOT_ACCEPTED)}


def test_while_one_drawn_route_is_missing_envoy_draws_and_known_tokens_count() -> None:
    entry = table(AB, accepted={"ab/iris2"}).entries["ab", "http"]
    assert entry.afresh == entry.stale == (Decision("ab", "", Outcome.NOT_ACCEPTED),)
    assert entry.cumulative == (1,)
    assert entry.sticky == {"iris2_7": Decision("ab", "iris2", Outcome.STICKY, "ab/iris2", share=0.3)}


def test_a_route_that_is_never_drawn_holds_nothing_back() -> None:
    entry = table(ZERO, accepted={"zero/iris3"}).entries["zero", "http"]
    assert drawn(entry) == [("iris3", Outcome.WEIGHTED)]
    assert entry.sticky.keys() == {"iris3_1"}


def test_a_route_of_an_unavailable_candidate_holds_nothing_back() -> None:
    entry = table(AB, usable=lambda name, _: name == "iris", accepted={"ab/iris"}).entries["ab", "http"]
    assert drawn(entry) == [("iris", Outcome.WEIGHTED)]


def test_acceptance_is_judged_for_each_protocol() -> None:
    compiled = table(AB, accepted={"ab/iris/grpc", "ab/iris2/grpc"})
    assert drawn(compiled.entries["ab", "grpc"]) == [("iris", Outcome.WEIGHTED), ("iris2", Outcome.WEIGHTED)]
    assert drawn(compiled.entries["ab", "http"]) == [("", Outcome.NOT_ACCEPTED)]


def test_a_default_that_stands_in_needs_its_route_too() -> None:
    entry = table(AB, usable=lambda _, __: False, accepted={"ab/iris2"}).entries["ab", "http"]
    assert drawn(entry) == [("", Outcome.NOT_ACCEPTED)]


@pytest.mark.parametrize("accepted", [(), {"ab/iris"}, {"ab/iris/grpc"}, {"ab/iris", "ab/iris2"}, EVERYTHING])
def test_no_label_without_an_accepted_route(accepted: Container[str]) -> None:
    for (experiment, protocol), entry in table(AB, ZERO, accepted=accepted).entries.items():
        for decision in decisions(entry):
            if decision.label:
                assert names.decided_route(experiment, decision.candidate, protocol) in accepted


def test_the_names_grpc_fallback_and_mirror_are_free_for_models() -> None:
    odd = Experiment("fallback", (Candidate("grpc", 1), Candidate("mirror", 1)))
    models = {name: model(name) for name in ("grpc", "mirror")}
    accepted = {names.decided_route("fallback", name, "http") for name in models}
    compiled = compile_table([odd], models, always, accepted)
    assert drawn(compiled.entries["fallback", "http"]) == [("grpc", Outcome.WEIGHTED), ("mirror", Outcome.WEIGHTED)]
    assert drawn(compiled.entries["fallback", "grpc"]) == [("", Outcome.NOT_ACCEPTED)]


def test_a_table_can_not_be_changed() -> None:
    compiled = table(AB)
    with pytest.raises(dataclasses.FrozenInstanceError):
        compiled.entries = {}  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        compiled.entries["ab", "http"].sticky = {}  # type: ignore[misc]
