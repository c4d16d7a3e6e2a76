"""Waiting for an experiment's state: look again and again, tell each change once, and give up in time."""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from extproc.cli.admin_errors import AdminRefusedError, AdminUnreachableError
from extproc.cli.experiment_view import ExperimentView
from extproc.errors import ExtprocError

PAUSE: Final = 0.2  # seconds between two looks
LOOK_WITHIN: Final = 5.0  # seconds that one look may take

Look = Callable[[float], Mapping[str, Any]]


class NotReachedError(ExtprocError):
    """The time is over and the experiment has another state; the message says which and why."""


def wait_for(
    name: str,
    wanted: str,
    within: float,
    look: Look,
    tell: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Mapping[str, Any]:
    """The document of the first look at which the state is `wanted`.

    `within` is in seconds, 0 for no limit; `look` is given the seconds it may take. That extproc does not answer is
    one more thing to wait for; a name that it does not know is not. No state ends the waiting early: a file may be
    corrected, and a stopped experiment started, while we look. Raises NotReachedError, and what `look` raises.
    """
    deadline = clock() + within if within else float("inf")
    told = ""
    while True:
        try:
            document = look(max(min(LOOK_WITHIN, deadline - clock()), 0.1))
            seen = ExperimentView.of(document)
            if seen.state == wanted:
                return document
            now = f"{seen.state}: {seen.reason}"
        except AdminUnreachableError as error:
            now = f"extproc does not answer: {error.reason}"
        except AdminRefusedError as error:
            if error.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            now = error.brief
        if now != told:
            tell(now)
            told = now
        left = deadline - clock()
        if left <= 0:
            raise NotReachedError(
                f"{name} is not {wanted} after {within:g} s: {now}\nWait longer with --timeout, or see"
                f" `extproc experiment status {name}`."
            )
        sleep(min(PAUSE, left))
