"""One event loop in a thread of its own, shared by every stub server and load generator of the test process.

One thread for all of them, so that they take turns instead of fighting for the interpreter lock.
"""

import asyncio
import atexit
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import cache
from typing import Any, Final, TypeVar

import uvloop

T = TypeVar("T")

ANSWER_WITHIN: Final = 30.0  # seconds for a call into the loop; it never blocks, so more means that it is stuck


class Background:
    """An event loop that runs until the interpreter ends."""

    def __init__(self) -> None:
        self.loop: Final[asyncio.AbstractEventLoop] = uvloop.new_event_loop()
        self._thread: Final = threading.Thread(target=self.loop.run_forever, name="tests-background", daemon=True)
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run `coroutine` in the loop and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(ANSWER_WITHIN)

    def call(self, function: Callable[[], T]) -> T:
        """Call `function` in the loop's thread and wait for its result."""
        done: Future[T] = Future()

        def carry_out() -> None:
            try:
                done.set_result(function())
            except BaseException as error:  # noqa: BLE001 - handed to the caller, who raises it
                done.set_exception(error)

        self.loop.call_soon_threadsafe(carry_out)
        return done.result(ANSWER_WITHIN)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


@cache
def background() -> Background:
    """The one of this process, started at first use."""
    running = Background()
    atexit.register(running.close)
    return running
