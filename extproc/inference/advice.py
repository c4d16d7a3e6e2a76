"""What a failed answer means and what to do next; a table, in one line each."""

import json
from typing import Final

from extproc.inference.call import Answer, Call

_LIST: Final = "`extproc experiment list` and {admin}/api/v1/models show what there is"
_BODY: Final = "the body is not what the model takes: give another with -f FILE or as DATA"
_SLOW: Final = "the model server may be slow or hang: allow more with --timeout, and look at its log"
_SERVER: Final = "`extproc experiment list` shows whose model server is not ready; look at its log"

# Where there was nobody to send the request to.
_NOBODY: Final = {
    "unresolved": "check the host's name in --inference {url}",
    "tls": "check whether --inference {url} is meant to be http:// or https://",
}
_NOT_RUNNING: Final = "is `extproc up` running? Give the URL of Envoy's inference port with --inference"

# Where Envoy answered by itself, so that there is no route token, or nothing came.
_ENVOY: Final = {
    "404": f"nothing is called {{model}} there: {_LIST}",
    "UNIMPLEMENTED": f"nothing is called {{model}} there, or not over gRPC: {_LIST}",
    "503": _SERVER,
    "UNAVAILABLE": _SERVER,
    "timeout": _SLOW,
    "DEADLINE_EXCEEDED": _SLOW,
    "disconnected": "look at the log of Envoy, and whether --inference {url} is its inference port",
}

# Where a candidate answered, or Envoy in its place.
_CANDIDATE: Final = {
    "400": _BODY,
    "422": _BODY,
    "INVALID_ARGUMENT": _BODY,
    "404": "its model server knows no model of that name: check the Model's served_name",
    "NOT_FOUND": 'its model server calls the model something else: give its own name as "model_name" in DATA',
    "500": _BODY + ", or look at the log of the model server",
    "502": _SERVER,
    "503": _SERVER,
    "UNAVAILABLE": _SERVER,
    "504": "the model server may be slow or hang: look at the experiment's timeout",
}

_ELSE: Final = "look at the log of Envoy and of the model server"

_DETAIL_MAX: Final = 300  # characters of an answer that a message quotes


def explain(answer: Answer, call: Call, admin: str) -> str:
    """Why `answer` failed, and what to do next."""
    detail = _short(answer.detail or _error(answer.body))
    if not answer.reached:
        advice = _NOBODY.get(answer.code, _NOT_RUNNING)
        said = f"{call.url} can't be reached ({detail})"
    else:
        advice = (_CANDIDATE if answer.route else _ENVOY).get(answer.code, _ELSE)
        who = f"{call.url}, route {answer.route}" if answer.route else call.url
        said = f"{answer.code} from {who}" + (f" ({detail})" if detail else "")
    return f"{said}: {advice.format(url=call.url, model=call.model, admin=admin)}"


def _error(body: bytes) -> str:
    """What a body says of its failure: `error` of the V2 protocol's error object, or the text itself."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return body.decode(errors="replace")
    return str(said.get("error", "")) if isinstance(said, dict) else ""


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _DETAIL_MAX else line[:_DETAIL_MAX] + "…"
