"""One Envoy's stream as a pure object, driven by a model of Envoy that checks the order of every change."""

from collections.abc import Mapping

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from extproc.xds.discovery import ORDER, Accepted, Event, Refused, Request, Response
from extproc.xds.snapshot import CLUSTER, LISTENER, ROUTES, Snapshot, version_of
from extproc.xds.subscription import Subscription


def snapshot(clusters: Mapping[str, str], routes: str = "") -> Snapshot:
    """A snapshot whose one route configuration names all its clusters, unless told otherwise."""
    named = routes or ",".join(sorted(clusters))
    return Snapshot(
        {
            CLUSTER: {name: body.encode() for name, body in clusters.items()},
            LISTENER: {"inference": b"listener"},
            ROUTES: {"inference": named.encode()},
        },
        frozenset(clusters),
    )


class ModelEnvoy:
    """What Envoy does with responses, and what it must never see: routes that name a cluster it does not have."""

    def __init__(self, refuses: str = "\0") -> None:
        self.held: dict[str, dict[str, bytes]] = {url: {} for url in ORDER}
        self.version = dict.fromkeys(ORDER, "")
        self.refuses = refuses
        self.received: list[tuple[str, tuple[str, ...]]] = []

    def names(self, url: str) -> tuple[str, ...]:
        return ("inference",) if url == ROUTES else ()

    def hello(self) -> list[Request]:
        return [Request(url, self.version[url], "", self.names(url)) for url in ORDER]

    def take(self, response: Response) -> Request:
        url = response.type_url
        self.received.append((url, tuple(sorted(response.resources))))
        if any(self.refuses in body.decode() for body in response.resources.values()):
            return Request(url, self.version[url], response.nonce, self.names(url), "refused by the model")
        self.held[url] = dict(response.resources)
        self.version[url] = response.version
        for named in self.held[ROUTES].get("inference", b"").decode().split(","):
            assert not named or named in self.held[CLUSTER], f"routes name {named}, clusters are {self.held[CLUSTER]}"
        return Request(url, response.version, response.nonce, self.names(url))


def settle(subscription: Subscription, envoy: ModelEnvoy, sent: list[Response], events: list[Event]) -> list[Event]:
    """Let both talk until neither has anything to say."""
    queue, heard = list(sent), list(events)
    while queue:
        more, said = subscription.receive(envoy.take(queue.pop(0)))
        queue += more
        heard += said
    return heard


def connect(subscription: Subscription, envoy: ModelEnvoy) -> list[Event]:
    heard: list[Event] = []
    for request in envoy.hello():
        heard += settle(subscription, envoy, *subscription.receive(request))
    return heard


def release(subscription: Subscription, envoy: ModelEnvoy, snapshot: Snapshot) -> None:
    assert settle(subscription, envoy, subscription.release(snapshot), []) == []


def test_a_new_envoy_gets_clusters_then_listeners_then_routes_and_is_accepted_once() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    first = snapshot({"iris": "1"})
    assert subscription.set_snapshot(first) == ([], [])
    assert connect(subscription, envoy) == [Accepted(first)]
    assert [url for url, _ in envoy.received] == [CLUSTER, LISTENER, ROUTES]


def test_a_change_adds_clusters_then_switches_routes_then_removes_clusters() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    subscription.set_snapshot(snapshot({"iris": "1", "iris2": "1"}))
    connect(subscription, envoy)
    envoy.received.clear()
    after = snapshot({"iris": "1", "iris3": "1"})
    assert settle(subscription, envoy, *subscription.set_snapshot(after)) == [Accepted(after)]
    assert envoy.held[CLUSTER].keys() == {"iris", "iris2", "iris3"}
    release(subscription, envoy, after)
    assert envoy.received == [
        (CLUSTER, ("iris", "iris2", "iris3")),
        (ROUTES, ("inference",)),
        (CLUSTER, ("iris", "iris3")),
    ]


def test_what_was_overtaken_is_not_released() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    first, second = snapshot({"iris": "1"}), snapshot({"iris2": "1"})
    subscription.set_snapshot(first)
    connect(subscription, envoy)
    settle(subscription, envoy, *subscription.set_snapshot(second))
    assert subscription.release(first) == []
    subscription.set_snapshot(first)
    assert subscription.release(second) == []


