"""Routes that are under way: Envoy takes in one RouteConfiguration after the other, so none is sent in vain."""

from weakref import ref

from extproc.xds.discovery import Accepted, Refused, Request
from extproc.xds.snapshot import ROUTES, Snapshot
from extproc.xds.subscription import Subscription
from tests.xds.test_subscription import ModelEnvoy, connect, settle, snapshot


def with_routes(routes: str) -> Snapshot:
    """One of several snapshots that differ in routes alone."""
    return snapshot({"iris": "1", "iris2": "1"}, routes)


def running(envoy: ModelEnvoy) -> Subscription:
    """A subscription whose Envoy runs `with_routes("iris")`."""
    subscription = Subscription()
    subscription.set_snapshot(with_routes("iris"))
    connect(subscription, envoy)
    assert envoy.held[ROUTES] == {"inference": b"iris"}
    return subscription


def test_while_routes_are_under_way_only_the_latest_wait() -> None:
    """Envoy would take them all in, one after the other."""
    envoy = ModelEnvoy()
    subscription = running(envoy)
    (first,), _ = subscription.set_snapshot(with_routes("iris2"))
    assert subscription.set_snapshot(with_routes("iris,iris2")) == ([], [])
    assert subscription.set_snapshot(latest := with_routes("iris2,iris")) == ([], [])
    (last,), _ = subscription.receive(envoy.take(first))
    assert last.resources == latest.resources[ROUTES]
    assert subscription.receive(Request(ROUTES, "", first.nonce, ("inference",), "late complaint")) == ([], [])
    assert subscription.receive(envoy.take(last)) == ([], [Accepted(latest)])


def test_routes_that_are_to_be_as_they_were_are_sent_again_after_what_is_under_way() -> None:
    envoy = ModelEnvoy()
    subscription = running(envoy)
    sent, _ = subscription.set_snapshot(with_routes("iris2"))
    assert subscription.set_snapshot(again := with_routes("iris")) == ([], [])
    assert settle(subscription, envoy, sent, []) == [Accepted(again)]
    assert envoy.held[ROUTES] == {"inference": b"iris"}


def test_a_refusal_of_routes_is_of_what_was_sent_and_the_latest_follow() -> None:
    envoy = ModelEnvoy(refuses="iris2,iris")
    subscription = running(envoy)
    sent, _ = subscription.set_snapshot(bad := with_routes("iris2,iris"))
    assert subscription.set_snapshot(latest := with_routes("iris2")) == ([], [])
    assert settle(subscription, envoy, sent, []) == [Refused(bad, ROUTES, "refused by the model"), Accepted(latest)]


def test_routes_under_way_to_an_envoy_that_asks_for_more_are_sent_once_more() -> None:
    envoy = ModelEnvoy()
    subscription = running(envoy)
    (first,), _ = subscription.set_snapshot(with_routes("iris2"))
    (again,), _ = subscription.receive(Request(ROUTES, first.version, first.nonce, ("inference", "mirrors")))
    assert again.resources == first.resources


def test_nothing_that_envoy_has_answered_for_is_held() -> None:
    """Ten thousand experiments are 60 MiB."""
    envoy = ModelEnvoy()
    subscription = running(envoy)
    gone = ref(subscription.target)
    settle(subscription, envoy, *subscription.set_snapshot(with_routes("iris2")))
    assert gone() is None
