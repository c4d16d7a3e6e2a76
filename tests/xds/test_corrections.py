"""A stream that carries numbers apart from routes, driven by a model of Envoy that tells which weight is in force.

The weight of one candidate only ever grows, so that every old one that came back would be seen, however routes, runtime
and answers cross on their way.
"""

from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from extproc.names import RUNTIME_LAYER
from extproc.xds.discovery import TYPES, Accepted, Event, Refused
from extproc.xds.snapshot import ROUTES, RUNTIME, Snapshot, build
from extproc.xds.subscription import Subscription
from extproc.xds.world import Options
from tests.xds.given import a_model, a_world, an_experiment
from tests.xds.model_envoy import KEY, ModelEnvoy, number

MODELS = [a_model("a"), a_model("b"), a_model("c")]


def made(weight: int, others: int, served: Snapshot | None, reach: tuple[str, ...] = ("a", "b")) -> Snapshot:
    """`weight` of 1,000 for `a`, and so many unrelated experiments."""
    weights = dict(zip(reach, (weight, 1000 - weight, 0), strict=False))
    unrelated = [an_experiment(f"o{i}", {"c": 1}) for i in range(others)]
    return build(a_world(MODELS, [an_experiment("e", weights, default="a"), *unrelated]), Options(), served)


def talk(subscription: Subscription, envoy: ModelEnvoy, steps: int = 100) -> list[Event]:
    """Let both talk for so many responses, or until neither has anything to say."""
    heard: list[Event] = []
    while envoy.queue and steps:
        sent, said = subscription.receive(envoy.take())
        envoy.send(sent)
        heard += said
        steps -= 1
    return heard


def connect(subscription: Subscription, envoy: ModelEnvoy) -> list[Event]:
    heard: list[Event] = []
    for request in envoy.hello():
        sent, said = subscription.receive(request)
        envoy.send(sent)
        heard += said
    return heard + talk(subscription, envoy)


def aim(subscription: Subscription, envoy: ModelEnvoy, snapshot: Snapshot, steps: int = 100) -> list[Event]:
    sent, heard = subscription.set_snapshot(envoy.knows(snapshot))
    envoy.send(sent)
    return heard + talk(subscription, envoy, steps)


def running(weight: int) -> tuple[Subscription, ModelEnvoy, Snapshot]:
    """An Envoy that has everything, and what that is."""
    subscription, envoy, first = Subscription(), ModelEnvoy(), made(weight, 0, None)
    aim(subscription, envoy, first)
    connect(subscription, envoy)
    return subscription, envoy, first


def test_a_starting_envoy_gets_its_runtime_before_it_asks_for_anything_else() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    first = made(1, 0, None)
    aim(subscription, envoy, made(2, 0, envoy.knows(first)))
    sent, _ = subscription.receive(envoy.hello()[0])
    assert [(r.type_url, number(r.resources[RUNTIME_LAYER])) for r in sent] == [(RUNTIME, 2)]
    assert connect(Subscription(target=subscription.target), envoy) == [Accepted(subscription.target)]  # type: ignore[arg-type]
    assert envoy.weights == [2]


def test_a_change_of_numbers_is_one_small_response_and_accepted_with_it() -> None:
    subscription, envoy, first = running(1)
    envoy.sent.clear()
    second = made(2, 0, first)
    assert aim(subscription, envoy, second, steps=0) == []
    assert talk(subscription, envoy) == [Accepted(second)]
    assert envoy.sent == [RUNTIME]
    assert envoy.weights[-1] == 2
    back = made(1, 0, second)
    assert aim(subscription, envoy, back) == [Accepted(back)]
    assert envoy.runtime is None, "nothing is to be corrected any more"


def test_routes_that_are_sent_take_the_numbers_in_and_the_runtime_lets_go_of_them_afterwards() -> None:
    subscription, envoy, first = running(1)
    second = made(2, 0, first)
    aim(subscription, envoy, second)
    envoy.sent.clear()
    third = made(3, 1, second)
    assert not third.overrides
    assert aim(subscription, envoy, third) == [Accepted(third)]
    assert envoy.sent == [RUNTIME, ROUTES, RUNTIME]
    assert (envoy.routes, envoy.runtime) == (3, None)


def test_a_weight_does_not_wait_for_routes_that_are_on_their_way() -> None:
    subscription, envoy, first = running(1)
    second = made(1, 1, first)
    aim(subscription, envoy, second, steps=0)
    envoy.sent.clear()
    aim(subscription, envoy, made(5, 1, second), steps=0)
    assert envoy.sent == [RUNTIME]
    slow = envoy.queue.pop(0)  # the routes
    assert slow.type_url == ROUTES
    talk(subscription, envoy)
    assert envoy.weights[-1] == 5
    envoy.queue.insert(0, slow)
    talk(subscription, envoy)
    assert (envoy.routes, envoy.runtime, envoy.weights[-1]) == (1, 5, 5)


def test_a_weight_that_is_taken_back_does_not_come_with_routes_that_are_on_their_way() -> None:
    subscription, envoy, first = running(5)
    second = made(6, 1, first)
    aim(subscription, envoy, second, steps=0)
    aim(subscription, envoy, made(5, 2, second), steps=1)  # the runtime for the second
    aim(subscription, envoy, made(5, 2, second), steps=1)  # its routes
    assert (envoy.routes, envoy.runtime, envoy.weights[-2:]) == (6, 6, [6, 6])
    talk(subscription, envoy)
    assert envoy.weights == [5, 6, 6, 5, 5, 5]


