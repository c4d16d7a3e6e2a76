"""The admin HTTP as its contract has it, in this process, for tests of its clients.

Strict: a request that the contract does not know (method, path, query, content type, body) is answered with 500 and
kept in `violations`, which the fixture demands to be empty. Bodies are read and specifications written by the code
that serves.
"""

import json
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiohttp import web

from extproc.core.resources import Experiment
from extproc.errors import Problem
from extproc.wire.manifests import read, write
from tests.harness.background import background

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BEGINNING: Final = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
_CHANGES: Final = {"caller", "why", "wait"}
_ENTITY_TAG: Final = re.compile(r'"[0-9]+"')
# Method and kind of path → the query it may have, whether it has a body.
_ALLOWED: Final[Mapping[tuple[str, str], tuple[set[str], bool]]] = {
    ("GET", "experiments"): (set(), False),
    ("GET", "experiment"): (set(), False),
    ("PUT", "experiment"): (_CHANGES, True),
    ("DELETE", "experiment"): (_CHANGES, False),
    ("GET", "history"): (set(), False),
    ("POST", "rollback"): (_CHANGES, True),
}


class FakeAdmin:
    """Listens from the start until `close`. `requests` are "METHOD path?query" of all that came."""

    def __init__(self) -> None:
        self.violations: Final[list[str]] = []
        self.requests: Final[list[str]] = []
        self.revisions: Final[dict[str, list[dict[str, Any]]]] = {}
        self.files: Final[dict[str, str]] = {}
        self.problems: Final[list[dict[str, Any]]] = []
        self._states: Final[dict[str, list[tuple[str, str]]]] = {}
        self._refusal: tuple[int, str, str] | None = None
        self.url = ""
        self._runner = web.AppRunner(self._application(), access_log=None)
        background().run(self._listen())

    def close(self) -> None:
        background().run(self._runner.cleanup())

    def then(self, name: str, *states: tuple[str, str]) -> None:
        """Let the next looks at `name` show these (state, reason), one each, and the last one from then on."""
        self._states[name] = list(states)

    def refuse(self, status: int, title: str, detail: str = "") -> None:
        """Answer every request with these problem details, until `accept`."""
        self._refusal = (status, title, detail)

    def accept(self) -> None:
        self._refusal = None

    def spec(self, name: str) -> dict[str, Any]:
        """The specification that is current."""
        found: dict[str, Any] = self.revisions[name][-1]["spec"]
        return found

    def document(self, name: str) -> dict[str, Any]:
        """An experiment as it reads back."""
        now = self.revisions[name][-1]
        spec = now["spec"]
        states = self._states.get(name, [])
        state, reason = (
            (states.pop(0) if len(states) > 1 else states[0]) if states else ("ACTIVE", "all candidates ready")
        )
        if now["action"] == "stopped":
            state, reason = "STOPPED", "stopped by ada"
        total = sum(candidate["weight"] for candidate in spec["candidates"])
        document: dict[str, Any] = {
            "name": name,
            "state": state,
            "reason": reason,
            "source": now["source"],
            "revision": now["revision"],
            "conditions": {"accepted": True, "candidatesReady": state != "DEGRADED", "mirrorReady": True},
            "candidates": [
                {**candidate, "share": candidate["weight"] / total, "ready": True, "route": f":{candidate['name']}_1:"}
                for candidate in spec["candidates"]
            ],
        }
        if "mirror" in spec:
            document["mirror"] = {**spec["mirror"], "ready": True}
        document["spec"] = spec
        document["events"] = [
            {"at": one["at"], "event": one["action"], "detail": one["why"]} for one in self.revisions[name]
        ]
        return document

    async def _listen(self) -> None:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self._police], client_max_size=1024 * 1024)
        app.add_routes([
            web.get("/api/v1/experiments", self._list, name="experiments"),
            web.get("/api/v1/experiments/{name}", self._get, name="experiment", allow_head=False),
            web.put("/api/v1/experiments/{name}", self._put),
            web.delete("/api/v1/experiments/{name}", self._delete),
            web.get("/api/v1/experiments/{name}/history", self._history, name="history"),
            web.post("/api/v1/experiments/{name}/rollback", self._rollback, name="rollback"),
        ])  # fmt: skip
        return app

    @web.middleware
    async def _police(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path_qs}")
        wrong = list(self._violated(request))
        if wrong:
            self.violations.extend(f"{request.method} {request.path_qs}: {one}" for one in wrong)
            return problem(500, "contract violated", "; ".join(wrong))
        if self._refusal:
            return problem(*self._refusal)
        try:
            return await handler(request)
        except web.HTTPRequestEntityTooLarge as error:
            return problem(413, error.reason, "the body is larger than 1 MiB")

    def _violated(self, request: web.Request) -> Iterable[str]:
        path = request.rel_url.raw_path.removeprefix("/api/v1/experiments")
        kind = ("experiments", "experiment", path.rpartition("/")[2])[min(path.count("/"), 2)]
        if (request.method, kind) not in _ALLOWED:
            yield "no such method and path"
            return
        query, body = _ALLOWED[request.method, kind]
        yield from (f"query {key}" for key in request.query if key not in query)
        yield from (f"query {key} twice" for key in request.query if len(request.query.getall(key)) > 1)
        if request.query.get("wait", "true") not in ("true", "false"):
            yield "wait is neither true nor false"
        if body != request.body_exists:
            yield "a body where there is none, or none where there is one"
        if body and request.content_type not in ("application/json", "application/yaml"):
            yield f"content type {request.content_type}"
        tag = request.headers.get("If-Match")
        if tag is not None and (request.method != "PUT" or not _ENTITY_TAG.fullmatch(tag)):
            yield f"If-Match {tag}"

    async def _list(self, _: web.Request) -> web.StreamResponse:
        documents = [self.document(name) for name in sorted(self.revisions)]
        return web.json_response({"experiments": documents, "problems": self.problems})

    async def _get(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return self._unknown(name) or web.json_response(self.document(name))

    async def _put(self, request: web.Request) -> web.StreamResponse:
        name, body = request.match_info["name"], await request.read()
        document = read(body, "api.json" if request.content_type == "application/json" else "api")
        problems = [*document.problems, *(found for offer in document.offers for found in offer.problems)]
        wanted = document.offers[0].resource if document.offers else None
        if problems or not isinstance(wanted, Experiment) or len(document.offers) != 1:
            return problem(422, "invalid", "the experiment is invalid", problems)
        if wanted.name != name:
            return problem(422, "invalid", "", [Problem("name", "differs from the path")])
        if name in self.files:
            detail = f"{name!r} is managed by the file {self.files[name]}"
            return problem(409, "conflict", detail, [Problem("name", f"{detail}: change it there")])
        history = self.revisions.get(name, [])
        number = history[-1]["revision"] if history else 0
        expected = request.headers.get("If-Match")
        if expected is not None and expected != f'"{number}"':
            return problem(412, "another revision", f"experiment {name!r} is at revision {number}, not {expected}")
        spec = write(wanted)
        started = not history or history[-1]["action"] == "stopped"
        if not started and history[-1]["spec"] == spec:
            return web.json_response({**self.document(name), "changed": False})
        self._record(name, "started" if started else "updated", spec, request.query)
        return web.json_response({**self.document(name), "changed": True}, status=200 if history else 201)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        if name not in self.revisions:
            return self._unknown(name) or web.Response()
        stopped = self.revisions[name][-1]["action"] == "stopped"
        if not stopped:
            self._record(name, "stopped", self.spec(name), request.query)
        return web.json_response({**self.document(name), "changed": not stopped})

    async def _history(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        return self._unknown(name) or web.json_response({"name": name, "revisions": self.revisions[name]})

    async def _rollback(self, request: web.Request) -> web.StreamResponse:
        name, body = request.match_info["name"], json.loads(await request.read())
        if list(body) != ["revision"]:
            self.violations.append(f"rollback with {body}")
        unknown = self._unknown(name)
        if unknown:
            return unknown
        wanted = [one for one in self.revisions[name] if one["revision"] == body["revision"]]
        if not wanted:
            return problem(404, "unknown revision", f"experiment {name!r} has no revision {body['revision']}")
        changed = wanted[0]["spec"] != self.spec(name)
        if changed:
            self._record(name, "rolled_back", wanted[0]["spec"], request.query)
        return web.json_response({**self.document(name), "changed": changed})

    def _record(self, name: str, action: str, spec: dict[str, Any], query: Mapping[str, str]) -> None:
        history = self.revisions.setdefault(name, [])
        at = BEGINNING + timedelta(minutes=sum(map(len, self.revisions.values())))
        history.append({
            "revision": len(history) + 1,
            "action": action,
            "source": "api",
            "caller": query.get("caller", ""),
            "why": query.get("why", ""),
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "spec": spec,
        })  # fmt: skip

    def _unknown(self, name: str) -> web.Response | None:
        if name in self.revisions:
            return None
        return problem(404, "unknown experiment", f"no experiment is called {name!r}: did you mean iris-ab?")


def problem(status: int, title: str, detail: str, problems: Iterable[Problem] = ()) -> web.Response:
    """Problem details (RFC 9457)."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "problems": [{"path": one.path, "message": one.message} for one in problems],
    }
    return web.json_response(body, status=status, content_type="application/problem+json")