def test_an_equal_snapshot_sends_nothing_and_is_accepted() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    subscription.set_snapshot(snapshot({"iris": "1"}))
    connect(subscription, envoy)
    again = snapshot({"iris": "1"})
    assert subscription.set_snapshot(again) == ([], [Accepted(again)])


def test_an_envoy_that_already_runs_it_is_recognised_after_a_restart_of_extproc() -> None:
    before, envoy = Subscription(), ModelEnvoy()
    before.set_snapshot(snapshot({"iris": "1"}))
    connect(before, envoy)
    envoy.received.clear()
    after = Subscription()
    same = snapshot({"iris": "1"})
    after.set_snapshot(same)
    assert connect(after, envoy) == [Accepted(same)]
    assert envoy.received == []


def test_after_a_restart_with_another_configuration_the_old_clusters_stay_until_the_routes_are_switched() -> None:
    """The routes in force are of the extproc before; its clusters are remembered, if they are what Envoy runs."""
    before, envoy = Subscription(), ModelEnvoy()
    old = snapshot({"iris": "1", "iris2": "1"})
    before.set_snapshot(old)
    connect(before, envoy)
    envoy.received.clear()
    after = Subscription(remembered=before.may_run)
    new = snapshot({"iris": "1", "iris3": "1"})
    after.set_snapshot(new)
    assert connect(after, envoy) == [Accepted(new)]
    release(after, envoy, new)
    assert envoy.received == [
        (CLUSTER, ("iris", "iris2", "iris3")),
        (ROUTES, ("inference",)),
        (CLUSTER, ("iris", "iris3")),
    ]


@pytest.mark.parametrize("acks", [False, True])
def test_what_was_on_its_way_when_a_stream_ended_is_remembered_too(acks: bool) -> None:
    """Of two changes Envoy has taken the first, and the stream ends before or after it could say so."""
    before, envoy = Subscription(), ModelEnvoy()
    before.set_snapshot(snapshot({"iris": "1"}))
    connect(before, envoy)
    (sent,), _ = before.set_snapshot(snapshot({"iris": "1", "iris2": "1"}))
    ack = envoy.take(sent)
    if acks:
        before.receive(ack)
    before.set_snapshot(snapshot({"iris": "1", "iris3": "1"}))
    assert before.may_run[envoy.version[CLUSTER]].keys() == {"iris", "iris2"}
    assert len(before.may_run) == (2 if acks else 3)


def test_what_is_remembered_counts_only_if_envoy_runs_it() -> None:
    envoy = ModelEnvoy()
    subscription = Subscription(remembered={"other": {"gone": b"1"}})
    subscription.set_snapshot(snapshot({"iris": "1"}))
    connect(subscription, envoy)
    assert envoy.received[0] == (CLUSTER, ("iris",))


def test_a_refusal_is_told_once_and_the_next_snapshot_does_not_carry_what_was_refused() -> None:
    subscription, envoy = Subscription(), ModelEnvoy(refuses="bad")
    good = snapshot({"iris": "1"})
    subscription.set_snapshot(good)
    connect(subscription, envoy)
    envoy.received.clear()
    bad = snapshot({"iris": "1", "foreign": "bad"})
    heard = settle(subscription, envoy, *subscription.set_snapshot(bad))
    assert heard == [Refused(bad, CLUSTER, "refused by the model")]
    assert subscription.accepted is good
    assert [names for _, names in envoy.received] == [("foreign", "iris")]
    assert subscription.set_snapshot(bad) == ([], [])  # not sent again
    repaired = snapshot({"iris": "2"})
    assert settle(subscription, envoy, *subscription.set_snapshot(repaired)) == [Accepted(repaired)]
    assert "foreign" not in dict(envoy.received)[CLUSTER] or envoy.held[CLUSTER].keys() == {"iris"}


