"""When an Envoy may be ended, by what its admin says; the real one is in test_envoy."""

import logging
from collections.abc import Callable, Iterator

import pytest

from extproc.server import draining as module
from extproc.server.draining import leave


class Admin:
    """Answers as Envoy's admin does; each look at the numbers takes the next of `looks`, the last one for ever."""

    def __init__(self, looks: Iterator[tuple[int, int, int]]) -> None:
        self._looks = looks
        self._last = (0, 0, 0)
        self.asked: list[str] = []

    async def ask(self, method: str, path: str) -> str | None:
        what = path.partition("?")[0].strip("/")
        if "access_logs" in path:
            return "access_logs.grpc_access_log.logs_written: 7\naccess_logs.grpc_access_log.grpc_entries_flushed: 7"
        if what != "stats":
            assert method == "POST"
            self.asked.append(what)
            return "OK"
        self._last = next(self._looks, self._last)
        connections, under_way, total = self._last
        numbers = {"cx_active": connections, "cx_total": connections, "rq_active": under_way, "rq_total": total}
        return "\n".join(f"http.inference.downstream_{name}: {number}" for name, number in numbers.items())


@pytest.fixture
def admin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Admin]:
    monkeypatch.setattr(module, "QUIET", 0.05)
    monkeypatch.setattr(module, "LOOK", 0.001)
    return lambda *looks: Admin(iter(looks))


async def test_without_connections_it_leaves_at_once(admin: Callable[..., Admin]) -> None:
    envoy = admin((0, 0, 9))
    await leave(envoy.ask, 60)
    assert envoy.asked == ["healthcheck/fail"]


async def test_whoever_is_idle_does_not_keep_it(admin: Callable[..., Admin]) -> None:
    envoy = admin((3, 0, 9))
    await leave(envoy.ask, 60)
    assert envoy.asked == ["healthcheck/fail", "drain_listeners"]


async def test_what_is_under_way_when_the_others_are_gone_is_waited_for(
    admin: Callable[..., Admin], caplog: pytest.LogCaptureFixture
) -> None:
    envoy = admin(*[(3, 2, 9)] * 100, (3, 0, 9))
    await leave(envoy.ask, 60)
    assert envoy.asked == ["healthcheck/fail", "drain_listeners"]
    assert not caplog.messages


async def test_whoever_goes_on_calling_is_not_waited_for_for_ever(
    admin: Callable[..., Admin], caplog: pytest.LogCaptureFixture
) -> None:
    envoy = admin(*((3, 1, total) for total in range(10_000)))
    with caplog.at_level(logging.WARNING):
        await leave(envoy.ask, 0.3)
    assert envoy.asked == ["healthcheck/fail", "drain_listeners"]
    assert caplog.messages == ["requests are still under way after 0.3 s"]


async def test_without_an_envoy_there_is_nothing_to_wait_for() -> None:
    asked: list[str] = []

    async def ask(_method: str, path: str) -> str | None:
        asked.append(path)
        return None

    await leave(ask, 60)
    assert len(asked) == 3