def test_another_list_comes_into_force_as_a_whole() -> None:
    subscription, envoy, first = running(1)
    second = made(2, 0, first)
    aim(subscription, envoy, second)
    other = made(7, 0, second, reach=("a", "b", "c"))
    envoy.says[other.resources[ROUTES]["inference"]] = 7
    sent, _ = subscription.set_snapshot(other)
    assert [r.type_url for r in sent] == [ROUTES], "the numbers of the old list stay as they are"
    envoy.queue += sent
    assert talk(subscription, envoy) == [Accepted(other)]
    assert (envoy.routes, envoy.runtime) == (7, None)


@pytest.mark.parametrize("has_runtime", [True, False], ids=["refused", "not asked for"])
def test_an_envoy_that_takes_no_runtime_waits_for_routes_that_need_none(has_runtime: bool) -> None:
    subscription = Subscription()
    envoy = ModelEnvoy(has_runtime=has_runtime, refuses=frozenset({RUNTIME}))
    first = made(1, 0, None)
    second = made(2, 0, envoy.knows(first))
    aim(subscription, envoy, second)
    assert connect(subscription, envoy) == []
    assert ROUTES not in envoy.sent
    assert subscription.takes_no_runtime
    third = made(2, 0, None)
    assert aim(subscription, envoy, third) == [Accepted(third)]
    assert envoy.weights == [2]


def test_a_restarted_extproc_leaves_the_runtime_of_the_last_one_until_its_routes_are_sent() -> None:
    before, envoy, first = running(1)
    aim(before, envoy, made(2, 0, first))
    envoy.sent.clear()
    after = Subscription()
    second = made(2, 0, None)
    aim(after, envoy, second)
    assert connect(after, envoy) == [Accepted(second)]
    assert envoy.sent == [ROUTES, RUNTIME]
    assert (envoy.routes, envoy.runtime, envoy.weights[-1]) == (2, None, 2)


def test_a_restarted_extproc_recognises_what_its_envoy_has() -> None:
    _, envoy, _ = running(1)
    envoy.sent.clear()
    after = Subscription()
    aim(after, envoy, made(1, 0, None))
    assert connect(after, envoy) == [Accepted(made(1, 0, None))]
    assert envoy.sent == []


def test_if_a_restarted_extproc_s_routes_are_refused_the_old_ones_keep_their_runtime() -> None:
    before, envoy, first = running(1)
    aim(before, envoy, made(2, 0, first))
    envoy.refuses = frozenset({ROUTES})
    after = Subscription()
    second = made(2, 0, None)
    aim(after, envoy, second)
    assert connect(after, envoy) == [Refused(second, ROUTES, "no")]
    third = made(3, 0, second)
    assert aim(after, envoy, third) == []
    assert (envoy.routes, envoy.runtime, envoy.weights[-1]) == (1, 2, 2)
    envoy.refuses = frozenset()
    mended = made(3, 1, third)
    assert aim(after, envoy, mended) == [Accepted(mended)]
    assert (envoy.routes, envoy.runtime) == (3, None)
    assert envoy.weights == sorted(envoy.weights)


def test_what_the_runtime_holds_is_known_after_a_reconnection() -> None:
    """Else it would be taken back before the routes that need it, where those that follow have no such number."""
    before, envoy, first = running(1)
    second = made(2, 0, first)
    aim(before, envoy, second)
    after = Subscription(target=second)
    connect(after, envoy)
    sent, _ = after.set_snapshot(made(7, 0, second, reach=("a", "b", "c")))
    assert [r.type_url for r in sent] == [ROUTES], "the numbers of the old list stay as they are"


STEPS = st.integers(0, 3)
OPERATION = st.one_of(
    st.tuples(st.sampled_from(["weigh", "weigh", "other", "both"]), STEPS),
    st.tuples(st.sampled_from(["reconnect", "restart envoy", "restart extproc"]), st.just(0)),
)


@settings(max_examples=60)
@given(st.lists(OPERATION, max_size=10))
def test_no_old_weight_comes_back_whatever_crosses(operations: list[tuple[str, int]]) -> None:
    envoy, subscription = ModelEnvoy(), Subscription()
    weight, others = 1, 0
    latest = made(weight, others, None)
    aim(subscription, envoy, latest)
    connect(subscription, envoy)
    for operation, steps in operations:
        if operation in ("reconnect", "restart envoy", "restart extproc"):
            if operation == "restart extproc":
                latest = envoy.knows(made(weight, others, None))
            elif operation == "restart envoy":
                envoy.version, envoy.routes, envoy.runtime = dict.fromkeys(TYPES, ""), None, None
            subscription = Subscription(target=latest)
            connect(subscription, envoy)
            continue
        weight += operation in ("weigh", "both")
        others += operation in ("other", "both")
        latest = made(weight, others, latest)
        aim(subscription, envoy, latest, steps)
    talk(subscription, envoy)
    assert envoy.weights[-1] == weight
    assert subscription.accepted is latest
    assert _overrides(latest) == envoy.runtime
    assert envoy.weights == sorted(envoy.weights), "an old weight came back"


def _overrides(snapshot: Snapshot) -> int | None:
    held: Mapping[str, int] = snapshot.overrides.get("e", {})
    return held[KEY] // 1000 if KEY in held else None
