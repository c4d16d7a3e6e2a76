"""Waiting for a condition with a deadline; the only kind of waiting that tests do.

A wait that fails says what it waited for and the last thing it saw, so that a red test explains itself.
"""

import asyncio
import http.client
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

import aiohttp

T = TypeVar("T")

PAUSE: Final = 0.01  # seconds between two looks
# An unmet assertion, or a server that is not up.
NOT_YET: Final = (AssertionError, OSError, aiohttp.ClientError, http.client.HTTPException)


def eventually(
    check: Callable[[], T],
    *,
    within: float,
    saying: str,
    until: Callable[[T], object] = bool,
    not_yet: tuple[type[Exception], ...] = NOT_YET,
) -> T:
    """Call `check` until `until` holds for what it returns, and return that.

    `within` is in seconds. Exceptions of the types `not_yet` count as "not yet"; any other ends the wait at once.
    Raises AssertionError with `saying` and the last thing seen.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            seen = check()
            if until(seen):
                return seen
            last = repr(seen)
        except not_yet as error:
            last = _told(error)
        if time.monotonic() >= deadline:
            raise AssertionError(_failure(saying, within, last))
        time.sleep(PAUSE)


@overload
async def eventually_async(
    check: Callable[[], Awaitable[T]],
    *,
    within: float,
    saying: str,
    until: Callable[[T], object] = ...,
    not_yet: tuple[type[Exception], ...] = ...,
) -> T: ...


@overload
async def eventually_async(
    check: Callable[[], T],
    *,
    within: float,
    saying: str,
    until: Callable[[T], object] = ...,
    not_yet: tuple[type[Exception], ...] = ...,
) -> T: ...


async def eventually_async(
    check: Callable[[], Any],
    *,
    within: float,
    saying: str,
    until: Callable[[Any], object] = bool,
    not_yet: tuple[type[Exception], ...] = NOT_YET,
) -> Any:
    """`eventually` for a running event loop; `check` may return an awaitable."""
    deadline = time.monotonic() + within
    while True:
        try:
            seen = check()
            if inspect.isawaitable(seen):
                seen = await seen
            if until(seen):
                return seen
            last = repr(seen)
        except not_yet as error:
            last = _told(error)
        if time.monotonic() >= deadline:
            raise AssertionError(_failure(saying, within, last))
        await asyncio.sleep(PAUSE)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _failure(saying: str, within: float, last: str) -> str:
    return f"not within {within:g} s: {saying}\nlast seen: {last}"