def test_what_envoy_may_have_taken_of_a_refused_response_is_taken_back() -> None:
    """Envoy adds the sound clusters of a response it refuses, so its last ACK does not say what it runs."""
    subscription, envoy = Subscription(), ModelEnvoy(refuses="bad")
    good = snapshot({"iris": "1"})
    subscription.set_snapshot(good)
    connect(subscription, envoy)
    settle(subscription, envoy, *subscription.set_snapshot(snapshot({"iris": "2", "foreign": "bad"})))
    envoy.held[CLUSTER]["iris"] = b"2"
    again = snapshot({"iris": "1"})
    assert settle(subscription, envoy, *subscription.set_snapshot(again)) == [Accepted(again)]
    assert envoy.held[CLUSTER] == {"iris": b"1"}


def test_an_answer_to_an_overtaken_response_is_ignored() -> None:
    subscription, envoy = Subscription(), ModelEnvoy()
    subscription.set_snapshot(snapshot({"iris": "1"}))
    (old,), _ = subscription.receive(Request(CLUSTER, "", "", ()))
    newer = snapshot({"iris": "2"})
    (new,), _ = subscription.set_snapshot(newer)
    assert subscription.receive(envoy.take(old)) == ([], [])
    assert subscription.receive(Request(CLUSTER, "", old.nonce, (), "late complaint")) == ([], [])
    subscription.receive(envoy.take(new))
    assert envoy.version[CLUSTER] == version_of(newer.resources[CLUSTER])


def test_a_subscription_that_grows_is_answered_with_the_new_names() -> None:
    subscription = Subscription()
    world = Snapshot(
        {CLUSTER: {}, LISTENER: {}, ROUTES: {"inference": b"i", "mirrors": b"m"}}, frozenset()
    )  # fmt: skip
    subscription.set_snapshot(world)
    for url in (CLUSTER, LISTENER):
        (response,), _ = subscription.receive(Request(url, "", "", ()))
        subscription.receive(Request(url, response.version, response.nonce, ()))
    (first,), _ = subscription.receive(Request(ROUTES, "", "", ("inference",)))
    assert set(first.resources) == {"inference"}
    subscription.receive(Request(ROUTES, first.version, first.nonce, ("inference",)))
    (second,), _ = subscription.receive(Request(ROUTES, first.version, first.nonce, ("inference", "mirrors")))
    assert set(second.resources) == {"inference", "mirrors"}


@pytest.mark.parametrize("url", ["", "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"])
def test_types_that_are_not_served_are_left_unanswered(url: str) -> None:
    subscription = Subscription()
    subscription.set_snapshot(snapshot({"iris": "1"}))
    assert subscription.receive(Request(url, "", "", ())) == ([], [])


CLUSTERS = st.dictionaries(st.sampled_from("abcde"), st.sampled_from("123"), max_size=5)


@settings(max_examples=500)
@given(st.lists(st.tuples(CLUSTERS, st.integers(0, 3), st.booleans()), min_size=1, max_size=8))
def test_whatever_changes_in_whatever_order_envoy_never_routes_to_a_cluster_it_does_not_have(
    changes: list[tuple[dict[str, str], int, bool]],
) -> None:
    """Snapshots arrive, and clusters are released, while answers to earlier ones are still on their way; Envoy ends
    with the last one.
    """
    subscription, envoy = Subscription(), ModelEnvoy()
    queue: list[Response] = []
    subscription.set_snapshot(snapshot({"a": "0"}))
    connect(subscription, envoy)
    last = None
    for clusters, answered, released in changes:
        last = snapshot(clusters)
        sent, _ = subscription.set_snapshot(last)
        queue += sent
        for _ in range(answered):
            if queue:
                more, _ = subscription.receive(envoy.take(queue.pop(0)))
                queue += more
        if released:
            queue += subscription.release(last)
    settle(subscription, envoy, queue, [])
    assert last is not None
    release(subscription, envoy, last)
    assert subscription.accepted is last
    assert envoy.held == last.resources


@given(st.lists(CLUSTERS, min_size=1, max_size=5))
def test_the_version_of_equal_resources_is_equal_and_of_others_is_not(all_clusters: list[dict[str, str]]) -> None:
    versions = {}
    for clusters in all_clusters:
        body = {name: value.encode() for name, value in clusters.items()}
        versions[version_of(dict(reversed(body.items())))] = clusters
        assert version_of(body) in versions
    assert len(versions) == len({tuple(sorted(c.items())) for c in all_clusters})
