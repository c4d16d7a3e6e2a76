"""What Envoy answers by itself under `/v1/`, in the shape that clients of OpenAI's API expect of errors and lists.

https://platform.openai.com/docs/guides/error-codes/api-errors; which case gets which answer is told in docs/bodies.md.
"""

import json
from collections.abc import Iterable
from typing import Final

from extproc import names
from extproc.xds import answers, json_bodies
from extproc.xds.answers import CEL, SEGMENT, body_format
from extproc.xds.encode import Json
from extproc.xds.model_routes import overwrite

MODELS: Final = "/v1/models"

_INVALID: Final = "invalid_request_error"
_HOW_ELSE: Final = f"or name the model in the header {names.MODEL_HEADER}"
_FROM_BODY: Final = f"%REQ({names.BODY_MODEL_HEADER})%"
_FROM_HEADER: Final = f"%REQ({names.MODEL_HEADER})%"

_LARGE: Final = f"The body is larger than {json_bodies.LIMIT} bytes"

# What the filter found to be in the way: the status, what is said, what it is about, and OpenAI's code, if it has one.
_PROBLEMS: Final[dict[str, tuple[int, str, str | None, str | None]]] = {
    "malformed": (400, f"The body can't be read as a JSON object in UTF-8: send one, {_HOW_ELSE}", None, None),
    "empty": (400, f"The body is empty: send a JSON object that names a model, {_HOW_ELSE}", None, None),
    "missing": (
        400,
        f"The body names no model: add a field 'model', {_HOW_ELSE}",
        "model",
        "missing_required_parameter",
    ),
    "not-text": (400, "The field 'model' is no string", "model", "invalid_type"),
    "twice": (400, "The field 'model' is given twice: keep one", "model", None),
    "many": (400, f"The body has more than 1000 members: send an object with fewer, {_HOW_ELSE}", None, None),
    "large": (413, _LARGE, None, None),
    "encoded": (415, f"A compressed body is not read: send it without content-encoding, {_HOW_ELSE}", None, None),
}


def problems() -> list[Json]:
    """The answers to requests whose bodies name no model."""
    return [
        _answer(
            "unreadable-body",
            {"prefix": "/", "headers": [{"name": names.BODY_PROBLEM_HEADER, "string_match": {"exact": problem}}]},
            status,
            error(text, param, code),
        )
        for problem, (status, text, param, code) in _PROBLEMS.items()
    ]


def unknown_in_body() -> Json:
    """404 for a body that names no endpoint."""
    present = {"name": names.BODY_MODEL_HEADER, "present_match": True}
    return _answer("unknown-model", {"prefix": "/", "headers": [present]}, 404, _unknown(_FROM_BODY))


def unknown_in_header() -> Json:
    """404 for a `seldon-model` header that names no endpoint."""
    return _answer("unknown-model", {"prefix": "/v1/"}, 404, _unknown(_FROM_HEADER))


def several_in_header() -> Json:
    """400 for more than one `seldon-model` header."""
    return _answer("several-models", {"prefix": "/v1/"}, 400, error(_sentence(answers.SEVERAL_MODELS), "model"))


def unknown_in_path() -> Json:
    """404 for `/v1/models/<name>` of a name that is no endpoint's."""
    return _answer("unknown-model", {"safe_regex": {"regex": f"{MODELS}/[^/]+"}}, 404, _unknown(SEGMENT), CEL)


def no_model_here() -> Json:
    """404 for what is under `/v1/` and can't name a model in a body."""
    text = f"Nothing is served here: models are named in the JSON body of a POST, {_HOW_ELSE}"
    return _answer("not-found", {"prefix": "/v1/"}, 404, error(text))


