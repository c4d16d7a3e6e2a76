"""Both transports on uvloop, which the product runs on: every scenario that the other modules try on plain asyncio."""

import inspect
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from tests.server import test_ext_proc, test_grpc_server, test_health


def scenarios() -> list[Callable[[], Coroutine[Any, Any, None]]]:
    return [
        test
        for module in (test_ext_proc, test_grpc_server, test_health)
        for name, test in vars(module).items()
        if name.startswith("test_") and inspect.iscoroutinefunction(test) and not inspect.signature(test).parameters
    ]


@pytest.mark.usefixtures("transport")
@pytest.mark.parametrize("scenario", scenarios(), ids=lambda scenario: scenario.__name__)
def test_on_uvloop(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    uvloop.run(scenario())
