"""Which endpoints exist, and who answers there."""

from dataclasses import replace

import pytest

from extproc.core.resources import ResourceType, WhenUnavailable
from extproc.names import PROTOCOLS, Protocol
from extproc.xds.endpoints import Plain, Split, endpoints, splits
from extproc.xds.snapshot import ROUTES, build
from extproc.xds.world import Options, World
from tests.xds.given import a_model, a_world, an_experiment

MODELS = (a_model("iris"), a_model("iris2"), a_model("both", 2, grpc=3), a_model("rpc", grpc=4))
AB = an_experiment("ab", {"iris": 1, "iris2": 3}, default="iris")


def answers(world: World) -> dict[str, str]:
    """Who stands behind each endpoint: a model, or an experiment with its split over HTTP and gRPC."""
    found = {}
    for name, target in endpoints(world, splits(world)).items():
        match target:
            case Plain(model, resource_type):
                found[name] = f"{model.name} {resource_type}"
            case Split():
                http, grpc = ({m.name: w for m, w in target.weighted(p)} for p in ("http", "grpc"))
                found[name] = f"{target.experiment.name} {http} {grpc}"
    return found


def test_every_model_has_its_own() -> None:
    assert answers(a_world(MODELS[:2])) == {"iris": "iris MODEL", "iris2": "iris2 MODEL"}


def test_an_experiment_answers_for_its_default_and_under_its_own_name() -> None:
    split = "ab {'iris': 1, 'iris2': 3} {}"
    assert answers(a_world(MODELS[:2], [AB])) == {"iris": split, "iris2": "iris2 MODEL", "ab.experiment": split}


def test_without_a_default_nothing_is_intercepted() -> None:
    found = answers(a_world(MODELS[:2], [an_experiment("ab", {"iris": 1, "iris2": 1})]))
    assert set(found) == {"iris", "iris2", "ab.experiment"}
    assert found["iris"] == "iris MODEL"


def test_a_pipeline_experiment_answers_for_pipelines_too() -> None:
    experiment = an_experiment(
        "p", {"iris": 1, "iris2": 1}, default="iris", resource_type=ResourceType.PIPELINE, mirror=("both", 1)
    )
    split = "p {'iris': 1, 'iris2': 1} {}"
    assert answers(a_world(MODELS[:3], [experiment])) == {
        "iris": split,
        "iris.pipeline": split,
        "iris2": "iris2 MODEL",
        "iris2.pipeline": "iris2 PIPELINE",
        "both": "both MODEL",
        "both.pipeline": "both PIPELINE",
        "p.experiment": split,
    }


def test_each_protocol_has_its_own_split() -> None:
    world = a_world(MODELS, [an_experiment("x", {"iris": 1, "both": 2, "rpc": 3})])
    assert answers(world)["x.experiment"] == "x {'iris': 1, 'both': 2} {'both': 2, 'rpc': 3}"


@pytest.mark.parametrize(
    ("down", "expected"),
    [
        (["iris2"], "ab {'iris': 1} {}"),
        (["iris"], "ab {'iris2': 3} {}"),
        (["iris", "iris2"], "ab {'iris': 1} {}"),  # the default, for its own 503
    ],
)
def test_what_is_down_is_not_drawn(down: list[str], expected: str) -> None:
    found = answers(a_world(MODELS[:2], [AB], down=down))
    assert found["iris"] == found["ab.experiment"] == expected


def test_default_only() -> None:
    experiment = an_experiment(
        "ab", {"iris": 1, "iris2": 3}, default="iris", when_unavailable=WhenUnavailable.DEFAULT_ONLY
    )
    assert answers(a_world(MODELS[:2], [experiment], down=["iris2"]))["iris"] == "ab {'iris': 1} {}"


def test_others_answer_for_a_default_that_is_not_defined() -> None:
    assert answers(a_world(MODELS[1:2], [AB]))["iris"] == "ab {'iris2': 3} {}"


def test_nobody_answers_for_a_default_that_is_not_defined() -> None:
    assert answers(a_world((), [AB])) == {"ab.experiment": "ab {} {}"}


def test_the_mirror_is_no_candidate() -> None:
    world = a_world(MODELS[:3], [an_experiment("m", {"iris": 1, "gone": 1}, mirror=("both", 5))])
    (split,) = splits(world)
    assert [m.name for m in split.candidates] == ["iris"]
    assert [(mirror.name, rate) for mirror, rate in split.mirrors] == [("both", split.experiment.mirrors[0].millionths)]


def test_of_what_has_not_moved_nothing_is_asked_again() -> None:
    asked: list[str] = []
    trials = [an_experiment(f"e{i}", {"iris": 1, "iris2": 3}) for i in range(3)]
    world = a_world(MODELS[:2], trials)
    before, now = object(), object()
    served = build(replace(world, moves={"e0": before, "e1": before, "e2": before}), Options())

    def usable(backend: str, protocol: Protocol) -> bool:
        asked.append(backend)
        return world.usable(backend, protocol)

    others = (trials[0], an_experiment("e1", {"iris": 2, "iris2": 1}), trials[2])
    moves = {"e0": before, "e1": now, "e2": before}
    after = build(replace(world, experiments=others, usable=usable, moves=moves), Options(), served)
    assert len(asked) == 2 * len(PROTOCOLS), "both candidates of the one that has moved"
    assert [after.running[name] is served.running[name] for name in ("e0", "e1", "e2")] == [True, False, True]
    assert after.moves == moves
    assert after.resources[ROUTES] is served.resources[ROUTES], "the routes are what they were"
    again = build(replace(world, experiments=others), Options(), served)
    assert (again.running, again.overrides) == (after.running, after.overrides)
