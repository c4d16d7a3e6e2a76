"""Which browsers may change things: none without `--admin-write`, and with it only the page that came from here.

The API asks nobody who they are, and a browser carries out what any site tells it to. Two ways lead from another site
to a port of this machine: a request across origins, which names that site in `Origin`, and a name of that site which
suddenly resolves to 127.0.0.1 ("DNS rebinding"), for which Host and Origin are one. Must stay true: a browser that says
where it comes from changes nothing unless that is an address, `localhost`, or an origin the operator named. Programs
send no `Origin`, and are not concerned.
"""

from collections.abc import Awaitable, Callable, Iterable
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from extproc.server.page import PAGE

SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
LOCALHOST: Final = "localhost"
# https://www.w3.org/TR/fetch-metadata/: every browser says it since 2023, also where it leaves `Origin` out.
FETCH_SITE: Final = "Sec-Fetch-Site"


@web.middleware
async def own_page_only(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """403 for a change that a browser asks for and that is not the page's to make."""
    origin = request.headers.get(hdrs.ORIGIN)
    browser = origin is not None or FETCH_SITE in request.headers
    if request.method not in SAFE and browser:
        allowed = request.app[PAGE].allowed
        if not trusted(origin or "", request.host, allowed.origins):
            raise web.HTTPForbidden(
                text=f"{origin or 'a page without an origin'} may not change anything here; if this is your own"
                " address of the page, give it to --admin-origin"
            )
        if not allowed.write:
            raise web.HTTPForbidden(text="a browser may only look: start extproc with --admin-write to change that")
    return await handler(request)


def trusted(origin: str, host: str, named: Iterable[str]) -> bool:
    """Whether `origin` (RFC 6454) is one that was `named`, or is this very `host` and can't have been rebound."""
    if origin in named:
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    # The scheme is not compared: whoever ends TLS before us makes https of it.
    return parts.netloc == host and (name == LOCALHOST or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
