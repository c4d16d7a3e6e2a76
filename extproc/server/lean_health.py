"""grpc.health.v1.Health on the lean transport: Check, and Watch, whose calls are told of changes as they happen."""

from collections.abc import Callable
from typing import Final

from extproc.http2.grpc_calls import Call
from extproc.http2.grpc_methods import Answer, Begin
from extproc.http2.grpc_status import Refused, Status
from extproc.server.health import Health
from extproc.wire.health import SERVICE_UNKNOWN, NotAHealthCheckRequest, read_service


def health_methods(health: Health, changed: Callable[[], None]) -> dict[str, Begin]:
    """The methods, by their path. `changed` is called when there is something new to write, and nothing was read."""
    return {
        "/grpc.health.v1.Health/Check": lambda _: _Check(health),
        "/grpc.health.v1.Health/Watch": lambda call: _Watch(health, call, changed),
    }


def _service(message: bytes) -> str:
    try:
        return read_service(message)
    except NotAHealthCheckRequest as error:
        raise Refused(Status.INVALID_ARGUMENT, str(error)) from error


class _Check:
    stays = False

    def __init__(self, health: Health) -> None:
        self._health: Final = health

    def answer(self, message: bytes) -> Answer:
        status = self._health.status(_service(message))
        if status == SERVICE_UNKNOWN:
            raise Refused(Status.NOT_FOUND, "no such service here")
        return Answer(status, ends=True)

    def end(self) -> None:
        """Nothing is left to do."""


class _Watch:
    stays = True

    def __init__(self, health: Health, call: Call, changed: Callable[[], None]) -> None:
        self._health: Final = health
        self._call: Final = call
        self._changed: Final = changed
        self._service: str | None = None
        self._last = b""

    def answer(self, message: bytes) -> Answer:
        if self._service is not None:
            raise Refused(Status.INVALID_ARGUMENT, "a watch is asked for one service")
        self._service = _service(message)
        self._health.watch(self._told)
        self._last = self._health.status(self._service)
        return Answer(self._last, ends=self._health.ending)

    def end(self) -> None:
        self._health.unwatch(self._told)

    def _told(self) -> None:
        status = self._health.status(self._service or "")
        if status != self._last:
            self._last = status
            self._call.push(status)
        if self._health.ending:
            self._call.end()
        self._changed()
