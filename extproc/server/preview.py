"""`POST /api/v1/preview`: what a body of `PUT /api/v1/experiments/{name}` would do, judged in full and not done.

The page asks before it asks you. Must stay true: it says no to what PUT would say no to, with the same words.
"""

import asyncio
from typing import Final

from aiohttp import web

from extproc.control.drafts import Author, Unchanged
from extproc.control.revisions import Action
from extproc.server.rest import CHANGES, body_of, experiment_in
from extproc.wire.manifests import write

routes: Final = web.RouteTableDef()


@routes.post("/api/v1/preview")
async def preview(request: web.Request) -> web.Response:
    """The experiment in the body as it would be kept, what that would be (`started`, `updated`, `unchanged`), and what
    is in force now: `before` and its `revision`, null when nothing is.
    """
    wanted = await asyncio.to_thread(experiment_in, await body_of(request), request.content_type)
    lifecycle = request.app[CHANGES].lifecycle
    current = lifecycle.revision(wanted.name)
    judged = lifecycle.start(wanted, Author())
    running = current is not None and current.action is not Action.STOPPED
    return web.json_response({
        "name": wanted.name,
        "action": "unchanged" if isinstance(judged, Unchanged) else judged.action.value,
        "revision": current.number if current is not None else None,
        "before": write(current.spec) if current is not None and running else None,
        "after": write(wanted),
    })  # fmt: skip