def elsewhere(endpoint: str, match: Json) -> Json:
    """404 for a model that is called as one of the Open Inference Protocol, in its path."""
    text = f'\'{endpoint}\' speaks OpenAI\'s API: call /v1/chat/completions, with "model": "{endpoint}" in the body'
    body = {"error": text, "model": endpoint, "code": 404}
    return {"name": "other-api", "match": match, "direct_response": {"status": 404, "body_format": body_format(body)}}


def models(endpoints: Iterable[str]) -> Json:
    """The list of what can be called."""
    return _json("models", {"path": MODELS}, {"object": "list", "data": [_described(name) for name in endpoints]})


def model(endpoint: str) -> list[Json]:
    """One of the list, and what is said to whom does not just read it."""
    here = f"{MODELS}/{endpoint}"
    reading = f"Nothing else is served under {MODELS}: read a model with GET {here}"
    return [
        _json("model", {"path": here}, _described(endpoint)),
        {
            **_answer("read-only", {"path": here}, 405, error(reading)),
            "response_headers_to_add": [overwrite("allow", "GET, HEAD")],
        },
        _answer("not-found", {"path_separated_prefix": here}, 404, error(reading)),
    ]


def waiting(experiment: str, reasons: list[str], match: Json) -> Json:
    """503 for an experiment that has nobody to answer; `reasons` say what it waits for."""
    text = f"Experiment '{experiment}' has no candidate that can answer: waiting for {', '.join(reasons)}"
    return _answer("waiting", match, 503, {"error": {**error(text)["error"], "type": "server_error"}})


def failures() -> list[Json]:
    """Mappers of a connection manager's `local_reply_config`, for what goes wrong on the routes of this API."""
    here = {"header_filter": {"header": {"name": ":path", "string_match": {"prefix": "/v1/"}}}}
    upgrade = {"and_filter": {"filters": [answers.upgrade()["filter"], here]}}
    no_route = {"response_flag_filter": {"flags": ["NR"]}}
    return [
        {"filter": upgrade, "body_format_override": body_format(error(_sentence(answers.NO_UPGRADE)))},
        {
            "filter": {"and_filter": {"filters": [_status(413), json_bodies.on_routes()]}},
            "body_format_override": body_format(error(_LARGE)),
        },
        {
            "filter": json_bodies.on_routes(),
            "body_format_override": body_format(
                {"error": {"message": "%LOCAL_REPLY_BODY%", "type": "server_error", "param": None, "code": None}}
            ),
        },
        {
            "filter": {"and_filter": {"filters": [no_route, here]}},
            "body_format_override": body_format(_unknown(SEGMENT), CEL),
        },
    ]


def error(text: str, param: str | None = None, code: str | None = None) -> Json:
    """The body of an answer to a request that is wrong."""
    return {"error": {"message": text, "type": _INVALID, "param": param, "code": code}}


def _unknown(name: str) -> Json:
    text = f"The model '{name}' does not exist: no Model and no Experiment of this API has this name"
    return error(text, "model", "model_not_found")


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def _status(code: int) -> Json:
    comparison = {"op": "EQ", "value": {"default_value": code, "runtime_key": f"extproc.status_{code}"}}
    return {"status_code_filter": {"comparison": comparison}}


def _described(name: str) -> Json:
    return {"id": name, "object": "model", "created": 0, "owned_by": "extproc"}


def _json(name: str, path: Json, body: Json) -> Json:
    get = {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}}
    return {
        "name": name,
        "match": {**path, "headers": [get]},
        "direct_response": {"status": 200, "body": {"inline_string": json.dumps(body, separators=(",", ":"))}},
        "response_headers_to_add": [overwrite("content-type", "application/json")],
    }


def _answer(name: str, match: Json, status: int, body: Json, *formatters: Json) -> Json:
    return {
        "name": name,
        "match": match,
        "direct_response": {"status": status, "body_format": body_format(body, *formatters)},
        # extproc may have been switched on for the route before this one.
        "typed_per_filter_config": {names.EXT_PROC_FILTER: json_bodies.not_asked()},
    }
