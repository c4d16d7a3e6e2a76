"""How an Envoy leaves: who calls it is told to go elsewhere, and what is under way ends first.

Must stay true: a request that Envoy has taken gets its answer, unless it takes too long; and nobody who is idle keeps
Envoy from leaving, nor anybody who goes on calling whatever he is told.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

log: Final = logging.getLogger("extproc.server.envoy")

QUIET: Final = 0.5  # seconds without a new connection or request, after which those who call have gone elsewhere
LAST_LOG: Final = 1.0  # seconds that the access log gets at the end; Envoy sends it four times a second
LOOK: Final = 0.05  # seconds between two looks

Ask = Callable[[str, str], Awaitable[str | None]]  # method and path, to Envoy's admin; None when there is no answer

_STATS: Final = "/stats?filter=^http.inference.downstream_(cx_active|cx_total|rq_active|rq_total)$"


async def leave(ask: Ask, patience: float) -> None:
    """Return when Envoy may be ended: nobody calls any more, or `patience` has run out, in seconds and twice."""
    # Each answer from now on closes its connection, so that clients which keep theirs find another Envoy (or GOAWAY in
    # HTTP/2). Tried with 1.40: `Connection: close` on the next answer, with the listeners still open.
    await ask("POST", "/healthcheck/fail")
    if await _all_gone(ask, patience):
        # No new connection; the others stay.
        await ask("POST", "/drain_listeners")
        if not await _answered(ask, patience):
            log.warning("requests are still under way after %s s", patience)
    await _empty_log(ask)


async def _all_gone(ask: Ask, patience: float) -> bool:
    """Wait until nobody calls any more. False when there is no connection at all, or no Envoy."""
    deadline = time.monotonic() + patience
    calls, since = -1, time.monotonic()
    while (now := time.monotonic()) < deadline and now - since < QUIET:
        stats = await _stats(ask)
        if not stats.get("cx_active"):
            return False
        if calls != (calls := stats["cx_total"] + stats["rq_total"]):
            since = time.monotonic()
        await asyncio.sleep(LOOK)
    return True


async def _answered(ask: Ask, patience: float) -> bool:
    """Whether the requests under way end in time."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if not (await _stats(ask)).get("rq_active"):
            return True
        await asyncio.sleep(LOOK)
    return False


async def _stats(ask: Ask) -> dict[str, int]:
    """The numbers of the inference port by the last part of their names; none before it is open, or without Envoy."""
    told = await ask("GET", _STATS) or ""
    pairs = [line.rpartition(": ") for line in told.splitlines()]
    return {name.rpartition("downstream_")[2]: int(number) for name, _, number in pairs if number.isdigit()}


async def _empty_log(ask: Ask) -> None:
    """Wait until the access log is sent: Envoy takes what it has not sent with it (tried with 1.40)."""
    deadline = time.monotonic() + LAST_LOG
    while time.monotonic() < deadline:
        told = await ask("GET", "/stats?filter=^access_logs.grpc_access_log.(logs_written|grpc_entries_flushed)$")
        if len({line.rpartition(" ")[2] for line in (told or "").splitlines()}) < 2:
            return
        await asyncio.sleep(LOOK)
